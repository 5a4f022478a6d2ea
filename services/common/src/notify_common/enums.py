"""Enums that the contexts share, with the short texts that databases, logs and clients have for them.

Convert them from and to protos with `notify_common.rpc.enums`.
"""

from enum import StrEnum


class Channel(StrEnum):
    """The way a message reaches its recipient (`public-api.md §2.1`)."""

    SMS = "sms"
    EMAIL = "email"
    LETTER = "letter"


class KeyType(StrEnum):
    """The type of an API key, which decides who may be written to (`public-api.md §5.1`)."""

    NORMAL = "normal"
    TEAM = "team"
    TEST = "test"


class Postage(StrEnum):
    """The class of post of a letter (`public-api.md §2.6`)."""

    FIRST = "first"
    SECOND = "second"
    ECONOMY = "economy"
    EUROPE = "europe"
    REST_OF_WORLD = "rest-of-world"


class Lane(StrEnum):
    """How urgent a message is where it waits beside others, the most urgent first (`design.md §3.3`)."""

    PLATFORM = "platform"
    """The platform's own mail: sign-in codes, invitations."""
    API = "api"
    """Sent one by one, over the API or by a person."""
    JOB = "job"
    """A row of a job."""


class CallbackType(StrEnum):
    """What a service is told of over HTTP (`public-api.md §6`)."""

    DELIVERY_STATUS = "delivery_status"
    INBOUND_SMS = "inbound_sms"
    RETURNED_LETTER = "returned_letter"
    COMPLAINT = "complaint"
