"""Organisations and brandings: what the recorded cases can't say."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from notify.admin.v1 import (
    branding_service_pb2 as branding_pb,
)
from notify.admin.v1 import (
    branding_service_pb2_grpc,
    organisations_service_pb2_grpc,
    platform_mail_service_pb2,
    platform_mail_service_pb2_grpc,
    platform_service_pb2,
    platform_service_pb2_grpc,
    services_service_pb2,
)
from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1.branding_pb2 import BrandingKind, EmailBranding
from notify.admin.v1.organisation_pb2 import Organisation
from notify_admin.domain.mail import MailTemplate
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.rpc import InProcessServer

from .conftest import Admin, eventually

EMAIL = BrandingKind.BRANDING_KIND_EMAIL


class Bodies:
    """Organisations and brandings, as the gateway calls them."""

    def __init__(self, admin: Admin) -> None:
        self.organisations = organisations_service_pb2_grpc.OrganisationsServiceStub(admin.channel)
        self.brandings = branding_service_pb2_grpc.BrandingServiceStub(admin.channel)

    def make(self, name: str = "Fisheries", **fields: Any) -> Organisation:
        """Return an organisation."""
        ask = pb.CreateOrganisationRequest(
            request_id=new_id(), organisation=Organisation(name=name, **fields)
        )
        made: Organisation = self.organisations.CreateOrganisation(ask).organisation
        return made

    def set(self, organisation_id: str, **fields: Any) -> Organisation:
        """Set fields of an organisation."""
        ask = pb.SetOrganisationRequest(organisation=Organisation(id=organisation_id, **fields))
        ask.update_mask.paths.extend(fields)
        stored: Organisation = self.organisations.SetOrganisation(ask).organisation
        return stored

    def brand(self, name: str = "Trout") -> str:
        """Create an email branding; return the id."""
        given = EmailBranding(name=name, alt_text=name)
        ask = branding_pb.CreateEmailBrandingRequest(request_id=new_id(), email_branding=given)
        made: str = self.brandings.CreateEmailBranding(ask).email_branding.id
        return made

    def archive_branding(self, branding_id: str) -> EmailBranding:
        """Archive a branding."""
        ask = branding_pb.ArchiveEmailBrandingRequest(email_branding_id=branding_id)
        archived: EmailBranding = self.brandings.ArchiveEmailBranding(ask).email_branding
        return archived

    def pool(self, organisation_id: str) -> list[str]:
        """Return the names of what an organisation may choose from."""
        ask = branding_pb.ListEmailBrandingsRequest(organisation_id=organisation_id)
        return [each.name for each in self.brandings.ListEmailBrandings(ask).email_brandings]


@pytest.fixture
def bodies(admin: Admin) -> Bodies:
    """Provide the calls."""
    return Bodies(admin)


def reason_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """Return why a call is refused."""
    with pytest.raises(NotifyError) as caught:
        call(*args, **kwargs)
    return caught.value.reason


def test_services_follow_their_organisation_in_type_and_where_they_have_none_in_branding(
    admin: Admin, bodies: Bodies
) -> None:
    organisation, other, own = bodies.make(), bodies.brand("Salmon"), bodies.brand()
    with_its_own = admin.make_service("Nets", email_branding_id=other)
    without, elsewhere = admin.make_service("Rods"), admin.make_service("Boats")
    for service in (with_its_own, without):
        bodies.organisations.AddService(
            pb.AddServiceRequest(organisation_id=organisation.id, service_id=service.id)
        )
    cursor = admin.cursor()
    bodies.set(organisation.id, organisation_type="local", email_branding_id=own)

    after = [admin.get_service(service.id) for service in (with_its_own, without, elsewhere)]
    assert [service.organisation_type for service in after] == ["local", "local", ""]
    assert [service.email_branding_id for service in after] == [other, own, ""]
    assert [service.version for service in after] == [3, 4, 1]
    assert {change[1] for change in admin.wait_for_changes(cursor, 3)} == {with_its_own.id, without.id}
    assert bodies.pool(organisation.id) == ["Trout"]


def test_a_domain_is_read_from_the_longest_that_is_above_it(bodies: Bodies) -> None:
    wide, narrow = bodies.make("Wide"), bodies.make("Narrow")
    bodies.set(wide.id, domains=["example.gov.uk"])
    bodies.set(narrow.id, domains=["Fish.Example.gov.uk"])
    find = bodies.organisations.GetOrganisationByDomain
    for domain, found in {
        "FISH.example.gov.uk": narrow.id,
        "a.fish.example.gov.uk": narrow.id,
        "example.gsi.gov.uk": wide.id,
        "swordfish.example.gov.uk": wide.id,
    }.items():
        assert find(pb.GetOrganisationByDomainRequest(domain=domain)).organisation.id == found
    missing = pb.GetOrganisationByDomainRequest(domain="anexample.gov.uk")
    assert reason_of(find, missing) == "ORGANISATION_NOT_FOUND"


def test_an_archived_organisation_gives_up_name_and_domains_and_takes_nothing_new(
    admin: Admin, bodies: Bodies, user_id: str
) -> None:
    organisation = bodies.make(domains=["example.org"])
    archive = pb.ArchiveOrganisationRequest(organisation_id=organisation.id)
    archived = bodies.organisations.ArchiveOrganisation(archive).organisation
    assert (archived.active, list(archived.domains)) == (False, [])
    assert bodies.organisations.ArchiveOrganisation(archive).organisation == archived
    bodies.make(domains=["example.org"])

    service = admin.make_service()
    of = {"organisation_id": organisation.id}
    for call, ask in (
        (bodies.organisations.AddService, pb.AddServiceRequest(**of, service_id=service.id)),
        (
            bodies.organisations.AddOrganisationMember,
            pb.AddOrganisationMemberRequest(**of, user_id=user_id),
        ),
    ):
        assert reason_of(call, ask) == "ORGANISATION_NOT_FOUND"


def test_a_service_added_while_its_organisation_is_archived_is_never_in_an_archived_one(
    admin: Admin, bodies: Bodies
) -> None:
    for number in range(5):
        organisation, service = bodies.make(f"Body {number}"), admin.make_service(f"Service {number}")
        of = {"organisation_id": organisation.id}
        calls = (
            (bodies.organisations.AddService, pb.AddServiceRequest(**of, service_id=service.id)),
            (bodies.organisations.ArchiveOrganisation, pb.ArchiveOrganisationRequest(**of)),
        )
        with ThreadPoolExecutor(2) as pool:
            refused = [future.exception() for future in [pool.submit(*call) for call in calls]]
        left = bodies.organisations.GetOrganisation(pb.GetOrganisationRequest(**of)).organisation
        assert len([error for error in refused if error is not None]) == 1
        assert left.active == bool(admin.get_service(service.id).organisation_id)


def test_a_branding_in_use_stays_and_an_archived_one_is_not_used(admin: Admin, bodies: Bodies) -> None:
    service, branding_id = admin.make_service(), bodies.brand()
    service.email_branding_id = branding_id
    admin.update_service(service, "email_branding_id")
    assert reason_of(bodies.archive_branding, branding_id) == "BRANDING_IN_USE"

    organisation, unused = bodies.make(), bodies.brand("Eel")
    add = branding_pb.AddToBrandingPoolRequest(
        kind=EMAIL, organisation_id=organisation.id, branding_ids=[unused]
    )
    for _ in range(2):
        bodies.brandings.AddToBrandingPool(add)
    assert bodies.pool(organisation.id) == ["Eel"]
    archived = bodies.archive_branding(unused)
    assert not archived.active
    assert bodies.archive_branding(unused) == archived
    assert bodies.pool(organisation.id) == []
    assert bodies.brand("Eel") != unused

    service.email_branding_id, service.version = unused, 0
    assert reason_of(admin.update_service, service, "email_branding_id") == "BRANDING_NOT_FOUND"
    assert reason_of(bodies.set, organisation.id, email_branding_id=unused) == "BRANDING_NOT_FOUND"
    assert reason_of(bodies.brandings.AddToBrandingPool, add) == "BRANDING_NOT_FOUND"


def test_a_pool_is_only_changed_for_its_organisation(bodies: Bodies) -> None:
    mine, other, branding_id = bodies.make("Mine"), bodies.make("Other"), bodies.brand()
    bodies.brandings.AddToBrandingPool(
        branding_pb.AddToBrandingPoolRequest(kind=EMAIL, organisation_id=mine.id, branding_ids=[branding_id])
    )
    remove = branding_pb.RemoveFromBrandingPoolRequest(
        kind=EMAIL, organisation_id=other.id, branding_id=branding_id
    )
    assert reason_of(bodies.brandings.RemoveFromBrandingPool, remove) == "BRANDING_NOT_IN_POOL"
    assert bodies.pool(mine.id) == ["Trout"]
    assert bodies.pool(other.id) == []


def test_requests_to_go_live_are_told_to_those_who_may_decide(
    admin: Admin, bodies: Bodies, server: InProcessServer, user_id: str
) -> None:
    organisation, service = bodies.make(), admin.make_service()
    decides = admin.make_user("Bea", "bea@example.gov.uk")
    looks_on = admin.make_user("Cem", "cem@example.gov.uk")
    for member, permissions in ((decides, ["can_make_services_live"]), (looks_on, [])):
        bodies.organisations.AddOrganisationMember(
            pb.AddOrganisationMemberRequest(
                organisation_id=organisation.id, user_id=member, permissions=permissions
            )
        )
    ask = pb.SendGoLiveRequestRequest(request_id=new_id(), service_id=service.id)
    assert reason_of(bodies.organisations.SendGoLiveRequest, ask) == "GO_LIVE_NOT_REQUESTED"
    bodies.organisations.AddService(
        pb.AddServiceRequest(organisation_id=organisation.id, service_id=service.id)
    )
    service = admin.get_service(service.id)
    service.has_active_go_live_request, service.go_live_user_id = True, user_id
    admin.update_service(service, "has_active_go_live_request", "go_live_user_id")
    for _ in range(2):
        bodies.organisations.SendGoLiveRequest(ask)

    feed = platform_mail_service_pb2_grpc.PlatformMailServiceStub(server.channel("notifications"))
    told: list[tuple[str, str]] = []

    def read() -> bool:
        found = feed.ListPlatformMailEvents(platform_mail_service_pb2.ListPlatformMailEventsRequest())
        told[:] = [(mail.template_id, mail.recipient) for mail in found.mails]
        return len(told) >= 2

    eventually(read)
    assert sorted(told) == sorted(
        [
            (MailTemplate.GO_LIVE_REQUEST, "bea@example.gov.uk"),
            (MailTemplate.GO_LIVE_RECEIPT, "ann@example.gov.uk"),
        ]
    )


def test_counts_services_and_organisations_that_are_live(admin: Admin, bodies: Bodies) -> None:
    platform = platform_service_pb2_grpc.PlatformServiceStub(admin.channel)

    def counts() -> tuple[int, int]:
        found = platform.GetLiveCounts(platform_service_pb2.GetLiveCountsRequest()).live_counts
        return found.services, found.organisations

    owner = bodies.make().id
    before = counts()
    for name in ("Live one", "Live two"):
        bodies.organisations.AddService(
            pb.AddServiceRequest(organisation_id=owner, service_id=admin.make_service(name).id)
        )
    admin.make_service("On trial", restricted=True)
    gone = admin.make_service("Gone")
    admin.services.ArchiveService(services_service_pb2.ArchiveServiceRequest(service_id=gone.id))
    assert counts() == (before[0] + 2, before[1] + 1)
