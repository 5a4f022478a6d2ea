"""ServicesService over the wire."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from notify.admin.v1 import service_pb2
from notify.admin.v1 import services_service_pb2 as pb
from notify.common.v1 import common_pb2
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


def create(admin: Admin, request_id: str, **fields: Any) -> service_pb2.Service:
    service = service_pb2.Service(**({"name": "Fishing licences"} | fields))
    answer: service_pb2.Service = admin.services.CreateService(
        pb.CreateServiceRequest(request_id=request_id, service=service)
    ).service
    return answer


def senders(admin: Admin, service_id: str) -> list[service_pb2.SmsSender]:
    return list(admin.services.ListSmsSenders(pb.ListSmsSendersRequest(service_id=service_id)).sms_senders)


def test_new_service_gets_the_defaults_and_one_sender(admin: Admin) -> None:
    request_id = new_id()
    service = create(admin, request_id, restricted=True, prefix_sms=True)
    assert service.id == request_id
    assert service.active
    assert service.version == 1
    assert service.email_sender_local_part == "fishing.licences"
    assert list(service.permissions) == [
        "email",
        "international_letters",
        "international_sms",
        "letter",
        "sms",
    ]
    assert service.limits == service_pb2.ServiceLimits(
        rate_limit_per_minute=3000,
        sms_per_day=50,
        email_per_day=50,
        letter_per_day=50,
        international_sms_per_day=100,
    )
    assert not service.HasField("update_time")
    assert admin.get_service(service.id) == service
    assert [(sender.sender, sender.is_default) for sender in senders(admin, service.id)] == [("GOVUK", True)]


def test_given_limits_win_and_zero_is_a_limit(admin: Admin) -> None:
    limits = service_pb2.ServiceLimits(letter_per_day=0, sms_per_day=7)
    service = create(admin, new_id(), limits=limits, permissions=["sms"])
    assert (service.limits.letter_per_day, service.limits.sms_per_day) == (0, 7)
    assert service.limits.email_per_day == 250_000
    assert list(service.permissions) == ["sms"]


def test_repeat_gets_the_service_again_and_makes_nothing(admin: Admin) -> None:
    request_id = new_id()
    first = create(admin, request_id)
    cursor = admin.cursor()
    assert create(admin, request_id) == first
    assert len(senders(admin, first.id)) == 1
    admin.make_user()
    marker = admin.make_service("Marker")
    assert admin.wait_for_changes(cursor, 1) == [("KIND_SERVICE", marker.id, "")]


def test_same_request_id_with_other_content_is_refused(admin: Admin) -> None:
    request_id = new_id()
    first = create(admin, request_id)
    with pytest.raises(NotifyError) as caught:
        create(admin, request_id, prefix_sms=True)
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert admin.get_service(first.id) == first


@pytest.mark.parametrize("name", ["Fishing licences", "FISHING LICENCES", "Fishing   Licences!"])
def test_names_are_unique_without_regard_to_case_and_punctuation(admin: Admin, name: str) -> None:
    admin.make_service("Fishing licences")
    other = admin.make_service("Boats")
    with pytest.raises(NotifyError) as caught:
        admin.make_service(name)
    assert caught.value.reason == "NAME_TAKEN"
    other.name = name
    with pytest.raises(NotifyError) as caught:
        admin.update_service(other, "name")
    assert caught.value.reason == "NAME_TAKEN"
    assert admin.get_service(other.id).name == "Boats"


def test_one_of_many_who_want_a_name_gets_it(admin: Admin) -> None:
    def attempt(_: int) -> str:
        try:
            return admin.make_service("Contested").id
        except NotifyError as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(8)))
    assert results.count("NAME_TAKEN") == 7


def test_one_request_sent_many_times_at_once_makes_one_service(admin: Admin) -> None:
    request_id = new_id()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: create(admin, request_id), range(8)))
    assert {service.SerializeToString(deterministic=True) for service in made} == {
        made[0].SerializeToString(deterministic=True)
    }
    assert len(senders(admin, request_id)) == 1


@pytest.mark.parametrize(
    ("request_id", "fields", "violated"),
    [
        ("", {}, ["request_id"]),
        ("not-a-uuid", {}, ["request_id"]),
        ("", {"name": ""}, ["request_id", "service.name"]),
        (None, {"name": "a\0b"}, ["service.name"]),
        (None, {"permissions": ["fax"]}, ["service.permissions"]),
        (
            None,
            {"limits": service_pb2.ServiceLimits(sms_per_day=-1)},
            ["service.limits.sms_per_day"],
        ),
        (
            None,
            {"guest_list": service_pb2.GuestList(email_addresses=["bad"])},
            ["service.guest_list.email_addresses[0]"],
        ),
    ],
)
def test_bad_service_is_refused_and_nothing_written(
    admin: Admin, request_id: str | None, fields: dict[str, Any], violated: list[str]
) -> None:
    with pytest.raises(NotifyError) as caught:
        create(admin, new_id() if request_id is None else request_id, **fields)
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == violated
    assert not admin.services.ListServices(pb.ListServicesRequest()).services


def test_bad_default_sender_is_refused_and_nothing_written(admin: Admin) -> None:
    request = pb.CreateServiceRequest(
        request_id=new_id(), service=service_pb2.Service(name="Boats"), default_sms_sender="00x"
    )
    with pytest.raises(NotifyError) as caught:
        admin.services.CreateService(request)
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == ["default_sms_sender"]
    assert not admin.services.ListServices(pb.ListServicesRequest()).services


def test_unknown_service_is_not_found(admin: Admin, unknown: str) -> None:
    for call in (
        lambda: admin.get_service(unknown),
        lambda: admin.update_service(service_pb2.Service(id=unknown, version=1), "restricted"),
        lambda: admin.services.ArchiveService(pb.ArchiveServiceRequest(service_id=unknown)),
    ):
        with pytest.raises(NotifyError) as caught:
            call()
        assert caught.value.reason == "SERVICE_NOT_FOUND"


def test_lists_oldest_first_in_pages_that_join(admin: Admin) -> None:
    made = [admin.make_service(f"Service {number}").id for number in range(7)]
    listed: list[str] = []
    token = ""
    for _ in range(4):
        page = admin.services.ListServices(pb.ListServicesRequest(page_size=2, page_token=token))
        listed += [service.id for service in page.services]
        token = page.next_page_token
    assert listed == made
    assert token == ""


def test_list_refuses_a_token_of_another_list(admin: Admin) -> None:
    service = admin.make_service("One")
    admin.make_service("Two")
    token = admin.services.ListServices(pb.ListServicesRequest(page_size=1)).next_page_token
    with pytest.raises(NotifyError) as caught:
        admin.services.ListSmsSenders(pb.ListSmsSendersRequest(service_id=service.id, page_token=token))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_update_changes_what_the_mask_names_and_nothing_else(admin: Admin) -> None:
    service = admin.make_service(restricted=True)
    wanted = service_pb2.Service(id=service.id, version=1, restricted=False, prefix_sms=True, name="Ignored")
    updated = admin.update_service(wanted, "restricted")
    assert (updated.restricted, updated.prefix_sms, updated.name) == (False, False, "Fishing licences")
    assert updated.version == 2
    assert updated.HasField("update_time")
    assert admin.get_service(service.id) == updated


def test_update_of_one_limit_leaves_the_others(admin: Admin) -> None:
    service = admin.make_service()
    service.limits.Clear()
    service.limits.sms_per_day = 5
    updated = admin.update_service(service, "limits.sms_per_day")
    assert updated.limits.sms_per_day == 5
    assert updated.limits.email_per_day == 250_000


def test_update_replaces_the_guest_list_and_permissions(admin: Admin) -> None:
    service = admin.make_service(
        guest_list=service_pb2.GuestList(email_addresses=["a@example.gov.uk"], phone_numbers=["07700900123"])
    )
    service.guest_list.Clear()
    service.guest_list.email_addresses.append("B@example.gov.uk")
    del service.permissions[:]
    service.permissions.extend(["sms", "inbound_sms"])
    updated = admin.update_service(service, "guest_list", "permissions")
    assert updated.guest_list == service_pb2.GuestList(email_addresses=["B@example.gov.uk"])
    assert list(updated.permissions) == ["inbound_sms", "sms"]


def test_stale_version_changes_nothing(admin: Admin) -> None:
    service = admin.make_service()
    service.prefix_sms = True
    newer = admin.update_service(service, "prefix_sms")
    service.restricted = True
    with pytest.raises(NotifyError) as caught:
        admin.update_service(service, "restricted")
    assert caught.value.reason == "STALE_VERSION"
    assert admin.get_service(service.id) == newer


def test_update_without_a_version_is_checked_against_none(admin: Admin) -> None:
    service = admin.make_service()
    service.prefix_sms = True
    admin.update_service(service, "prefix_sms")
    service.version, service.restricted = 0, True
    assert admin.update_service(service, "restricted").version == 3


def test_of_two_who_change_one_version_one_wins(admin: Admin) -> None:
    service = admin.make_service()

    def attempt(limit: int) -> str:
        mine = service_pb2.Service()
        mine.CopyFrom(service)
        mine.limits.sms_per_day = limit
        try:
            admin.update_service(mine, "limits.sms_per_day")
        except NotifyError as error:
            return error.reason
        return "won"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(1, 9)))
    assert sorted(results) == ["STALE_VERSION"] * 7 + ["won"]
    assert admin.get_service(service.id).version == 2


def test_update_without_a_difference_makes_no_version(admin: Admin) -> None:
    service = admin.make_service()
    assert admin.update_service(service, "name", "permissions", "limits") == service


@pytest.mark.parametrize("paths", [[], ["active"], ["name", "version"], ["nonsense"], ["limits.nonsense"]])
def test_update_refuses_other_masks(admin: Admin, paths: list[str]) -> None:
    service = admin.make_service()
    with pytest.raises(NotifyError) as caught:
        admin.update_service(service, *paths)
    assert caught.value.reason == "INVALID_FIELD"
    assert admin.get_service(service.id) == service


def test_archiving_frees_the_name_and_ends_templates_and_keys(admin: Admin, user_id: str) -> None:
    service = admin.make_service("Boats")
    template = admin.make_template(service.id, user_id)
    key = admin.make_key(service.id, user_id)
    cursor = admin.cursor()
    archived = admin.services.ArchiveService(pb.ArchiveServiceRequest(service_id=service.id)).service
    assert not archived.active
    assert archived.name.startswith("_archived_")
    assert archived.name.endswith("_Boats")
    assert admin.get_template(template).archived
    assert not admin.get_template(template, version=1).archived
    assert [k.api_key_id for k in admin.verification_keys(service.id) if k.HasField("revoke_time")] == [
        key.api_key.id
    ]
    assert sorted(admin.wait_for_changes(cursor, 3)) == [
        ("KIND_API_KEYS", service.id, ""),
        ("KIND_SERVICE", service.id, ""),
        ("KIND_TEMPLATE", service.id, template.id),
    ]
    again = admin.services.ArchiveService(pb.ArchiveServiceRequest(service_id=service.id)).service
    assert again == archived
    admin.make_service("Boats")


def test_nothing_of_an_archived_service_changes(admin: Admin, user_id: str) -> None:
    service = admin.make_service("Boats")
    template = admin.make_template(service.id, user_id)
    archived = admin.services.ArchiveService(pb.ArchiveServiceRequest(service_id=service.id)).service
    for call in (
        lambda: admin.update_service(archived, "prefix_sms"),
        lambda: admin.make_template(service.id, user_id, name="Other"),
        lambda: admin.update_template(template, user_id, "content"),
        lambda: admin.make_key(service.id, user_id, "other", common_pb2.KEY_TYPE_TEST),
    ):
        with pytest.raises(NotifyError) as caught:
            call()
        assert caught.value.reason == "SERVICE_ARCHIVED"
