"""Brandings of emails and letters, and the pools that organisations choose from."""

from functools import partial
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from notify.admin.v1 import branding_service_pb2 as pb
from notify.admin.v1.branding_pb2 import BrandingKind, EmailBranding, LetterBranding
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import services as rules
from notify_admin.store import branding
from notify_admin.store.mapping import Resource
from notify_admin.store.resources import EMAIL_BRANDINGS, LETTER_BRANDINGS, ORGANISATIONS
from notify_admin.usecases.reads import Gets, Lists
from notify_admin.usecases.violations import Violations

BRAND_TYPES: Final = frozenset({"org", "both", "org_banner"})
MAX_ALTERNATES: Final = 99


class Kind(NamedTuple):
    """Brandings of one channel."""

    name: str
    resource: Resource[Any]
    nhs_id: str
    """That of the NHS (internal-api.md §8)."""

    @property
    def field(self) -> str:
        """Of a service or organisation: which branding it has."""
        return f"{self.name}_branding_id"


EMAIL: Final = Kind("email", EMAIL_BRANDINGS, "a7dc4e56-660b-4db7-8cff-12c37b12b5ea")
LETTER: Final = Kind("letter", LETTER_BRANDINGS, "2cd354bb-6b85-eda3-c0ad-6b613150459f")
KINDS: Final = {BrandingKind.BRANDING_KIND_EMAIL: EMAIL, BrandingKind.BRANDING_KIND_LETTER: LETTER}


def create_email_branding(tx: Tx, ask: pb.CreateEmailBrandingRequest) -> EmailBranding:
    """Create what emails may look like."""
    EMAIL_BRANDINGS.add(tx, ask, _checked(ask.email_branding))
    return EMAIL_BRANDINGS.one(tx, id=ask.request_id)


def create_letter_branding(tx: Tx, ask: pb.CreateLetterBrandingRequest) -> LetterBranding:
    """Create what letters may look like."""
    _require_free_filename(tx, ask.request_id, ask.letter_branding.filename)
    LETTER_BRANDINGS.add(tx, ask, ask.letter_branding)
    return LETTER_BRANDINGS.one(tx, id=ask.request_id)


def set_email_branding(tx: Tx, ask: pb.SetEmailBrandingRequest) -> EmailBranding:
    """Set the masked fields."""
    current = EMAIL_BRANDINGS.one(tx, locked=True, id=ask.email_branding.id)
    wanted = EMAIL_BRANDINGS.merge(current, ask.email_branding, ask.update_mask)
    return EMAIL_BRANDINGS.save(tx, _checked(wanted))


def set_letter_branding(tx: Tx, ask: pb.SetLetterBrandingRequest) -> LetterBranding:
    """Set the masked fields."""
    current = LETTER_BRANDINGS.one(tx, locked=True, id=ask.letter_branding.id)
    wanted = LETTER_BRANDINGS.merge(current, ask.letter_branding, ask.update_mask)
    _require_free_filename(tx, wanted.id, wanted.filename)
    return LETTER_BRANDINGS.save(tx, wanted)


def archive_email_branding(tx: Tx, ask: pb.ArchiveEmailBrandingRequest) -> EmailBranding:
    """Archive one that nobody uses; it leaves all pools and gives up its name.

    Idempotency key: its state. Who begins to use it meanwhile waits for the lock, and finds it archived.
    """
    current = EMAIL_BRANDINGS.one(tx, locked=True, id=ask.email_branding_id)
    if not current.active:
        return current
    if any(branding.users(tx, EMAIL.name, current.id)):
        raise NotifyError("BRANDING_IN_USE")
    branding.leave_pools(tx, EMAIL.name, current.id)
    current.name = rules.archived_name(current.name, clock.now())
    return EMAIL_BRANDINGS.save(tx, current, active=False)


def get_branding_uses(tx: Tx, ask: pb.GetBrandingUsesRequest) -> pb.GetBrandingUsesResponse:
    """Return the organisations and services that have a branding, by name."""
    kind = KINDS[ask.kind]
    kind.resource.one(tx, id=ask.branding_id)
    answer = pb.GetBrandingUsesResponse()
    of_organisations, of_services = branding.users(tx, kind.name, ask.branding_id)
    for row in of_organisations:
        answer.organisations.add(id=row.id, name=row.name)
    for row in of_services:
        answer.services.add(id=row.id, name=row.name)
    return answer


def suggest_branding_name(tx: Tx, ask: pb.SuggestBrandingNameRequest) -> pb.SuggestBrandingNameResponse:
    """Return the name, or a like one, that no branding of the kind has in any case."""
    taken = branding.names_like(tx, KINDS[ask.kind].resource.table, ask.name)
    names = (ask.name, *(f"{ask.name} (alternate {n})" for n in range(1, MAX_ALTERNATES + 1)))
    free = next((name for name in names if name.lower() not in taken), None)
    if free is None:
        raise NotifyError("NAME_TAKEN")
    return pb.SuggestBrandingNameResponse(name=free)


def add_to_branding_pool(tx: Tx, ask: pb.AddToBrandingPoolRequest) -> None:
    """Let the services of an organisation choose from more brandings; those it has stay."""
    kind = KINDS[ask.kind]
    ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    for branding_id in sorted(ask.branding_ids):
        require(tx, kind, branding_id)
    branding.add_to_pool(tx, kind.name, ask.organisation_id, ask.branding_ids)


def remove_from_branding_pool(tx: Tx, ask: pb.RemoveFromBrandingPoolRequest) -> None:
    """Take a branding out of what the services of an organisation choose from."""
    kind = KINDS[ask.kind]
    organisation = ORGANISATIONS.one(tx, locked=True, id=ask.organisation_id)
    if getattr(organisation, kind.field) == ask.branding_id:
        raise NotifyError("DEFAULT_BRANDING")
    if not branding.remove_from_pool(tx, kind.name, organisation.id, ask.branding_id):
        facts = {"branding_id": ask.branding_id, "organisation_name": organisation.name}
        raise NotifyError("BRANDING_NOT_IN_POOL", metadata=facts)


def require(tx: Tx, kind: Kind, branding_id: str) -> None:
    """Raise NotifyError BRANDING_NOT_FOUND unless a branding can be used; it is not archived meanwhile."""
    found = kind.resource.one(tx, locked=True, id=branding_id)
    if not getattr(found, "active", True):
        raise NotifyError("BRANDING_NOT_FOUND")


def of_nhs(tx: Tx) -> list[Kind]:
    """Return the kinds of which the NHS has a branding."""
    return [kind for kind in KINDS.values() if kind.resource.get(tx, id=kind.nhs_id)]


def require_chosen(tx: Tx, before: Message, after: Message) -> list[Kind]:
    """Return the kinds of which a service or organisation gets another branding, as `require` each."""
    ids = {kind: getattr(after, kind.field) for kind in KINDS.values()}
    chosen = [kind for kind in ids if ids[kind] and ids[kind] != getattr(before, kind.field)]
    for kind in chosen:
        require(tx, kind, ids[kind])
    return chosen


def of_pool(kind: Kind, tx: Tx, ask: Any) -> list[Any]:
    """Return the condition that a branding is in the pool of a request's organisation, if it names one."""
    if not ask.organisation_id:
        return []
    ORGANISATIONS.one(tx, id=ask.organisation_id)
    return [branding.pooled(kind.resource.table, kind.name, ask.organisation_id)]


get_email_branding = Gets(EMAIL_BRANDINGS)
get_letter_branding = Gets(LETTER_BRANDINGS)
list_email_brandings = Lists(EMAIL_BRANDINGS, {"active": True}, partial(of_pool, EMAIL))
list_letter_brandings = Lists(LETTER_BRANDINGS, asked=partial(of_pool, LETTER))


def _checked(given: EmailBranding) -> EmailBranding:
    """Return the same branding. Raises NotifyError INVALID_FIELD; BRANDING_TEXT_INVALID."""
    given.brand_type = given.brand_type or "org"
    with Violations("email_branding") as violations:
        violations.require_known(given.brand_type, BRAND_TYPES, "brand_type")
    if bool(given.text) == bool(given.alt_text):
        raise NotifyError("BRANDING_TEXT_INVALID")
    return given


def _require_free_filename(tx: Tx, branding_id: str, filename: str) -> None:
    if any(found.id != branding_id for found in LETTER_BRANDINGS.find(tx, filename=filename)):
        raise NotifyError("FILENAME_TAKEN")
