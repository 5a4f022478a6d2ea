"""Resources: messages whose rows stand in a table, mapped by name in both directions (ADR 0011).

A field is kept in the column of its name, those of a message within a message too. What differs is declared
once, where the resource is; a field without a column, or a column without a field, refuses to be imported.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

import sqlalchemy as sa
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1 import field_pb2
from notify_common.db.arrays import id_array, id_rows
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.rpc import enums
from notify_common.rpc.masks import check_mask
from notify_common.rpc.paging import Pager, page_size, that_fit
from sqlalchemy import Column, ColumnElement, FromClause, Table
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store import audit
from notify_admin.store.audit import Audit

M = TypeVar("M", bound=Message)
A = TypeVar("A", bound=Message)

_Descriptor = Any
"""Of a message or field: the two implementations of protobuf have classes of their own."""

_UNIQUE_VIOLATION: Final = "23505"
_FIELD: Final[Any] = field_pb2.field
_HIDDEN: Final = ("request_hash",)


class _Leaf(NamedTuple):
    """A field that holds a value, and where it is kept."""

    path: str
    field: _Descriptor
    column: ColumnElement[Any]

    def of(self, message: Message, column: ColumnElement[Any] | None = None) -> Any:
        """Return its value in a message, as `_stored`."""
        for name in self.path.split(".")[:-1]:
            message = getattr(message, name)
        return _stored(message, self.field, column)


class Resource(Generic[M]):
    """The rows of a table as messages.

    Args:
        message: the class.
        table: where the rows stand.
        missing: reason of the NotifyError for a row that there is not.
        taken: reason for a value that another row has and only one may have.
        order: fields by which lists are ordered; all with a hyphen in front for the other direction.
        renamed: path of a field -> the column that keeps it, where the names differ.
        computed: name -> expression, for fields and orders that are no columns of the table. A field of this
            name is only ever read.
        hidden: columns that are no field's, parted by spaces.
        unkept: fields that no row holds, parted by spaces; use cases fill them.
        source: what is selected from, where that is more than the table.
        audit: how changes are recorded; None for what is only read, or recorded by its store.
    """

    def __init__(
        self,
        message: type[M],
        table: Table,
        *,
        missing: str,
        taken: str = "NAME_TAKEN",
        order: str = "create_time id",
        renamed: Mapping[str, str] | None = None,
        computed: Mapping[str, ColumnElement[Any]] | None = None,
        hidden: str = "",
        unkept: str = "",
        source: FromClause | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.message = message
        self.table = table
        self._missing = missing
        self._taken = taken
        self._source = table if source is None else source
        self._columns: dict[str, ColumnElement[Any]] = {**{c.name: c for c in table.c}, **(computed or {})}
        self._computed = frozenset(computed or ())
        self._unkept = frozenset(unkept.split())
        self._leaves = list(self._find_leaves(message.DESCRIPTOR, renamed or {}))
        forgotten = {c.name for c in table.c} - {leaf.column.name for leaf in self._leaves}
        if forgotten - {*hidden.split(), *_HIDDEN}:
            raise TypeError(f"{message.DESCRIPTOR.full_name} has no fields for {sorted(forgotten)}")
        self._order = order
        self._audit = audit
        self._selected = [leaf.column.label(f"c{i}") for i, leaf in enumerate(self._leaves)]
        indexes = {leaf.path: index for index, leaf in enumerate(self._leaves)}
        self.read: Callable[[Any], M] = _reader(message.DESCRIPTOR, "", indexes)
        """A row of `select` as a message."""

    def _find_leaves(
        self, descriptor: _Descriptor, renamed: Mapping[str, str], prefix: str = ""
    ) -> Iterator[_Leaf]:
        for field in descriptor.fields:
            path = prefix + field.name
            if path in self._unkept:
                continue
            if _is_nested(field):
                yield from self._find_leaves(field.message_type, renamed, f"{path}.")
                continue
            column = self._columns.get(renamed.get(path, field.name))
            if column is None:
                raise TypeError(f"{self.table.name} has no column for {descriptor.full_name}.{field.name}")
            yield _Leaf(path, field, column)

    # --- reading

    def get(self, tx: Tx, *, locked: bool = False, **keys: Any) -> M | None:
        """Return the row with these values of columns, if any; `locked` until the transaction ends."""
        statement = self.select(**keys)
        row = tx.execute(statement.with_for_update(of=self.table) if locked else statement).first()
        return None if row is None else self.read(row)

    def one(self, tx: Tx, *, locked: bool = False, **keys: Any) -> M:
        """Return a row as `get` does. Raises NotifyError, the resource's `missing` reason."""
        found = self.get(tx, locked=locked, **keys)
        if found is None:
            raise NotifyError(self._missing)
        return found

    def find(self, tx: Tx, *where: ColumnElement[bool], order: str = "", **keys: object) -> list[M]:
        """Return all rows that match, in the order of the resource or another; only for what is bounded."""
        statement = self.select(*where, **keys).order_by(*_ordering(*self._sorting(order)))
        return [self.read(row) for row in tx.execute(statement)]

    def read_all(self, tx: Tx, statement: sa.Select[Any]) -> list[M]:
        """Return what a statement made by `select` and more clauses finds."""
        return [self.read(row) for row in tx.execute(statement)]

    def value(self, tx: Tx, column: str, **keys: object) -> Any:
        """Return what a column, a hidden one too, holds in the row with these values; None without a row."""
        return tx.execute(sa.select(self.table.c[column]).where(*self._equal(keys))).scalar()

    def count(self, tx: Tx, **keys: object) -> int:
        """Return how many rows have these values."""
        counted = sa.select(sa.func.count()).select_from(self._source).where(*self._equal(keys))
        return int(tx.execute(counted).scalar_one())

    def page(
        self,
        tx: Tx,
        pager: Pager,
        ask: Message,
        answer: type[A],
        *where: ColumnElement[bool],
        order: str = "",
        default_size: int = 50,
        **keys: object,
    ) -> A:
        """Answer a List request, whose fields say which rows: `service_id` those with this value, `name_part`
        those that hold it in any case, `only_active` those that are so; empty ones say nothing.

        The page ends early where more would not fit into one answer.

        Raises:
            NotifyError: INVALID_FIELD; PAGE_TOKEN_INVALID.
        """
        asked = {
            name: getattr(ask, name) for name in _plain_fields(ask.DESCRIPTOR) if not name.startswith("page_")
        }
        named = {"list": ask.DESCRIPTOR.full_name, **asked}
        size = page_size(ask.page_size, default=default_size)  # type: ignore[attr-defined] # List requests have it
        position = pager.decode(ask.page_token, named)  # type: ignore[attr-defined] # List requests have it
        columns, descending = self._sorting(order)
        after = _after(columns, descending, position)
        statement = self.select(*where, after, *self._asked(ask), **keys).add_columns(*columns)
        rows = tx.execute(statement.order_by(*_ordering(columns, descending)).limit(size + 1)).all()
        messages = that_fit(self.read(row) for row in rows[:size])
        token = ""
        if len(messages) < len(rows):
            last = rows[len(messages) - 1][len(self._selected) :]
            token = pager.encode(tuple(map(_position_text, last)), named)
        repeated = next(field.name for field in answer.DESCRIPTOR.fields if field.is_repeated)
        return answer(**{repeated: messages, "next_page_token": token})

    def first_of_each(self, tx: Tx, service_ids: Sequence[str], most: int, **keys: object) -> list[M]:
        """Return up to `most` rows of each service, in the order of the resource."""
        wanted = id_rows("wanted", service_ids)
        firsts = (
            self.select(**keys)
            .where(self._columns["service_id"] == wanted.c.id)
            .order_by(*_ordering(*self._sorting()))
            .limit(most)
            .lateral("firsts")
        )
        return self.read_all(tx, sa.select(*firsts.c).select_from(wanted.join(firsts, sa.true())))

    def of_ids(self, tx: Tx, ids: Sequence[str]) -> list[M]:
        """Return those that exist of these rows, in no order."""
        return self.read_all(tx, self.select(self.table.c.id == sa.func.any(id_array(ids))))

    def select(self, *where: ColumnElement[bool], **keys: object) -> sa.Select[Any]:
        """Return a statement for rows as `read_all` takes them."""
        return sa.select(*self._selected).select_from(self._source).where(*self._equal(keys), *where)

    # --- writing

    def add(self, tx: Tx, ask: Message, given: M, **columns: object) -> bool:
        """Insert `given` without its output fields, under the id of the request; False if `ask` is a repeat.

        Raises:
            NotifyError: REQUEST_ID_REUSED, the id belongs to another request; the resource's `taken` reason.
        """
        return self.insert(tx, ask, ask.request_id, **{**self.values(given), **columns})  # type: ignore[attr-defined] # Create requests have it

    def insert(self, tx: Tx, ask: Message, id_: str, **columns: object) -> bool:
        """Insert a row under an id, as `add`."""
        values = {**columns, "id": id_, "request_hash": _request_hash(ask)}
        # without a target: of requests at the same moment, the later ones wait for the first to commit
        if tx.execute(insert(self.table).values(**values).on_conflict_do_nothing()).rowcount:
            if self._audit is not None:
                self._record(tx, "create", None, self.one(tx, id=id_))
            return True
        c = self.table.c
        stored = tx.execute(sa.select(c.request_hash).where(c.id == id_)).scalar()
        if stored is None:
            raise NotifyError(self._taken)
        if bytes(stored) != values["request_hash"]:
            raise NotifyError("REQUEST_ID_REUSED")
        return False

    def save(self, tx: Tx, message: M, **columns: object) -> M:
        """Write a message, except for its output fields, and other columns; return it as it is stored then.

        Raises:
            NotifyError: the resource's `taken` reason.
        """
        return self.change(tx, {"id": message.id}, **self.values(message), **columns)[0]  # type: ignore[attr-defined] # resources have an id

    def change(self, tx: Tx, keys: Mapping[str, object], **columns: object) -> list[M]:
        """Set columns of all rows with the values of `keys`, count their versions up, and return them."""
        c = self.table.c
        stamps: dict[str, Any] = {}
        if "update_time" in c:
            stamps["update_time"] = sa.func.now()
        if "version" in c:
            stamps["version"] = c.version + 1
        statement = sa.update(self.table).values(**stamps, **columns).where(*self._equal(keys))
        before = self._before(tx, keys)
        try:
            changed = [self.read(row) for row in tx.execute(statement.returning(*self._selected))]
        except sa.exc.IntegrityError as error:
            if getattr(error.orig, "pgcode", None) == _UNIQUE_VIOLATION:
                raise NotifyError(self._taken) from None
            raise
        for message in changed if self._audit is not None else ():
            self._record(tx, "update", before.get(message.id), message, columns)  # type: ignore[attr-defined] # resources have an id
        return changed

    def delete(self, tx: Tx, **keys: Any) -> bool:
        """Delete the rows with these values; return False if there are none."""
        before = self._before(tx, keys)
        gone = tx.execute(sa.delete(self.table).where(*self._equal(keys))).rowcount > 0
        for message in before.values():
            self._record(tx, "delete", message, None)
        return gone

    def merge(self, current: M, wanted: M, mask: FieldMask, field: str = "update_mask") -> M:
        """Return a copy of `current` with the masked fields of `wanted`.

        Raises:
            NotifyError: INVALID_FIELD, the mask is empty or names a field that can't be set.
        """
        check_mask(mask, self._settable(), field)
        merged = self.message()
        merged.CopyFrom(current)
        mask.MergeMessage(wanted, merged, replace_message_field=True, replace_repeated_field=True)
        return merged

    def state(self, message: M) -> dict[str, Any]:
        """Return the fields as the audit log has them: what is personal left out."""
        personal = self._audit.personal.split() if self._audit is not None else ()
        found = {leaf.path: leaf.of(message) for leaf in self._leaves}
        return {
            path: audit.LEFT_OUT if path in personal and value else value for path, value in found.items()
        }

    def _before(self, tx: Tx, keys: Mapping[str, object]) -> dict[str, M]:
        """Return the rows that are about to be changed, by id, if their changes are recorded.

        They are locked in the order of their ids, so that none who does the same waits in a circle.
        """
        if self._audit is None:
            return {}
        locked = self.select(**keys).order_by(self.table.c.id).with_for_update(of=self.table)
        return {message.id: message for message in self.read_all(tx, locked)}  # type: ignore[attr-defined] # resources have an id

    def _record(
        self, tx: Tx, action: audit.Action, before: M | None, after: M | None, columns: Collection[str] = ()
    ) -> None:
        """Record a change, if it is one that counts; `columns` were set by an update."""
        known = after if after is not None else before
        if self._audit is None or known is None:
            return
        old = None if before is None else self.state(before)
        new = None if after is None else self.state(after)
        if before is not None and after is not None and old is not None and new is not None:
            changed = [leaf.path for leaf in self._leaves if leaf.of(before) != leaf.of(after)]
            told = [name for name in changed if name not in (*self._audit.unrecorded.split(), "update_time")]
            noted = dict.fromkeys((n for n in self._audit.noted.split() if n in columns), audit.LEFT_OUT)
            old, new = ({name: state[name] for name in told} | noted for state in (old, new))
            if set(new) <= {"version"}:
                return
        chain = next(value for name in self._audit.chain.split() if (value := getattr(known, name)))
        if self._audit.of_api_keys:
            chain = audit.keys_chain(chain)
        kind = self.message.DESCRIPTOR.name
        audit.append(tx, chain, action, kind, [known.id], old, new)  # type: ignore[attr-defined] # resources have an id

    def values(self, message: M) -> dict[str, Any]:
        """Return the columns that a message fills, its output fields left out; absent times keep their
        default.
        """
        filled = {
            leaf.column: leaf.of(message, leaf.column)
            for leaf in self._leaves
            if not _is_output(leaf.field) and leaf.field.name not in self._computed
        }
        return {
            str(column.name): value
            for column, value in filled.items()
            if value is not None or _takes_null(column)
        }

    def _settable(self) -> set[str]:
        paths = {
            leaf.path
            for leaf in self._leaves
            if not _is_output(leaf.field)
            and not _rules(leaf.field).immutable
            and _rules(leaf.field).id != field_pb2.ID_PARENT
            and leaf.field.name not in self._computed
        }
        fields = self.message.DESCRIPTOR.fields_by_name
        filled = {name for name in self._unkept if not _is_output(fields[name])}
        return paths | {path.partition(".")[0] for path in paths} | filled

    def _asked(self, ask: Message) -> Iterator[ColumnElement[bool]]:
        for name in _plain_fields(ask.DESCRIPTOR):
            field = ask.DESCRIPTOR.fields_by_name[name]
            value = _stored(ask, field)
            if not (ask.HasField(name) if field.has_presence else value):
                continue
            part, only = name.removesuffix("_part"), name.removeprefix("only_")
            if name in self._columns:
                yield self._columns[name] == value
            elif part != name:
                yield self._columns[part].icontains(value, autoescape=True)
            elif only != name:
                yield self._columns[only] == value

    def _equal(self, keys: Mapping[str, object]) -> list[ColumnElement[bool]]:
        return [
            self._columns[name].is_(value) if value is None else self._columns[name] == value
            for name, value in keys.items()
        ]

    def _sorting(self, order: str = "") -> tuple[list[ColumnElement[Any]], bool]:
        order = order or self._order
        return [self._columns[name.lstrip("-")] for name in order.split()], order.startswith("-")


def _request_hash(ask: Message) -> bytes:
    """Return SHA-256 of a request: equal for its repeats, different for others of the same id."""
    return hashlib.sha256(ask.SerializeToString(deterministic=True)).digest()


def _ordering(columns: Sequence[ColumnElement[Any]], descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in columns]


def _after(
    columns: Sequence[ColumnElement[Any]], descending: bool, position: tuple[str, ...] | None
) -> ColumnElement[bool]:
    if position is None:
        return sa.true()
    pairs = zip(position, columns, strict=True)
    here = sa.tuple_(*(sa.cast(sa.literal(text, sa.Text), column.type) for text, column in pairs))
    row = sa.tuple_(*columns)
    return row < here if descending else row > here


def _rules(field: _Descriptor) -> field_pb2.FieldRules:
    rules: field_pb2.FieldRules = field.GetOptions().Extensions[_FIELD]
    return rules


def _is_output(field: _Descriptor) -> bool:
    """Tell whether requests can't set a field, by its rules in the proto."""
    rules = _rules(field)
    return rules.output_only or rules.id == field_pb2.ID_OWN or field.name == "version"


def _is_nested(field: _Descriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name != Timestamp.DESCRIPTOR.full_name


def _plain_fields(descriptor: _Descriptor) -> list[str]:
    return [f.name for f in descriptor.fields if not f.is_repeated and f.message_type is None]


def _reader(descriptor: _Descriptor, prefix: str, indexes: Mapping[str, int]) -> Callable[[Any], Any]:
    """Compile the function from a row to a message."""
    made = GetMessageClass(descriptor)
    parts: list[tuple[str, Callable[[Any], Any]]] = []
    for field in descriptor.fields:
        path = prefix + field.name
        if path in indexes:
            parts.append((field.name, _value_reader(field, indexes[path])))
        elif _is_nested(field) and any(known.startswith(f"{path}.") for known in indexes):
            parts.append((field.name, _reader(field.message_type, f"{path}.", indexes)))
    return lambda row: made(**{name: read(row) for name, read in parts})


def _value_reader(field: _Descriptor, index: int) -> Callable[[Any], Any]:
    convert: Callable[[Any], Any]
    if field.enum_type is not None:
        wrapper = EnumTypeWrapper(field.enum_type)
        convert = lambda text: enums.from_text(wrapper, text)  # noqa: E731 # one of two small conversions
    elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        convert = lambda value: value.decode() if isinstance(value, bytes) else value  # noqa: E731 # see above
    else:
        return itemgetter(index)
    return lambda row: None if row[index] is None else convert(row[index])


def _stored(message: Message, field: _Descriptor, column: ColumnElement[Any] | None = None) -> Any:
    """Return a field's value as its column holds it; what is empty is null where the column takes that."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return list(value)
    if field.message_type is not None:
        return value.ToDatetime(UTC) if message.HasField(field.name) else None
    if field.enum_type is not None:
        return enums.to_text(EnumTypeWrapper(field.enum_type), value) if value else None
    if field.has_presence and not message.HasField(field.name) and _takes_null(column):
        return None
    if field.type == FieldDescriptor.TYPE_STRING and not value and _takes_null(column):
        return None
    return value


def _takes_null(column: ColumnElement[Any] | None) -> bool:
    return isinstance(column, Column) and bool(column.nullable)


def _position_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
