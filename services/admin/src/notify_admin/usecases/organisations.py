"""Organisations, their domains and members."""

from collections.abc import Iterable
from typing import Any, Final

from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.user_pb2 import User
from notify_common import clock, ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import services as rules
from notify_admin.domain.mail import MailTemplate
from notify_admin.store import branding as branding_store
from notify_admin.store import changes, members, organisations, services
from notify_admin.store.resources import INVITATIONS, ORGANISATION_MEMBERS, ORGANISATIONS, SERVICES, USERS
from notify_admin.store.tables import organisation_members
from notify_admin.usecases import branding
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.reads import Gets, Lists
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.users import with_access
from notify_admin.usecases.violations import Violations

_TYPES = "central local nhs_central nhs_local nhs_gp nhs_notify emergency_service school_or_college other"
ORGANISATION_TYPES: Final = frozenset(_TYPES.split())


def create_organisation(tx: Tx, ask: pb.CreateOrganisationRequest) -> Organisation:
    """Create an organisation."""
    given = ask.organisation
    _check(given)
    if not given.permissions:
        given.permissions.append(rules.JOINING)
    if ORGANISATIONS.add(tx, ask, given):
        organisations.set_domains(tx, ask.request_id, given.domains)
        made = ORGANISATIONS.one(tx, id=ask.request_id)
        if _bring_nhs_branding(tx, made):
            ORGANISATIONS.save(tx, made)
    return completed(tx, [ORGANISATIONS.one(tx, id=ask.request_id)])[0]


def get_organisation_by_domain(tx: Tx, ask: pb.GetOrganisationByDomainRequest) -> Organisation:
    """Return the active organisation of an email domain, by its longest domain that is the same or above."""
    found = organisations.of_domain(tx, rules.domains_above(ask.domain.lower()))
    if found is None:
        raise NotifyError("ORGANISATION_NOT_FOUND")
    return completed(tx, [ORGANISATIONS.one(tx, id=found)])[0]


def set_organisation(mailer: Mailer, tx: Tx, ask: pb.SetOrganisationRequest) -> Organisation:
    """Set the masked fields; domains are replaced as a whole (internal-api.md §4.4).

    Its services take a changed type, and where they have none a changed branding; who accepts the agreement
    is told by mail. The organisation is locked before its services, here and wherever both are.
    """
    current = completed(tx, [ORGANISATIONS.one(tx, locked=True, id=ask.organisation.id)])[0]
    wanted = ORGANISATIONS.merge(current, ask.organisation, ask.update_mask)
    _check(wanted)
    if "domains" in ask.update_mask.paths:
        organisations.set_domains(tx, wanted.id, wanted.domains)
    if wanted.agreement_signed and not current.agreement_signed:
        if not wanted.HasField("agreement_signed_time"):
            wanted.agreement_signed_time.FromDatetime(clock.now())
        _tell_of_agreement(mailer, tx, wanted)
    if wanted.organisation_type != current.organisation_type:
        _bring_nhs_branding(tx, wanted)
        if wanted.organisation_type:
            _change_services(tx, wanted.id, {}, organisation_type=wanted.organisation_type)
    for kind in branding.require_chosen(tx, current, wanted):
        branding_id = getattr(wanted, kind.field)
        branding_store.add_to_pool(tx, kind.name, wanted.id, [branding_id])
        _change_services(tx, wanted.id, {kind.field: None}, **{kind.field: branding_id})
    return completed(tx, [ORGANISATIONS.save(tx, wanted)])[0]


def add_service(tx: Tx, ask: pb.AddServiceRequest) -> None:
    """Make a service one of an organisation, whose type it takes."""
    organisation = _active(tx, ask.organisation_id)
    service = lock_service(tx, ask.service_id)
    service.organisation_type = organisation.organisation_type or service.organisation_type
    SERVICES.save(tx, service, organisation_id=organisation.id)
    changes.append(tx, "service", service.id)


def add_organisation_member(tx: Tx, ask: pb.AddOrganisationMemberRequest) -> User:
    """Make a user a member of an organisation."""
    _active(tx, ask.organisation_id)
    user = USERS.one(tx, id=ask.user_id)
    members.add_to_organisation(tx, ask.organisation_id, ask.user_id, ask.permissions)
    return with_access(tx, [user])[0]


def set_organisation_permissions(tx: Tx, ask: pb.SetOrganisationPermissionsRequest) -> User:
    """Set all that a member of an organisation may do."""
    ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    with Violations("permissions") as violations:
        violations.require_permissions(ask.permissions, rules.ORGANISATION_PERMISSIONS)
    members.set_permissions(tx, organisation_members, ask.organisation_id, ask.user_id, ask.permissions)
    return with_access(tx, [USERS.one(tx, id=ask.user_id)])[0]


def archive_organisation(tx: Tx, ask: pb.ArchiveOrganisationRequest) -> Organisation:
    """Archive an organisation that nobody belongs to (internal-api.md §4.6).

    Idempotency key: its state; archiving twice changes nothing.
    """
    organisation = ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    if organisation.active:
        if SERVICES.count(tx, organisation_id=organisation.id, active=True):
            raise NotifyError("SERVICES_LEFT")
        mine: dict[str, Any] = {"organisation_id": organisation.id}
        if ORGANISATION_MEMBERS.count(tx, **mine) or INVITATIONS.count(tx, **mine, status="pending"):
            raise NotifyError("MEMBERS_LEFT")
        organisations.set_domains(tx, organisation.id, [])
        branding_store.empty_pools(tx, organisation.id)
        organisation.name = rules.archived_name(organisation.name, clock.now())
        organisation.ClearField("email_branding_id")
        organisation.ClearField("letter_branding_id")
        organisation = ORGANISATIONS.save(tx, organisation, active=False)
    return completed(tx, [organisation])[0]


def remove_organisation_member(tx: Tx, ask: pb.RemoveOrganisationMemberRequest) -> None:
    """End a membership."""
    ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    members.remove(tx, organisation_members, ask.organisation_id, ask.user_id)


def _check(given: Organisation) -> None:
    with Violations("organisation") as violations:
        violations.require_known(given.organisation_type, {"", *ORGANISATION_TYPES}, "organisation_type")
        violations.require_permissions(given.permissions, rules.GRANTS_OF_ORGANISATIONS)


def _active(tx: Tx, organisation_id: str) -> Organisation:
    """Return an organisation that is not archived until the transaction ends."""
    organisation = ORGANISATIONS.one(tx, locked=True, id=organisation_id)
    if not organisation.active:
        raise NotifyError("ORGANISATION_NOT_FOUND")
    return organisation


def _bring_nhs_branding(tx: Tx, organisation: Organisation) -> bool:
    """Give an NHS body the brandings of the NHS, those it lacks; return whether it is one."""
    if organisation.organisation_type not in rules.NHS_TYPES:
        return False
    for kind in branding.of_nhs(tx):
        branding_store.add_to_pool(tx, kind.name, organisation.id, [kind.nhs_id])
        if not getattr(organisation, kind.field):
            setattr(organisation, kind.field, kind.nhs_id)
    return True


def _change_services(tx: Tx, organisation_id: str, only: dict[str, Any], **columns: object) -> None:
    """Set columns of an organisation's services, or of those `only` with these values; archived ones stay."""
    keys = {"organisation_id": organisation_id, "active": True, **only}
    for service in SERVICES.change(tx, keys, **columns):
        changes.append(tx, "service", service.id)


def _tell_of_agreement(mailer: Mailer, tx: Tx, organisation: Organisation) -> None:
    if not organisation.agreement_signed_by_id:
        return
    signer = USERS.one(tx, id=organisation.agreement_signed_by_id)
    values = {
        "org_name": organisation.name,
        "signed_by_name": signer.name,
        "mou_link": mailer.links.page(f"agreement/{'crown' if organisation.crown else 'non-crown'}.pdf"),
    }
    principal = organisation.agreement_signed_on_behalf_of_email_address
    if not principal:
        mailer.write(tx, ids.new_id(), MailTemplate.AGREEMENT, signer.email_address, values)
        return
    values["on_behalf_of_name"] = organisation.agreement_signed_on_behalf_of_name
    mailer.write(tx, ids.new_id(), MailTemplate.AGREEMENT_FOR_ANOTHER, signer.email_address, values)
    mailer.write(tx, ids.new_id(), MailTemplate.AGREEMENT_FOR_YOU, principal, values)


def completed(tx: Tx, found: Iterable[Organisation]) -> list[Organisation]:
    """Return the same organisations, filled with their domains and how many live services they have."""
    of_id = {organisation.id: organisation for organisation in found}
    for organisation_id, domains in organisations.domains(tx, list(of_id)).items() if of_id else ():
        of_id[organisation_id].domains[:] = domains
    for organisation_id, count in services.count_live(tx, list(of_id)).items() if of_id else ():
        of_id[organisation_id].live_service_count = count
    return list(of_id.values())


get_organisation = Gets(ORGANISATIONS, fill=completed)
list_organisations = Lists(ORGANISATIONS, fill=completed)
list_organisation_members = Lists(
    ORGANISATION_MEMBERS, {"state": "active"}, parent=ORGANISATIONS, fill=with_access
)
