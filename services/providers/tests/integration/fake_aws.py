"""Stand-ins for services of AWS over HTTP: they check signatures and what the service's model asks for."""

import base64
import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import validate_parameters

from .fake_mmg import BAD_REQUEST, BUSY, ERROR, ERROR_INSIDE, OK, FakeMmg

REGION = "eu-west-2"
KEY = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret/+=key"}
REFUSED = "refused"
_SIGNING_MINUTES = 5


class FakeAws(FakeMmg, ABC):
    """Takes calls of one operation, signed with KEY; `faults` says what was wrong with those it did not."""

    signing_name: str
    model: str
    operation: str

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        loaded = botocore.session.get_session().get_service_model(self.model)
        asks = loaded.operation_model(self.operation).input_shape
        assert asks is not None
        self._input = asks

    @property
    def endpoint(self) -> str:
        """Where the service is."""
        return self.url.removesuffix(self.path)

    @abstractmethod
    def flat(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what a call asks for, with the recipient and our id as fields of their own."""

    def read(self, body: bytes) -> dict[str, Any]:
        """See FakeMmg."""
        asked = json.loads(body)
        validate_parameters(self.blobs_read(asked), self._input)
        return {**self.flat(asked), "body": body}

    def blobs_read(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return parameters as the model has them, where JSON writes bytes as base64."""
        return asked

    def _serve(self, handler: BaseHTTPRequestHandler, message: dict[str, Any]) -> None:
        body = message.pop("body")
        fault = self._fault(handler, body)
        if fault:
            self.faults.append(fault)
            handler.send_response(403)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        super()._serve(handler, message)

    def _fault(self, handler: BaseHTTPRequestHandler, body: bytes) -> str:
        kind, _, rest = handler.headers["Authorization"].partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(", "))
        when = handler.headers["X-Amz-Date"]
        age = datetime.now(UTC) - datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        scope = f"{KEY['access_key_id']}/{when[:8]}/{REGION}/{self.signing_name}/aws4_request"
        if kind != "AWS4-HMAC-SHA256" or parts["Credential"] != scope:
            return "wrong scope"
        if abs(age.total_seconds()) > _SIGNING_MINUTES * 60:
            return "signature has run out"
        signed = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-date", "content-type"} <= set(signed):
            return "too few headers signed"
        request = AWSRequest(
            "POST", self.endpoint + handler.path, headers={n: handler.headers[n] for n in signed}, data=body
        )
        request.context["timestamp"] = when
        auth = SigV4Auth(
            Credentials(KEY["access_key_id"], KEY["secret_access_key"]), self.signing_name, REGION
        )
        right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        return "" if right == parts["Signature"] else "wrong signature"


class FakeSes(FakeAws):
    """Takes emails as SES version 2 does."""

    path = "/v2/email/outbound-emails"
    signing_name, model, operation = "ses", "sesv2", "SendEmail"
    number_field, id_field = "to", "id"
    statuses = {REFUSED: 400}  # noqa: RUF012 # declared a ClassVar in the base
    bodies = {OK: b'{"MessageId":"0107018b"}', ERROR_INSIDE: b'{"MessageId":""}'}  # noqa: RUF012 # likewise
    headers = {  # noqa: RUF012 # likewise
        REFUSED: {"x-amzn-ErrorType": "BadRequestException:http://internal.amazon.com/coral/"},
        BAD_REQUEST: {"x-amzn-ErrorType": "SendingPausedException"},
    }

    def blobs_read(self, asked: dict[str, Any]) -> dict[str, Any]:
        """See FakeAws."""
        raw = base64.b64decode(asked["Content"]["Raw"]["Data"], validate=True)
        return {**asked, "Content": {"Raw": {"Data": raw}}}

    def flat(self, asked: dict[str, Any]) -> dict[str, Any]:
        """See FakeAws."""
        [to], [tag] = asked["Destination"]["ToAddresses"], asked["EmailTags"]
        assert tag["Name"] == "notification_id"
        mime = self.blobs_read(asked)["Content"]["Raw"]["Data"]
        return {"to": to, "id": tag["Value"], "mime": mime, "set": asked.get("ConfigurationSetName")}


class FakeAwsSms(FakeAws):
    """Takes texts as AWS End User Messaging SMS does."""

    path = "/"
    signing_name, model, operation = "sms-voice", "pinpoint-sms-voice-v2", "SendTextMessage"
    number_field, id_field = "DestinationPhoneNumber", "id"
    statuses = {REFUSED: 400, "opted-out": 400, ERROR: 500, BUSY: 400}  # noqa: RUF012 # as in the base
    bodies = {  # noqa: RUF012 # as in the base
        OK: b'{"MessageId":"f2a9"}',
        ERROR_INSIDE: b'{"MessageId":null}',
        REFUSED: b'{"__type":"com.amazonaws#ValidationException","Reason":"INVALID_PARAMETER",'
        b'"Fields":[{"Name":"DestinationPhoneNumber","Message":"no"}]}',
        "opted-out": b'{"__type":"ConflictException","Reason":"DESTINATION_PHONE_NUMBER_OPTED_OUT"}',
        BUSY: b'{"__type":"ThrottlingException"}',
        ERROR: b'{"__type":"InternalServerException"}',
    }

    def flat(self, asked: dict[str, Any]) -> dict[str, Any]:
        """See FakeAws."""
        return {**asked, "id": asked["Context"]["notification_id"]}

    def _fault(self, handler: BaseHTTPRequestHandler, body: bytes) -> str:
        if handler.headers["X-Amz-Target"] != "PinpointSMSVoiceV2.SendTextMessage":
            return "wrong target"
        if handler.headers["Content-Type"] != "application/x-amz-json-1.0":
            return "wrong content type"
        return super()._fault(handler, body)
