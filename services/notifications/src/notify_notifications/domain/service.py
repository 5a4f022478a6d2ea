"""A service as the sending rules see it, made from admin's snapshot once and shared by all threads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from notify_common.enums import CallbackType, Channel
from notify_common.retention import DEFAULT_DAYS
from notify_content import email_address, phone


@dataclass(frozen=True, slots=True)
class SmsSender:
    """A name or number that texts come from."""

    id: str
    shown: str
    """As recipients see it: a phone number in international digits without plus, anything else verbatim."""
    is_default: bool


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """An address that answers to an email go to."""

    id: str
    email_address: str
    is_default: bool


@dataclass(frozen=True)
class Service:
    """What is needed to check and dress a message of a service."""

    id: str
    name: str
    active: bool
    restricted: bool
    """Trial mode."""
    permissions: frozenset[str]
    rate_limit_per_minute: int
    daily_limits: Mapping[str, int]
    """By the name of the counter: `sms`, `email`, `letter`, `international_sms`."""
    prefix_sms: bool
    email_local_part: str
    email_from_name: str
    sms_senders: Mapping[str, SmsSender]
    reply_tos: Mapping[str, ReplyTo]
    member_ids: frozenset[str] = frozenset()
    member_email_addresses: tuple[str, ...] = field(repr=False, default=())
    member_mobile_numbers: tuple[str, ...] = field(repr=False, default=())
    guest_email_addresses: tuple[str, ...] = field(repr=False, default=())
    guest_phone_numbers: tuple[str, ...] = field(repr=False, default=())
    own_retention_days: Mapping[Channel, int] = field(default_factory=dict)
    """Of the channels for which it has a retention of its own."""
    callback_types: frozenset[CallbackType] = frozenset()
    """What it is told of over HTTP."""
    contact_link: str = ""
    """Where recipients of files get help; empty where none may be sent."""
    organisation_type: str = ""
    """Such as `central`, which its allowance follows from; empty if unknown."""

    @property
    def sms_prefix(self) -> str | None:
        """Return what stands in front of texts; None for nothing."""
        return self.name if self.prefix_sms else None

    def retention_days(self, channel: Channel) -> int:
        """Return for how many days messages are kept (public-api.md §8.4)."""
        return self.own_retention_days.get(channel, DEFAULT_DAYS)

    @cached_property
    def default_sms_sender(self) -> SmsSender | None:
        """The text sender used when a message names none."""
        return next((sender for sender in self.sms_senders.values() if sender.is_default), None)

    @cached_property
    def default_reply_to(self) -> ReplyTo | None:
        """The reply-to address used when an email names none."""
        return next((reply_to for reply_to in self.reply_tos.values() if reply_to.is_default), None)

    @cached_property
    def team_phone_numbers(self) -> frozenset[str]:
        """Numbers of members and guest list, as PhoneNumber.normalised; unusable ones left out."""
        return frozenset(map(_phone_key, (*self.member_mobile_numbers, *self.guest_phone_numbers))) - {""}

    @cached_property
    def team_email_addresses(self) -> frozenset[str]:
        """Addresses of members and guest list, in the form of EmailAddress.normalised."""
        return frozenset(map(_email_key, (*self.member_email_addresses, *self.guest_email_addresses))) - {""}


def shown_sms_sender(sender: str) -> str:
    """Return a sender as recipients see it (public-api.md §2.3)."""
    return _phone_key(sender) or sender


def _phone_key(number: str) -> str:
    try:
        return phone.parse(number, allow_international=True, allow_uk_landline=True).normalised
    except phone.InvalidPhoneNumber:
        return ""


def _email_key(address: str) -> str:
    try:
        return email_address.parse(address).normalised
    except email_address.InvalidEmailAddress:
        return ""
