"""What organisations hold besides names and domains, and the brandings that they may choose from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXTS = (
    "agreement_signed_version",
    "agreement_signed_on_behalf_of_name",
    "agreement_signed_on_behalf_of_email_address",
    "request_to_go_live_notes",
    "notes",
    "purchase_order_number",
    "billing_contact_names",
    "billing_contact_email_addresses",
    "billing_reference",
)


def upgrade() -> None:
    """Add columns and the table."""
    allowed = sa.Column(
        "permissions", ARRAY(sa.Text()), nullable=False, server_default="{can_ask_to_join_a_service}"
    )
    decides = sa.Column(
        "can_approve_own_go_live_requests", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    for column in (
        allowed,
        decides,
        sa.Column("agreement_signed", sa.Boolean()),
        sa.Column("agreement_signed_time", sa.DateTime(timezone=True)),
        sa.Column("agreement_signed_by_id", sa.Uuid()),
        *(sa.Column(name, sa.Text()) for name in _TEXTS),
    ):
        op.add_column("organisations", column)
    op.create_table(
        "branding_pools",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("branding_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name="branding_pools_organisation_id_fkey"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "branding_id", name="branding_pools_pkey"),
    )
    op.create_index("ix_branding_pools_branding_id", "branding_pools", ["branding_id"])
