"""Services of a house with all that they may have set up."""

import uuid

import requests
from google.protobuf.field_mask_pb2 import FieldMask
from notify.admin.v1 import (
    inbound_numbers_service_pb2,
    inbound_numbers_service_pb2_grpc,
    service_pb2,
    services_service_pb2,
    services_service_pb2_grpc,
)
from notify_local.stack import INBOUND_CREDENTIALS
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House


def set_up(house: House, service_id: str) -> service_pb2.SmsSender:
    """Let a service send files by email and receive texts; return the sender that its number is."""
    with house.channel("admin") as channel:
        services = services_service_pb2_grpc.ServicesServiceStub(channel)
        request = services_service_pb2.GetServiceRequest(service_id=service_id)
        permissions = services.GetService(request, timeout=WAIT_SECONDS).service.permissions
        services.UpdateService(
            services_service_pb2.UpdateServiceRequest(
                service=service_pb2.Service(
                    id=service_id,
                    contact_link="https://example.gov.uk/contact",
                    permissions=[*permissions, "inbound_sms"],
                ),
                update_mask=FieldMask(paths=["contact_link", "permissions"]),
            ),
            timeout=WAIT_SECONDS,
        )
        numbers = inbound_numbers_service_pb2_grpc.InboundNumbersServiceStub(channel)
        assigned = numbers.AssignInboundNumber(
            inbound_numbers_service_pb2.AssignInboundNumberRequest(service_id=service_id),
            timeout=WAIT_SECONDS,
        )
        sender: service_pb2.SmsSender = assigned.sms_sender
    return sender


def bring_text(house: House, number: str, content: str, day: int = 1) -> None:
    """Have a provider bring a text to a number such as 07700900500, on this day of January."""
    user, password = INBOUND_CREDENTIALS.split(":")
    answer = requests.post(
        f"{house.stack.base_url}/notifications/sms/receive/mmg",
        json={
            "ID": str(uuid.uuid4()),
            "MSISDN": "447700900400",
            "Message": content,
            "Number": f"44{number.removeprefix('0')}",
            "DateRecieved": f"2026-01-{day:02}+10%3A00%3A00",
        },
        auth=(user, password),
        timeout=WAIT_SECONDS,
    )
    assert answer.status_code == 200, answer.text
