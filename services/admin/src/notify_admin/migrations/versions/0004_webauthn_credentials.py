"""Security keys."""

from alembic import op
from notify_admin.store.columns import made, texts, within
from sqlalchemy import Index

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "webauthn_credentials",
        *within("users"),
        *texts("name credential_data registration_response"),
        *made("update_time logged_in_time"),
        Index(None, "user_id", "create_time"),
    )
