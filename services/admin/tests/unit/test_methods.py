"""Use cases are found by the names of methods (docs/adr/0011)."""

from collections import defaultdict
from typing import Any

import pytest
from notify_admin.servicers import methods
from notify_admin.usecases import users
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork


def test_a_name_that_two_modules_of_use_cases_have_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    uow, parts = UnitOfWork(create_engine("postgresql://nobody@nowhere/none")), defaultdict[str, Any](object)
    assert methods.registrations(uow, parts)
    monkeypatch.setattr(users, "get_template", object(), raising=False)
    with pytest.raises(TypeError, match="GetTemplate has several use cases"):
        methods.registrations(uow, parts)
