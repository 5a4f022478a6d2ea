"""ServicesService over the wire."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.service_pb2 import Service, ServiceLimits
from notify.common.v1 import common_pb2
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason, violations

from .conftest import Admin

BOATS, FISHING = {"name": "Boats"}, {"name": "Fishing licences", "restricted": True}


def senders(admin: Admin, service_id: str) -> list[tuple[str, bool]]:
    found = admin.every("ListSmsSenders", service_id=service_id)
    return [(sender.sender, sender.is_default) for sender in found]


def test_new_service_gets_the_defaults_and_one_sender(admin: Admin) -> None:
    request_id = new_id()
    service = admin.CreateService(request_id=request_id, service=FISHING)
    assert (service.id, service.active, service.version) == (request_id, True, 1)
    assert service.email_sender_local_part == "fishing.licences"
    permissions = ["email", "international_letters", "international_sms", "letter", "sms"]
    assert list(service.permissions) == permissions
    assert service.limits == ServiceLimits(
        rate_limit_per_minute=3000,
        sms_per_day=50,
        email_per_day=50,
        letter_per_day=50,
        international_sms_per_day=100,
    )
    assert not service.HasField("update_time")
    assert admin.get_service(service.id) == service
    assert senders(admin, service.id) == [("GOVUK", True)]


def test_given_limits_win_and_zero_is_a_limit(admin: Admin) -> None:
    service = admin.make_service(limits={"letter_per_day": 0, "sms_per_day": 7}, permissions=["sms"])
    limits = service.limits
    assert (limits.letter_per_day, limits.sms_per_day, limits.email_per_day) == (0, 7, 250_000)
    assert list(service.permissions) == ["sms"]


def test_repeat_gets_the_service_again_and_other_content_is_refused(admin: Admin) -> None:
    create = partial(admin.CreateService, request_id=new_id())
    first = create(service=BOATS)
    cursor = admin.cursor()
    assert create(service=BOATS) == first
    assert len(senders(admin, first.id)) == 1
    assert reason(create, service={**BOATS, "prefix_sms": True}) == "REQUEST_ID_REUSED"
    assert admin.get_service(first.id) == first
    assert admin.changes(cursor) == []


def test_one_of_many_who_want_a_name_gets_it(admin: Admin) -> None:
    assert at_once([partial(admin.make_service, "Contested")] * 8).count("NAME_TAKEN") == 7


def test_one_request_sent_many_times_at_once_makes_one_service(admin: Admin) -> None:
    create = partial(admin.CreateService, request_id=new_id(), service=BOATS)
    made = at_once([create] * 8)
    assert all(service == made[0] for service in made)
    assert len(senders(admin, made[0].id)) == 1


@pytest.mark.parametrize(
    ("given", "violated"),
    [
        ({"request_id": ""}, ["request_id"]),
        ({"request_id": "not-a-uuid"}, ["request_id"]),
        ({"request_id": "", "service": {"name": ""}}, ["request_id", "service.name"]),
        ({"service": {"name": "a\0b"}}, ["service.name"]),
        ({"default_sms_sender": "00x"}, ["default_sms_sender"]),
    ],
)
def test_bad_service_is_refused_and_nothing_written(
    admin: Admin, given: dict[str, Any], violated: list[str]
) -> None:
    assert violations(admin.CreateService, **{"service": BOATS, **given}) == violated
    assert admin.every("ListServices") == []


def test_unknown_service_is_not_found(admin: Admin, unknown: str) -> None:
    assert reason(admin.ArchiveService, service_id=unknown) == "SERVICE_NOT_FOUND"


def test_lists_oldest_first_in_pages_that_join(admin: Admin) -> None:
    made = [admin.make_service(f"Service {number}").id for number in range(7)]
    pages = [[service.id for service in page] for page in admin.pages("ListServices", page_size=2)]
    assert pages == [made[:2], made[2:4], made[4:6], made[6:]]


def test_list_refuses_a_token_of_another_list(admin: Admin, service: Service) -> None:
    admin.make_service("Two")
    token = admin.ListServices(page_size=1).next_page_token
    refused = reason(admin.ListSmsSenders, service_id=service.id, page_token=token)
    assert refused == "PAGE_TOKEN_INVALID"


def test_update_changes_what_the_mask_names_and_nothing_else(admin: Admin) -> None:
    service = admin.make_service(restricted=True)
    wanted = Service(id=service.id, version=1, restricted=False, prefix_sms=True, name="Ignored")
    updated = admin.update_service(wanted, "restricted")
    assert (updated.restricted, updated.prefix_sms, updated.name) == (False, False, "Fishing licences")
    assert updated.version == 2
    assert updated.HasField("update_time")
    assert admin.get_service(service.id) == updated


def test_update_of_one_limit_leaves_the_others(admin: Admin, service: Service) -> None:
    service.limits.CopyFrom(ServiceLimits(sms_per_day=5))
    updated = admin.update_service(service, "limits.sms_per_day").limits
    assert (updated.sms_per_day, updated.email_per_day) == (5, 250_000)


def test_stale_version_changes_nothing_and_none_is_not_checked(admin: Admin, service: Service) -> None:
    service.prefix_sms = True
    newer = admin.update_service(service, "prefix_sms")
    service.restricted = True
    assert reason(admin.update_service, service, "restricted") == "STALE_VERSION"
    assert admin.get_service(service.id) == newer
    service.version = 0
    assert admin.update_service(service, "restricted").version == 3


def test_of_many_who_change_one_version_one_wins(admin: Admin, service: Service) -> None:
    edits = [Service(id=service.id, version=1, limits={"sms_per_day": limit}) for limit in range(1, 9)]
    results = at_once(partial(admin.update_service, each, "limits.sms_per_day") for each in edits)
    assert results.count("STALE_VERSION") == 7
    assert admin.get_service(service.id).version == 2


def test_update_without_a_difference_makes_no_version(admin: Admin, service: Service) -> None:
    assert admin.update_service(service, "name", "permissions", "limits") == service


@pytest.mark.parametrize("paths", [[], ["active"], ["name", "version"], ["nonsense"], ["limits.nonsense"]])
def test_update_refuses_other_masks(admin: Admin, service: Service, paths: list[str]) -> None:
    assert reason(admin.update_service, service, *paths) == "INVALID_FIELD"
    assert admin.get_service(service.id) == service


def test_archiving_frees_the_name_and_ends_templates_and_keys(admin: Admin, user_id: str) -> None:
    service = admin.make_service("Boats")
    template = admin.make_template(service.id, user_id)
    key = admin.make_key(service.id, user_id).api_key
    cursor = admin.cursor()
    archived = admin.ArchiveService(service_id=service.id)
    assert not archived.active
    assert archived.name.startswith("_archived_")
    assert archived.name.endswith("_Boats")
    assert admin.get_template(template).archived
    assert not admin.get_template(template, version=1).archived
    keys = [(each.api_key_id, each.HasField("revoke_time")) for each in admin.verification_keys(service.id)]
    assert keys == [(key.id, True)]
    assert sorted(admin.wait_for_changes(cursor, 3)) == [
        ("KIND_API_KEYS", service.id, ""),
        ("KIND_SERVICE", service.id, ""),
        ("KIND_TEMPLATE", service.id, template.id),
    ]
    assert admin.ArchiveService(service_id=service.id) == archived
    admin.make_service("Boats")


def test_nothing_of_an_archived_service_changes(admin: Admin, service: Service, user_id: str) -> None:
    template = admin.make_template(service.id, user_id)
    archived = admin.ArchiveService(service_id=service.id)
    for call in (
        partial(admin.update_service, archived, "prefix_sms"),
        partial(admin.make_template, service.id, user_id, name="Other"),
        partial(admin.update_template, template, user_id, "content"),
        partial(admin.make_key, service.id, user_id, key_type=common_pb2.KEY_TYPE_TEST),
    ):
        assert reason(call) == "SERVICE_ARCHIVED"
