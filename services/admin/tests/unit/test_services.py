"""Rules of services."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify.admin.v1.service_pb2 import Service, ServiceLimits
from notify_admin.domain.services import archived_name, local_part, normalised_name
from notify_admin.usecases.services import checked, with_defaults
from notify_testing.calls import refusal, violations
from notify_testing.requests import replaced


def replace(service: Service, **fields: Any) -> Service:
    """Return a copy with other values; `limits.sms_per_day` is written `sms_per_day`."""
    limits = {name: fields.pop(name) for name in LIMITS if name in fields}
    guests = {
        name.removeprefix("guest_"): fields.pop(name) for name in list(fields) if name.startswith("guest_")
    }
    changed = replaced(service, **fields)
    changed.limits.CopyFrom(replaced(changed.limits, **limits))
    changed.guest_list.CopyFrom(replaced(changed.guest_list, **guests))
    return changed


LIMITS = [field.name for field in ServiceLimits.DESCRIPTOR.fields]
FIELDS = with_defaults(Service(name="Fishing licences", restricted=True))


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("Fishing licences", "fishing.licences"),
        ("  My   Café’s\tservice! ", "my.cafes.service"),
        ("A.-.B", "a.b"),
        ("...Dots...", "dots"),
        ("R&D (beta) 2", "rd.beta.2"),
        ("дом", ""),
        ("🎣", ""),
    ],
)
def test_names_are_normalised(name: str, normalised: str) -> None:
    assert normalised_name(name) == normalised


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing_and_local_parts_are_valid(name: str) -> None:
    once = normalised_name(name)
    assert normalised_name(once) == once
    local = local_part(name)
    assert len(local) <= 64
    assert set(local) <= set("abcdefghijklmnopqrstuvwxyz0123456789.")
    assert ".." not in local
    assert local.strip(".") == local


def test_local_part_is_made_from_the_sender_name_or_else_the_name() -> None:
    assert checked(FIELDS).email_sender_local_part == "fishing.licences"
    named = replace(FIELDS, custom_email_sender_name="Angling Team")
    assert checked(named).email_sender_local_part == "angling.team"
    given_one = replace(named, email_sender_local_part="hello")
    assert checked(given_one).email_sender_local_part == "hello"


def test_permissions_are_sorted_and_single() -> None:
    assert checked(replace(FIELDS, permissions=("sms", "email", "sms"))).permissions == ["email", "sms"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "service.name"),
        ({"name": "дом"}, "service.name"),
        ({"name": "x" * 256}, "service.name"),
        ({"name": "Fishing\r\nBcc: x"}, "service.name"),
        ({"custom_email_sender_name": "Fishing\u2028licences"}, "service.custom_email_sender_name"),
        ({"custom_email_sender_name": "!!!"}, "service.custom_email_sender_name"),
        ({"custom_email_sender_name": "x" * 256}, "service.custom_email_sender_name"),
        ({"email_sender_local_part": "Upper"}, "service.email_sender_local_part"),
        ({"email_sender_local_part": "a..b"}, "service.email_sender_local_part"),
        ({"email_sender_local_part": "a\n"}, "service.email_sender_local_part"),
        ({"email_sender_local_part": "x" * 65}, "service.email_sender_local_part"),
        ({"permissions": ("sms", "fax")}, "service.permissions"),
        ({"rate_limit_per_minute": 0}, "service.limits.rate_limit_per_minute"),
        ({"sms_per_day": -1}, "service.limits.sms_per_day"),
        (
            {"guest_email_addresses": ("ann@example.gov.uk", "not one")},
            "service.guest_list.email_addresses[1]",
        ),
        ({"guest_email_addresses": ("a@example.gov.uk",) * 6}, "service.guest_list.email_addresses"),
        ({"guest_phone_numbers": ("07700900123", "1")}, "service.guest_list.phone_numbers[1]"),
        ({"guest_phone_numbers": ("07700900123",) * 6}, "service.guest_list.phone_numbers"),
    ],
)
def test_refuses(change: dict[str, object], field: str) -> None:
    assert violations(checked, replace(FIELDS, **change)) == [field]


def test_names_all_that_is_wrong_and_repeats_no_value() -> None:
    bad = replace(FIELDS, name="", permissions=("secret",), guest_email_addresses=("private@nowhere",))
    error = refusal(checked, bad)
    assert len(error.violations) == 3
    assert "private" not in error.message
    assert "secret" not in error.message


def test_archived_name_frees_the_name() -> None:
    moment = datetime(2026, 11, 24, 7, 6, 38, tzinfo=UTC)
    assert archived_name("Boats", moment) == "_archived_2026-11-24-07:06:38_Boats"
