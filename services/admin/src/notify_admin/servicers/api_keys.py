"""ApiKeysService and ApiKeyVerificationService."""

import grpc
from notify.admin.v1 import api_key_pb2
from notify.admin.v1 import api_keys_service_pb2 as pb
from notify.admin.v1.api_keys_service_pb2_grpc import (
    ApiKeysServiceServicer,
    ApiKeyVerificationServiceServicer,
)
from notify.common.v1 import common_pb2
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import MAX_PAGE_SIZE, Pager
from notify_common.rpc.validate import validating

from notify_admin.domain.api_keys import VerificationKey
from notify_admin.servicers import convert
from notify_admin.usecases import api_keys
from notify_admin.usecases.api_keys import SecretBox

SERVICE = pb.DESCRIPTOR.services_by_name["ApiKeysService"].full_name
VERIFICATION_SERVICE = pb.DESCRIPTOR.services_by_name["ApiKeyVerificationService"].full_name


class ApiKeysServicer(ApiKeysServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager, box: SecretBox) -> None:
        self._uow = uow
        self._pager = pager
        self._box = box

    def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: grpc.ServicerContext
    ) -> pb.CreateApiKeyResponse:
        """The only answer with the secret."""
        given = request.api_key
        with validating() as check:
            api_key_id = check.uuid("request_id", request.request_id)
            service_id = check.uuid("api_key.service_id", given.service_id)
            name = check.required("api_key.name", given.name)
            key_type = check.enum("api_key.key_type", common_pb2.KeyType, given.key_type)
            created_by_id = check.uuid("api_key.created_by_id", given.created_by_id)
        made = api_keys.create_api_key(
            self._uow, self._box, api_key_id, service_id, name, key_type, created_by_id
        )
        return pb.CreateApiKeyResponse(api_key=convert.api_key(made.api_key), secret=made.secret)

    def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: grpc.ServicerContext
    ) -> pb.ListApiKeysResponse:
        """Newest first."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": "api keys", "service_id": request.service_id},
            lambda position, limit: api_keys.list_api_keys(self._uow, service_id, position, limit),
            lambda api_key: (api_key.create_time, api_key.id),
            convert.api_key,
        )
        return pb.ListApiKeysResponse(api_keys=found, next_page_token=token)

    def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: grpc.ServicerContext
    ) -> pb.RevokeApiKeyResponse:
        """For good."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            api_key_id = check.uuid("api_key_id", request.api_key_id)
        revoked = api_keys.revoke_api_key(self._uow, service_id, api_key_id)
        return pb.RevokeApiKeyResponse(api_key=convert.api_key(revoked))


class ApiKeyVerificationServicer(ApiKeyVerificationServiceServicer):
    """Converts and calls the use case; the proto says what the method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager, box: SecretBox) -> None:
        self._uow = uow
        self._pager = pager
        self._box = box

    def ListVerificationKeys(
        self, request: pb.ListVerificationKeysRequest, context: grpc.ServicerContext
    ) -> pb.ListVerificationKeysResponse:
        """Secrets in clear."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": "verification keys", "service_id": request.service_id},
            lambda position, limit: api_keys.list_verification_keys(
                self._uow, self._box, service_id, position, limit
            ),
            lambda key: (key.api_key.revoke_time is None, key.api_key.create_time, key.api_key.id),
            _verification_key,
            default_size=MAX_PAGE_SIZE,
        )
        return pb.ListVerificationKeysResponse(verification_keys=found, next_page_token=token)


def _verification_key(key: VerificationKey) -> api_key_pb2.VerificationKey:
    return api_key_pb2.VerificationKey(
        api_key_id=str(key.api_key.id),
        key_type=convert.enum_value(common_pb2.KeyType, key.api_key.key_type),
        secret=key.secret,
        revoke_time=convert.timestamp(key.api_key.revoke_time),
    )
