"""Build hook: a wheel of notify-protos is built from the .proto files, never from stubs lying about."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))


class ProtosBuildHook(BuildHookInterface[Any]):
    """Runs build_protos before the files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        from build_protos import build

        build()
