"""Statements that the server reads and plans once for each connection (ADR 0029)."""

import itertools
import re
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Executable

S = TypeVar("S", bound=Executable)

_OPTION: Final = "prepared"
_KNOWN: Final = "prepared"
_PARAMETER: Final = re.compile(r"%\((\w+)\)s|%%")
_SUBJECT: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FROM) ([a-z]\w*)(?!\w*\()")
_numbers: Final = itertools.count(1)

SETTINGS: Final = {
    # planning would cost as much as the statement, and has nothing to find out
    "plan_cache_mode": "force_generic_plan",
    # a plan is kept: that of a table that was empty when it was made would read all of it when it is large
    "enable_seqscan": "off",
}
"""What connections need for plans that are kept."""


def prepared(statement: S) -> S:
    """Return a statement, made once and run for each batch, that each connection prepares with its first use.

    Each parameter travels once, however often the statement names it. Its type must follow from where it
    stands: what is no plain column's value needs a cast.
    """
    return statement.execution_options(**{_OPTION: True})


def use_prepared(engine: Engine) -> None:
    """Have the connections of an engine prepare what is to be."""
    sa.event.listen(engine, "before_cursor_execute", _execute, retval=True)
    sa.event.listen(engine, "handle_error", _forget)


class _Texts(NamedTuple):
    """A statement as it is prepared, and as it is run."""

    prepare: str
    execute: str


@cache
def _texts(statement: str) -> _Texts:
    """Return the texts of a statement in the driver's format."""
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    body = _PARAMETER.sub(place, statement)
    given = f"({', '.join(f'%({name})s' for name in names)})" if names else ""
    # what operators see of it, among the statements that run
    subject = _SUBJECT.search(statement)
    does = f"{subject[1].split()[0].lower().replace('from', 'select')}_{subject[2]}" if subject else "select"
    called = f"{does[:40]}_{next(_numbers)}"
    return _Texts(f"PREPARE {called} AS {body}; ", f"EXECUTE {called}{given}")


def _execute(
    connection: Connection, cursor: object, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    if not context.execution_options.get(_OPTION):
        return statement, parameters
    texts = _texts(statement)
    known = connection.info.get(_KNOWN)
    if known is not None and texts in known:
        return texts.execute, parameters
    # one round trip, and nothing is left behind by a statement that failed before
    prefix = "DEALLOCATE ALL; " if known is None else ""
    if known is None:
        known = connection.info[_KNOWN] = set()
    known.add(texts)
    return prefix + texts.prepare + texts.execute, parameters


def _forget(context: sa.engine.ExceptionContext) -> None:
    """Prepare anew what a connection runs after an error, whatever failed."""
    if context.connection is not None and not context.connection.invalidated:
        context.connection.info.pop(_KNOWN, None)
