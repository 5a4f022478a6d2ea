"""Contact lists (internal-api.md B22 to B25).

The admin web app has put the spreadsheet into its bucket; a job is made of a copy of it.
"""

from typing import Final

from notify.notifications.v1 import jobs_service_pb2 as pb
from notify_common import ids

from notify_gateway.admin.forms import INTEGER, STRING, UUID, schema
from notify_gateway.admin.notifications import MOST_AT_ONCE, Joined
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare
from notify_gateway.admin.shapes import Shape
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, Rows

CREATE: Final = schema(
    "id original_file_name row_count template_type created_by",
    id=UUID,
    original_file_name={**STRING, "maxLength": 1000},
    row_count={**INTEGER, "minimum": 0, "maximum": 2**31 - 1},
    template_type={"enum": ["email", "sms"]},
    created_by=UUID,
)
ERRORS: Final[Rows] = {"SERVICE_NOT_FOUND": NO_RESULT}
CONTACT_LIST: Final = Shape(
    pb.ContactList,
    "id service_id row_count has_jobs recent_job_count",
    original_file_name="file_name",
    template_type="channel",
    created_at="create_time",
)
"""A contact list, without the name of who made it."""

ASKED: Final = Shape(
    pb.CreateContactListRequest,
    "row_count",
    id="request_id",
    original_file_name="file_name",
    template_type="channel",
    created_by="created_by_id",
)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("contact_lists", clients, ERRORS)
    of_service = "/service/<uuid:service_id>/contact-list"
    of_list = f"{of_service}/<uuid:contact_list_id>"

    def shown(found: pb.ContactList, joined: Joined) -> Json:
        return {**CONTACT_LIST.json(found), "created_by": joined.person(found.created_by_id)["name"]}

    @made.get(of_service)
    def list_contact_lists(call: Call) -> Answer:
        ask = pb.GetContactListsRequest(service_id=call.id("service_id"), page_size=MOST_AT_ONCE)
        joined, lists = Joined(clients, ask.service_id), list[Json]()
        while True:
            found = clients.ask(ask)
            lists += [shown(one, joined) for one in found.contact_lists]
            ask.offset += MOST_AT_ONCE
            if ask.offset >= found.total_count:
                return bare(lists)

    @made.post(of_service, CREATE)
    def create_contact_list(call: Call) -> Answer:
        ask = ASKED.message(call.form, service_id=call.id("service_id"))
        ask.created_by_id = ids.canonical_uuid(ask.created_by_id)
        joined = Joined(clients, ask.service_id)
        # who makes it is shown with it: of nobody there is no list
        joined.person(ask.created_by_id)
        return bare(shown(clients.ask(ask).contact_list, joined), 201)

    @made.get(of_list)
    def get_contact_list(call: Call) -> Answer:
        found = clients.ask(pb.GetContactListRequest(**call.path)).contact_list
        return bare(shown(found, Joined(clients, found.service_id)))

    made.call("DELETE", of_list, pb.ArchiveContactListRequest)
    return made
