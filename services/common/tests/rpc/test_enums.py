"""Shared enums and those of the protos have the same members."""

from enum import StrEnum

import pytest
from notify.common.v1 import common_pb2
from notify_common.enums import Channel, Postage
from notify_common.rpc import enums


@pytest.mark.parametrize("kind", enums.PROTOS)
def test_members_are_those_of_the_proto(kind: type[StrEnum]) -> None:
    values = [value.number for value in enums.PROTOS[kind].DESCRIPTOR.values if value.number]
    members = [enums.from_proto(kind, value) for value in values]

    assert members == list(kind)
    assert [enums.to_proto(member) for member in members] == values


def test_unspecified_is_none_where_that_may_be() -> None:
    assert enums.optional_from_proto(Postage, common_pb2.POSTAGE_UNSPECIFIED) is None
    assert enums.to_proto(None) == common_pb2.POSTAGE_UNSPECIFIED
    with pytest.raises(ValueError, match="no value 0"):
        enums.from_proto(Channel, common_pb2.CHANNEL_UNSPECIFIED)
    with pytest.raises(ValueError, match="no value 99"):
        enums.from_proto(Channel, 99)
