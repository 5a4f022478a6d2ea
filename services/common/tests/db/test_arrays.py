"""Many values in one statement, against a real server."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notify_common import ids
from notify_common.db.arrays import Types, columns_given, id_rows, one_of, unnest, unnest_later
from notify_common.db.columns import id_type
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_testing.database import FreshDatabase
from sqlalchemy.dialects.postgresql import JSONB

_TYPES: Types = {
    "place": sa.Integer(),
    "word": sa.Text(),
    "number": sa.BigInteger(),
    "share": sa.Float(),
    "holds": sa.Boolean(),
    "day": sa.Date(),
    "time": sa.DateTime(timezone=True),
    "bytes": sa.LargeBinary(),
}
_LATER = unnest_later("given", _TYPES)

# PostgreSQL knows neither NUL nor halves of surrogate pairs
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    ["", "NULL", "null", '"', "\\", '\\"', "{}", "a,b", " a ", "'", "%s", "é\n\t"]
)
rows = st.lists(
    st.tuples(
        st.none() | words,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.booleans(),
        st.none() | st.dates(),
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.none() | st.binary(max_size=8),
    ),
    max_size=8,
)


@pytest.fixture
def uow(fresh_database: FreshDatabase) -> Iterator[UnitOfWork]:
    made = UnitOfWork(create_engine(fresh_database(), pool_size=1))
    yield made
    made.engine.dispose()


@given(values=rows)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_given_is_what_is_read(uow: UnitOfWork, values: list[tuple[object, ...]]) -> None:
    numbered = [(place, *row) for place, row in enumerate(values)]
    now = unnest("given", _TYPES, numbered)
    with uow.begin() as tx:
        at_once = tx.execute(sa.select(*now.c).order_by(now.c.place)).all()
        later = tx.execute(
            sa.select(*_LATER.c).order_by(_LATER.c.place), columns_given("given", _TYPES, numbered)
        ).all()
    assert at_once == later
    assert [(*row[:-1], None if row.bytes is None else bytes(row.bytes)) for row in later] == numbered


_WITH_JSON: Types = {"place": sa.Integer(), "id": id_type(), "word": sa.Text(), "value": JSONB()}
_LATER_WITH_JSON = unnest_later("given", _WITH_JSON)


@given(
    values=st.lists(st.tuples(st.none() | words, st.dictionaries(words, words | st.lists(words))), max_size=8)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_is_read_as_it_is_given(uow: UnitOfWork, values: list[tuple[object, ...]]) -> None:
    numbered = [(place, ids.new_id(), *row) for place, row in enumerate(values)]
    new = _LATER_WITH_JSON.c
    with uow.begin() as tx:
        given = columns_given("given", _WITH_JSON, numbered)
        assert tx.execute(sa.select(*new).order_by(new.place), given).all() == numbered


def test_ids_are_texts_in_rows_and_in_arrays(uow: UnitOfWork) -> None:
    given = [ids.new_id(), ids.new_id()]
    found = id_rows("found", given)
    with uow.begin() as tx:
        assert sorted(tx.execute(sa.select(found.c.id)).scalars()) == sorted(given)
        array = sa.select(sa.func.array_agg(found.c.id, type_=sa.ARRAY(id_type())))
        assert sorted(tx.execute(array).scalar_one()) == sorted(given)
        # without a type, as the driver reads them
        plain = tx.execute(sa.text("SELECT CAST(:id AS uuid) AS id"), {"id": given[0]}).scalar_one()
    assert plain == given[0]


def test_what_is_no_id_is_an_error_of_the_database(uow: UnitOfWork) -> None:
    found = id_rows("found", ["x},{y"])
    with pytest.raises(sa.exc.DataError), uow.begin() as tx:
        tx.execute(sa.select(found.c.id))


def test_members_of_enums_are_their_values(uow: UnitOfWork) -> None:
    given = unnest("given", {"channel": sa.Text()}, [(channel,) for channel in Channel])
    with uow.begin() as tx:
        assert set(tx.execute(sa.select(given.c.channel)).scalars()) == {str(channel) for channel in Channel}


@pytest.mark.parametrize("others", [(), ("another",), (None,)])
def test_a_text_with_the_character_nul_is_refused(uow: UnitOfWork, others: tuple[str | None, ...]) -> None:
    given = unnest("given", {"word": sa.Text()}, [("a\0b",), *((other,) for other in others)])
    with pytest.raises((ValueError, sa.exc.StatementError), match="NUL"), uow.begin() as tx:
        tx.execute(sa.select(given.c.word))


def test_json_is_read_as_it_was_written(uow: UnitOfWork) -> None:
    value: dict[str, Any] = {"lines": ["a", 'b"', "é"], "none": None, "number": 1.5, "deep": [{"x": []}]}
    with uow.begin() as tx:
        assert tx.execute(sa.select(sa.literal(value, JSONB))).scalar_one() == value


def test_rows_of_a_join_are_looked_up_and_the_table_is_not_read_whole(uow: UnitOfWork) -> None:
    kept = sa.table("kept", sa.column("id", sa.Integer()), sa.column("word", sa.Text()))
    types: Types = {"id": sa.Integer(), "word": sa.Text()}
    new = unnest_later("new", types)
    joined = sa.update(kept).values(word=new.c.word).where(kept.c.id == new.c.id, one_of(kept.c.id, "new_id"))
    rows = [(number * 40, "new") for number in range(500)]
    with uow.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE kept (id integer PRIMARY KEY, word text)")
        tx.exec_driver_sql("INSERT INTO kept SELECT n, 'old' FROM generate_series(0, 19999) n")
        tx.exec_driver_sql("ANALYZE kept")
        before = tx.exec_driver_sql(_READ_WHOLE).scalar_one()
        tx.execute(joined, columns_given("new", types, rows))
        assert tx.exec_driver_sql(_READ_WHOLE).scalar_one() == before
        changed = tx.execute(sa.select(kept.c.id).where(kept.c.word == "new").order_by(kept.c.id)).scalars()
        assert list(changed) == [id for id, _ in rows]


_READ_WHOLE = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'kept'"
