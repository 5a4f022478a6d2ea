"""Builds the parts of a process from its settings; nothing here runs at import."""

from functools import partial

from notify_common import process
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.servicers.methods import registration
from notify_admin.settings import Settings
from notify_admin.usecases import (
    api_keys,
    audit,
    branding,
    codes,
    config_feed,
    folders,
    go_live,
    inbound_numbers,
    invitations,
    join_requests,
    letter_attachments,
    mail,
    organisations,
    platform,
    senders,
    services,
    sign_in,
    template_files,
    templates,
    users,
)
from notify_admin.usecases import settings as settings_usecases
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
    made = partial(registration, uow, parts)
    return [
        made("ServicesService", services, **senders.METHODS),
        made("TemplatesService", templates),
        made("ApiKeysService", api_keys),
        made("ApiKeyVerificationService", api_keys),
        made("UsersService", users),
        made("ServiceSettingsService", settings_usecases),
        made("CallbackTargetsService", settings_usecases),
        made("PeopleService", users),
        made("TemplateFoldersService", folders),
        made("TemplateFilesService", template_files, letter_attachments),
        made("OrganisationsService", organisations, go_live),
        made("BrandingService", branding),
        made("SignInService", sign_in, codes),
        made("InboundNumbersService", inbound_numbers),
        made("PlatformService", platform),
        made("InvitationsService", invitations, join_requests),
        made("AuditService", audit),
        made("PlatformMailService", mail),
        made("ConfigFeedService", config_feed),
    ]
