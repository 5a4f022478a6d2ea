"""Tables of the admin context."""

from typing import Any

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.feeds.producer import feed_table
from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

_id = id_type()
_instant = sa.DateTime(timezone=True)


def _created() -> "Column[object]":
    return Column("create_time", _instant, nullable=False, server_default=sa.func.now())


def _request_hash() -> "Column[object]":
    # SHA-256 of the request that made the row: a repeat is told from another request of the same id by it
    return Column("request_hash", sa.LargeBinary, nullable=False)


users = Table(
    "users",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("email_address", sa.Text, nullable=False),
    Column("mobile_number", sa.Text, nullable=False),
    _created(),
    _request_hash(),
)
Index("uq_users_email_address", sa.func.lower(users.c.email_address), unique=True)

services = Table(
    "services",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("normalised_name", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False),
    Column("restricted", sa.Boolean, nullable=False),
    Column("permissions", ARRAY(sa.Text), nullable=False),
    Column("rate_limit_per_minute", sa.Integer, nullable=False),
    Column("sms_per_day", sa.Integer, nullable=False),
    Column("email_per_day", sa.Integer, nullable=False),
    Column("letter_per_day", sa.Integer, nullable=False),
    Column("international_sms_per_day", sa.Integer, nullable=False),
    Column("prefix_sms", sa.Boolean, nullable=False),
    Column("email_sender_local_part", sa.Text, nullable=False),
    Column("custom_email_sender_name", sa.Text, nullable=False),
    Column("guest_email_addresses", ARRAY(sa.Text), nullable=False),
    Column("guest_phone_numbers", ARRAY(sa.Text), nullable=False),
    Column("version", sa.Integer, nullable=False),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
)
# an archived service leaves its name to others
Index("uq_services_name", services.c.normalised_name, unique=True, postgresql_where=services.c.active)
Index("ix_services_create_time", services.c.create_time, services.c.id)

memberships = Table(
    "memberships",
    metadata,
    Column("service_id", _id, sa.ForeignKey("services.id"), primary_key=True),
    Column("user_id", _id, sa.ForeignKey("users.id"), primary_key=True),
    _created(),
)
Index("ix_memberships_user_id", memberships.c.user_id)


def _sender_table(name: str, *more: "Column[Any]") -> Table:
    table = Table(
        name,
        metadata,
        Column("id", _id, primary_key=True),
        Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
        Column("value", sa.Text, nullable=False),
        Column("is_default", sa.Boolean, nullable=False),
        Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
        _created(),
        _request_hash(),
        *more,
        Column("update_time", _instant),
    )
    only_default = sa.and_(table.c.is_default, sa.not_(table.c.archived))
    Index(f"uq_{name}_default", table.c.service_id, unique=True, postgresql_where=only_default)
    Index(f"ix_{name}_service_id", table.c.service_id, table.c.is_default, table.c.create_time, table.c.id)
    return table


sms_senders = _sender_table("sms_senders", Column("inbound_number_id", _id))
Index("uq_sms_senders_inbound_number_id", sms_senders.c.inbound_number_id, unique=True)
reply_to_addresses = _sender_table("reply_to_addresses")
letter_contacts = _sender_table("letter_contacts")

templates = Table(
    "templates",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    # the current one of template_versions
    Column("version", sa.Integer, nullable=False),
    Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    _created(),
    _request_hash(),
    sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", "channel"),
)
Index("ix_templates_service_id", templates.c.service_id)

template_versions = Table(
    "template_versions",
    metadata,
    Column("template_id", _id, sa.ForeignKey("templates.id"), primary_key=True),
    Column("version", sa.Integer, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("subject", sa.Text, nullable=False),
    Column("content", sa.Text, nullable=False),
    Column("archived", sa.Boolean, nullable=False),
    Column("postage", sa.Text),
    Column("letter_contact_id", _id, sa.ForeignKey("letter_contacts.id")),
    # as it stood when the version was made: a version never changes
    Column("letter_contact_block", sa.Text, nullable=False),
    Column("has_unsubscribe_link", sa.Boolean, nullable=False),
    Column("welsh_subject", sa.Text, nullable=False),
    Column("welsh_content", sa.Text, nullable=False),
    Column("made_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("make_time", _instant, nullable=False, server_default=sa.func.now()),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("encrypted_secret", sa.LargeBinary, nullable=False),
    Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    _created(),
    Column("revoke_time", _instant),
    _request_hash(),
    sa.CheckConstraint("key_type IN ('normal', 'team', 'test')", "key_type"),
)
Index(
    "uq_api_keys_name",
    api_keys.c.service_id,
    api_keys.c.name,
    unique=True,
    postgresql_where=api_keys.c.revoke_time.is_(None),
)
Index("ix_api_keys_service_id", api_keys.c.service_id, api_keys.c.create_time, api_keys.c.id)

config_changes = feed_table(
    "config_changes",
    metadata,
    Column("kind", sa.Text, nullable=False),
    Column("service_id", _id, nullable=False),
    Column("template_id", _id),
)
