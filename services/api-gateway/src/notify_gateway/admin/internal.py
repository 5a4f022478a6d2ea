"""All routes of the admin web app."""

from collections.abc import Iterable

from flask import Blueprint

from notify_gateway.admin import (
    api_keys,
    branding,
    callbacks,
    contact_lists,
    folders,
    history,
    inbound,
    invitations,
    jobs,
    join_requests,
    letter_attachments,
    letters,
    notifications,
    organisations,
    platform,
    services,
    settings,
    sign_in,
    statistics,
    template_files,
    templates,
    unsubscribes,
    uploads,
    usage,
    usage_reports,
    users,
)
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients

_MODULES = (
    api_keys,
    branding,
    callbacks,
    contact_lists,
    folders,
    history,
    inbound,
    invitations,
    jobs,
    join_requests,
    letter_attachments,
    letters,
    notifications,
    organisations,
    platform,
    services,
    settings,
    sign_in,
    statistics,
    template_files,
    templates,
    unsubscribes,
    uploads,
    usage,
    usage_reports,
    users,
)


def blueprints(clients: InternalClients, client: ClientAuthenticator) -> Iterable[Blueprint]:
    """Return the blueprints, one a resource."""
    made = [module.routes(clients, client) for module in _MODULES]
    more = [
        usage.rate_routes(clients, client),
        statistics.report_routes(clients, client),
        notifications.return_routes(clients, client),
        platform.open_routes(clients),
    ]
    return [routes.blueprint for routes in (*made, *more)]
