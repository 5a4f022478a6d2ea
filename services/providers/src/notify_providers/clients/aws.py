"""Calls to the services of AWS, signed (Signature Version 4).

Amazon's SDK is imported by what uses it: it takes 20 MB, and most processes call no service of AWS.
"""

from typing import Annotated, Final, Self

from notify_common.http import HttpRequest
from pydantic import Field, SecretStr, model_validator

from notify_providers.clients.base import ProviderSettings

REGION: Final = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"


class AwsSettings(ProviderSettings):
    """What a service of AWS needs."""

    region: Annotated[str, Field(pattern=REGION)] | None = None
    """The region, such as `eu-west-2`; the provider is used once this is set."""
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where the service is in place of its public address, such as an interface endpoint."""
    access_key_id: str | None = None
    """The key that signs. Without it the process's own role does, wherever the SDK finds it."""
    secret_access_key: SecretStr | None = None

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key should be set together")
        return self


class Signer:
    """Signs requests to one service of AWS in one region."""

    def __init__(self, settings: AwsSettings, region: str, service: str) -> None:
        """Take the name that signatures give the `service`. No credentials are looked for yet."""
        from botocore.credentials import Credentials

        self._region = region
        self._service = service
        self._credentials = (
            Credentials(settings.access_key_id, settings.secret_access_key.get_secret_value())
            if settings.access_key_id and settings.secret_access_key
            else None
        )

    def sign(self, request: HttpRequest) -> HttpRequest:
        """Return the request with its signature, which is good for a few minutes.

        Raises:
            botocore.exceptions.BotoCoreError: there are no credentials to sign with.
        """
        import botocore.session
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import NoCredentialsError

        if self._credentials is None:
            self._credentials = botocore.session.get_session().get_credentials()
        if self._credentials is None:
            raise NoCredentialsError
        signed = AWSRequest("POST", request.url, headers=dict(request.headers), data=request.body)
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, self._service, self._region).add_auth(signed)
        headers = {str(name): str(value) for name, value in signed.headers.items()}
        return HttpRequest(
            request.url, headers, request.body, request.start_before, wants_headers=request.wants_headers
        )
