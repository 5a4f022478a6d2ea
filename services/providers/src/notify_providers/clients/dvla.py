"""DVLA, a printer of letters with an API (pipeline.md §3.8 and §7.2, public-api.md §9.6)."""

import base64
import hashlib
import hmac
import json
import secrets
import string
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import parse_qs

import jwt
from notify_common import clock
from notify_common.enums import Channel, Postage
from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_common.logging import describe_exception, get_logger
from notify_content.postal_address import PostalAddress
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import (
    Adapter,
    Callback,
    CallbackAnswer,
    NeedsUpkeep,
    ReadReceipts,
    Rejected,
    Report,
    Secrets,
    SendsReceipts,
    Tools,
    json_answer,
)
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, Verdict, by_status, without_answer
from notify_providers.clients.json_object import members_of
from notify_providers.clients.letter_pdfs import LetterPdfs, LetterPdfSettings
from notify_providers.domain.dispatch import NOT_STARTED, CallResult, Outcome
from notify_providers.domain.message import Message, PrintContent
from notify_providers.domain.receipts import Kind, Receipt, message_id, utc_time, word
from notify_providers.domain.routing import UnknownOutcomeRule

_AUTHENTICATE: Final = "/thirdparty-access/v1/authenticate"
_NEW_API_KEY: Final = "/thirdparty-access/v1/new-api-key"
_NEW_PASSWORD: Final = "/thirdparty-access/v1/password"  # noqa: S105 # a path
_PRINT: Final = "/print-request/v1/print/jobs"
PASSWORD: Final = "password"  # noqa: S105 # a name
API_KEY: Final = "api-key"

_TOKEN_SPARE_SECONDS: Final = 60
_RETRY_WINDOW: Final = 10_800
_LONGEST_LINE: Final = 45
_LONGEST_NAME: Final = 255
_LONGEST_COUNTRY: Final = 256
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_PASSWORD_LENGTH: Final = 30
_PASSWORD_CLASSES: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)

_METHODS: Final[Mapping[Postage, str]] = {
    Postage.FIRST: "FIRST",
    Postage.ECONOMY: "ECONOMY",
    Postage.EUROPE: "INTERNATIONAL_EU",
    Postage.REST_OF_WORLD: "INTERNATIONAL_ROW",
}
_KINDS: Final[Mapping[str, Kind]] = {
    "DESPATCHED": Kind.DELIVERED,
    "REJECTED": Kind.TECHNICAL_FAILURE,
}
_POSTAGE_CLASSES: Final = ("1ST", "2ND", "INTERNATIONAL")
_PRODUCTS: Final = (
    "UNCODED",
    "MM UNSORTED",
    "UNSORTED",
    "MM",
    "INT EU",
    "INT ROW",
    "UNSORTEDE",
    "MM ECONOMY",
)
_TAKEN: Final = CallbackAnswer(204)
_NOT_OURS: Final = "A valid token must be provided in the query string"


class DvlaSettings(LetterPdfSettings):
    """What DVLA's print API needs: `NOTIFY_PROVIDERS_DVLA_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_DVLA_")

    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] | None = None
    """Where the API is; it is used once this and the three below are set."""
    username: str | None = None
    password: SecretStr | None = None
    """The first password; once one was changed here, the one that is kept in the database counts."""
    api_key: SecretStr | None = None
    """The first API key; the same holds."""
    receipt_url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] | None = None
    """Where DVLA shall report to: the address of this platform's `/notifications/letter/status`."""
    receipt_secret: Annotated[SecretStr, Field(min_length=32)] | None = None
    """Signs the token in that address, by which reports are known to be of a letter of ours."""
    rotate_days: Annotated[int, Field(ge=0, le=80)] = 0
    """Days after which password and key are changed, if `SECRETS_KEY` is set; 0 leaves both as they are. A
    password lasts 90 days, a key a year."""
    requests_per_second: Annotated[float, Field(gt=0, le=50)] = 20.0
    """Letters that one worker process hands over a second: DVLA takes 50 of the whole account."""
    connections: Annotated[int, Field(ge=1, le=32)] = 6
    """Letters that a worker process hands over at once."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        needed = (self.url, self.username, self.password, self.api_key)
        if any(needed) and not all((*needed, self.blob_access_key, self.blob_secret_key)):
            raise ValueError(
                "dvla_url, dvla_username, dvla_password, dvla_api_key, dvla_blob_access_key and"
                " dvla_blob_secret_key should be set together"
            )
        if (self.receipt_url is None) != (self.receipt_secret is None):
            raise ValueError("dvla_receipt_url and dvla_receipt_secret should be set together")
        return self


class Dvla(Adapter[DvlaSettings], SendsReceipts[DvlaSettings], NeedsUpkeep[DvlaSettings]):
    """DVLA's print API. It takes an id once (409 afterwards), so that what is not known is sent again."""

    name = "dvla"
    channel = Channel.LETTER
    settings = DvlaSettings
    unknown_outcome_rule = UnknownOutcomeRule.RETRY
    unknown_outcome_wait = 0
    times_calls = False

    def client(self, settings: DvlaSettings, tools: Tools) -> "DvlaClient | None":
        """See Adapter."""
        if settings.url is None:
            return None
        return DvlaClient(settings, DvlaApi(settings, tools.http, tools.secrets), tools.call_seconds)

    def upkeep(self, settings: DvlaSettings, tools: Tools) -> None:
        """See NeedsUpkeep: change password and API key once they are old enough."""
        if settings.url is None or not settings.rotate_days or tools.secrets is None:
            return
        rotate(settings, DvlaApi(settings, tools.http, tools.secrets), tools.secrets)

    def read_receipts(self, settings: DvlaSettings, callback: Callback) -> ReadReceipts:
        """See SendsReceipts; the form is that of public-api.md §9.6, the token is looked at first."""
        id = _id_of_token(settings, parse_qs(callback.query).get("token", [""])[0])
        if id is None:
            raise Rejected("bad token", _error(403, "InvalidRequest", _NOT_OURS))
        try:
            report = json.loads(callback.body)
        except (ValueError, RecursionError):
            raise Rejected(
                "the body is not JSON", _error(500, "BadRequest", "Internal server error")
            ) from None
        fault = _fault(report)
        if fault:
            raise Rejected("the body is none of DVLA's", _error(400, "ValidationError", fault))
        data = report["data"]
        if message_id(word(data["jobId"])) != id:
            sentence = "Notification ID in letter callback data does not match ID in token"
            raise Rejected("another letter's token", _error(400, "InvalidRequest", sentence))
        properties = {p["key"]: p["value"] for p in data.get("despatchProperties", ())}
        details = (properties.get(name, "") for name in ("totalSheets", "postageClass", "mailingProduct"))
        status = data["jobStatus"]
        receipt = Receipt(
            provider=self.name,
            dispatch_id=id,
            reference=id,
            status=status,
            detail=word("/".join(details).strip("/")),
            kind=_KINDS[status],
            provider_time=utc_time(data["transitionDate"]),
        )
        return ReadReceipts([receipt], _TAKEN)


class Refused(Exception):
    """DVLA let nobody in, or could not be asked. `verdict` is that on the letter that it was for."""

    def __init__(self, verdict: Verdict, status: int = 0) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict
        self.status = status


class DvlaApi:
    """Calls of DVLA's API with a token that is refreshed a minute before it runs out. Any thread may call."""

    def __init__(self, settings: DvlaSettings, http: HttpCaller, kept: Secrets | None) -> None:
        """Take the secrets that were changed here, in place of those in the settings."""
        self._settings = settings
        self._http = http
        self._kept = kept
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None
        self._read: dict[str, str] = {}

    def post(self, path: str, body: Mapping[str, Any], start_before: float, *, auth: bool) -> HttpAnswer:
        """Make a call and wait for its answer; 401 and 403 make the next call read the secrets again.

        Raises:
            Refused: no token could be had for it.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if auth:
            headers |= {"Authorization": self._current_token(start_before), "X-API-Key": self.secret(API_KEY)}
        ended = threading.Event()
        answers: list[HttpAnswer] = []

        def done(answer: HttpAnswer) -> None:
            answers.append(answer)
            ended.set()

        url = (self._settings.url or "").rstrip("/") + path
        self._http.call(HttpRequest(url, headers, json.dumps(body).encode(), start_before), done)
        ended.wait()
        [answer] = answers
        if auth and answer.status in (401, 403):
            self.forget()
        return answer

    def authenticate(self, password: str, start_before: float) -> str:
        """Return a new token.

        Raises:
            Refused: it could not be had.
        """
        names = {"userName": self._settings.username, "password": password}
        answer = self.post(_AUTHENTICATE, names, start_before, auth=False)
        if answer.failure or not 200 <= answer.status < 300:
            reason = answer.failure or f"authenticate_{answer.status}"
            raise Refused(Verdict(Outcome.RETRYABLE, reason), answer.status)
        try:
            return str(json.loads(answer.body)["id-token"])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise Refused(Verdict(Outcome.RETRYABLE, "authenticate_bad_answer")) from None

    def secret(self, name: str) -> str:
        """Return the password or the API key that counts."""
        if name not in self._read:
            first = self._settings.password if name == PASSWORD else self._settings.api_key
            kept = self._kept.read(Dvla.name, name) if self._kept else None
            self._read[name] = kept or (first.get_secret_value() if first else "")
        return self._read[name]

    def forget(self) -> None:
        """Read token and secrets anew: another process may have changed them."""
        with self._lock:
            self._token = None
            self._read.clear()

    def _current_token(self, start_before: float) -> str:
        with self._lock:
            now = clock.now().timestamp()
            if self._token is None or self._token[1] - now < _TOKEN_SPARE_SECONDS:
                try:
                    token = self.authenticate(self.secret(PASSWORD), start_before)
                except Refused:
                    self._read.clear()
                    raise
                self._token = token, _runs_out(token)
            return self._token[0]


class Pace:
    """Spreads calls evenly, and stops all of them for a while once there were too many."""

    def __init__(self, a_second: float) -> None:
        self._gap = 1.0 / a_second
        self._next = 0.0
        self._pause = _FIRST_PAUSE
        self._lock = threading.Lock()

    def take(self) -> float:
        """Return the reading of the monotonic clock at which the next call may begin."""
        with self._lock:
            self._next = max(self._next + self._gap, clock.monotonic())
            return self._next

    def too_many(self) -> None:
        """Let no call begin for a second, twice as long each time."""
        with self._lock:
            self._next = max(self._next, clock.monotonic() + self._pause)
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def fine(self) -> None:
        """Forget that there were too many."""
        with self._lock:
            self._pause = _FIRST_PAUSE


class DvlaClient:
    """Hands letters to DVLA, some at once, each with its PDF."""

    def __init__(self, settings: DvlaSettings, api: DvlaApi, call_seconds: float) -> None:
        """Take `call_seconds`, which bound the wait for the store."""
        self._settings = settings
        self._api = api
        self._pdfs = LetterPdfs.of(settings, call_seconds)
        self._pace = Pace(settings.requests_per_second)
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="dvla")

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """See ProviderClient. It returns before the calls end."""
        for message in messages:
            self._threads.submit(self._hand_over, message, report)

    def close(self) -> None:
        """See ProviderClient."""
        self._closing.set()
        self._threads.shutdown()

    def _hand_over(self, message: Message, report: Report) -> None:
        try:
            verdict = self._try(message)
        except Exception as error:
            get_logger().error("letter can't be handed over", **describe_exception(error))
            verdict = Verdict(Outcome.UNKNOWN, "failed")
        report(CallResult(message.id, message.attempt, verdict.outcome, verdict.reason))

    def _try(self, message: Message) -> Verdict:
        content = message.content
        if not isinstance(content, PrintContent):
            raise TypeError("DVLA takes letters only")
        begin = self._pace.take()
        if begin > message.start_before:
            return Verdict(Outcome.RETRYABLE, NOT_STARTED)
        self._closing.wait(max(0.0, begin - clock.monotonic()))
        pdf = self._pdfs.read(content)
        if isinstance(pdf, Verdict):
            return pdf
        job = print_job(self._settings, message, content, pdf)
        try:
            answer = self._api.post(_PRINT, job, message.start_before, auth=True)
        except Refused as refused:
            return refused.verdict
        if answer.status == 429:
            self._pace.too_many()
        else:
            self._pace.fine()
        return _judge(answer)


def print_job(settings: DvlaSettings, message: Message, content: PrintContent, pdf: bytes) -> dict[str, Any]:
    """Return the body that asks for a letter to be printed (pipeline.md §3.8)."""
    params: dict[str, Any] = {
        "jobType": "NOTIFY",
        "templateReference": "NOTIFY",
        "businessIdentifier": content.reference,
        "recipientName": content.address_lines[0][:_LONGEST_NAME],
        "address": _address(content.address_lines),
    }
    method = _METHODS.get(content.postage)
    if method:
        params["despatchMethod"] = method
    job = {
        "id": message.id,
        "standardParams": params,
        "customParams": [
            {"key": "pdfContent", "value": base64.b64encode(pdf).decode()},
            {"key": "serviceIdentifier", "value": message.service_id},
        ],
    }
    if settings.receipt_url:
        job["callbackParams"] = {
            "target": f"{settings.receipt_url}?token={token_of(settings, message.id)}",
            "retryParams": {"enabled": True, "maxRetryWindow": _RETRY_WINDOW},
        }
    return job


def token_of(settings: DvlaSettings, id: str) -> str:
    """Return the token by which a report is known to be of a letter of ours."""
    secret = settings.receipt_secret.get_secret_value() if settings.receipt_secret else ""
    return f"{id}.{hmac.digest(secret.encode(), id.encode(), hashlib.sha256).hex()}"


def rotate(settings: DvlaSettings, api: DvlaApi, kept: Secrets) -> None:
    """Change password and API key that are older than the settings allow, each under a lock of its own.

    The next password is kept before DVLA is told: where the process dies, or no answer comes, the next round
    finds out which of the two counts. DVLA makes a new key itself: one whose answer is lost is lost, and the
    old one goes on.
    """
    soon = clock.monotonic() + 60
    change = kept.begin_change(Dvla.name, PASSWORD, settings.rotate_days, new_password)
    if change is not None:
        current = api.secret(PASSWORD)
        names = {"userName": settings.username, "password": current, "newPassword": change}
        answer = api.post(_NEW_PASSWORD, names, soon, auth=False)
        if 200 <= answer.status < 300 or (answer.status in (401, 403) and _counts(api, change, soon)):
            kept.end_change(Dvla.name, PASSWORD, change)
            get_logger().info("password changed", provider=Dvla.name)
        else:
            get_logger().error("password not changed", provider=Dvla.name, status=answer.status)
        api.forget()
    change = kept.begin_change(Dvla.name, API_KEY, settings.rotate_days, lambda: "")
    if change is not None:
        try:
            answer = api.post(_NEW_API_KEY, {}, soon, auth=True)
            new = str(json.loads(answer.body)["newApiKey"]) if 200 <= answer.status < 300 else ""
        except (Refused, ValueError, TypeError, LookupError, RecursionError):
            new = ""
        if new:
            kept.end_change(Dvla.name, API_KEY, new)
            get_logger().info("API key changed", provider=Dvla.name)
        else:
            get_logger().error("API key not changed", provider=Dvla.name)
        api.forget()


def new_password() -> str:
    """Return 30 characters: letters of both cases, digits and punctuation, at least one of each."""
    every = "".join(_PASSWORD_CLASSES)
    while True:
        made = "".join(secrets.choice(every) for _ in range(_PASSWORD_LENGTH))
        if all(set(made) & set(those) for those in _PASSWORD_CLASSES):
            return made


def _counts(api: DvlaApi, password: str, start_before: float) -> bool:
    try:
        api.authenticate(password, start_before)
    except Refused:
        return False
    return True


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: a JSON object without errors is a yes, and 409 says that it has the letter; other 4xx
    are final, but 401, 403, 408 and 429.
    """
    lost = without_answer(answer)
    if lost is not None:
        return lost
    if answer.status == 409:
        return ACCEPTED
    refused = by_status(answer)
    if refused is None:
        said = members_of(answer.body)
        return ACCEPTED if said and "errors" not in said else NO_ANSWER
    final = 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 429)
    return Verdict(Outcome.REFUSED, refused.reason) if final else refused


def _address(lines: Sequence[str]) -> dict[str, Any]:
    """Return an address as DVLA has it, without the line that names the recipient, but for BFPO."""
    address = PostalAddress.from_lines("\n".join(lines))
    if address.bfpo_number is not None:
        rest = [line for line in address.lines if line != address.postcode]
        bfpo: dict[str, Any] = {**_numbered(rest, 4), "bfpoNumber": address.bfpo_number}
        return {"bfpoAddress": {**bfpo, **({"postcode": address.postcode} if address.postcode else {})}}
    *rest, last = address.normalised_lines[1:] or ("",)
    if address.international:
        return {"internationalAddress": {**_numbered(rest, 5), "country": last[:_LONGEST_COUNTRY]}}
    return {"unstructuredAddress": {**_numbered(rest, 5), "postcode": last[:10]}}


def _numbered(lines: Sequence[str], most: int) -> dict[str, str]:
    return {f"line{number}": line[:_LONGEST_LINE] for number, line in enumerate(lines[:most], start=1)}


def _runs_out(token: str) -> float:
    try:
        return float(jwt.decode(token, options={"verify_signature": False})["exp"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return 0.0


def _id_of_token(settings: DvlaSettings, token: str) -> str | None:
    id = message_id(token.partition(".")[0])
    if id is None or settings.receipt_secret is None or not token.isascii():
        return None
    return id if hmac.compare_digest(token, token_of(settings, id)) else None


def _fault(report: object) -> str:
    """Return what is wrong with a report, or an empty text (public-api.md §9.6)."""
    if not isinstance(report, dict):
        return "The report is not of type object"
    for name in ("id", "time", "data", "metadata"):
        if name not in report:
            return f"{name} is a required property"
    data, metadata = report["data"], report["metadata"]
    for name, part in (("data", data), ("metadata", metadata)):
        if not isinstance(part, dict):
            return f"{name} is not of type object"
    if not isinstance(metadata.get("correlationId"), str):
        return "metadata correlationId is a required property"
    for name in ("jobId", "jobStatus", "transitionDate"):
        if not isinstance(data.get(name), str):
            return f"data {name} is a required property"
    if data["jobStatus"] not in _KINDS:
        return f"data {word(data['jobStatus'])} is not one of [{', '.join(_KINDS)}]"
    if message_id(data["jobId"]) is None:
        return "data jobId is not a valid UUID"
    try:
        datetime.strptime(data["transitionDate"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "data transitionDate is not a valid date-time"
    if "despatchProperties" in data or data["jobStatus"] == "DESPATCHED":
        return _properties_fault(data.get("despatchProperties"))
    return ""


def _properties_fault(properties: object) -> str:
    if not isinstance(properties, list) or len(properties) < 3:
        return "data despatchProperties is too short"
    known: dict[str, str] = {}
    for one in properties:
        if not isinstance(one, dict) or not all(isinstance(one.get(part), str) for part in ("key", "value")):
            return "data despatchProperties is not valid"
        known[one["key"]] = one["value"]
    for name, allowed in (("postageClass", _POSTAGE_CLASSES), ("mailingProduct", _PRODUCTS)):
        if name in known and known[name] not in allowed:
            return f"data {word(known[name])} is not one of [{', '.join(allowed)}]"
    return ""


def _error(status: int, error: str, message: str) -> CallbackAnswer:
    return json_answer({"errors": [{"error": error, "message": message}], "status_code": status}, status)
