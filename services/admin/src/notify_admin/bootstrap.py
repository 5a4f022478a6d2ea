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
    DATA_RETENTION,
    EMAIL_BRANDINGS,
    EMAIL_FILE_STATES,
    EMAIL_FILES,
    LETTER_ATTACHMENTS,
    LETTER_BRANDINGS,
    SERVICES,
    TEMPLATES,
)
from notify_admin.store.templates import LISTED
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
from notify_admin.usecases.mail import MailParts


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
    pager = Pager(settings.page_token_secret.get_secret_value().encode())
    box = settings.secret_box()
    pepper = settings.password_pepper.get_secret_value().encode()
    hasher = settings.password_hasher()
    links = Links(settings.token_secret_key.get_secret_value(), settings.admin_base_url)
    mail_parts = MailParts(box, links)
    made = partial(registration, uow, pager)
    return [
        made(
            "ServicesService",
            partial(services.create_service, settings.default_sms_sender),
            services.get_service,
            partial(services.list_services, pager),
            services.update_service,
            services.archive_service,
            **_sender_methods(),
        ),
        made(
            "TemplatesService",
            templates.create_template,
            templates.get_template,
            templates.update_template,
            templates.archive_template,
            templates.redact_template,
            templates.ensure_precompiled_template,
            partial(templates.list_template_versions, pager),
            ListTemplates=Lists(TEMPLATES, LISTED, parent=SERVICES),
        ),
        made(
            "ApiKeysService",
            partial(api_keys.create_api_key, box),
            api_keys.revoke_api_key,
            ListApiKeys=Lists(API_KEYS, SHOWN, parent=SERVICES),
        ),
        made("ApiKeyVerificationService", partial(api_keys.list_verification_keys, box, pager)),
        made(
            "UsersService",
            partial(users.create_user, hasher),
            users.get_user,
            partial(users.get_user_by_email, hasher),
            partial(users.set_user, mail_parts),
            users.activate_user,
            users.reset_failed_logins,
            users.add_member,
            users.remove_member,
            users.set_member_permissions,
            partial(users.archive_user, settings.platform_email_address.rpartition("@")[2]),
            partial(users.list_users, pager),
            partial(users.list_members, pager),
        ),
        made(
            "ServiceSettingsService",
            settings_usecases.create_data_retention,
            settings_usecases.set_data_retention,
            partial(settings_usecases.create_callback, box),
            partial(settings_usecases.set_callback, box),
            settings_usecases.delete_callback,
            partial(settings_usecases.rotate_callback_secret, box),
            partial(settings_usecases.verify_reply_to, mail_parts),
            GetDataRetention=Gets(DATA_RETENTION),
            ListDataRetention=Lists(DATA_RETENTION),
            GetCallback=Gets(CALLBACKS),
        ),
        made("CallbackTargetsService", partial(settings_usecases.get_callback_targets, box)),
        made("PeopleService", users.get_people),
        made(
            "TemplateFoldersService",
            folders.create_template_folder,
            partial(folders.list_template_folders, pager),
            folders.set_template_folder,
            folders.delete_template_folder,
            folders.move_to_folder,
        ),
        made(
            "TemplateFilesService",
            template_files.create_template_email_file,
            template_files.set_template_email_file,
            template_files.archive_template_email_file,
            letter_attachments.create_letter_attachment,
            letter_attachments.archive_letter_attachment,
            GetLetterAttachment=Gets(LETTER_ATTACHMENTS),
            GetTemplateEmailFile=Gets(EMAIL_FILES),
            ListTemplateEmailFiles=Lists(EMAIL_FILES, LIVE, parent=SERVICES),
            ListTemplateEmailFileStates=Lists(EMAIL_FILE_STATES),
        ),
        made(
            "OrganisationsService",
            organisations.create_organisation,
            organisations.get_organisation,
            organisations.get_organisation_by_domain,
            partial(organisations.list_organisations, pager),
            partial(organisations.set_organisation, mail_parts),
            organisations.archive_organisation,
            partial(organisations.list_organisation_members, pager),
            organisations.remove_organisation_member,
            partial(go_live.send_go_live_request, mail_parts),
            partial(go_live.send_go_live_next_steps, mail_parts),
            partial(go_live.send_go_live_refusal, mail_parts),
            organisations.add_service,
            organisations.add_organisation_member,
            organisations.set_organisation_permissions,
        ),
        made(
            "BrandingService",
            branding.create_email_branding,
            branding.create_letter_branding,
            branding.set_email_branding,
            branding.set_letter_branding,
            partial(branding.list_email_brandings, pager),
            partial(branding.list_letter_brandings, pager),
            branding.archive_email_branding,
            branding.get_branding_uses,
            branding.suggest_branding_name,
            branding.add_to_branding_pool,
            branding.remove_from_branding_pool,
            GetEmailBranding=Gets(EMAIL_BRANDINGS),
            GetLetterBranding=Gets(LETTER_BRANDINGS),
        ),
        made(
            "SignInService",
            partial(sign_in.verify_password, hasher),
            partial(sign_in.set_password, hasher),
            partial(codes.send_code, mail_parts, pepper),
            partial(codes.verify_code, pepper),
            partial(codes.send_account_mail, mail_parts),
            sign_in.complete_webauthn_login,
            sign_in.create_webauthn_credential,
            partial(sign_in.list_webauthn_credentials, pager),
            sign_in.set_webauthn_credential,
            sign_in.delete_webauthn_credential,
        ),
        made(
            "InboundNumbersService",
            partial(inbound_numbers.list_inbound_numbers, pager),
            inbound_numbers.assign_inbound_number,
            partial(inbound_numbers.release_inbound_number, settings.default_sms_sender),
            inbound_numbers.disable_inbound_number,
        ),
        made(
            "PlatformService",
            platform.record_event,
            platform.get_sender_id_protection,
            platform.get_live_counts,
        ),
        made(
            "InvitationsService",
            partial(invitations.create_invitation, mail_parts),
            invitations.get_invitation,
            partial(invitations.get_invitation_by_token, mail_parts),
            partial(invitations.list_invitations, pager),
            invitations.set_invitation,
            partial(join_requests.create_join_request, mail_parts),
            join_requests.get_join_request,
            partial(join_requests.decide_join_request, mail_parts),
        ),
        made("AuditService", partial(audit.list_audit_records, pager)),
        made("PlatformMailService", partial(mail.list_platform_mail_events, box)),
        made("ConfigFeedService", config_feed.get_snapshots, config_feed.list_config_changes),
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
