"""What organisations hold besides names and domains, and the brandings that they may choose from."""

import sqlalchemy as sa
from alembic import op
from notify_admin.store.columns import columns, created, flags, ids, instants, texts
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add columns and the table."""
    for column in (
        *columns(ARRAY(sa.Text), "permissions", server_default="{can_ask_to_join_a_service}"),
        *flags("can_approve_own_go_live_requests", server_default=sa.false()),
        *flags("agreement_signed", nullable=True),
        *instants("agreement_signed_time", nullable=True),
        *ids("agreement_signed_by_id", nullable=True),
        *texts("agreement_signed_version agreement_signed_on_behalf_of_name", nullable=True),
        *texts("agreement_signed_on_behalf_of_email_address request_to_go_live_notes", nullable=True),
        *texts("notes purchase_order_number billing_contact_names", nullable=True),
        *texts("billing_contact_email_addresses billing_reference", nullable=True),
    ):
        op.add_column("organisations", column)
    op.create_table(
        "branding_pools",
        *ids("organisation_id", "organisations", primary_key=True),
        *texts("kind", primary_key=True),
        *ids("branding_id", primary_key=True),
        *created(),
        Index(None, "branding_id"),
    )
