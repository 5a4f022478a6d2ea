"""Creating, changing and archiving services."""

from collections.abc import Sequence

from notify.admin.v1 import organisation_pb2, service_pb2
from notify.admin.v1 import services_service_pb2 as pb
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.ids import child_id

from notify_admin.domain import services as rules
from notify_admin.domain.senders import text_sender
from notify_admin.store import api_keys, changes, email_files, members, organisations, services, templates
from notify_admin.store.resources import CALLBACKS, ORGANISATIONS, SERVICES, SMS_SENDERS, USERS
from notify_admin.usecases import branding
from notify_admin.usecases.reads import Gets, Lists
from notify_admin.usecases.violations import Violations, settled

_LIMITS = [field.name for field in service_pb2.ServiceLimits.DESCRIPTOR.fields]


def create_service(default_sms_sender: str, tx: Tx, ask: pb.CreateServiceRequest) -> service_pb2.Service:
    """Create a service with its default text sender, whose id is made from the service's.

    An owner becomes its first member, and brings it into the organisation of its email domain
    (internal-api.md §4.1).
    """
    service = checked(with_defaults(ask.service))
    organisation = _organisation_of(tx, ask.owner_id) if ask.owner_id else None
    if organisation is not None:
        service.organisation_type = organisation.organisation_type or service.organisation_type
        service.email_branding_id = organisation.email_branding_id
        service.letter_branding_id = organisation.letter_branding_id
    elif ask.owner_id and rules.is_of_nhs(service.organisation_type, _domain(tx, ask.owner_id)):
        of_nhs = branding.of_nhs(tx)
        for kind in branding.KINDS.values():
            setattr(service, kind.field, kind.nhs_id if kind in of_nhs else "")
    sender = settled(text_sender, ask.default_sms_sender or default_sms_sender, "default_sms_sender")
    columns = {
        "normalised_name": rules.normalised_name(service.name),
        "organisation_id": organisation.id if organisation else None,
    }
    if SERVICES.add(tx, ask, service, active=True, version=1, **columns):
        sender_id = child_id(ask.request_id, "default text sender")
        SMS_SENDERS.insert(tx, ask, sender_id, service_id=ask.request_id, value=sender, is_default=True)
        if ask.owner_id:
            members.add(tx, ask.request_id, ask.owner_id, rules.OWNER_PERMISSIONS)
        changes.append(tx, "service", ask.request_id)
    return with_callbacks(tx, [SERVICES.one(tx, id=ask.request_id)])[0]


def update_service(tx: Tx, ask: pb.UpdateServiceRequest) -> service_pb2.Service:
    """Set the masked fields; no difference changes nothing.

    The local part follows the sender name, or the name where there is none, when one of these changes and the
    mask names no local part (internal-api.md §4.1).
    """
    current = lock_service(tx, ask.service.id)
    if ask.service.version not in (0, current.version):
        raise NotifyError("STALE_VERSION")
    wanted = SERVICES.merge(current, ask.service, ask.update_mask)
    shown, shown_before = (s.custom_email_sender_name or s.name for s in (wanted, current))
    if shown != shown_before and "email_sender_local_part" not in ask.update_mask.paths:
        wanted.email_sender_local_part = ""
    wanted = checked(wanted)
    if wanted == current:
        return with_callbacks(tx, [current])[0]
    branding.require_chosen(tx, current, wanted)
    changes.append(tx, "service", current.id)
    saved = SERVICES.save(tx, wanted, normalised_name=rules.normalised_name(wanted.name))
    return with_callbacks(tx, [saved])[0]


def archive_service(tx: Tx, ask: pb.ArchiveServiceRequest) -> service_pb2.Service:
    """Archive a service with its templates, revoke its keys, free its name (internal-api.md §4.6).

    Idempotency key: the service's state; archiving twice changes nothing.
    """
    service = lock_service(tx, ask.service_id, archived_too=True)
    if not service.active:
        return service
    service.name = rules.archived_name(service.name, clock.now())
    service.email_sender_local_part = rules.local_part(service.custom_email_sender_name or service.name)
    api_keys.revoke(tx, service.id)
    changes.append(tx, "service", service.id)
    changes.append(tx, "api-keys", service.id)
    archived = templates.copy_versions(tx, {"archived": True}, service_id=service.id)
    email_files.archive(tx, service.id, archived, None)
    return SERVICES.save(tx, service, active=False, normalised_name=rules.normalised_name(service.name))


def lock_service(tx: Tx, service_id: str, *, archived_too: bool = False) -> service_pb2.Service:
    """Return a service that nobody else changes, or adds to, until the transaction ends.

    Everything that belongs to a service is written under this lock, except that a key is revoked.

    Raises:
        NotifyError: SERVICE_NOT_FOUND; SERVICE_ARCHIVED, unless `archived_too`.
    """
    service = SERVICES.one(tx, locked=True, id=service_id)
    if not service.active and not archived_too:
        raise NotifyError("SERVICE_ARCHIVED")
    return service


def with_callbacks(tx: Tx, found: Sequence[service_pb2.Service]) -> Sequence[service_pb2.Service]:
    """Return the same services, filled with their callbacks."""
    for service in found:
        for callback in CALLBACKS.find(tx, service_id=service.id):
            service.callbacks.add(id=callback.id, type=callback.type)
    return found


get_service = Gets(SERVICES, fill=with_callbacks)
list_services = Lists(SERVICES, asked=services.of_member)


def _organisation_of(tx: Tx, owner_id: str) -> organisation_pb2.Organisation | None:
    found = organisations.of_domain(tx, rules.domains_above(_domain(tx, owner_id)))
    # locked: it is not archived before the service is there
    organisation = ORGANISATIONS.get(tx, locked=True, id=found) if found else None
    return organisation if organisation is not None and organisation.active else None


def _domain(tx: Tx, user_id: str) -> str:
    return USERS.one(tx, id=user_id).email_address.rpartition("@")[2].lower()


def with_defaults(given: service_pb2.Service) -> service_pb2.Service:
    """Return a copy of a new service in which absent limits and permissions have their defaults."""
    service = service_pb2.Service()
    service.CopyFrom(given)
    limits = rules.TRIAL_LIMITS if given.restricted else rules.LIVE_LIMITS
    for name, value in limits.items():
        if not given.limits.HasField(name):
            setattr(service.limits, name, value)
    service.limits.rate_limit_per_minute = (
        given.limits.rate_limit_per_minute or rules.DEFAULT_RATE_LIMIT_PER_MINUTE
    )
    service.permissions[:] = given.permissions or rules.DEFAULT_PERMISSIONS
    if not given.HasField("count_as_live"):
        service.count_as_live = True
    return service


def checked(given: service_pb2.Service) -> service_pb2.Service:
    """Return a service in the form in which it is stored; an empty local part is made from its names.

    Raises:
        NotifyError: INVALID_FIELD, with all violations.
    """
    sender_name = given.custom_email_sender_name
    local_part = given.email_sender_local_part or rules.local_part(sender_name or given.name)
    with Violations("service") as violations:
        for field, name in (("name", given.name), ("custom_email_sender_name", sender_name)):
            for fault in rules.faults_of_name(name) if name or field == "name" else ():
                violations.require(False, field, fault)
        violations.require(
            not given.email_sender_local_part or rules.is_local_part(local_part),
            "email_sender_local_part",
            "should be at most 64 lower-case letters and digits, in groups joined by full stops",
        )
        violations.require_permissions(given.permissions, rules.PERMISSIONS)
        for limit in _LIMITS:
            violations.require(getattr(given.limits, limit) >= 0, f"limits.{limit}", "should not be negative")
        some = given.limits.rate_limit_per_minute > 0
        violations.require(some, "limits.rate_limit_per_minute", "should be at least 1")
        _check_guests(given.guest_list, violations)
    stored = service_pb2.Service()
    stored.CopyFrom(given)
    stored.permissions[:] = sorted(set(given.permissions))
    stored.email_sender_local_part = local_part
    return stored


def _check_guests(guests: service_pb2.GuestList, violations: Violations) -> None:
    for field, values, is_valid, kind in (
        ("email_addresses", guests.email_addresses, rules.is_email_address, "email address"),
        ("phone_numbers", guests.phone_numbers, rules.international, "phone number"),
    ):
        path = f"guest_list.{field}"
        violations.require(len(values) <= rules.MAX_GUESTS, path, f"holds more than {rules.MAX_GUESTS}")
        for index, value in enumerate(values):
            violations.require(bool(is_valid(value)), f"{path}[{index}]", f"is not a valid {kind}")
