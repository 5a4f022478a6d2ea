"""The rules of design.md §2.4 and §2.7 that buf does not know, read off the descriptors."""

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any, cast

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from notify.common.v1 import field_pb2
from notify_common.rpc.field_rules import rules_of

from .conftest import ROOT, Field, Rpc

FEEDS = re.compile(r"List\w+(Events|Changes)$")
REPEATABLE = re.compile(r"(Create|Send|Start)[A-Z]")


def names(message: DescriptorProto) -> dict[str, FieldDescriptorProto]:
    return {field.name: field for field in message.field}


def is_required(field: FieldDescriptorProto) -> bool:
    """Tell whether its rules say that it must be there."""
    rules: Any = field.options.Extensions[cast(Any, field_pb2.field)]
    return (
        rules.required
        or rules.id > field_pb2.ID_OPTIONAL
        or rules.length[:1] not in ("", "0", ".")
        or rules.range[:1].isdigit()
    )


def test_every_rule_of_a_request_is_one_that_its_field_can_have(
    files: list[FileDescriptorProto], rpcs: list[Rpc]
) -> None:
    for file in files:
        importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    pool = descriptor_pool.Default()
    for rpc in rpcs:
        rules_of(pool.FindMessageTypeByName(rpc.method.input_type.lstrip(".")))


def test_buf_finds_nothing(buf: Path) -> None:
    done = subprocess.run([buf, "lint", "protos"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_buf_would_format_nothing(buf: Path) -> None:
    command: list[str | Path] = [buf, "format", "--diff", "--exit-code", "protos"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_lists_are_paged(rpcs: list[Rpc]) -> None:
    lists = [rpc for rpc in rpcs if rpc.method.name.startswith("List") and not FEEDS.match(rpc.method.name)]
    assert len(lists) > 5
    for rpc in lists:
        assert {"page_size", "page_token"} <= names(rpc.request).keys(), rpc.path
        assert "next_page_token" in names(rpc.response), rpc.path
        repeated = [f for f in rpc.response.field if f.label == FieldDescriptorProto.LABEL_REPEATED]
        assert len(repeated) == 1, rpc.path


def test_feeds_go_on_from_a_cursor(rpcs: list[Rpc]) -> None:
    feeds = [rpc for rpc in rpcs if FEEDS.match(rpc.method.name)]
    assert {rpc.context for rpc in feeds} == {"admin", "letters", "providers"}
    for rpc in feeds:
        assert {"cursor", "page_size"} <= names(rpc.request).keys(), rpc.path
        assert "next_cursor" in names(rpc.response), rpc.path


def test_updates_name_their_fields_and_the_version_that_they_change(
    rpcs: list[Rpc], fields: list[Field]
) -> None:
    updates = [rpc for rpc in rpcs if rpc.method.name.startswith("Update")]
    assert updates
    by_message = {(field.message, field.descriptor.name) for field in fields}
    for rpc in updates:
        request = names(rpc.request)
        assert request["update_mask"].type_name == ".google.protobuf.FieldMask", rpc.path
        resource = request[_snake(rpc.method.name.removeprefix("Update"))]
        assert (resource.type_name.lstrip("."), "version") in by_message, rpc.path


def test_what_makes_something_can_be_repeated(rpcs: list[Rpc]) -> None:
    makers = [rpc for rpc in rpcs if REPEATABLE.match(rpc.method.name)]
    assert len(makers) > 5
    for rpc in makers:
        # what is streamed begins with a message that has it
        assert rpc.method.client_streaming or "request_id" in names(rpc.request), rpc.path


def test_gets_and_updates_answer_with_the_resource_in_a_wrapper(rpcs: list[Rpc]) -> None:
    for rpc in rpcs:
        verb = re.match(r"(Get|Create|Update)([A-Z]\w+)$", rpc.method.name)
        if verb and verb.group(2) not in {"Snapshots", "PageImage", "AttachmentPageImage"}:
            assert rpc.response.field[0].type == FieldDescriptorProto.TYPE_MESSAGE, rpc.path


def test_streams_are_for_bytes_print_batches_and_progress_alone(rpcs: list[Rpc]) -> None:
    streams = {rpc.method.name for rpc in rpcs if rpc.method.client_streaming or rpc.method.server_streaming}
    assert streams == {
        "UploadPdf",
        "SendEmailWithFiles",
        "DownloadPdf",
        "SubmitPrintBatch",
        "WatchPrintRun",
        "StreamLettersAwaitingPrint",
        "RenderPreview",
        "DrawPdf",
        "SanitisePdf",
    }
    assert not [rpc.path for rpc in rpcs if rpc.method.client_streaming and rpc.method.server_streaming]


def test_fields_have_the_types_of_their_names(fields: list[Field]) -> None:
    kind = FieldDescriptorProto
    for field in fields:
        name, descriptor = field.descriptor.name, field.descriptor
        assert descriptor.type not in (kind.TYPE_FLOAT, kind.TYPE_DOUBLE), field.path
        if (name == "id" or name.endswith("_id")) and field.message != "notify.common.v1.FieldRules":
            assert descriptor.type == kind.TYPE_STRING, field.path
        if "micropounds" in name:
            assert descriptor.type == kind.TYPE_INT64, field.path
        if descriptor.type_name == ".google.protobuf.Timestamp":
            # the last two are called as clients call them
            named = name.endswith("_time") or name in {"deadline", "send_at", "deliver_by"}
            assert named, field.path
        if name.endswith("_time"):
            assert descriptor.type_name == ".google.protobuf.Timestamp", field.path


def test_required_and_output_only_are_a_comment_s_first_words(fields: list[Field]) -> None:
    for field in fields:
        assert not re.search(r"(?<!^)\b(Required|Output only)\b", field.comment), field.path


def test_what_a_request_may_leave_out_says_what_that_means(rpcs: list[Rpc], fields: list[Field]) -> None:
    requests = {f"notify.{rpc.context}.v1.{rpc.request.name}" for rpc in rpcs}
    optional = [
        field
        for field in fields
        if field.message in requests
        and not field.comment.startswith(("Required.", "Output only."))
        and not is_required(field.descriptor)
        and field.descriptor.label != FieldDescriptorProto.LABEL_REPEATED
        and not field.descriptor.HasField("oneof_index")
    ]
    assert optional
    words = re.compile(r"\b(empty|absent|unset|unspecified|0 means|false|as in|without)\b", re.IGNORECASE)
    assert [field.path for field in optional if not words.search(field.comment)] == []


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
