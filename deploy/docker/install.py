"""Installs services from the lock: `python deploy/docker/install.py tools | wheels | prefixes`.

The images (deploy/docker/Dockerfile) and what proves them (deploy/verify.sh) both do it by this file, so that
what was proved is what is shipped. Standard library alone: it runs before anything is installed.

    tools                            print the part of the lock that builds wheels and installs them
    wheels FOLDER SERVICE…           put the wheels that services need into FOLDER: those of the lock,
                                     compared with their hashes, and those of this repository, built
    prefixes FOLDER WHEELS SERVICE…  make FOLDER/<service>, a virtual environment that holds exactly one
                                     service, from such wheels, without a network

What a service needs is what its `pyproject.toml` names, with what that needs in turn, as the lock says.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
OWN = {
    "notify-protos": ROOT / "protos",
    "notify-common": ROOT / "services" / "common",
    **{
        f"notify-{name}": ROOT / "services" / name
        for name in ("admin", "api-gateway", "letters", "notifications", "providers")
    },
}
"""Distributions of this repository that are deployed, by name."""
TOOLS = ("hatchling", "grpcio-tools", "googleapis-common-protos", "uv")
"""What builds the wheels of this repository and installs them."""
RUNS_AS = "/opt/notify"
"""Where the prefix is when it runs; compiled code names its source there."""


class Lock:
    """The pinned packages of requirements.txt, and which of them need which."""

    def __init__(self, text: str) -> None:
        entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
        self.entries = {name_of(entry): entry for entry in entries}
        """Name -> its lines, with version, marker and hashes."""
        self.needs: dict[str, set[str]] = {}
        """Name -> packages that it needs."""
        for name, entry in self.entries.items():
            for line in entry.splitlines():
                parent = line.strip().removeprefix("#").strip().removeprefix("via").strip()
                if line.lstrip().startswith("#") and parent and not parent.startswith("-r "):
                    self.needs.setdefault(parent, set()).add(name)
            if "--hash=sha256:" not in entry:
                raise SystemExit(f"install: {name} has no hash in {LOCK.name}")

    def closure(self, requirements: Iterable[str]) -> list[str]:
        """Return these packages with all that they need, in order.

        Those of this repository are looked into, with the extras that are named, and left out.
        """
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(requirements)
        while waiting:
            requirement = waiting.pop()
            name = name_of(requirement)
            if requirement in seen:
                continue
            seen.add(requirement)
            found.add(name)
            if name in OWN:
                waiting += dependencies(requirement)
            elif name in self.entries:
                waiting += self.needs.get(name, ())
            else:
                raise SystemExit(
                    f"install: {name} is not in {LOCK.name}; add it to requirements.in and run `make lock`"
                )
        return sorted(found - OWN.keys())

    def hashes(self, name: str) -> set[str]:
        """Return the SHA-256 of each file that a package may be installed from, in hex."""
        return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", self.entries[name]))

    def version(self, name: str) -> str:
        """Return the version that a package is pinned to."""
        return self.entries[name].split("==", 1)[1].split()[0]

    def requirements(self, names: Iterable[str]) -> str:
        """Return the part of the lock that pins these packages."""
        return "".join(self.entries[name] for name in names)


def own_distributions(service: str) -> list[str]:
    """Return the distributions of this repository that a service consists of, those it needs first."""
    found: list[str] = []

    def visit(name: str) -> None:
        for dependency in map(name_of, dependencies(name)):
            if dependency in OWN and dependency not in found:
                visit(dependency)
        found.append(name)

    visit(f"notify-{service}")
    return found


def fetch_and_build(folder: Path, services: Sequence[str]) -> None:
    """Fill `folder` with the wheels that these services need."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(LOCK.read_text())
    there = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in folder.glob("*.whl")}
    needed = lock.closure(f"notify-{service}" for service in services)
    missing = [name for name in needed if not lock.hashes(name) & there]
    requirements = folder / "requirements.txt"
    requirements.write_text(lock.requirements(missing))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    download = ["download", "-qq", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    if missing:
        _run([*pip, *download, "-r", str(requirements), "-d", str(folder)])
    for stale in folder.glob("notify_*.whl"):
        stale.unlink()
    own = sorted({name for service in services for name in own_distributions(service)})
    build = ["wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    _run([*pip, *build, *(str(OWN[name]) for name in own)])


def install(folder: Path, wheels: Path, services: Sequence[str]) -> None:
    """Make one virtual environment a service below `folder`.

    Nothing is there that the service does not need: no installer, no commands of packages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(LOCK.read_text())
    for service in services:
        prefix = folder / service
        shutil.rmtree(prefix, ignore_errors=True)
        distributions = own_distributions(service)
        requirements = folder / f"{service}.txt"
        requirements.write_text(
            lock.requirements(lock.closure([f"notify-{service}"]))
            + "".join(_pinned(name, wheels) for name in distributions)
        )
        _run([sys.executable, "-m", "venv", "--without-pip", str(prefix)])
        uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--offline", "--no-index"]
        into = ["--python", str(prefix / "bin" / "python"), "--find-links", str(wheels)]
        _run([*uv, *into, "--require-hashes", "--no-deps", "-r", str(requirements)])
        for script in (prefix / "bin").iterdir():
            if not script.name.startswith("python"):
                script.unlink()
        for note in prefix.rglob("*.dist-info/uv_cache.json"):
            note.unlink()  # says when it was installed
    compile_modules([folder / service for service in services])


def compile_modules(prefixes: Iterable[Path]) -> None:
    """Compile all modules of prefixes once for all, as nobody writes there later.

    What comes out depends on the sources alone, neither on when nor on where that is done. Prefixes that
    share a source file by a hard link share what it is compiled to.
    """
    compiled: dict[tuple[int, int], tuple[Path, str]] = {}
    shared: list[tuple[Path, Path]] = []
    for prefix in prefixes:
        for source in sorted(prefix.rglob("*.py")):
            status = source.stat()
            first, _ = compiled.setdefault(
                (status.st_dev, status.st_ino), (source, f"{RUNS_AS}/{source.relative_to(prefix)}")
            )
            if first != source:
                shared.append((first, source))
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(_compile, compiled.values(), chunksize=50):
            pass
    for first, source in shared:
        made = _compiled(first)
        if made.exists():
            _compiled(source).parent.mkdir(exist_ok=True)
            os.link(made, _compiled(source))


def _compile(source_and_name: tuple[Path, str]) -> None:
    source, name = source_and_name
    # what can't be compiled is a template, or code for another Python: nobody imports it
    with contextlib.suppress(py_compile.PyCompileError):
        py_compile.compile(
            str(source),
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _compiled(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def _pinned(name: str, wheels: Path) -> str:
    """Return the line that pins a distribution of this repository to the wheel that was built."""
    [wheel] = wheels.glob(f"{name.replace('-', '_')}-*.whl")
    version = wheel.name.split("-")[1]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def name_of(requirement: str) -> str:
    """Return the normal form of the name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def dependencies(requirement: str) -> list[str]:
    """Return what a distribution of this repository needs, with the extras that the requirement names."""
    project = tomllib.loads((OWN[name_of(requirement)] / "pyproject.toml").read_text())["project"]
    found: list[str] = list(project["dependencies"])
    if extras := re.search(r"\[(.*?)\]", requirement):
        for extra in extras[1].split(","):
            found += project["optional-dependencies"][extra.strip()]
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)  # noqa: S603 - commands of this file
    if done.returncode:
        raise SystemExit(f"install: {' '.join(command[:4])} … ended with status {done.returncode}")


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description="Install services from the lock.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tools", help="print the part of the lock that the other commands need")
    wheels = commands.add_parser("wheels", help="put the wheels of services into a folder")
    wheels.add_argument("folder", type=Path)
    wheels.add_argument("services", nargs="+")
    prefixes = commands.add_parser("prefixes", help="make a virtual environment for each service")
    prefixes.add_argument("folder", type=Path)
    prefixes.add_argument("wheels", type=Path)
    prefixes.add_argument("services", nargs="+")
    asked = parser.parse_args()
    if asked.command == "tools":
        lock = Lock(LOCK.read_text())
        sys.stdout.write(lock.requirements(lock.closure(TOOLS)))
    elif asked.command == "wheels":
        fetch_and_build(asked.folder, asked.services)
    else:
        install(asked.folder, asked.wheels, asked.services)


if __name__ == "__main__":
    main()
