"""The protos as protoc sees them, comments included."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]


class Rpc(NamedTuple):
    """One method of one service, with its request and response."""

    context: str
    service: str
    method: descriptor_pb2.MethodDescriptorProto
    request: descriptor_pb2.DescriptorProto
    response: descriptor_pb2.DescriptorProto
    comment: str

    @property
    def path(self) -> str:
        """`notify.admin.v1.UsersService/GetUser`."""
        return f"{self.service}/{self.method.name}"


class Field(NamedTuple):
    """One field of one message."""

    message: str
    descriptor: descriptor_pb2.FieldDescriptorProto
    comment: str

    @property
    def path(self) -> str:
        """`notify.admin.v1.GetUserRequest.user_id`."""
        return f"{self.message}.{self.descriptor.name}"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[descriptor_pb2.FileDescriptorProto]:
    """Provide all files below protos/notify, compiled with their comments."""
    import google.rpc
    import grpc_tools
    from grpc_tools import protoc

    protos = ROOT / "protos"
    out = tmp_path_factory.mktemp("descriptors") / "set.bin"
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={protos}",
            f"--proto_path={Path(grpc_tools.__path__[0]) / '_proto'}",
            f"--proto_path={Path(google.rpc.__path__[0]).parents[1]}",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            *sorted(str(path.relative_to(protos)) for path in (protos / "notify").rglob("*.proto")),
        ]
    )
    assert status == 0
    return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


@pytest.fixture(scope="session")
def rpcs(files: list[descriptor_pb2.FileDescriptorProto]) -> list[Rpc]:
    """Provide every method of every service."""
    messages = {f".{file.package}.{message.name}": message for file in files for message in file.message_type}
    found = [
        Rpc(
            context=file.package.split(".")[1],
            service=f"{file.package}.{service.name}",
            method=method,
            request=messages[method.input_type],
            response=messages[method.output_type],
            comment=_comments(file).get((6, s, 2, m), ""),
        )
        for file in files
        for s, service in enumerate(file.service)
        for m, method in enumerate(service.method)
    ]
    assert len(found) > 30, "the protos were not found"
    return found


@pytest.fixture(scope="session")
def fields(files: list[descriptor_pb2.FileDescriptorProto]) -> list[Field]:
    """Provide every field of every message, nested ones included."""

    def below(
        file: descriptor_pb2.FileDescriptorProto,
        message: descriptor_pb2.DescriptorProto,
        name: str,
        path: tuple[int, ...],
    ) -> Iterator[Field]:
        for f, field in enumerate(message.field):
            yield Field(name, field, _comments(file).get((*path, 2, f), ""))
        for n, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                yield from below(file, nested, f"{name}.{nested.name}", (*path, 3, n))

    return [
        field
        for file in files
        for m, message in enumerate(file.message_type)
        for field in below(file, message, f"{file.package}.{message.name}", (4, m))
    ]


@pytest.fixture(scope="session")
def buf() -> Path:
    """Provide the buf program beside this Python."""
    return Path(sys.executable).with_name("buf")


_KEPT: dict[str, dict[tuple[int, ...], str]] = {}


def _comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """Return comments by their place, as numbers of fields and indexes of descriptor.proto."""
    if file.name not in _KEPT:
        _KEPT[file.name] = {
            tuple(location.path): " ".join(location.leading_comments.split())
            for location in file.source_code_info.location
        }
    return _KEPT[file.name]
