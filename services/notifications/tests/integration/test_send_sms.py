"""Accepting texts through gRPC, against the real database and Redis (public-api.md §2.1, §2.3)."""

from .conftest import House
from .neighbours import new_id
from .requests import sms


def test_a_text_is_stored_and_queued_with_its_counter(house: House) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "sms", "Hello ((name)), see (( other ))")

    request = sms(service, template, [("NAME", "Ann"), ("other", ["a", "b"])], reference="r1")
    response = house.stub.SendSms(request)

    assert response.notification_id == request.request_id
    assert response.body == "Hello Ann, see a and b"
    assert response.from_number == "TESTGOV"
    assert response.template_version == 1
    assert house.counts() == (1, 1, 1)
    assert house.state(service, response.notification_id) == "created"
    assert new_id() != response.notification_id
