"""SignInService over the wire."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1 import sign_in_service_pb2_grpc, user_pb2, users_service_pb2
from notify.admin.v1.webauthn_credential_pb2 import WebauthnCredential
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.rpc import InProcessServer

from .conftest import Admin


@pytest.fixture
def sign_in(server: InProcessServer) -> sign_in_service_pb2_grpc.SignInServiceStub:
    return sign_in_service_pb2_grpc.SignInServiceStub(server.channel("gateway-internal"))


@pytest.fixture
def person(admin: Admin) -> str:
    """Provide a user with the password `correct horse 9`."""
    user = user_pb2.User(name="Ann", email_address="ann@example.gov.uk")
    ask = users_service_pb2.CreateUserRequest(request_id=new_id(), user=user, password="correct horse 9")
    answer: str = admin.users.CreateUser(ask).user.id
    return answer


def failures(admin: Admin, user_id: str) -> int:
    ask = users_service_pb2.GetUserRequest(user_id=user_id)
    return int(admin.users.GetUser(ask).user.failed_login_count)


def test_guesses_in_parallel_are_all_counted_and_a_right_one_forgets_them(
    admin: Admin, sign_in: sign_in_service_pb2_grpc.SignInServiceStub, person: str
) -> None:
    def attempt(password: str) -> bool:
        ask = pb.VerifyPasswordRequest(user_id=person, password=password)
        return bool(sign_in.VerifyPassword(ask).correct)

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(attempt, ["wrong"] * 8))
    assert failures(admin, person) == 8
    assert attempt("correct horse 9")
    assert failures(admin, person) == 0
    assert not attempt("x" * 100_000)


def test_user_without_a_password_can_not_sign_in(
    sign_in: sign_in_service_pb2_grpc.SignInServiceStub, user_id: str
) -> None:
    ask = pb.VerifyPasswordRequest(user_id=user_id, password="x")
    assert not sign_in.VerifyPassword(ask).correct


def test_only_the_gateway_may_try_passwords(server: InProcessServer, person: str) -> None:
    stub = sign_in_service_pb2_grpc.SignInServiceStub(server.channel("operator"))
    with pytest.raises(NotifyError) as caught:
        stub.VerifyPassword(pb.VerifyPasswordRequest(user_id=person, password="x"))
    assert caught.value.reason == "CALLER_NOT_ALLOWED"


def test_of_two_who_delete_the_last_two_keys_one_stays(
    sign_in: sign_in_service_pb2_grpc.SignInServiceStub, person: str
) -> None:
    made = []
    for name in ("a", "b"):
        given = WebauthnCredential(
            user_id=person, name=name, credential_data="YWJj", registration_response="ZGVm"
        )
        ask = pb.CreateWebauthnCredentialRequest(request_id=new_id(), webauthn_credential=given)
        made.append(sign_in.CreateWebauthnCredential(ask).webauthn_credential.id)

    def delete(credential_id: str) -> str:
        ask = pb.DeleteWebauthnCredentialRequest(user_id=person, webauthn_credential_id=credential_id)
        try:
            sign_in.DeleteWebauthnCredential(ask)
        except NotifyError as error:
            return error.reason
        return "deleted"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(delete, made)) == ["LAST_CREDENTIAL", "deleted"]
    left = sign_in.ListWebauthnCredentials(pb.ListWebauthnCredentialsRequest(user_id=person))
    assert [each.registration_response for each in left.webauthn_credentials] == [""]
