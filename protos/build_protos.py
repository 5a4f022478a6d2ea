"""Builds the `notify.*` stubs from the .proto files: `python protos/build_protos.py [--out DIR]`.

Writes `notify/**/*_pb2.py`, `*_pb2.pyi`, `*_pb2_grpc.py`, an `__init__.py` in each package and `py.typed`
(design.md §2.3). The output folder is made anew each time, so a removed proto leaves nothing behind.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import google.rpc
import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
DEFAULT_OUT = ROOT / "gen"


class ProtocFailed(Exception):
    """protoc refused the sources; its own message is on standard error."""


def build(out: Path = DEFAULT_OUT) -> int:
    """Compile every proto below `protos/notify` into `out` and return how many there were.

    The finished tree takes the old one's place by renames, so that an import hardly ever meets half a build.
    Raises ProtocFailed.
    """
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notify").rglob("*.proto"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".build-protos-") as scratch:
        target = Path(scratch)
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={ROOT}",
                f"--proto_path={Path(grpc_tools.__path__[0]) / '_proto'}",
                f"--proto_path={Path(google.rpc.__path__[0]).parents[1]}",
                f"--python_out={target}",
                f"--pyi_out={target}",
                f"--grpc_python_out={target}",
                *sources,
            ]
        )
        if status != 0:
            raise ProtocFailed(f"protoc ended with status {status}")
        for folder in [target / "notify", *(p for p in (target / "notify").rglob("*") if p.is_dir())]:
            (folder / "__init__.py").touch()
        (target / "notify" / "py.typed").touch()
        _copy_service_configs(target)
        current = out / "notify"
        if current.exists():
            current.rename(target / "before")
        (target / "notify").rename(current)
    return len(sources)


def _copy_service_configs(target: Path) -> None:
    for config in (ROOT / "notify").rglob("service_config.json"):
        shutil.copy(config, target / config.relative_to(ROOT))


def main() -> int:
    """Command line entry; return the exit status."""
    parser = argparse.ArgumentParser(description="Build the notify.* stubs from the .proto files.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write notify/ into")
    try:
        count = build(parser.parse_args().out)
    except ProtocFailed as error:
        print(f"build_protos: {error}", file=sys.stderr)
        return 1
    print(f"built stubs of {count} protos")
    return 0


if __name__ == "__main__":
    sys.exit(main())
