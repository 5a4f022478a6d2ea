"""The gateway as a WSGI application, one face of it a process (design.md §2.12, ADR 0027):

granian --interface wsgi --factory notify_gateway.app:create_app
"""

import atexit
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask
from notify_common import interpreter
from notify_common.logging import configure_logging
from notify_common.metrics import leave_shared_metrics
from notify_common.settings import load_settings
from notify_common.tracing import configure_tracing, shutdown_tracing
from werkzeug.middleware.proxy_fix import ProxyFix

from notify_gateway import middleware, pages
from notify_gateway.admin import internal, previews
from notify_gateway.answers import LEGACY
from notify_gateway.auth import ADMIN_CLIENT, Authenticator, ClientAuthenticator, TokenAuthenticator
from notify_gateway.batching import SendBatcher
from notify_gateway.callbacks import door
from notify_gateway.clients import InternalClients, PublicClients
from notify_gateway.console import inbox
from notify_gateway.middleware import RestOfBody, Surroundings
from notify_gateway.public import (
    batches,
    docs,
    downloads,
    message_previews,
    notifications,
    performance,
    received_texts,
    sending,
    status,
    templates,
    unsubscribe,
)
from notify_gateway.settings import Face, GatewaySettings
from notify_gateway.snapshots import Snapshots

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Application(Flask):
    """Flask, told once that no function of ours is a coroutine instead of asking at every call."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: GatewaySettings | None = None) -> Flask:
    """Return the application; without `settings` they are read from the environment.

    Nothing is connected to before the first request that needs it, so a server may fork afterwards. Bad
    settings end the process with one sentence each.
    """
    deployed = settings is None
    if settings is None:
        settings = load_settings(GatewaySettings)
        configure_logging(settings.face.service, settings.log_level)
        configure_tracing(settings.face.service, settings.otlp_endpoint)
        atexit.register(shutdown_tracing)
        atexit.register(leave_shared_metrics)
    app = _Application("notify_gateway", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.url_map.strict_slashes = True
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    middleware.install(app)
    LEGACY.install(app)
    app.register_blueprint(status.blueprint(settings))
    add_face = _add_public if settings.face is Face.PUBLIC else _add_internal
    close = add_face(app, settings)
    around: Any = app.wsgi_app
    if hops := settings.trusted_proxy_count:
        around = ProxyFix(around, x_for=0, x_proto=hops, x_host=hops)
    around = Surroundings(around, settings.access_log_sample)
    app.wsgi_app = around  # type: ignore[method-assign] # Flask's documented way
    app.extensions["close"] = close
    atexit.register(close)
    if deployed:
        interpreter.settle()
    return app


def _add_public(app: Flask, settings: GatewaySettings) -> Callable[[], None]:
    """Add what the internet reaches; return what closes it."""
    clients = PublicClients(settings)
    snapshots = Snapshots(clients, settings.auth_stale_seconds)
    authenticator = Authenticator(snapshots)
    batcher = SendBatcher(clients)
    app.register_blueprint(sending.blueprint(authenticator, clients))
    app.register_blueprint(batches.blueprint(authenticator, clients, settings.admin_base_url))
    app.register_blueprint(message_previews.blueprint(authenticator, clients, settings.admin_base_url))
    app.register_blueprint(notifications.blueprint(authenticator, clients))
    app.register_blueprint(templates.blueprint(authenticator, clients))
    app.register_blueprint(received_texts.blueprint(authenticator, clients))
    app.register_blueprint(unsubscribe.blueprint(clients))
    app.register_blueprint(downloads.blueprint(clients))
    app.register_blueprint(pages.blueprint())
    app.register_blueprint(docs.blueprint())
    app.register_blueprint(performance.blueprint(clients))
    app.register_blueprint(door.blueprint(clients, settings.trusted_proxy_count))
    app.extensions["batcher"] = batcher
    limit = settings.max_body_bytes
    sender = sending.Sending(clients, batcher, settings.admin_base_url)
    inner: WSGIApplication = RestOfBody(app.wsgi_app, limit)
    app.wsgi_app = sending.SendDoor(inner, authenticator, sender, limit)  # type: ignore[method-assign] # as above

    def close() -> None:
        snapshots.close()
        clients.close()

    return close


def _add_internal(app: Flask, settings: GatewaySettings) -> Callable[[], None]:
    """Add what the admin web app and operators' browsers reach; return what closes it."""
    clients = InternalClients(settings)
    if settings.admin_client_secrets is not None:
        client = ClientAuthenticator(ADMIN_CLIENT, settings.admin_client_secrets.get_secret_value().split())
        for routes in internal.blueprints(clients, client):
            app.register_blueprint(routes)
    if settings.template_preview_tokens is not None:
        tokens = TokenAuthenticator(settings.template_preview_tokens.get_secret_value().split())
        app.register_blueprint(previews.routes(clients).blueprint(tokens))
    if settings.console_enabled:
        app.register_blueprint(inbox.blueprint(clients, settings.console_hosts))
    app.wsgi_app = RestOfBody(app.wsgi_app, settings.max_body_bytes)  # type: ignore[method-assign] # as above
    return clients.close
