"""What images hold and do, as `deploy/verify.sh` finds it here: the processes from prefixes of their own."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "deploy" / "docker"))
import install

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "deploy" / "processes.toml").read_text())
SERVICES = sorted(DECLARED["services"])
PROCESSES = sorted(DECLARED["processes"])
MODULES = {name: service["module"] for name, service in DECLARED["services"].items()}

TYPESETTING = {"typst", "pikepdf", "pypdfium2", "PIL", "uharfbuzz", "lxml", "manimgx_fonts", "fontpkg_arimo"}
AMAZON = {"boto3", "botocore", "s3transfer"}
CELERY = {"celery", "kombu", "billiard", "amqp"}
DATABASE = {"sqlalchemy", "psycopg2"}
MIGRATIONS = {"alembic", "mako"}
HTTP_CLIENTS = {"requests", "httpx", "aiohttp"}
TOOLS = {"pytest", "unittest", "pip", "setuptools"}
EVERYWHERE = MIGRATIONS | HTTP_CLIENTS | TOOLS | {"asyncssh"}
NOT_IMPORTED = {
    "gateway-public": DATABASE | AMAZON | CELERY | TYPESETTING,
    "gateway-internal": DATABASE | AMAZON | CELERY | TYPESETTING,
    "admin": AMAZON | CELERY | TYPESETTING | {"pycurl", "redis"},
    "notifications": CELERY | TYPESETTING,
    "notifications-work": CELERY | TYPESETTING,
    "notifications-jobs": CELERY | TYPESETTING,
    "notifications-callbacks": CELERY | TYPESETTING,
    "providers": AMAZON | CELERY | TYPESETTING | {"redis"},
    "providers-work": AMAZON | CELERY | TYPESETTING | {"redis"},
    "letters": CELERY | {"pycurl", "phonenumbers"},
    "letters-work": TYPESETTING | {"pycurl", "phonenumbers"},
    "letters-celery": {"pycurl", "phonenumbers"},
    "letters-beat": DATABASE | AMAZON | TYPESETTING | {"pycurl", "phonenumbers", "grpc_reflection"},
}
"""Process -> packages that it has no use for after a message of each channel went through."""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    done = subprocess.run([ROOT / "deploy" / "verify.sh"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((ROOT / ".run" / "images" / "report.json").read_text())
    return found


def test_each_process_starts_as_its_image_starts_it(report: dict[str, Any]) -> None:
    assert report["problems"] == []
    assert sorted(report["processes"]) == PROCESSES
    if not report["contained"]:
        if os.environ.get("NOTIFY_REQUIRE_BUBBLEWRAP") == "1":
            pytest.fail("bubblewrap is required here and not there")
        pytest.skip("no bubblewrap: the processes were started without their user and file system")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_service_alone(report: dict[str, Any], service: str) -> None:
    packages = set(report["services"][service]["packages"])
    own = {name for name in packages if name.startswith("notify-")}
    assert own == {f"notify-{service}", "notify-common", "notify-protos"}
    assert not packages & {"pip", "setuptools", "wheel", "hatchling", "uv", "pytest", "trustme", "psutil"}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_imports_nothing_that_it_has_no_use_for(report: dict[str, Any], process: str) -> None:
    imported = set(report["processes"][process]["packages"])
    assert "pydantic_settings" in imported  # or nothing was seen
    assert imported & (EVERYWHERE | NOT_IMPORTED[process]) == set()


def test_a_service_declares_what_it_imports() -> None:
    graph = grimp.build_graph(
        *("notify_common", "notify_content", *MODULES.values()),
        include_external_packages=True,
        exclude_type_checking_imports=True,
    )
    provided = _provided()
    for service, module in MODULES.items():
        imported = _imported(graph, module)
        declared = _declared(f"notify-{service}")
        by = {package: provided.get(package, set()) for package in imported}
        undeclared = sorted(package for package, names in by.items() if not names & declared)
        assert undeclared == [], f"{service} imports what its pyproject.toml does not name"
        used = {name for names in by.values() for name in names}
        assert declared - used - STARTED.get(service, set()) - BY_WAY_OF == set(), f"{service} has no use for"


STARTED = {"api-gateway": {"granian"}, "letters": {"redis"}}
"""Service -> packages that are used without an import of ours: the server, the broker's transport."""
BY_WAY_OF = {"pydantic", "tzdata", "notify-protos", "notify-common"}


def _imported(graph: grimp.ImportGraph, module: str) -> set[str]:
    """Return the packages from elsewhere that a service imports, by itself and through what is shared."""
    seen: set[str] = set()
    waiting = [name for name in graph.modules if name == module or name.startswith(f"{module}.")]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.find_modules_directly_imported_by(name)
            parent = name.rpartition(".")[0]
            waiting += [parent] if parent in graph.modules else []
    tops = {name for name in seen if graph.is_module_squashed(name)}
    return {name for name in tops if name not in sys.stdlib_module_names and name != "notify"}


def _provided() -> dict[str, set[str]]:
    """Return importable package -> distributions that bring it."""
    return {
        package: {name.lower().replace("_", "-") for name in names}
        for package, names in packages_distributions().items()
    }


def _declared(requirement: str) -> set[str]:
    """Return what a distribution of ours names, with what the shared ones name for it."""
    names: set[str] = set()
    for one in install.dependencies(requirement):
        name = install.name_of(one)
        names.add(name)
        if name in install.OWN:
            names |= _declared(one)
    return names
