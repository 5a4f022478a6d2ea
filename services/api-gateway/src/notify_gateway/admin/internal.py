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
    more = (usage.rate_routes, statistics.report_routes, notifications.return_routes)
    makers = (*(module.routes for module in _MODULES), *more)
    open_ = platform.open_routes(clients).blueprint(None)
    return [*(routes(clients).blueprint(client) for routes in makers), open_]
