"""Passwords, codes and security keys (internal-api.md A57 to A63, A68, A69, A71 to A74)."""

from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1 import users_service_pb2 as users_pb
from notify.admin.v1.webauthn_credential_pb2 import WebauthnCredential
from notify_common.errors import NotifyError

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
from notify_gateway.admin.routes import Answer, Call, Routes, new_id, nothing
from notify_gateway.admin.shapes import Shape
from notify_gateway.admin.users import USER
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


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("sign_in", clients)
    user = "/user/<uuid:user_id>"
    all_, one = f"{user}/webauthn", f"{user}/webauthn/<uuid:webauthn_credential_id>"

    @made.post(f"{user}/verify/password", PASSWORD_FORM)
    def verify_password(call: Call) -> Answer:
        password = call.form.get("password")
        if not password:
            raise InvalidForm({"password": ["Required field missing data"]})
        if not clients.ask(pb.VerifyPasswordRequest(**call.path, password=password)).correct:
            raise InvalidForm({"password": ["Incorrect password"]})
        return nothing()

    update, names = f"{user}/update-password", {"_password": "password"}
    made.call("POST", update, pb.SetPasswordRequest, USER, form=NEW_PASSWORD_FORM, names=names)

    @made.post(f"{user}/verify/code", VERIFY_FORM)
    def verify_code(call: Call) -> Answer:
        kind = {"sms": pb.CODE_TYPE_SMS, "email": pb.CODE_TYPE_EMAIL}[call.form["code_type"]]
        outcome = clients.ask(pb.VerifyCodeRequest(**call.path, type=kind, code=call.form["code"])).outcome
        if outcome == pb.VerifyCodeResponse.OUTCOME_ACCEPTED:
            return nothing()
        if outcome == pb.VerifyCodeResponse.OUTCOME_EXPIRED:
            raise InvalidForm("Code has expired")
        raise NotifyError("CODE_NOT_FOUND")

    code, host = pb.SendCodeRequest, {"admin_base_url": "link_host", "to": ""}
    to, link = {"to": "recipient"}, {"to": "", "email_auth_link_host": "link_host"}
    made.call("POST", f"{user}/sms-code", code, form=SMS_CODE_FORM, names=to, type=pb.CODE_TYPE_SMS)
    made.call("POST", f"{user}/email-code", code, form=EMAIL_CODE_FORM, names=link, type=pb.CODE_TYPE_EMAIL)
    for path, kind, form in (
        ("email-verification", _MAIL.KIND_EMAIL_VERIFICATION, VERIFICATION_FORM),
        ("email-already-registered", _MAIL.KIND_ALREADY_REGISTERED, EMAIL_FORM),
        ("change-email-verification", _MAIL.KIND_EMAIL_CHANGE, EMAIL_FORM),
    ):
        names = host if form is VERIFICATION_FORM else {"email": "email_address"}
        made.call("POST", f"{user}/{path}", _MAIL, form=form, names=names, kind=kind)

    @made.post("/user/reset-password", RESET_FORM)
    def send_password_reset(call: Call) -> Answer:
        ask = users_pb.GetUserByEmailRequest(email_address=call.form["email"])
        user_id = clients.ask(ask).user.id
        more = {"link_host": call.form.get("admin_base_url") or "", "next": call.form.get("next") or ""}
        kind = _MAIL.KIND_PASSWORD_RESET
        clients.ask(_MAIL(request_id=new_id(), user_id=user_id, kind=kind, **more))
        return nothing()

    made.call("POST", f"{user}/complete/webauthn-login", pb.CompleteWebauthnLoginRequest, form=LOGIN_FORM)
    made.call("GET", all_, pb.ListWebauthnCredentialsRequest, CREDENTIAL)
    made.call("POST", all_, pb.CreateWebauthnCredentialRequest, CREDENTIAL, given=NEW, form=NEW_FORM)
    made.call("POST", one, pb.SetWebauthnCredentialRequest, CREDENTIAL, given=NEW, form=NAME_FORM)
    made.call("DELETE", one, pb.DeleteWebauthnCredentialRequest)

    return made
