"""Organisations, their domains and members, and brandings."""

from collections.abc import Iterable
from typing import Final

from notify.admin.v1 import branding_service_pb2 as branding_pb
from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1.branding_pb2 import EmailBranding, LetterBranding
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.user_pb2 import User
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.rpc.paging import Pager

from notify_admin.domain import services as rules
from notify_admin.store import changes, members, organisations, services
from notify_admin.store.resources import EMAIL_BRANDINGS, LETTER_BRANDINGS, ORGANISATIONS, SERVICES, USERS
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.users import with_access
from notify_admin.usecases.violations import Violations

ORGANISATION_TYPES: Final = frozenset(
    [
        "central",
        "local",
        "nhs_central",
        "nhs_local",
        "nhs_gp",
        "nhs_notify",
        "emergency_service",
        "school_or_college",
        "other",
    ]
)
BRAND_TYPES: Final = frozenset({"org", "both", "org_banner"})


def create_organisation(tx: Tx, ask: pb.CreateOrganisationRequest) -> Organisation:
    """Create an organisation."""
    _check(ask.organisation)
    if ORGANISATIONS.add(tx, ask, ask.organisation):
        _set_domains(tx, ask.request_id, ask.organisation.domains)
    return _completed(tx, [ORGANISATIONS.one(tx, id=ask.request_id)])[0]


def get_organisation(tx: Tx, ask: pb.GetOrganisationRequest) -> Organisation:
    """Return an organisation, archived or not."""
    return _completed(tx, [ORGANISATIONS.one(tx, id=ask.organisation_id)])[0]


def list_organisations(
    pager: Pager, tx: Tx, ask: pb.ListOrganisationsRequest
) -> pb.ListOrganisationsResponse:
    """Return all organisations, oldest first."""
    answer = ORGANISATIONS.page(tx, pager, ask, pb.ListOrganisationsResponse)
    _completed(tx, answer.organisations)
    return answer


def set_organisation(tx: Tx, ask: pb.SetOrganisationRequest) -> Organisation:
    """Set the masked fields; domains are replaced as a whole."""
    current = _completed(tx, [ORGANISATIONS.one(tx, locked=True, id=ask.organisation.id)])[0]
    wanted = ORGANISATIONS.merge(current, ask.organisation, ask.update_mask)
    _check(wanted)
    if "domains" in ask.update_mask.paths:
        _set_domains(tx, wanted.id, wanted.domains)
    return _completed(tx, [ORGANISATIONS.save(tx, wanted)])[0]


def add_service(tx: Tx, ask: pb.AddServiceRequest) -> pb.AddServiceResponse:
    """Make a service one of an organisation, whose type it takes."""
    organisation = ORGANISATIONS.one(tx, id=ask.organisation_id)
    service = lock_service(tx, ask.service_id)
    service.organisation_type = organisation.organisation_type or service.organisation_type
    SERVICES.save(tx, service, organisation_id=organisation.id)
    changes.append(tx, "service", service.id)
    return pb.AddServiceResponse()


def add_organisation_member(tx: Tx, ask: pb.AddOrganisationMemberRequest) -> User:
    """Make a user a member of an organisation."""
    ORGANISATIONS.one(tx, id=ask.organisation_id)
    user = USERS.one(tx, id=ask.user_id)
    members.add_to_organisation(tx, ask.organisation_id, ask.user_id, ask.permissions)
    return with_access(tx, [user])[0]


def set_organisation_permissions(tx: Tx, ask: pb.SetOrganisationPermissionsRequest) -> User:
    """Set all that a member of an organisation may do."""
    ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    violations = Violations("permissions")
    known = rules.ORGANISATION_PERMISSIONS.issuperset(ask.permissions)
    violations.require(known, "permissions", "holds a permission that there is not")
    violations.end()
    if not members.is_in_organisation(tx, ask.organisation_id, ask.user_id):
        raise NotifyError("MEMBER_NOT_FOUND")
    members.add_to_organisation(tx, ask.organisation_id, ask.user_id, ask.permissions)
    return with_access(tx, [USERS.one(tx, id=ask.user_id)])[0]


def create_email_branding(tx: Tx, ask: branding_pb.CreateEmailBrandingRequest) -> EmailBranding:
    """Create what emails may look like."""
    given = ask.email_branding
    given.brand_type = given.brand_type or "org"
    violations = Violations("email_branding")
    violations.require(given.brand_type in BRAND_TYPES, "brand_type", "is not a known value")
    violations.end()
    if bool(given.text) == bool(given.alt_text):
        raise NotifyError("BRANDING_TEXT_INVALID")
    EMAIL_BRANDINGS.add(tx, ask, given)
    return EMAIL_BRANDINGS.one(tx, id=ask.request_id)


def create_letter_branding(tx: Tx, ask: branding_pb.CreateLetterBrandingRequest) -> LetterBranding:
    """Create what letters may look like."""
    LETTER_BRANDINGS.add(tx, ask, ask.letter_branding)
    return LETTER_BRANDINGS.one(tx, id=ask.request_id)


def _check(given: Organisation) -> None:
    violations = Violations("organisation")
    known = not given.organisation_type or given.organisation_type in ORGANISATION_TYPES
    violations.require(known, "organisation_type", "is not a known value")
    violations.end()


def _set_domains(tx: Tx, organisation_id: str, domains: Iterable[str]) -> None:
    wanted = sorted({domain.lower() for domain in domains})
    if not organisations.set_domains(tx, organisation_id, wanted):
        raise NotifyError("DOMAIN_TAKEN")


def _completed(tx: Tx, found: Iterable[Organisation]) -> list[Organisation]:
    of_id = {organisation.id: organisation for organisation in found}
    for organisation_id, domains in organisations.domains(tx, list(of_id)).items() if of_id else ():
        of_id[organisation_id].domains[:] = domains
    for organisation_id, count in services.count_live(tx, list(of_id)).items() if of_id else ():
        of_id[organisation_id].live_service_count = count
    return list(of_id.values())
