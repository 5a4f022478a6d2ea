"""Services and templates as admin has them, cached in this process (design.md §3.2).

A change is seen within about a second, at the latest after a minute; while admin does not answer, what is
known goes on being used for a quarter of an hour. A template's numbered versions never change and stay until
they are pushed out by others.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from typing import Final, NamedTuple

import grpc
from notify.admin.v1 import config_feed_service_pb2 as pb
from notify.admin.v1 import config_feed_service_pb2_grpc as pb_grpc
from notify.admin.v1 import people_service_pb2 as people_pb
from notify.admin.v1 import people_service_pb2_grpc as people_pb_grpc
from notify.admin.v1 import service_pb2, snapshot_pb2, template_email_file_pb2, template_pb2
from notify_common.enums import CallbackType, Channel, Postage
from notify_common.rpc import enums
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache
from notify_common.snapshots.source import get_snapshots
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.sms import SmsTemplate

from notify_notifications.domain.service import ReplyTo, Service, SmsSender, shown_sms_sender
from notify_notifications.domain.template import LetterWording, Template, TemplateFile

CURRENT: Final = 0
"""Version that stands for whichever is current."""

_MOST_SERVICES: Final = 5_000
_MOST_TEMPLATES: Final = 2_000
_MOST_PEOPLE: Final = 10_000
_PEOPLE_AT_ONCE: Final = 500


class Person(NamedTuple):
    """Somebody who sends messages in the admin web app."""

    name: str
    email_address: str


class TemplateKey(NamedTuple):
    """A template of a service at a version."""

    service_id: str
    template_id: str
    version: int


class Snapshots:
    """What sending needs to know of services and templates. Safe to share between threads."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.ConfigFeedServiceStub(channel)
        self._services: SnapshotCache[str, Service] = SnapshotCache(
            "services", self._load_services, max_entries=_MOST_SERVICES
        )
        self._templates: SnapshotCache[TemplateKey, Template] = SnapshotCache(
            "templates",
            self._load_templates,
            max_entries=_MOST_TEMPLATES,
            immutable=lambda key: key.version != CURRENT,
        )
        self._people_stub = people_pb_grpc.PeopleServiceStub(channel)
        self._people: SnapshotCache[str, Person] = SnapshotCache(
            "people", self._load_people, max_entries=_MOST_PEOPLE
        )
        self._followers: list[tuple[Callable[[str], None], Callable[[], None]]] = []
        self.poller = ConfigFeedPoller("config", self._list_changes, self._on_change, self._forget_all)

    def follow_services(self, evict: Callable[[str], None], clear: Callable[[], None]) -> None:
        """Have `evict` called with the id of each service that changes, and `clear` where all may have."""
        self._followers.append((evict, clear))

    def service(self, service_id: str) -> Service | None:
        """Return the service, archived or not; None if there is none of this id."""
        return self._services.get(service_id)

    def known_services(self, ids: Iterable[str]) -> dict[str, Service]:
        """Return the services that are here, by id; those that are not are read for whoever asks next.

        It neither waits nor raises.
        """
        return self._services.peek_many(ids)

    def template(self, service_id: str, template_id: str, version: int = CURRENT) -> Template | None:
        """Return the template, archived and hidden ones too; None if the service has none of this id or
        version.
        """
        return self._templates.get(TemplateKey(service_id, template_id, version))

    def template_versions(self, keys: Iterable[TemplateKey]) -> dict[TemplateKey, Template | None]:
        """Return templates by key, those that are not cached read in as few calls as possible."""
        return self._templates.get_many(keys)

    def people(self, user_ids: Iterable[str]) -> dict[str, Person]:
        """Return who these users are, as they were at most a minute ago; those that there are not are left
        out. Raises NotifyError where admin can't be asked.
        """
        found = self._people.get_many(set(user_ids))
        return {id: person for id, person in found.items() if person is not None}

    def _load_people(self, ids: Sequence[str]) -> dict[str, Person | None]:
        people: dict[str, Person | None] = {}
        for start in range(0, len(ids), _PEOPLE_AT_ONCE):
            ask = people_pb.GetPeopleRequest(user_ids=ids[start : start + _PEOPLE_AT_ONCE])
            for one in self._people_stub.GetPeople(ask).people:
                people[one.user_id] = Person(one.name, one.email_address)
        return people

    def _load_services(self, ids: Sequence[str]) -> dict[str, Service | None]:
        keys = [snapshot_pb2.SnapshotKey(service_id=service_id) for service_id in ids]
        snapshots = get_snapshots(self._stub, keys)
        return {
            service_id: _service(snapshot.service) if snapshot.HasField("service") else None
            for service_id, snapshot in zip(ids, snapshots, strict=True)
        }

    def _load_templates(self, keys: Sequence[TemplateKey]) -> dict[TemplateKey, Template | None]:
        snapshots = get_snapshots(
            self._stub,
            (
                snapshot_pb2.SnapshotKey(
                    template_version=snapshot_pb2.TemplateVersionKey(
                        service_id=key.service_id, template_id=key.template_id, version=key.version
                    )
                )
                for key in keys
            ),
        )
        return {
            key: _template(snapshot) if snapshot.HasField("template") else None
            for key, snapshot in zip(keys, snapshots, strict=True)
        }

    def _list_changes(self, cursor: str) -> tuple[Sequence[pb.ConfigChange], str]:
        response = self._stub.ListConfigChanges(pb.ListConfigChangesRequest(cursor=cursor))
        return response.changes, response.next_cursor

    def _forget_all(self) -> None:
        self._services.clear()
        self._templates.clear()
        for _, clear in self._followers:
            clear()

    def _on_change(self, change: pb.ConfigChange) -> None:
        match change.kind:
            case pb.ConfigChange.KIND_SERVICE:
                self._services.evict(change.service_id)
                for evict, _ in self._followers:
                    evict(change.service_id)
            case pb.ConfigChange.KIND_TEMPLATE:
                self._templates.evict(TemplateKey(change.service_id, change.template_id, CURRENT))


def _service(snapshot: snapshot_pb2.ServiceSnapshot) -> Service:
    service = snapshot.service
    return Service(
        id=service.id,
        name=service.name,
        active=service.active,
        restricted=service.restricted,
        permissions=frozenset(service.permissions),
        rate_limit_per_minute=service.limits.rate_limit_per_minute,
        daily_limits=_daily_limits(service.limits),
        prefix_sms=service.prefix_sms,
        organisation_type=service.organisation_type,
        contact_link=service.contact_link,
        email_local_part=service.email_sender_local_part,
        email_from_name=service.custom_email_sender_name or service.name,
        sms_senders={
            sender.id: SmsSender(sender.id, shown_sms_sender(sender.sender), sender.is_default)
            for sender in snapshot.sms_senders
        },
        reply_tos={
            address.id: ReplyTo(address.id, address.email_address, address.is_default)
            for address in snapshot.reply_to_addresses
        },
        member_ids=frozenset(snapshot.member_ids),
        member_email_addresses=tuple(snapshot.member_email_addresses),
        member_mobile_numbers=tuple(snapshot.member_mobile_numbers),
        guest_email_addresses=tuple(service.guest_list.email_addresses),
        guest_phone_numbers=tuple(service.guest_list.phone_numbers),
        own_retention_days={
            enums.from_proto(Channel, retention.channel): retention.days
            for retention in snapshot.data_retention
        },
        # kinds of a newer version that this one does not know are passed over
        callback_types=frozenset(
            CallbackType(callback.type)
            for callback in service.callbacks
            if callback.type in list(CallbackType)
        ),
    )


def _daily_limits(limits: service_pb2.ServiceLimits) -> dict[str, int]:
    return {
        "sms": limits.sms_per_day,
        "email": limits.email_per_day,
        "letter": limits.letter_per_day,
        "international_sms": limits.international_sms_per_day,
    }


def _template(snapshot: snapshot_pb2.Snapshot) -> Template:
    template = snapshot.template
    channel = enums.from_proto(Channel, template.channel)
    made = template.update_time if template.HasField("update_time") else template.create_time
    return Template(
        id=template.id,
        service_id=template.service_id,
        name=template.name,
        channel=channel,
        version=template.version,
        archived=template.archived,
        hidden=template.hidden,
        postage=enums.optional_from_proto(Postage, template.postage),
        make_time=made.ToDatetime(UTC),
        has_unsubscribe_link=template.has_unsubscribe_link,
        wording=_wording(channel, template),
        files=tuple(map(_template_file, snapshot.email_files)),
    )


def _template_file(file: template_email_file_pb2.TemplateEmailFile) -> TemplateFile:
    return TemplateFile(
        id=file.id,
        filename=file.filename,
        link_text=file.link_text,
        retention_weeks=file.retention_weeks,
        open_to_all=not file.validates_email_address,
    )


def _wording(
    channel: Channel, template: template_pb2.Template
) -> SmsTemplate | EmailTemplate | LetterWording:
    match channel:
        case Channel.SMS:
            return SmsTemplate(template.content)
        case Channel.EMAIL:
            return EmailTemplate(template.subject, template.content)
        case Channel.LETTER:
            contact = template.letter_contact_block
            english = LetterTemplate(template.subject, template.content, contact)
            welsh = None
            if template.welsh_content:
                welsh = LetterTemplate(template.welsh_subject, template.welsh_content, contact)
            return LetterWording(english, welsh, template.letter_attachment_id)
