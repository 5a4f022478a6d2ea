"""Builds the parts of a process from its settings; nothing here runs at import."""

from functools import partial

from notify_common import process
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.servicers.methods import Gets, Lists, UseCase, registration
from notify_admin.settings import Settings
from notify_admin.store.api_keys import SHOWN
from notify_admin.store.email_files import LIVE
from notify_admin.store.resources import (
    API_KEYS,
    CALLBACKS,
    CREDENTIALS,
    DATA_RETENTION,
    EMAIL_BRANDINGS,
    EMAIL_FILE_STATES,
    EMAIL_FILES,
    FOLDERS,
    INBOUND_NUMBERS,
    JOIN_REQUESTS,
    LETTER_ATTACHMENTS,
    LETTER_BRANDINGS,
    MEMBERS,
    ORGANISATION_MEMBERS,
    ORGANISATIONS,
    SERVICES,
    TEMPLATES,
    USERS,
)
from notify_admin.store.services import of_member
from notify_admin.store.templates import LISTED
from notify_admin.store.users import in_times
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
    """Return the gRPC services of this context, each method a use case or a declaration."""
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
        made(
            "ServicesService",
            services,
            GetService=Gets(SERVICES, fill=services.with_callbacks),
            ListServices=Lists(SERVICES, asked=of_member),
            **_sender_methods(),
        ),
        made("TemplatesService", templates, ListTemplates=Lists(TEMPLATES, LISTED, parent=SERVICES)),
        made("ApiKeysService", api_keys, ListApiKeys=Lists(API_KEYS, SHOWN, parent=SERVICES)),
        made("ApiKeyVerificationService", api_keys),
        made(
            "UsersService",
            users,
            ListUsers=Lists(USERS, asked=in_times, fill=users.with_access),
            ListMembers=Lists(MEMBERS, parent=SERVICES, fill=users.with_access),
        ),
        made(
            "ServiceSettingsService",
            settings_usecases,
            GetDataRetention=Gets(DATA_RETENTION),
            ListDataRetention=Lists(DATA_RETENTION),
            GetCallback=Gets(CALLBACKS),
        ),
        made("CallbackTargetsService", settings_usecases),
        made("PeopleService", users),
        made(
            "TemplateFoldersService",
            folders,
            ListTemplateFolders=Lists(FOLDERS, parent=SERVICES, fill=folders.with_users),
        ),
        made(
            "TemplateFilesService",
            template_files,
            letter_attachments,
            GetLetterAttachment=Gets(LETTER_ATTACHMENTS),
            GetTemplateEmailFile=Gets(EMAIL_FILES),
            ListTemplateEmailFiles=Lists(EMAIL_FILES, LIVE, parent=SERVICES),
            ListTemplateEmailFileStates=Lists(EMAIL_FILE_STATES),
        ),
        made(
            "OrganisationsService",
            organisations,
            go_live,
            GetOrganisation=Gets(ORGANISATIONS, fill=organisations.completed),
            ListOrganisations=Lists(ORGANISATIONS, fill=organisations.completed),
            ListOrganisationMembers=Lists(
                ORGANISATION_MEMBERS, {"state": "active"}, parent=ORGANISATIONS, fill=users.with_access
            ),
        ),
        made(
            "BrandingService",
            branding,
            GetEmailBranding=Gets(EMAIL_BRANDINGS),
            GetLetterBranding=Gets(LETTER_BRANDINGS),
            ListEmailBrandings=Lists(
                EMAIL_BRANDINGS, {"active": True}, partial(branding.of_pool, branding.EMAIL)
            ),
            ListLetterBrandings=Lists(LETTER_BRANDINGS, asked=partial(branding.of_pool, branding.LETTER)),
        ),
        made(
            "SignInService",
            sign_in,
            codes,
            ListWebauthnCredentials=Lists(CREDENTIALS, parent=USERS, fill=sign_in.without_registration),
        ),
        made("InboundNumbersService", inbound_numbers, ListInboundNumbers=Lists(INBOUND_NUMBERS)),
        made("PlatformService", platform),
        made("InvitationsService", invitations, join_requests, GetJoinRequest=Gets(JOIN_REQUESTS)),
        made("AuditService", audit),
        made("PlatformMailService", mail),
        made("ConfigFeedService", config_feed),
    ]


def _sender_methods() -> dict[str, UseCase | Gets | Lists]:
    live = {"archived": False}
    methods: dict[str, UseCase | Gets | Lists] = {}
    for name, kind in senders.KINDS.items():
        plural = f"{name}es" if name.endswith("s") else f"{name}s"
        methods[f"Create{name}"] = partial(senders.create_sender, kind)
        methods[f"Get{name}"] = Gets(kind.resource, live)
        methods[f"List{plural}"] = Lists(kind.resource, live, parent=SERVICES)
        methods[f"Set{name}"] = partial(senders.set_sender, kind)
        methods[f"Archive{name}"] = partial(senders.archive_sender, kind)
    return methods
