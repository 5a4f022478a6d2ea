"""Settings of services: how long messages are kept, and callbacks."""

from base64 import b64encode
from secrets import token_bytes
from typing import Final

from notify.admin.v1 import callback_targets_service_pb2 as targets_pb
from notify.admin.v1 import service_settings_service_pb2 as pb
from notify.admin.v1.service_setting_pb2 import Callback, DataRetention
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.enums import CallbackType
from notify_common.errors import NotifyError

from notify_admin.domain.mail import MailTemplate
from notify_admin.domain.senders import reply_to_address
from notify_admin.store import callbacks, changes
from notify_admin.store.resources import CALLBACKS, DATA_RETENTION, REPLY_TO_ADDRESSES, USERS
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.reads import Gets, Lists
from notify_admin.usecases.secrets import SecretBox
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import Violations, settled

MAX_URL_LENGTH: Final = 2000
SIGNING_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with is none
"""What the Standard Webhooks scheme begins secrets with."""
SIGNING_SECRET_BYTES: Final = 32


get_data_retention = Gets(DATA_RETENTION)
list_data_retention = Lists(DATA_RETENTION)
get_callback = Gets(CALLBACKS)


def create_data_retention(tx: Tx, ask: pb.CreateDataRetentionRequest) -> DataRetention:
    """Set how long messages of a channel are kept."""
    lock_service(tx, ask.data_retention.service_id)
    if DATA_RETENTION.add(tx, ask, ask.data_retention):
        changes.append(tx, "service", ask.data_retention.service_id)
    return DATA_RETENTION.one(tx, id=ask.request_id)


def set_data_retention(tx: Tx, ask: pb.SetDataRetentionRequest) -> DataRetention:
    """Set the days."""
    wanted = ask.data_retention
    lock_service(tx, wanted.service_id)
    DATA_RETENTION.one(tx, id=wanted.id, service_id=wanted.service_id)
    changes.append(tx, "service", wanted.service_id)
    return DATA_RETENTION.change(tx, {"id": wanted.id}, days=wanted.days)[0]


def create_callback(box: SecretBox, tx: Tx, ask: pb.CreateCallbackRequest) -> Callback:
    """Add a callback; its token is stored encrypted."""
    given = checked(ask.callback)
    lock_service(tx, given.service_id)
    USERS.one(tx, id=given.updated_by_id)
    token = box.encrypt(ask.bearer_token).encode()
    if CALLBACKS.add(tx, ask, given, encrypted_bearer_token=token):
        changes.append(tx, "service", given.service_id)
    return CALLBACKS.one(tx, id=ask.request_id)


def set_callback(box: SecretBox, tx: Tx, ask: pb.SetCallbackRequest) -> Callback:
    """Set URL and token; what is empty stays."""
    wanted = ask.callback
    lock_service(tx, wanted.service_id)
    current = CALLBACKS.one(tx, id=wanted.id, service_id=wanted.service_id, type=wanted.type)
    USERS.one(tx, id=wanted.updated_by_id)
    current.url, current.updated_by_id = wanted.url or current.url, wanted.updated_by_id
    token = {"encrypted_bearer_token": box.encrypt(ask.bearer_token).encode()} if ask.bearer_token else {}
    changes.append(tx, "service", wanted.service_id)
    return CALLBACKS.save(tx, checked(current), **token)


def delete_callback(tx: Tx, ask: pb.DeleteCallbackRequest) -> None:
    """Delete a callback."""
    lock_service(tx, ask.service_id)
    if not CALLBACKS.delete(tx, id=ask.callback_id, service_id=ask.service_id, type=ask.type):
        raise NotifyError("SETTING_NOT_FOUND")
    changes.append(tx, "service", ask.service_id)


def rotate_callback_secret(
    box: SecretBox, tx: Tx, ask: pb.RotateCallbackSecretRequest
) -> pb.RotateCallbackSecretResponse:
    """Make a new secret that calls are signed with; a repeat gets the same one.

    Idempotency key: the request's id, as long as no later request made another one.
    """
    lock_service(tx, ask.service_id)
    # locked: a secret that is encrypted anew in the meantime would come back as it was
    CALLBACKS.one(tx, locked=True, id=ask.callback_id, service_id=ask.service_id, type=ask.type)
    USERS.one(tx, id=ask.updated_by_id)
    current = callbacks.signing_secret(tx, ask.callback_id)
    if current is None or current.signing_secret_id != ask.request_id:
        secret = SIGNING_SECRET_PREFIX + b64encode(token_bytes(SIGNING_SECRET_BYTES)).decode()
        CALLBACKS.change(
            tx,
            {"id": ask.callback_id},
            updated_by_id=ask.updated_by_id,
            signing_secret_id=ask.request_id,
            encrypted_signing_secret=box.encrypt(secret).encode(),
            encrypted_previous_signing_secret=None if current is None else current.encrypted_signing_secret,
            previous_signing_secret_end_time=(
                None if current is None else clock.now() + callbacks.PREVIOUS_SECRET_KEPT
            ),
        )
        changes.append(tx, "service", ask.service_id)
        current = callbacks.signing_secret(tx, ask.callback_id)
        assert current is not None  # noqa: S101 - it was written just now
    return pb.RotateCallbackSecretResponse(
        signing_secret=box.decrypt_bytes(current.encrypted_signing_secret).decode(),
        previous_end_time=current.previous_signing_secret_end_time,
    )


def get_callback_targets(
    box: SecretBox, tx: Tx, ask: targets_pb.GetCallbackTargetsRequest
) -> targets_pb.GetCallbackTargetsResponse:
    """Return where services are called, with their secrets in clear."""
    answer = targets_pb.GetCallbackTargetsResponse()
    stored = callbacks.targets(tx, [(key.service_id, key.type) for key in ask.keys])
    for service_id, type_, url, token, *secrets in stored:
        answer.targets.add(
            key=targets_pb.CallbackTargetKey(service_id=service_id, type=type_),
            url=url,
            bearer_token=box.decrypt_bytes(token).decode(),
            signing_secrets=[box.decrypt_bytes(one).decode() for one in secrets if one is not None],
        )
    return answer


def verify_reply_to(mailer: Mailer, tx: Tx, ask: pb.VerifyReplyToRequest) -> pb.VerifyReplyToResponse:
    """Send a mail to see whether it arrives. Idempotency key: the request's id.

    Raises:
        NotifyError: INVALID_FIELD; SERVICE_NOT_FOUND, SERVICE_ARCHIVED; NAME_TAKEN.
    """
    address = settled(reply_to_address, ask.email_address, "email_address")
    lock_service(tx, ask.service_id)
    if REPLY_TO_ADDRESSES.count(tx, service_id=ask.service_id, value=address, archived=False):
        raise NotifyError("NAME_TAKEN")
    mailer.write(tx, ask.request_id, MailTemplate.REPLY_TO_CHECK, address, {})
    return pb.VerifyReplyToResponse(notification_id=ask.request_id)


def checked(given: Callback) -> Callback:
    """Return the same callback. Raises NotifyError INVALID_FIELD."""
    with Violations("callback") as violations:
        violations.require_known(given.type, list(CallbackType), "type")
        valid = given.url.startswith("https://") and len(given.url) <= MAX_URL_LENGTH
        violations.require(valid, "url", f"should be an https URL of at most {MAX_URL_LENGTH} characters")
    return given
