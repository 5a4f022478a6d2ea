"""Passwords, codes and security keys (internal-api.md A57 to A63, A68, A69, A71 to A74)."""

from typing import Any

from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1 import users_service_pb2 as users_pb
from notify.admin.v1.webauthn_credential_pb2 import WebauthnCredential
from notify_common.errors import NotifyError
from notify_common.rpc import enums

from notify_gateway.admin import forms
from notify_gateway.admin.forms import (
    BOOLEAN,
    NULLABLE_TEXT,
    NULLABLE_UUID,
    STRING,
    TEXT,
    InvalidForm,
    fields,
    schema,
)
from notify_gateway.admin.routes import Answer, Call, Routes, data, every, new_id, nothing
from notify_gateway.admin.shapes import Shape
from notify_gateway.admin.users import USER
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients

_MAIL = pb.SendAccountMailRequest

CREDENTIAL = Shape(
    WebauthnCredential,
    "id user_id name credential_data",
    created_at="create_time",
    updated_at="update_time",
    logged_in_at="logged_in_time",
)
NEW = Shape(WebauthnCredential, "name credential_data registration_response")
NEW_FORM = schema(
    "name credential_data registration_response",
    closed=True,
    name=TEXT,
    credential_data=TEXT,
    registration_response=TEXT,
)
NAME_FORM = schema("name", closed=True, name=TEXT)
LOGIN_FORM = schema("successful", closed=True, successful=BOOLEAN, webauthn_credential_id=NULLABLE_UUID)
VERIFY_FORM = schema("code code_type", closed=True, code=STRING, code_type={"enum": ["sms", "email"]})
SMS_CODE_FORM = schema(closed=True, to=NULLABLE_TEXT)
EMAIL_CODE_FORM = schema(
    closed=True, to={"type": "null"}, email_auth_link_host=NULLABLE_TEXT, next=NULLABLE_TEXT
)
VERIFICATION_FORM = schema(to=NULLABLE_TEXT, admin_base_url=NULLABLE_TEXT)
EMAIL_FORM = fields("email", email=forms.email)
RESET_FORM = fields(
    "email",
    email=forms.email,
    admin_base_url=forms.nullable(forms.string),
    next=forms.nullable(forms.string),
)
PASSWORD_FORM = fields(password=forms.string)
NEW_PASSWORD_FORM = fields("_password", refuse_unknown=True, _password=forms.string)


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("sign_in", client)
    user = "/user/<uuid:user_id>"
    all_, one = f"{user}/webauthn", f"{user}/webauthn/<uuid:webauthn_credential_id>"

    def of(call: Call) -> dict[str, Any]:
        return {"user_id": call.id("user_id")}

    @made.post(f"{user}/verify/password", PASSWORD_FORM)
    def verify_password(call: Call) -> Answer:
        password = call.form.get("password")
        if not password:
            raise InvalidForm({"password": ["Required field missing data"]})
        ask = pb.VerifyPasswordRequest(**of(call), password=password)
        if not clients.sign_in.VerifyPassword(ask).correct:
            raise InvalidForm({"password": ["Incorrect password"]})
        return nothing()

    @made.post(f"{user}/update-password", NEW_PASSWORD_FORM)
    def set_password(call: Call) -> Answer:
        ask = pb.SetPasswordRequest(**of(call), password=call.form["_password"])
        return data(USER.json(clients.sign_in.SetPassword(ask).user))

    @made.post(f"{user}/verify/code", VERIFY_FORM)
    def verify_code(call: Call) -> Answer:
        kind = enums.from_text(pb.CodeType, call.form["code_type"])
        ask = pb.VerifyCodeRequest(**of(call), type=kind, code=call.form["code"])  # type: ignore[arg-type] # of the enum
        outcome = clients.sign_in.VerifyCode(ask).outcome
        if outcome == pb.VerifyCodeResponse.OUTCOME_ACCEPTED:
            return nothing()
        if outcome == pb.VerifyCodeResponse.OUTCOME_EXPIRED:
            raise InvalidForm("Code has expired")
        raise NotifyError("CODE_NOT_FOUND")

    @made.post(f"{user}/sms-code", SMS_CODE_FORM)
    def send_sms_code(call: Call) -> Answer:
        to = call.form.get("to") or ""
        ask = pb.SendCodeRequest(request_id=new_id(), **of(call), type=pb.CODE_TYPE_SMS, recipient=to)
        clients.sign_in.SendCode(ask)
        return nothing()

    @made.post(f"{user}/email-code", EMAIL_CODE_FORM)
    def send_email_code(call: Call) -> Answer:
        ask = pb.SendCodeRequest(
            request_id=new_id(),
            **of(call),
            type=pb.CODE_TYPE_EMAIL,
            link_host=call.form.get("email_auth_link_host") or "",
            next=call.form.get("next") or "",
        )
        clients.sign_in.SendCode(ask)
        return nothing()

    def send(kind: Any, user_id: str, **more: str) -> Answer:
        ask = pb.SendAccountMailRequest(request_id=new_id(), user_id=user_id, kind=kind, **more)
        clients.sign_in.SendAccountMail(ask)
        return nothing()

    @made.post(f"{user}/email-verification", VERIFICATION_FORM)
    def send_email_verification(call: Call) -> Answer:
        host = call.form.get("admin_base_url") or ""
        return send(_MAIL.KIND_EMAIL_VERIFICATION, call.id("user_id"), link_host=host)

    @made.post(f"{user}/email-already-registered", EMAIL_FORM)
    def send_already_registered(call: Call) -> Answer:
        address = call.form["email"]
        return send(_MAIL.KIND_ALREADY_REGISTERED, call.id("user_id"), email_address=address)

    @made.post(f"{user}/change-email-verification", EMAIL_FORM)
    def send_email_change(call: Call) -> Answer:
        return send(_MAIL.KIND_EMAIL_CHANGE, call.id("user_id"), email_address=call.form["email"])

    @made.post("/user/reset-password", RESET_FORM)
    def send_password_reset(call: Call) -> Answer:
        asked = users_pb.GetUserByEmailRequest(email_address=call.form["email"])
        more = {"link_host": call.form.get("admin_base_url") or "", "next": call.form.get("next") or ""}
        return send(_MAIL.KIND_PASSWORD_RESET, clients.users.GetUserByEmail(asked).user.id, **more)

    @made.post(f"{user}/complete/webauthn-login", LOGIN_FORM)
    def complete_login(call: Call) -> Answer:
        accepted = {name: value for name, value in call.form.items() if value is not None}
        clients.sign_in.CompleteWebauthnLogin(pb.CompleteWebauthnLoginRequest(**of(call), **accepted))
        return nothing()

    @made.get(all_)
    def list_credentials(call: Call) -> Answer:
        ask = pb.ListWebauthnCredentialsRequest(**of(call))
        return data(CREDENTIAL.list(every(clients.sign_in.ListWebauthnCredentials, ask)))

    @made.post(all_, NEW_FORM)
    def create_credential(call: Call) -> Answer:
        given = NEW.message(call.form, **of(call))
        ask = pb.CreateWebauthnCredentialRequest(request_id=new_id(), webauthn_credential=given)
        created = clients.sign_in.CreateWebauthnCredential(ask).webauthn_credential
        return data(CREDENTIAL.json(created), 201)

    @made.post(one, NAME_FORM)
    def rename_credential(call: Call) -> Answer:
        given = NEW.message(call.form, **of(call), id=call.id("webauthn_credential_id"))
        ask = pb.SetWebauthnCredentialRequest(webauthn_credential=given, update_mask=NEW.mask(call.form))
        return data(CREDENTIAL.json(clients.sign_in.SetWebauthnCredential(ask).webauthn_credential))

    @made.delete(one)
    def delete_credential(call: Call) -> Answer:
        key = {"webauthn_credential_id": call.id("webauthn_credential_id")}
        clients.sign_in.DeleteWebauthnCredential(pb.DeleteWebauthnCredentialRequest(**of(call), **key))
        return nothing()

    return made
