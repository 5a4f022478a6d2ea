"""Rules that protos give fields (docs/new-rpc.md): what breaks them, and what is told of it."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc_tools
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.message import Message
from grpc_tools import protoc
from notify.common.v1 import field_pb2
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify_common.errors import FieldViolation, NotifyError
from notify_common.rpc.field_rules import RuleError, check, rules_of
from notify_testing.rpc import InProcessServer

ID = "0198f2a4-6c5e-7b7e-8f00-0123456789ab"
PROTOS = Path(__file__).resolve().parents[4] / "protos"

IMPORTS = [one.DESCRIPTOR.name for one in (duration_pb2, field_mask_pb2, timestamp_pb2, field_pb2)]
NUMBERS = itertools.count()

Make = Callable[..., Any]

WIDGETS = """
message Widget {
  string id = 1 [(notify.common.v1.field).id = ID_OWN];
  string service_id = 2 [(notify.common.v1.field).id = ID_PARENT];
  string name = 3 [(notify.common.v1.field).length = "1..5"];
  string note = 4 [(notify.common.v1.field).length = "..3"];
  string owner_id = 5 [(notify.common.v1.field).id = ID_REQUIRED, (notify.common.v1.field).immutable = true];
  int32 version = 6 [(notify.common.v1.field).version = true];
  google.protobuf.Timestamp create_time = 7 [(notify.common.v1.field).output_only = true];
  Part part = 8;
  repeated Part parts = 9 [(notify.common.v1.field).items = "..2"];
  int32 size = 10 [(notify.common.v1.field).range = "1..9"];
}
message Part {
  string colour_id = 1 [(notify.common.v1.field).id = ID_OPTIONAL];
  Part below = 2;
}
message CreateRequest {
  string request_id = 1 [(notify.common.v1.field).id = ID_REQUIRED];
  Widget widget = 2 [(notify.common.v1.field).required = true];
}
message UpdateRequest {
  Widget widget = 1 [(notify.common.v1.field).required = true];
  google.protobuf.FieldMask update_mask = 2 [(notify.common.v1.field).required = true];
  Part by = 3;
}
message SetRequest {
  Widget widget = 1 [(notify.common.v1.field).required = true];
}
"""


class Sources:
    """Compiles messages that a test writes down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, body: str) -> Make:
        """Return what makes messages of `body` by name."""
        package = f"rules_test_{next(NUMBERS)}"
        source, out = self._folder / f"{package}.proto", self._folder / f"{package}.bin"
        imports = "".join(f'import "{name}";\n' for name in IMPORTS)
        source.write_text(f'syntax = "proto3";\npackage {package};\n{imports}{body}')
        includes = [self._folder, PROTOS, Path(grpc_tools.__path__[0]) / "_proto"]
        arguments = [f"--proto_path={folder}" for folder in includes]
        assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={out}", source.name]) == 0
        for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
            descriptor_pool.Default().AddSerializedFile(file.SerializeToString())

        def make(name: str, **values: Any) -> Message:
            found = descriptor_pool.Default().FindMessageTypeByName(f"{package}.{name}")
            return message_factory.GetMessageClass(found)(**values)

        return make


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def violations(message: Message) -> dict[str, str]:
    """Return field -> what is told of it."""
    try:
        check(message)
    except NotifyError as error:
        return {violation.field: violation.description for violation in error.violations}
    return {}


@pytest.mark.parametrize(
    ("kind", "rule", "value", "wrong"),
    [
        ("string", 'id = ID_REQUIRED', "", "is required"),
        ("string", 'id = ID_REQUIRED', ID.upper(), "is not a valid UUID"),
        ("string", 'id = ID_REQUIRED', ID, None),
        ("string", 'id = ID_OPTIONAL', "", None),
        ("string", 'id = ID_OPTIONAL', "x", "is not a valid UUID"),
        ("string", 'required = true', "", "is required"),
        ("string", 'required = true', "a\0", "holds a NUL character"),
        ("string", 'length = "1..2"', "", "is required"),
        ("string", 'length = "..2"', "", None),
        ("string", 'length = "..2"', "éé", None),
        ("string", 'length = "..2"', "abc", "is longer than 2 characters"),
        ("string", 'length = "3.."', "ab", "is shorter than 3 characters"),
        ("bytes", 'length = "1..2"', b"", "should have between 1 and 2 bytes"),
        ("bytes", 'length = "1..2"', b"ab", None),
        ("int32", 'range = "1..9"', 0, "should be between 1 and 9"),
        ("int32", 'range = "1..9"', 9, None),
        ("int32", 'range = "0.."', -1, "should be between 0 and 2147483647"),
        ("int64", 'required = true', 0, "is required"),
        ("E", 'required = true', 0, "is required"),
        ("E", 'required = true', 7, "is not a known value"),
        ("E", 'required = true', 1, None),
        ("repeated int32", 'items = "1..2"', [], "should have between 1 and 2 items"),
        ("repeated int32", 'items = "..2"', [1, 2, 3], "should have between 0 and 2 items"),
        ("repeated int32", 'required = true', [], "is required"),
        ("string", 'id = ID_MINTED', "", "is required"),
        ("string", 'id = ID_MINTED', ID.replace("7b7e", "4b7e"), "is not a UUID of version 7"),
        ("string", 'id = ID_MINTED', ID, None),
        ("map<string, string>", 'length = "..2"', {"abc": ""}, "is longer than 2 characters"),
        ("map<string, string>", 'length = "..2"', {"a": "abc"}, "is longer than 2 characters"),
        ("map<string, string>", 'items = "..1"', {"a": "", "b": ""}, "should have between 0 and 1 items"),
        ("google.protobuf.Duration", 'range = "0..9"', {"seconds": 10}, "should be between 0 and 9"),
        ("google.protobuf.Duration", 'range = "0..9"', {"seconds": 9}, None),
        ("google.protobuf.FieldMask", 'required = true', None, "is required"),
        ("google.protobuf.Timestamp", 'required = true', None, "is required"),
        ("google.protobuf.Timestamp", 'required = true', {"nanos": -1}, "is not a valid timestamp"),
        ("google.protobuf.Timestamp", 'required = true', {"seconds": 1}, None),
    ],
)  # fmt: skip
def test_a_field_that_breaks_its_rule_is_named(
    sources: Sources, kind: str, rule: str, value: Any, wrong: str | None
) -> None:
    field = f"{kind} f = 1 [(notify.common.v1.field).{rule}]"
    make = sources(f"enum E {{ E_NONE = 0; E_ONE = 1; }} message M {{ {field}; }}")

    assert violations(make("M", f=value)) == ({} if wrong is None else {"f": wrong})


def test_items_of_a_list_are_named_by_their_place(sources: Sources) -> None:
    make = sources(
        """
        enum E { E_NONE = 0; E_ONE = 1; }
        message Line { string text = 1 [(notify.common.v1.field).length = "1..3"]; }
        message M {
          repeated string lines = 1 [(notify.common.v1.field).length = "1..3"];
          repeated E kinds = 2;
          repeated string ids = 3 [(notify.common.v1.field).id = ID_REQUIRED];
          repeated Line below = 4;
          map<string, string> words = 5;
        }
        """
    )
    broken = make(
        "M",
        lines=["ok", "", "long!"],
        kinds=[1, 0, 9],
        ids=[ID, "no"],
        below=[{"text": "ok"}, {}],
        words={"a": "\0"},
    )

    assert violations(broken) == {
        "lines[1]": "is required",
        "lines[2]": "is longer than 3 characters",
        "kinds[1]": "is required",
        "kinds[2]": "is not a known value",
        "ids[1]": "is not a valid UUID",
        "below[1].text": "is required",
        "words": "holds a NUL character",
    }


def test_of_a_choice_only_what_is_chosen_counts(sources: Sources) -> None:
    make = sources(
        """
        message M {
          oneof kind {
            option (notify.common.v1.choice).required = true;
            string word = 1 [(notify.common.v1.field).length = "1..3"];
            string other_id = 2 [(notify.common.v1.field).id = ID_REQUIRED];
          }
          optional string title = 3 [(notify.common.v1.field).length = "1..3"];
          optional string note = 4 [(notify.common.v1.field).length = "..3"];
        }
        """
    )

    assert violations(make("M")) == {"kind": "is required", "title": "is required"}
    assert violations(make("M", word="", title="x")) == {"word": "is required"}
    assert violations(make("M", other_id="no", title="x")) == {"other_id": "is not a valid UUID"}
    assert violations(make("M", word="abc", title="x", note="")) == {}


def test_items_that_are_checked_apart_refuse_no_request(sources: Sources) -> None:
    make = sources(
        """
        message Item { string id = 1 [(notify.common.v1.field).id = ID_REQUIRED]; }
        message M {
          repeated Item items = 1 [
            (notify.common.v1.field).items = "1..2",
            (notify.common.v1.field).checked_apart = true
          ];
        }
        """
    )

    assert violations(make("M")) == {"items": "should have between 1 and 2 items"}
    asked = make("M", items=[{"id": ID}, {"id": "x"}])
    assert violations(asked) == {}
    assert [violations(item) for item in asked.items] == [{}, {"id": "is not a valid UUID"}]


def test_what_is_created_has_neither_an_id_nor_a_version_yet(sources: Sources) -> None:
    make = sources(WIDGETS)

    good = {"service_id": ID, "name": "n", "owner_id": ID, "size": 1}
    assert violations(make("CreateRequest", request_id=ID, widget=good)) == {}
    ignored = {"id": "x", "version": -1, "create_time": {"nanos": -1}}
    assert violations(make("CreateRequest", request_id=ID, widget=good | ignored)) == {}
    assert violations(make("CreateRequest", widget={"parts": [{}, {"colour_id": "x"}, {}]})) == {
        "request_id": "is required",
        "widget.service_id": "is required",
        "widget.name": "is required",
        "widget.owner_id": "is required",
        "widget.size": "should be between 1 and 9",
        "widget.parts": "should have between 0 and 2 items",
        "widget.parts[1].colour_id": "is not a valid UUID",
    }
    assert violations(make("CreateRequest", request_id=ID)) == {"widget": "is required"}


def test_of_an_update_what_identifies_and_what_is_masked_counts(sources: Sources) -> None:
    make = sources(WIDGETS)
    known = {"id": ID, "service_id": ID, "version": 3}

    assert violations(make("UpdateRequest", widget=known, update_mask={"paths": ["note"]})) == {}
    assert violations(
        make("UpdateRequest", widget={}, update_mask={"paths": ["name", "part.colour_id"]})
    ) == {
        "widget.id": "is required",
        "widget.service_id": "is required",
        "widget.version": "should be between 1 and 2147483647",
        "widget.name": "is required",
    }
    asked = make("UpdateRequest", widget={**known, "part": {"colour_id": "x"}}, by={"colour_id": "y"})
    assert violations(asked) == {"update_mask": "is required", "by.colour_id": "is not a valid UUID"}
    asked.update_mask.paths.append("part.colour_id")
    assert violations(asked) == {
        "widget.part.colour_id": "is not a valid UUID",
        "by.colour_id": "is not a valid UUID",
    }


def test_an_update_without_a_mask_sets_everything(sources: Sources) -> None:
    make = sources(WIDGETS)
    known = {"id": ID, "service_id": ID, "version": 3}

    assert violations(make("SetRequest", widget={**known, "name": "n", "size": 1})) == {}
    assert violations(make("SetRequest", widget={"version": 3, "owner_id": "x"})) == {
        "widget.id": "is required",
        "widget.service_id": "is required",
        "widget.name": "is required",
        "widget.size": "should be between 1 and 9",
    }
    assert violations(make("SetRequest")) == {"widget": "is required"}


def test_a_message_may_hold_itself(sources: Sources) -> None:
    make = sources(WIDGETS)
    nested = make("Part", below={"below": {"colour_id": "x"}})

    assert violations(nested) == {"below.below.colour_id": "is not a valid UUID"}


def test_a_time_is_checked_where_nothing_else_is(sources: Sources) -> None:
    make = sources("message M { google.protobuf.Timestamp f = 1; }")

    assert violations(make("M")) == {}
    assert violations(make("M", f={"nanos": -1})) == {"f": "is not a valid timestamp"}


def test_messages_without_rules_cost_nothing(sources: Sources) -> None:
    make = sources("message M { string f = 1; }")

    assert rules_of(make("M").DESCRIPTOR) is None
    assert violations(make("M", f="\0")) == {}


@pytest.mark.parametrize(
    "field",
    [
        "int32 f = 1 [(notify.common.v1.field).id = ID_REQUIRED]",
        "bool f = 1 [(notify.common.v1.field).required = true]",
        'int32 f = 1 [(notify.common.v1.field).length = "1..2"]',
        'string f = 1 [(notify.common.v1.field).range = "1..2"]',
        'string f = 1 [(notify.common.v1.field).items = "1..2"]',
        "string f = 1 [(notify.common.v1.field).checked_apart = true]",
        'M f = 1 [(notify.common.v1.field).range = "1..2"]',
        'string f = 1 [(notify.common.v1.field).length = "12"]',
        'string f = 1 [(notify.common.v1.field).length = "a..b"]',
        'string f = 1 [(notify.common.v1.field).length = "3..2"]',
    ],
)
def test_a_rule_that_makes_no_sense_is_an_error_at_once(sources: Sources, field: str) -> None:
    make = sources(f"message M {{ {field}; }}")

    with pytest.raises(RuleError, match=r"M\.f"):
        rules_of(make("M").DESCRIPTOR)


def test_a_server_refuses_before_the_method_runs(serve_print_runs: Callable[..., InProcessServer]) -> None:
    calls: list[object] = []

    def start_print_run(request: pb.StartPrintRunRequest, context: Any) -> pb.StartPrintRunResponse:
        calls.append(request)
        return pb.StartPrintRunResponse()

    stub = PrintRunsServiceStub(serve_print_runs(start_print_run).channel())
    bad = pb.StartPrintRunRequest(request_id="x", deadline=timestamp_pb2.Timestamp(nanos=-1))
    with pytest.raises(NotifyError) as caught:
        stub.StartPrintRun(bad)
    assert (caught.value.reason, caught.value.violations, calls) == (
        "INVALID_FIELD",
        (
            FieldViolation("request_id", "is not a valid UUID"),
            FieldViolation("deadline", "is not a valid timestamp"),
        ),
        [],
    )
    stub.StartPrintRun(pb.StartPrintRunRequest(request_id=ID))
    assert len(calls) == 1
