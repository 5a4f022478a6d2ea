"""Every text that an index holds has a length that the index takes, in whatever script it is written.

An entry of a B-tree holds about 2,700 bytes, and what compresses badly is stored as it is.
"""

from collections.abc import Callable
from random import Random

import pytest
from notify.admin.v1 import (
    branding_pb2,
    branding_service_pb2,
    branding_service_pb2_grpc,
    organisation_pb2,
    organisations_service_pb2,
    organisations_service_pb2_grpc,
)
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin

LONGEST = 255


def text(length: int) -> str:
    """Return characters of four bytes that don't compress."""
    return "".join(chr(Random(length + number).randrange(0x20000, 0x2A000)) for number in range(length))


def api_key(admin: Admin, value: str) -> None:
    number = str(len(value))
    user = admin.make_user(email_address=f"{number}@example.gov.uk")
    admin.make_key(admin.make_service(number).id, user, value)


def service(admin: Admin, value: str) -> None:
    admin.make_service(value[:-1] + "a")


def organisation(admin: Admin, name: str, *domains: str) -> None:
    stub = organisations_service_pb2_grpc.OrganisationsServiceStub(admin.channel)
    made = organisation_pb2.Organisation(name=name, domains=domains)
    stub.CreateOrganisation(
        organisations_service_pb2.CreateOrganisationRequest(request_id=new_id(), organisation=made)
    )


def domain(admin: Admin, value: str) -> None:
    organisation(admin, "Pigeons", value)


def email_branding(admin: Admin, value: str) -> None:
    stub = branding_service_pb2_grpc.BrandingServiceStub(admin.channel)
    made = branding_pb2.EmailBranding(name=value, text="x")
    stub.CreateEmailBranding(
        branding_service_pb2.CreateEmailBrandingRequest(request_id=new_id(), email_branding=made)
    )


def letter_branding(admin: Admin, value: str) -> None:
    stub = branding_service_pb2_grpc.BrandingServiceStub(admin.channel)
    made = branding_pb2.LetterBranding(name=value, filename=value)
    stub.CreateLetterBranding(
        branding_service_pb2.CreateLetterBrandingRequest(request_id=new_id(), letter_branding=made)
    )


@pytest.mark.parametrize("store", [api_key, service, organisation, domain, email_branding, letter_branding])
def test_the_longest_text_is_stored_and_a_longer_one_refused(
    admin: Admin, store: Callable[[Admin, str], None]
) -> None:
    for length in (LONGEST + 1, 10_000):
        with pytest.raises(NotifyError) as raised:
            store(admin, text(length))
        assert raised.value.reason == "INVALID_FIELD"
    store(admin, text(LONGEST))
