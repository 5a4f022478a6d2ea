"""Jobs and contact lists (internal-api.md B13, B19, B22).

Spreadsheets are not taken, so no service has any; the web app asks for them on pages that it shows to all.
"""

from typing import Final

from flask import abort

from notify_gateway.admin.forms import InvalidForm
from notify_gateway.admin.routes import Answer, Call, Routes, bare
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients

PAGE_SIZE: Final = 50


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("jobs", client)

    @made.get("/service/<uuid:service_id>/job")
    def list_jobs(call: Call) -> Answer:
        days = call.query("limit_days")
        if days and not (days.isascii() and days.isdecimal()):
            raise InvalidForm({"limit_days": [f"{days} is not an integer"]})
        if call.query("page") not in ("", "1"):
            abort(404)
        return bare({"data": [], "page_size": PAGE_SIZE, "total": 0, "links": {}})

    @made.get("/service/<uuid:service_id>/job/scheduled-job-stats")
    def count_scheduled_jobs(call: Call) -> Answer:
        return bare({"count": 0, "soonest_scheduled_for": None})

    @made.get("/service/<uuid:service_id>/contact-list")
    def list_contact_lists(call: Call) -> Answer:
        return bare([])

    return made
