"""Organisations and brandings: what the recorded cases can't say."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.branding_pb2 import BrandingKind
from notify_admin.domain.mail import MailTemplate
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason

from .conftest import Admin, Mails

EMAIL = BrandingKind.BRANDING_KIND_EMAIL


class Bodies:
    """Organisations and brandings, as the gateway calls them."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def make(self, name: str = "Fisheries", **fields: Any) -> str:
        """Create an organisation; return the id."""
        return str(self._admin.CreateOrganisation(organisation={"name": name, **fields}).id)

    def set(self, organisation_id: str, **fields: Any) -> None:
        """Set fields of an organisation."""
        mask = {"paths": list(fields)}
        self._admin.SetOrganisation(organisation={"id": organisation_id, **fields}, update_mask=mask)

    def brand(self, name: str = "Trout") -> str:
        """Create an email branding; return the id."""
        return str(self._admin.CreateEmailBranding(email_branding={"name": name, "alt_text": name}).id)

    def pool(self, organisation_id: str) -> list[str]:
        """Return the names of what an organisation may choose from."""
        found = self._admin.every("ListEmailBrandings", organisation_id=organisation_id)
        return [each.name for each in found]


@pytest.fixture
def bodies(admin: Admin) -> Bodies:
    """Provide the calls."""
    return Bodies(admin)


def test_services_follow_their_organisation_in_type_and_where_they_have_none_in_branding(
    admin: Admin, bodies: Bodies
) -> None:
    organisation, other, own = bodies.make(), bodies.brand("Salmon"), bodies.brand()
    with_its_own = admin.make_service("Nets", email_branding_id=other)
    without, elsewhere = admin.make_service("Rods"), admin.make_service("Boats")
    for service in (with_its_own, without):
        admin.AddService(organisation_id=organisation, service_id=service.id)
    cursor = admin.cursor()
    bodies.set(organisation, organisation_type="local", email_branding_id=own)

    after = [admin.get_service(service.id) for service in (with_its_own, without, elsewhere)]
    assert [service.organisation_type for service in after] == ["local", "local", ""]
    assert [service.email_branding_id for service in after] == [other, own, ""]
    assert [service.version for service in after] == [3, 4, 1]
    assert {change[1] for change in admin.wait_for_changes(cursor, 3)} == {with_its_own.id, without.id}
    assert bodies.pool(organisation) == ["Trout"]


def test_a_domain_is_read_from_the_longest_that_is_above_it(admin: Admin, bodies: Bodies) -> None:
    wide, narrow = bodies.make("Wide"), bodies.make("Narrow")
    bodies.set(wide, domains=["example.gov.uk"])
    bodies.set(narrow, domains=["Fish.Example.gov.uk"])
    for domain, found in {
        "FISH.example.gov.uk": narrow,
        "a.fish.example.gov.uk": narrow,
        "example.gsi.gov.uk": wide,
        "swordfish.example.gov.uk": wide,
    }.items():
        assert admin.GetOrganisationByDomain(domain=domain).id == found
    assert reason(admin.GetOrganisationByDomain, domain="anexample.gov.uk") == "ORGANISATION_NOT_FOUND"


def test_an_archived_organisation_gives_up_name_and_domains_and_takes_nothing_new(
    admin: Admin, bodies: Bodies, user_id: str
) -> None:
    of = {"organisation_id": bodies.make(domains=["example.org"])}
    archived = admin.ArchiveOrganisation(**of)
    assert (archived.active, list(archived.domains)) == (False, [])
    assert admin.ArchiveOrganisation(**of) == archived
    bodies.make(domains=["example.org"])
    service_id = admin.make_service().id
    assert reason(admin.AddService, **of, service_id=service_id) == "ORGANISATION_NOT_FOUND"
    assert reason(admin.AddOrganisationMember, **of, user_id=user_id) == "ORGANISATION_NOT_FOUND"


def test_a_service_added_while_its_organisation_is_archived_is_never_in_an_archived_one(
    admin: Admin, bodies: Bodies
) -> None:
    for number in range(5):
        of, service = {"organisation_id": bodies.make(f"Body {number}")}, admin.make_service(f"S {number}")
        add = partial(admin.AddService, **of, service_id=service.id)
        outcomes = at_once([add, partial(admin.ArchiveOrganisation, **of)], 2)
        assert sum(isinstance(each, str) for each in outcomes) == 1
        left = admin.GetOrganisation(**of)
        assert left.active == bool(admin.get_service(service.id).organisation_id)


def test_a_branding_in_use_stays_and_an_archived_one_is_not_used(admin: Admin, bodies: Bodies) -> None:
    service, used = admin.make_service(), bodies.brand()
    service.email_branding_id = used
    admin.update_service(service, "email_branding_id")
    assert reason(admin.ArchiveEmailBranding, email_branding_id=used) == "BRANDING_IN_USE"

    organisation, unused = bodies.make(), bodies.brand("Eel")
    add = partial(admin.AddToBrandingPool, kind=EMAIL, organisation_id=organisation, branding_ids=[unused])
    for _ in range(2):
        add()
    assert bodies.pool(organisation) == ["Eel"]
    archived = admin.ArchiveEmailBranding(email_branding_id=unused)
    assert not archived.active
    assert admin.ArchiveEmailBranding(email_branding_id=unused) == archived
    assert bodies.pool(organisation) == []
    assert bodies.brand("Eel") != unused

    service.email_branding_id, service.version = unused, 0
    assert reason(admin.update_service, service, "email_branding_id") == "BRANDING_NOT_FOUND"
    assert reason(bodies.set, organisation, email_branding_id=unused) == "BRANDING_NOT_FOUND"
    assert reason(add) == "BRANDING_NOT_FOUND"


def test_a_pool_is_only_changed_for_its_organisation(admin: Admin, bodies: Bodies) -> None:
    mine, other, branding_id = bodies.make("Mine"), bodies.make("Other"), bodies.brand()
    admin.AddToBrandingPool(kind=EMAIL, organisation_id=mine, branding_ids=[branding_id])
    remove = partial(admin.RemoveFromBrandingPool, kind=EMAIL, branding_id=branding_id)
    assert reason(remove, organisation_id=other) == "BRANDING_NOT_IN_POOL"
    assert (bodies.pool(mine), bodies.pool(other)) == (["Trout"], [])


def test_requests_to_go_live_are_told_to_those_who_may_decide(
    admin: Admin, bodies: Bodies, mails: Mails, user_id: str
) -> None:
    organisation, service_id = bodies.make(), admin.make_service().id
    decides = admin.make_user("Bea", "bea@example.gov.uk")
    looks_on = admin.make_user("Cem", "cem@example.gov.uk")
    for member, may in ((decides, ["can_make_services_live"]), (looks_on, [])):
        admin.AddOrganisationMember(organisation_id=organisation, user_id=member, permissions=may)
    ask = partial(admin.SendGoLiveRequest, request_id=new_id(), service_id=service_id)
    assert reason(ask) == "GO_LIVE_NOT_REQUESTED"
    admin.AddService(organisation_id=organisation, service_id=service_id)
    service = admin.get_service(service_id)
    service.has_active_go_live_request, service.go_live_user_id = True, user_id
    admin.update_service(service, "has_active_go_live_request", "go_live_user_id")
    for _ in range(2):
        ask()
    assert {(mail.template_id, mail.recipient) for mail in mails(2)} == {
        (MailTemplate.GO_LIVE_REQUEST, "bea@example.gov.uk"),
        (MailTemplate.GO_LIVE_RECEIPT, "ann@example.gov.uk"),
    }


def test_counts_services_and_organisations_that_are_live(admin: Admin, bodies: Bodies) -> None:
    owner, before = bodies.make(), admin.GetLiveCounts()
    for name in ("Live one", "Live two"):
        admin.AddService(organisation_id=owner, service_id=admin.make_service(name).id)
    admin.make_service("On trial", restricted=True)
    admin.ArchiveService(service_id=admin.make_service("Gone").id)
    after = admin.GetLiveCounts()
    assert after.services == before.services + 2
    assert after.organisations == before.organisations + 1
