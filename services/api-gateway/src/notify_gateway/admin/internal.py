"""All routes of the admin web app."""

from collections.abc import Iterable

from flask import Blueprint

from notify_gateway.admin import settings
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients


def blueprints(clients: Clients, client: ClientAuthenticator) -> Iterable[Blueprint]:
    """The blueprints, one a resource."""
    return [module.routes(clients, client).blueprint for module in (settings,)]
