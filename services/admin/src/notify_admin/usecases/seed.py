"""The platform's own service: what it sends its users' codes and invitations with (internal-api.md §8).

Ids are fixed, since workers and the admin web app name these templates by them.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from notify.admin.v1 import (
    branding_pb2,
    branding_service_pb2,
    service_pb2,
    services_service_pb2,
    template_pb2,
    templates_service_pb2,
    user_pb2,
    users_service_pb2,
)
from notify.common.v1 import common_pb2
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


class _Seed(NamedTuple):
    id: str
    name: str
    content: str
    subject: str = ""
    """Empty for a text."""


TEMPLATES: Final = (
    _Seed(MailTemplate.SIGN_IN_CODE, "Sign-in code", "((verify_code)) is your sign-in code"),
    _Seed(
        MailTemplate.SIGN_IN_LINK,
        "Sign-in link",
        "Hello ((name)),\n\nto sign in, open this link:\n\n((url))\n\nIt works once, for half an hour.",
        "Sign in",
    ),
    _Seed(
        MailTemplate.EMAIL_VERIFICATION,
        "Confirm your registration",
        "Hello ((name)),\n\nto finish your registration, open this link:\n\n((url))",
        "Confirm your registration",
    ),
    _Seed(
        MailTemplate.INVITATION,
        "Invitation to a service",
        "((user_name)) invites you to join the team of ((service_name)).\n\nTo accept, open this link:\n\n"
        "((url))\n\nIt works for two days.",
        "((user_name)) invites you to join ((service_name))",
    ),
    _Seed(
        MailTemplate.ORGANISATION_INVITATION,
        "Invitation to an organisation",
        "((user_name)) invites you to join the team of ((organisation_name)).\n\nTo accept, open this link:"
        "\n\n((url))\n\nIt works for two days.",
        "((user_name)) invites you to join ((organisation_name))",
    ),
    _Seed(
        MailTemplate.PASSWORD_RESET,
        "Reset your password",
        "Hello ((user_name)),\n\nto choose a new password, open this link:\n\n((url))\n\n"
        "If you didn't ask for this, there is nothing to do.",
        "Reset your password",
    ),
    _Seed(
        MailTemplate.ALREADY_REGISTERED,
        "You have an account already",
        "Someone tried to register with this email address, which has an account already.\n\n"
        "Sign in: ((signin_url))\n\nForgotten your password? ((forgot_password_url))\n\n"
        "If it wasn't you, tell us: ((feedback_url))",
        "You have an account already",
    ),
    _Seed(
        MailTemplate.EMAIL_CHANGE,
        "Confirm your new email address",
        "Hello ((name)),\n\nto confirm this as your email address, open this link:\n\n((url))\n\n"
        "If you didn't ask for this, tell us: ((feedback_url))",
        "Confirm your new email address",
    ),
    _Seed(
        MailTemplate.EMAIL_CHANGED,
        "Your email address was changed",
        "Hello ((name)),\n\n((servicemanagername)) changed your email address to ((email address)).",
        "Your email address was changed",
    ),
    _Seed(
        MailTemplate.MOBILE_NUMBER_CHANGED,
        "Your mobile number was changed",
        "((servicemanagername)) changed the mobile number of your account to this one.",
    ),
    _Seed(
        MailTemplate.REPLY_TO_CHECK,
        "Check of a reply-to address",
        "We check that emails arrive at this address before answers are sent to it.\n\n"
        "There is nothing to do.",
        "Your reply-to email address",
    ),
    _Seed(
        MailTemplate.SERVICE_LIVE,
        "Your service is live",
        "Hello ((name)),\n\n((service name)) is live: it can send to anyone from now on.",
        "((service name)) is live",
    ),
    _Seed(
        MailTemplate.AGREEMENT,
        "Agreement signed",
        "Hello ((signed_by_name)),\n\nyou accepted the agreement for ((org_name)). Your copy is here:\n\n"
        "((mou_link))",
        "Agreement accepted for ((org_name))",
    ),
    _Seed(
        MailTemplate.AGREEMENT_FOR_ANOTHER,
        "Agreement signed for somebody else",
        "Hello ((signed_by_name)),\n\nyou accepted the agreement for ((org_name)) on behalf of "
        "((on_behalf_of_name)). Your copy is here:\n\n((mou_link))",
        "Agreement accepted for ((org_name))",
    ),
    _Seed(
        MailTemplate.AGREEMENT_FOR_YOU,
        "Agreement signed for you",
        "Hello ((on_behalf_of_name)),\n\n((signed_by_name)) accepted the agreement for ((org_name)) on your "
        "behalf. Your copy is here:\n\n((mou_link))",
        "Agreement accepted for ((org_name))",
    ),
    _Seed(
        MailTemplate.GO_LIVE_REQUEST,
        "Request to go live",
        "Hello ((name)),\n\n((requester_name)) (((requester_email_address))) asks you to make "
        "((service_name)) of ((organisation_name)) live.\n\nTo decide, open this link:\n\n"
        "((make_service_live_link))\n\nQuestions? ((support_page_link))",
        "Request to go live: ((service_name))",
    ),
    _Seed(
        MailTemplate.GO_LIVE_RECEIPT,
        "Your request to go live",
        "Hello ((name)),\n\nwe passed your request to make ((service_name)) live on to "
        "((organisation_name)):\n\n((organisation_team_member_names))",
        "Your request to go live: ((service_name))",
    ),
    _Seed(
        MailTemplate.GO_LIVE_NEXT_STEPS,
        "Next steps to go live",
        "About your request to make ((service_name)) live:\n\n((body))",
        "Next steps to go live: ((service_name))",
    ),
    _Seed(
        MailTemplate.GO_LIVE_REFUSED,
        "Your request to go live was refused",
        "Hello ((name)),\n\n((organisation_team_member_name)) of ((organisation_name)) refused to make "
        "((service_name)) live:\n\n((reason))\n\nQuestions? Write to ((organisation_team_member_email)).",
        "Your request to go live was refused: ((service_name))",
    ),
    _Seed(
        MailTemplate.JOIN_REQUEST,
        "Request to join your service",
        "Hello ((approver_name)),\n\n((requester_name)) (((requester_email_address))) asks to join the team "
        "of ((service_name)).\n\n((reason_given??Their reason:))\n\n((reason))\n\n"
        "To decide, open this link:\n\n((url))",
        "((requester_name)) asks to join ((service_name))",
    ),
    _Seed(
        MailTemplate.JOIN_RECEIPT,
        "Your request to join a service",
        "Hello ((requester_name)),\n\nwe passed your request to join ((service_name)) on to:\n\n"
        "((service_admin_names))\n\nTo ask somebody else, open this link:\n\n((url_ask_to_join_page))",
        "Your request to join ((service_name))",
    ),
    _Seed(
        MailTemplate.JOIN_APPROVED,
        "Your request to join was approved",
        "Hello ((requester_name)),\n\n((approver_name)) made you a member of the team of ((service_name))."
        "\n\n((dashboard_url))",
        "You are a member of ((service_name))",
    ),
    _Seed(
        "11fad854-fd38-4a7c-bd17-805fb13dfc12",
        "Letters of the day",
        "Letters handed over on ((date)): ((total_volume))\n\n"
        "* first class: ((first_class_volume)), ((first_class_sheets)) sheets\n"
        "* second class: ((second_class_volume)), ((second_class_sheets)) sheets\n"
        "* economy: ((economy_volume)), ((economy_sheets)) sheets\n"
        "* international: ((international_volume)), ((international_sheets)) sheets",
        "Letters of ((date))",
    ),
    _Seed(
        "55bcb671-4924-46c5-a00d-1a9d48458008",
        "Survey for new users",
        "Hello ((name)),\n\nyou began to use the platform a while ago. How is it going? "
        "Answer this email and tell us.",
        "How is it going?",
    ),
)
"""Ids and placeholders of internal-api.md §8; the wording is ours."""


def seed_platform(uow: UnitOfWork, email_address: str) -> int:
    """Make the platform's own user, service and templates, and the brandings of the NHS; return how many
    things are seeded.

    Whatever exists is left as it is, changed by hand or by an earlier release. Idempotency keys: the ids.
    A run that is cut off is completed by the next.

    Args:
        uow: of this context.
        email_address: of the platform's user, and where answers to its emails go.
    """
    seeds: list[Callable[[Tx], object]] = [
        partial(_seed_user, email_address),
        _seed_service,
        partial(_seed_sender, senders.SMS, _NUMERIC_SENDER, False),
        partial(_seed_sender, senders.REPLY_TO, email_address, True),
        *(partial(_seed_template, template) for template in TEMPLATES),
        _seed_email_branding,
        _seed_letter_branding,
    ]
    for make in seeds:
        # made before, with other content: by an earlier release, or with other settings
        try:
            with uow.begin() as tx:
                make(tx)
        except NotifyError as error:
            if error.reason not in ("REQUEST_ID_REUSED", "NAME_TAKEN", "FILENAME_TAKEN"):
                raise
    return len(seeds)


def _seed_user(email_address: str, tx: Tx) -> None:
    user = user_pb2.User(name="Notify", email_address=email_address)
    create_user(_NOBODY, tx, users_service_pb2.CreateUserRequest(request_id=USER_ID, user=user))


def _seed_service(tx: Tx) -> None:
    service = service_pb2.Service(name="Notify", permissions=_PERMISSIONS, prefix_sms=True)
    ask = services_service_pb2.CreateServiceRequest(request_id=SERVICE_ID, service=service)
    create_service(_DEFAULT_SENDER, tx, ask)


def _seed_sender(kind: senders.SenderKind, value: str, is_default: bool, tx: Tx) -> None:
    name = kind.resource.message.DESCRIPTOR.name
    ask = getattr(services_service_pb2, f"Create{name}Request")(request_id=child_id(SERVICE_ID, kind.name))
    given = {"service_id": SERVICE_ID, kind.field: value, "is_default": is_default}
    getattr(ask, kind.name).CopyFrom(kind.resource.message(**given))
    senders.create_sender(kind, tx, ask)


def _seed_email_branding(tx: Tx) -> None:
    given = branding_pb2.EmailBranding(name=_NHS, brand_type="org", colour="#005eb8", alt_text=_NHS)
    ask = branding_service_pb2.CreateEmailBrandingRequest(
        request_id=branding.EMAIL.nhs_id, email_branding=given
    )
    branding.create_email_branding(tx, ask)


def _seed_letter_branding(tx: Tx) -> None:
    given = branding_pb2.LetterBranding(name=_NHS, filename="nhs")
    ask = branding_service_pb2.CreateLetterBrandingRequest(
        request_id=branding.LETTER.nhs_id, letter_branding=given
    )
    branding.create_letter_branding(tx, ask)


def _seed_template(seed: _Seed, tx: Tx) -> None:
    template = template_pb2.Template(
        service_id=SERVICE_ID,
        channel=common_pb2.CHANNEL_EMAIL if seed.subject else common_pb2.CHANNEL_SMS,
        name=seed.name,
        subject=seed.subject,
        content=seed.content,
        created_by_id=USER_ID,
    )
    create_template(tx, templates_service_pb2.CreateTemplateRequest(request_id=seed.id, template=template))
