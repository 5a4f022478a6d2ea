"""Builds the parts of a process from its settings; nothing here runs at import."""

from notify_common import process
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.servicers import methods
from notify_admin.settings import Settings
from notify_admin.usecases.links import Links
from notify_admin.usecases.mail import Mailer


class Parts(process.Parts[Settings]):
    """The parts of a process."""

    service = "admin"
    package = "notify_admin"


def parts(settings: Settings) -> Parts:
    """Return the parts of a process: a connection for each thread that serves calls, and one for the health
    check.
    """
    return Parts(settings, connections=settings.grpc_threads + 1)


def registrations(settings: Settings, uow: UnitOfWork) -> list[Registration]:
    """Return the gRPC services of this context, whose methods are those of the modules."""
    box = settings.secret_box()
    links = Links(settings.token_secret_key.get_secret_value(), settings.admin_base_url)
    parts = {
        "pager": Pager(settings.page_token_secret.get_secret_value().encode()),
        "box": box,
        "mailer": Mailer(box, links),
        "pepper": settings.password_pepper.get_secret_value().encode(),
        "hasher": settings.password_hasher(),
        "default_sms_sender": settings.default_sms_sender,
        "archive_domain": settings.archive_domain,
    }
    return methods.registrations(uow, parts)
