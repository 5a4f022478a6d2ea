"""Ids, masks and enums of requests."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notification_pb2
from notify.providers.v1 import provider_settings_service_pb2 as providers_pb
from notify_common import ids
from notify_common.errors import NotifyError
from notify_common.rpc import enums
from notify_common.rpc.masks import check_mask


class TestIds:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0B1F2C3D-0000-4000-8000-000000000001",
            "{0b1f2c3d-0000-4000-8000-000000000001}",
            "0b1f2c3d000040008000000000000001",
            "0b1f2c3d-0000-4000-8000-000000000001\n",
            "٠b1f2c3d-0000-4000-8000-000000000001",
        ],
    )
    def test_only_the_platform_s_own_spelling_is_a_uuid(self, text: str) -> None:
        assert not ids.is_uuid(text)


class TestMasks:
    def test_an_empty_mask_is_refused(self) -> None:
        with pytest.raises(NotifyError, match="update_mask is required"):
            check_mask(FieldMask(), {"name"})

    def test_an_unknown_path_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(NotifyError, match="update_mask may only name active, name") as caught:
            check_mask(FieldMask(paths=["name", "secret"]), {"name", "active"})
        assert "secret" not in str(caught.value)

    def test_paths_come_once_in_their_order(self) -> None:
        assert check_mask(FieldMask(paths=["b", "a", "b"]), {"a", "b", "c"}) == ["b", "a"]


ENUMS = [
    common_pb2.Channel,
    common_pb2.KeyType,
    common_pb2.Postage,
    notification_pb2.Notification.State,
    providers_pb.Provider.UnknownOutcomeRule,
]


class TestEnums:
    @pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.DESCRIPTOR.full_name)
    def test_every_value_but_the_unspecified_comes_back(self, enum: type[common_pb2.Channel]) -> None:
        for value in enum.values()[1:]:
            assert enums.from_text(enum, enums.to_text(enum, value)) == value
        with pytest.raises(ValueError, match="no value 0"):
            enums.to_text(enum, 0)

    @given(st.integers(6, 2**31 - 1))
    def test_numbers_of_newer_callers_are_refused(self, value: int) -> None:
        assert not enums.is_specified(common_pb2.Postage, value)
        with pytest.raises(ValueError, match="Postage"):
            enums.to_text(common_pb2.Postage, value)

    def test_texts_are_those_of_the_public_api(self) -> None:
        assert enums.to_text(common_pb2.Postage, common_pb2.POSTAGE_REST_OF_WORLD) == "rest-of-world"
        state = notification_pb2.Notification.STATE_PERMANENT_FAILURE
        assert enums.to_text(notification_pb2.Notification.State, state) == "permanent-failure"
        with pytest.raises(ValueError, match="no value with the text"):
            enums.from_text(common_pb2.Channel, "unspecified")
