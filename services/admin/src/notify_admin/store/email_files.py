"""States of the files of templates, and archiving them."""

from collections.abc import Sequence

import sqlalchemy as sa
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify_common.db.arrays import Types, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import distinct_on

from notify_admin.store.resources import EMAIL_FILE_STATES, EMAIL_FILES
from notify_admin.store.tables import template_email_file_states, template_email_files, templates

_c = template_email_files.c
LIVE = sa.and_(_c.archive_time.is_(None), sa.not_(_c.pending))
"""Files that the current versions of templates have."""


def live_named(template_id: str, filename: str) -> "sa.ColumnElement[bool]":
    """Return the condition that a file is live and has a name, in any case."""
    same = sa.func.lower(_c.filename) == sa.func.lower(filename)
    return sa.and_(LIVE, _c.template_id == template_id, same)


def record(tx: Tx, file_id: str) -> None:
    """Keep the state of a file, as the template has it from its `template_version` on."""
    names = [column.name for column in template_email_file_states.c]
    now = sa.select(*(_c[name] for name in names)).where(_c.id == file_id)
    tx.execute(sa.insert(template_email_file_states).from_select(names, now))


def of_versions(
    tx: Tx, versions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], list[TemplateEmailFile]]:
    """Return the files that templates have at versions, by id and version; nothing for those without."""
    s = template_email_file_states.c
    types: Types = {"template_id": id_type(), "version": sa.Integer()}
    wanted = unnest("wanted", types, versions)
    newest = (
        EMAIL_FILE_STATES.select(
            s.template_id == wanted.c.template_id, s.template_version <= wanted.c.version
        )
        .select_from(wanted)
        .add_columns(wanted.c.version)
        .ext(distinct_on(wanted.c.template_id, wanted.c.version, s.id))
        .order_by(wanted.c.template_id, wanted.c.version, s.id, s.version.desc())
    )
    found: dict[tuple[str, int], list[TemplateEmailFile]] = {}
    for row in tx.execute(newest):
        file = EMAIL_FILE_STATES.read(row)
        if not file.HasField("archive_time"):
            found.setdefault((file.template_id, row[-1]), []).append(file)
    return found


def archive(
    tx: Tx, service_id: str, template_ids: Sequence[str], archived_by_id: str | None, *only: str
) -> list[TemplateEmailFile]:
    """Take the files of templates, or `only` some of them, out of use; return them.

    Live ones are gone from the current version of their template on, so a new version is made before. To be
    called under the lock of the service.
    """
    mine = sa.and_(_c.service_id == service_id, _c.template_id.in_(template_ids), _c.archive_time.is_(None))
    if only:
        mine = sa.and_(mine, _c.id.in_(only))
    archived = []
    for file in EMAIL_FILES.find(tx, mine):
        version = sa.select(templates.c.version).where(templates.c.id == file.template_id).scalar_subquery()
        gone = {"archive_time": sa.func.now(), "archived_by_id": archived_by_id}
        values = gone if file.pending else {**gone, "template_version": version}
        archived += EMAIL_FILES.change(tx, {"id": file.id}, **values)
        if not file.pending:
            record(tx, file.id)
    return archived
