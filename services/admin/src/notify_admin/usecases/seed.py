"""The platform's own service: what it sends its users' codes and invitations with (internal-api.md §8).

Ids are fixed, since workers and the admin web app name these templates by them.
"""

import importlib.resources
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from notify.admin.v1 import services_service_pb2 as services_pb
from notify.admin.v1.branding_pb2 import EmailBranding, LetterBranding
from notify.admin.v1.branding_service_pb2 import CreateEmailBrandingRequest, CreateLetterBrandingRequest
from notify.admin.v1.service_pb2 import ReplyToAddress, Service, SmsSender
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.templates_service_pb2 import CreateTemplateRequest
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import CreateUserRequest
from notify.common.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_SERVICE_ID, PLATFORM_USER_ID, child_id

from notify_admin.domain.mail import MailTemplate
from notify_admin.usecases import branding, senders
from notify_admin.usecases.passwords import PasswordHasher
from notify_admin.usecases.services import create_service
from notify_admin.usecases.templates import create_template
from notify_admin.usecases.users import create_user

USER_ID: Final = PLATFORM_USER_ID
SERVICE_ID: Final = PLATFORM_SERVICE_ID

_NOBODY: Final = PasswordHasher(b"")
"""The platform's own user has no password."""
_PERMISSIONS: Final = ("email", "international_letters", "international_sms", "sms")
_DEFAULT_SENDER: Final = "GOVUK"
_NHS: Final = "NHS"
_NUMERIC_SENDER: Final = "07984404008"
"""For countries that refuse names."""


class _Template(NamedTuple):
    id: str
    name: str
    content: str
    subject: str = ""
    """Empty for a text."""


def _templates() -> Iterator[_Template]:
    wording = importlib.resources.files(__package__).joinpath("seed.toml").read_text(encoding="utf-8")
    for template, given in tomllib.loads(wording).items():
        yield _Template(MailTemplate[template], **given)


TEMPLATES: Final = tuple(_templates())


def seed_platform(uow: UnitOfWork, email_address: str) -> int:
    """Make the platform's own user, service and templates, and the brandings of the NHS; return how many
    things are seeded.

    Whatever exists is left as it is, changed by hand or by an earlier release. Idempotency keys: the ids.
    A run that is cut off is completed by the next.

    Args:
        uow: of this context.
        email_address: of the platform's user, and where answers to its emails go.
    """
    seeds = list(_seeds(email_address))
    for create, request, id_, given in seeds:
        field = next(f for f in request.DESCRIPTOR.fields if f.message_type is given.DESCRIPTOR)
        # made before, with other content: by an earlier release, or with other settings
        try:
            with uow.begin() as tx:
                create(tx, request(request_id=id_, **{field.name: given}))
        except NotifyError as error:
            if error.reason not in ("REQUEST_ID_REUSED", "NAME_TAKEN", "FILENAME_TAKEN"):
                raise
    return len(seeds)


def _seeds(email_address: str) -> Iterator[tuple[Callable[[Tx, Any], object], type[Any], str, Message]]:
    """Yield use cases with what they are asked for: the request's class, its id and what it holds."""
    user = User(name="Notify", email_address=email_address)
    yield partial(create_user, _NOBODY), CreateUserRequest, USER_ID, user
    service = Service(name="Notify", permissions=_PERMISSIONS, prefix_sms=True)
    yield partial(create_service, _DEFAULT_SENDER), services_pb.CreateServiceRequest, SERVICE_ID, service
    numeric = SmsSender(service_id=SERVICE_ID, sender=_NUMERIC_SENDER)
    address = ReplyToAddress(service_id=SERVICE_ID, email_address=email_address, is_default=True)
    for kind, request, sender in (
        (senders.SMS, services_pb.CreateSmsSenderRequest, numeric),
        (senders.REPLY_TO, services_pb.CreateReplyToAddressRequest, address),
    ):
        yield partial(senders.create_sender, kind), request, child_id(SERVICE_ID, kind.name), sender
    for seed in TEMPLATES:
        channel = CHANNEL_EMAIL if seed.subject else CHANNEL_SMS
        template = Template(service_id=SERVICE_ID, channel=channel, created_by_id=USER_ID)
        template.name, template.subject, template.content = seed.name, seed.subject, seed.content
        yield create_template, CreateTemplateRequest, seed.id, template
    email = EmailBranding(name=_NHS, brand_type="org", colour="#005eb8", alt_text=_NHS)
    yield branding.create_email_branding, CreateEmailBrandingRequest, branding.EMAIL.nhs_id, email
    letter = LetterBranding(name=_NHS, filename="nhs")
    yield branding.create_letter_branding, CreateLetterBrandingRequest, branding.LETTER.nhs_id, letter
