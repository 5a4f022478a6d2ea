"""What a new platform is filled with so that one can begin: a demo service, its templates and three keys.

Everything is made over gRPC with the operator's certificate, as an operator would. Every id is fixed and
every request is idempotent by it, so seeding again gives the same answers, keys included.
"""

import uuid
from dataclasses import dataclass

import grpc
from notify.admin.v1 import (
    api_key_pb2,
    api_keys_service_pb2,
    api_keys_service_pb2_grpc,
    service_pb2,
    service_setting_pb2,
    service_settings_service_pb2,
    service_settings_service_pb2_grpc,
    services_service_pb2,
    services_service_pb2_grpc,
    template_pb2,
    templates_service_pb2,
    templates_service_pb2_grpc,
    user_pb2,
    users_service_pb2,
    users_service_pb2_grpc,
)
from notify.common.v1 import common_pb2
from notify_common.enums import CallbackType, Channel
from notify_common.rpc.enums import to_proto

from notify_local.demo import DemoFile
from notify_local.stack import Stack

CALL_SECONDS = 10.0
_BEARER_TOKEN = "demo-bearer-token"  # noqa: S105 - of a service that is made up
KEY_TYPES = {
    "normal": common_pb2.KEY_TYPE_NORMAL,
    "team": common_pb2.KEY_TYPE_TEAM,
    "test": common_pb2.KEY_TYPE_TEST,
}

SMS_CONTENT = "Hello ((name)), your appointment is on ((date)). Reply to this text if you can't come."
EMAIL_SUBJECT = "Your appointment on ((date))"
EMAIL_CONTENT = """# Your appointment

Dear ((name)),

we look forward to seeing you on ((date)).

## What to bring

* your appointment letter
* a form of identification

((needs parking??There is a car park behind the building; you don't need a ticket.))

^ You can change your appointment until the day before.

[Change or cancel your appointment](https://appointments.example.gov.uk/change)"""
LETTER_SUBJECT = "Your appointment on ((date))"
LETTER_CONTENT = """Dear ((name)),

we have booked an appointment for you on ((date)).

# What to bring

* this letter
* a form of identification
* a list of the medicines that you take

# If you can't come

Please tell us at least one day before, so that somebody else can have your place.

Yours sincerely,

The appointments team"""


@dataclass(frozen=True)
class Seeded:
    """What seeding made, as clients need it."""

    service_id: str
    """UUID of the demo service."""
    api_keys: dict[str, str]
    """`normal`, `team`, `test` -> the whole key as a client takes it."""
    templates: dict[str, str]
    """`sms`, `email`, `letter` -> UUID of a template."""


def fixed_id(name: str) -> str:
    """Return the UUID under which the seed knows `name`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:notify:local-stack:{name}"))


def seed(stack: Stack, service_name: str = "Demo service") -> Seeded:
    """Make the demo service and all that belongs to it, or find it. Raises grpc.RpcError."""
    with stack.operator_channel(stack.grpc_targets["admin"]) as channel:
        user_id = fixed_id("user")
        users_service_pb2_grpc.UsersServiceStub(channel).CreateUser(
            users_service_pb2.CreateUserRequest(
                request_id=user_id,
                user=user_pb2.User(
                    name="Demo User",
                    email_address="demo.user@example.gov.uk",
                    mobile_number="+447700900855",
                ),
            ),
            timeout=CALL_SECONDS,
        )
        service_id = fixed_id(f"service/{service_name}")
        services_service_pb2_grpc.ServicesServiceStub(channel).CreateService(
            services_service_pb2.CreateServiceRequest(
                request_id=service_id,
                service=service_pb2.Service(
                    name=service_name,
                    restricted=False,
                    permissions=["email", "international_letters", "international_sms", "letter", "sms"],
                    prefix_sms=True,
                    limits=service_pb2.ServiceLimits(rate_limit_per_minute=1_000_000),
                ),
                default_sms_sender="DEMO",
            ),
            timeout=CALL_SECONDS,
        )
        users_service_pb2_grpc.UsersServiceStub(channel).AddMember(
            users_service_pb2.AddMemberRequest(service_id=service_id, user_id=user_id), timeout=CALL_SECONDS
        )
        contacts = services_service_pb2_grpc.ServicesServiceStub(channel)
        contact_id = fixed_id(f"contact/{service_name}")
        contacts.CreateLetterContact(
            services_service_pb2.CreateLetterContactRequest(
                request_id=contact_id,
                letter_contact=service_pb2.LetterContact(
                    service_id=service_id,
                    contact_block="Appointments team\n1 High Street\nExampleton\nEX1 1AA\n\n0300 123 4567",
                    is_default=True,
                ),
            ),
            timeout=CALL_SECONDS,
        )
        templates = _seed_templates(
            templates_service_pb2_grpc.TemplatesServiceStub(channel),
            service_id,
            user_id,
            contact_id,
            service_name,
        )
        api_keys = {}
        for name, key_type in KEY_TYPES.items():
            answer = api_keys_service_pb2_grpc.ApiKeysServiceStub(channel).CreateApiKey(
                api_keys_service_pb2.CreateApiKeyRequest(
                    request_id=fixed_id(f"api-key/{service_name}/{name}"),
                    api_key=api_key_pb2.ApiKey(
                        service_id=service_id, name=f"demo_{name}", key_type=key_type, created_by_id=user_id
                    ),
                ),
                timeout=CALL_SECONDS,
            )
            api_keys[name] = f"demo_{name}-{service_id}-{answer.secret}"
    return Seeded(service_id, api_keys, templates)


def seed_callback(stack: Stack) -> None:
    """Have the demo service told of deliveries by the receiver of this stack. Raises grpc.RpcError.

    A callback that somebody else gave the demo service stays as it is.
    """
    callback = service_setting_pb2.Callback(
        service_id=fixed_id("service/Demo service"),
        type=CallbackType.DELIVERY_STATUS,
        url="https://localhost/",  # the same in each run, unlike the port
        updated_by_id=fixed_id("user"),
    )
    made = service_settings_service_pb2.CreateCallbackRequest(
        request_id=fixed_id("callback"), callback=callback, bearer_token=_BEARER_TOKEN
    )
    callback.id = made.request_id
    callback.url = f"{stack.receiver_url}/{CallbackType.DELIVERY_STATUS}"
    changed = service_settings_service_pb2.SetCallbackRequest(callback=callback)
    with stack.operator_channel(stack.grpc_targets["admin"]) as channel:
        stub = service_settings_service_pb2_grpc.ServiceSettingsServiceStub(channel)
        try:
            stub.CreateCallback(made, timeout=CALL_SECONDS)
            stub.SetCallback(changed, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if not (isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.ALREADY_EXISTS):
                raise


def make_template(demo: DemoFile, channel: str, name: str, subject: str, content: str) -> str:
    """Make a template of the demo service and return its id.

    Raises ValueError for an email or letter without a subject, grpc.RpcError for what admin refuses.
    """
    if channel != Channel.SMS and not subject:
        raise ValueError(f"a template of the channel {channel} needs a subject")
    template_id = str(uuid.uuid4())
    wanted = template_pb2.Template(
        service_id=demo.content["service_id"],
        created_by_id=fixed_id("user"),
        name=name,
        channel=to_proto(Channel(channel)),
        subject=subject,
        content=content,
        postage=common_pb2.POSTAGE_SECOND if channel == Channel.LETTER else common_pb2.POSTAGE_UNSPECIFIED,
    )
    with demo.channel("admin") as connection:
        templates_service_pb2_grpc.TemplatesServiceStub(connection).CreateTemplate(
            templates_service_pb2.CreateTemplateRequest(request_id=template_id, template=wanted),
            timeout=CALL_SECONDS,
        )
    return template_id


def _seed_templates(
    stub: templates_service_pb2_grpc.TemplatesServiceStub,
    service_id: str,
    user_id: str,
    contact_id: str,
    service_name: str,
) -> dict[str, str]:
    wanted = {
        "sms": template_pb2.Template(
            name="Appointment reminder", channel=common_pb2.CHANNEL_SMS, content=SMS_CONTENT
        ),
        "email": template_pb2.Template(
            name="Appointment confirmation",
            channel=common_pb2.CHANNEL_EMAIL,
            subject=EMAIL_SUBJECT,
            content=EMAIL_CONTENT,
        ),
        "letter": template_pb2.Template(
            name="Appointment letter",
            channel=common_pb2.CHANNEL_LETTER,
            subject=LETTER_SUBJECT,
            content=LETTER_CONTENT,
            letter_contact_id=contact_id,
            postage=common_pb2.POSTAGE_SECOND,
        ),
    }
    ids = {}
    for channel, template in wanted.items():
        template.service_id = service_id
        template.created_by_id = user_id
        ids[channel] = fixed_id(f"template/{service_name}/{channel}")
        stub.CreateTemplate(
            templates_service_pb2.CreateTemplateRequest(request_id=ids[channel], template=template),
            timeout=CALL_SECONDS,
        )
    return ids
