"""Proves what the image of each service does, without Docker: `deploy/verify.sh [--starts]`.

1. Wheels of the lock and of this repository are installed by `install.py`, as in the images, into an empty
   prefix a service. Nothing is there that it does not need, nothing is missing, no other service's code.
2. Each process of deploy/processes.toml is started with its command from its own prefix, and so are
   migrations and seeds, against PostgreSQL, Redis and an S3 store: by bubblewrap as user 10001 without
   capabilities and as process 1, on a file system that is read-only but for the declared folders and has
   nothing else of this machine. One message of each channel goes through. Each ends with status 0 when it is
   told to stop. Where there is no bubblewrap, processes are started without it, and that is said.
3. A table of what each takes is printed. With `--starts` each process is then started alone, and timed.

What was found is written to the folder too (`report.json`), for tests. Status 1 where something is wrong.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import install
import psutil
from notify_local.backing import START_SECONDS, ChildProcess, wait_until
from notify_local.demo import DemoFile, send_demo_messages
from notify_local.seed import seed
from notify_local.stack import Options, Stack
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DECLARED: Final = tomllib.loads((install.ROOT / "deploy" / "processes.toml").read_text())
IMAGE: Final = DECLARED["image"]
SERVICES: Final = {name: str(service["module"]) for name, service in DECLARED["services"].items()}
PROCESSES: Final[dict[str, dict[str, Any]]] = DECLARED["processes"]

STATE: Final = "/run/notify"
SHARED_MODULES: Final = {"notify", "notify_common", "notify_content"}
TOOLS: Final = {
    *("pip", "setuptools", "wheel", "uv", "hatchling", "editables", "grpcio-tools", "mypy", "ruff"),
    *("pytest", "hypothesis", "trustme", "psutil", "notify-testing", "notify-local"),
}
"""What builds and tests: found in a prefix, it came in by mistake."""
IMAGE_ENVIRONMENT: Final = {
    "PATH": f"{IMAGE['prefix']}/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    # has each process say what it imports
    "PYTHONPROFILEIMPORTTIME": "1",
}
HELP: Final = """
import contextlib, io, re, runpy, sys

def help_of(*command):
    said = io.StringIO()
    sys.argv = ["", *command, "--help"]
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_module(MODULE, run_name="__main__")
    assert "usage:" in said.getvalue(), command
    return said.getvalue()

commands = re.findall(r"^    ([a-z][a-z-]*)(?: |$)", help_of(), re.MULTILINE)
assert {"check-config", "serve"} <= set(commands), commands
for command in commands:
    help_of(command)
"""
"""Has each command of a service say its help, all in one process."""
STOP_SECONDS: Final = 60.0


class Problems:
    """What was found to be wrong; it is told at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, sentence: str) -> None:
        """Tell a problem."""
        self.found.append(sentence)
        say(f"WRONG: {sentence}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# --- what is installed ---


def look_at_prefix(service: str, prefix: Path, problems: Problems) -> dict[str, Any]:
    """Return the packages and the size of a prefix, and add what is wrong with it."""
    [site] = prefix.glob("lib/python*/site-packages")
    found = {
        canonicalize_name(distribution.metadata["Name"]): distribution
        for distribution in importlib.metadata.distributions(path=[str(site)])
    }
    needed, wanted = _needed(f"notify-{service}", found)
    if missing := sorted(needed - found.keys()):
        problems.add(f"{service}: {', '.join(missing)} should be installed and is not")
    if extra := sorted(found.keys() - wanted):
        problems.add(f"{service}: {', '.join(extra)} is installed and nothing needs it")
    if tools := sorted(found.keys() & TOOLS):
        problems.add(f"{service}: {', '.join(tools)} is a tool for building or testing")
    own = {path.name for path in site.iterdir() if path.name.startswith("notify") and path.suffix == ""}
    if others := sorted(own - SHARED_MODULES - {SERVICES[service]}):
        problems.add(f"{service}: {', '.join(others)} is another service's code")
    commands = sorted(path.name for path in (prefix / "bin").iterdir())
    if any(not command.startswith("python") for command in commands):
        problems.add(f"{service}: its bin folder holds more than Python: {', '.join(commands)}")
    files = [path.lstat() for path in prefix.rglob("*")]
    return {
        "packages": {name: distribution.version for name, distribution in sorted(found.items())},
        "bytes": sum(file.st_size for file in files),
    }


def _needed(root: str, found: Mapping[str, importlib.metadata.Distribution]) -> tuple[set[str], set[str]]:
    """Return what a distribution needs here, and what it needs on any platform, as the lock is for all.

    It is told by the metadata that were installed, which know nothing of the lock.
    """
    needed: set[str] = {root}
    wanted: set[str] = {root}
    waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in (found[name].requires or []) if name in found else []:
            requirement = Requirement(text)
            marker = requirement.marker
            one = canonicalize_name(requirement.name)
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
                needed.add(one)
                waiting.append((one, frozenset(requirement.extras)))
            elif "extra" not in str(marker):
                wanted.add(one)
    return needed, wanted | needed


# --- how processes are started ---


class Container:
    """Starts a command as the image of a service would."""

    def __init__(self, prefixes: Path, stack_folder: Path) -> None:
        self._prefixes = prefixes
        self._folder = stack_folder
        self.bubblewrap = _usable_bubblewrap()
        """None where there is none: then nothing keeps a process from the rest of this machine."""

    def state(self, name: str) -> Path:
        """Return the folder of this machine that is STATE for a process."""
        return self._folder / "state" / name

    def wrap(
        self,
        name: str,
        service: str,
        writable: Iterable[str],
        command: Sequence[str],
        told: Mapping[str, str],
    ) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts `command` (its first word stands for Python), and its variables."""
        environment = {
            variable: value
            for variable, value in told.items()
            if variable.startswith("NOTIFY_") or variable == "PROMETHEUS_MULTIPROC_DIR"
        }
        environment |= IMAGE_ENVIRONMENT | {"NOTIFY_SERVICE": service}
        state = self.state(name)
        state.mkdir(parents=True, exist_ok=True)
        if self.bubblewrap is None:
            return [str(self._prefixes / service / "bin" / "python"), *command[1:]], environment
        self._let_pass_to_database()
        environment = {key: value.replace(str(state), STATE) for key, value in environment.items()}
        return (
            [
                *(self.bubblewrap, "--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc"),
                *(
                    "--unshare-uts",
                    "--uid",
                    str(IMAGE["user"]),
                    "--gid",
                    str(IMAGE["user"]),
                    "--cap-drop",
                    "ALL",
                ),
                *("--as-pid-1", "--proc", "/proc", "--dev", "/dev"),
                *_base(),
                # before what is bound, which may lie in this machine's /tmp
                *(("--tmpfs", "/tmp") if "/tmp" in writable else ()),  # noqa: S108 - inside
                *("--ro-bind", str(self._prefixes / service), IMAGE["prefix"]),
                *("--ro-bind", str(self._folder / "certs"), str(self._folder / "certs")),
                *_each("--ro-bind", self._folder.glob("postgres/.s.PGSQL.*")),
                *(
                    (
                        "--ro-bind-try",
                        str(self._folder / "inbound-numbers"),
                        str(self._folder / "inbound-numbers"),
                    )
                ),
                *(("--bind", str(state), STATE) if STATE in writable else ()),
                *("--remount-ro", "/", "--chdir", "/", "--"),
                *(f"{IMAGE['prefix']}/bin/python", *command[1:]),
            ],
            environment,
        )

    def _let_pass_to_database(self) -> None:
        """Let this user's group reach PostgreSQL's socket.

        Started by root, PostgreSQL is a user of its own, and inside there is no root who may pass by it.
        """
        folder = self._folder / "postgres"
        if folder.stat().st_uid != os.geteuid():
            os.chown(folder, -1, os.getegid())
            folder.chmod(0o750)


def _usable_bubblewrap() -> str | None:
    """Return where bubblewrap is, unless it may not make namespaces here."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    probe = [path, "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    works = subprocess.run(probe, capture_output=True, check=False).returncode == 0  # noqa: S603 - fixed
    return path if works else None


def _base() -> list[str]:
    """Return what of this machine stands for the image's base: the interpreter and its libraries."""
    parts = ["--ro-bind", "/usr", "/usr"]
    for folder in ("bin", "lib", "lib64"):
        parts += ["--symlink", f"usr/{folder}", f"/{folder}"]
    parts += _each("--ro-bind-try", [Path("/etc/ssl"), Path("/etc/ld.so.cache"), Path("/etc/localtime")])
    if not sys.base_prefix.startswith("/usr"):
        parts += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    return parts


def _each(option: str, paths: Iterable[Path]) -> list[str]:
    return [word for path in paths for word in (option, str(path), str(path))]


class ContainedProcess(ChildProcess):
    """A process that bubblewrap stands in front of; signals go to the process itself."""

    def inner(self) -> psutil.Process | None:
        """Return the process itself, or None where it has ended or was not started."""
        if self.pid is None:
            return None  # psutil would take that for this process
        try:
            outer = psutil.Process(self.pid)
            return outer if outer.name() != "bwrap" else outer.children(recursive=True)[0]
        except (psutil.NoSuchProcess, IndexError):
            return None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), if it runs; return at once."""
        inner = self.inner()
        if inner is not None:
            inner.terminate()


class ContainedStack(Stack):
    """The local stack, each of whose services' processes runs as in its image."""

    container: Container

    def _add(self, name: str, command: list[str], environment: Mapping[str, str], ready: Any) -> None:
        if name not in PROCESSES:
            super()._add(name, command, environment, ready)
            return
        process = PROCESSES[name]
        state = self.container.state(name)
        if process["probe"] == "heartbeat":
            # where the stack looks for the heartbeat
            seen = self.folder / f"{name}.heartbeat"
            seen.unlink(missing_ok=True)
            seen.symlink_to(state / "heartbeat")
            environment = {**environment, "NOTIFY_LETTERS_WORKER_HEARTBEAT_FILE": str(state / "heartbeat")}
        if process["probe"] == "http":
            environment = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(state)}
        command, environment = self.container.wrap(
            name, process["service"], process["writable"], process["command"], environment
        )
        super()._add(name, command, environment, ready)
        made = self.processes[name]
        self.processes[name] = ContainedProcess(name, made.command, made.log, made.environment)

    def _command(self, context: str, *command: str, environment: Mapping[str, str]) -> ChildProcess:
        made = super()._command(context, *command, environment=environment)
        made.command, made.environment = self.container.wrap(
            context, context, (), made.command, made.environment
        )
        return made


# --- what is looked at ---


def try_help(container: Container, logs: Path, problems: Problems) -> None:
    """Have each command of each service say its help, in its image."""
    tried = []
    for service, module in SERVICES.items():
        command = ["python", "-c", HELP.replace("MODULE", repr(module))]
        wrapped, environment = container.wrap(f"{service}-help", service, (), command, {})
        tried.append(ChildProcess(f"{service} --help", wrapped, logs / f"{service}-help.log", environment))
        tried[-1].start()
    for process in tried:
        if not process.wait(START_SECONDS) or process.exit_status() != 0:
            problems.add(f"{process.name} ended with status {process.exit_status()}: {process.last_lines(3)}")


def look_at_processes(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return what each process of the services takes now, and what it has imported."""
    looked: dict[str, dict[str, Any]] = {}
    for name in PROCESSES:
        process = stack.processes[name]
        all_of_it = _tree(process)
        memory = [one.memory_full_info() for one in all_of_it]
        modules = imported(process.log)
        looked[name] = {
            "processes": len(all_of_it),
            "rss": sum(one.rss for one in memory),
            "pss": sum(one.pss for one in memory),
            "modules": len(modules),
            "packages": sorted({module.split(".")[0] for module in modules}),
            "user": all_of_it[0].uids().real if all_of_it else None,
        }
    return looked


def _tree(process: ChildProcess) -> list[psutil.Process]:
    """Return a process and those that it made; none where it does not run."""
    inner = process.inner() if isinstance(process, ContainedProcess) else None
    return [inner, *inner.children(recursive=True)] if inner else []


def imported(log: Path) -> set[str]:
    """Return the modules that a process said it imported."""
    lines = log.read_text(errors="replace").splitlines()
    marked = (line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:"))
    return {name for name in marked if name and name != "imported package"}


def stop_all(stack: Stack, problems: Problems) -> None:
    """Tell the services' processes to stop, workers first; each should end with status 0."""
    for name in reversed(PROCESSES):
        stack.processes[name].terminate()
    for name in reversed(PROCESSES):
        process = stack.processes[name]
        if not process.wait(STOP_SECONDS):
            problems.add(
                f"{name} did not end within {STOP_SECONDS:.0f} s of SIGTERM; its log is {process.log}"
            )
        elif process.exit_status() != 0:
            problems.add(f"{name} ended with status {process.exit_status()}: {process.last_lines(3)}")


def time_starts(stack: Stack, looked: dict[str, dict[str, Any]]) -> None:
    """Start each process alone and add the seconds until it was ready, and those of processor time by then,
    which say more on a machine that is busy.
    """
    for name in PROCESSES:
        process = stack.processes[name]
        process.terminate()
        process.wait(STOP_SECONDS)
        process.environment.pop("PYTHONPROFILEIMPORTTIME")
        begun = time.perf_counter()
        process.start()
        wait_until(stack._ready[name], START_SECONDS, interval=0.01)
        looked[name]["start_seconds"] = time.perf_counter() - begun
        times = [one.cpu_times() for one in _tree(process)]
        looked[name]["start_processor_seconds"] = sum(
            one.user + one.system + one.children_user + one.children_system for one in times
        )


def print_services(services: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the size and the packages of each service."""
    for name, service in services.items():
        packages = service["packages"]
        say(f"\n{name}: {service['bytes'] / 1e6:.0f} MB, {len(packages)} packages")
        say("  " + ", ".join(f"{package} {version}" for package, version in packages.items()))


def print_processes(looked: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table of the processes."""
    say(
        f"\n{'process':26}{'start s':>9}{'CPU s':>9}{'RSS MB':>9}{'PSS MB':>9}{'processes':>11}{'modules':>9}"
    )
    for name, process in looked.items():
        start, busy = (
            f"{process[key]:.1f}" if key in process else "-"
            for key in ("start_seconds", "start_processor_seconds")
        )
        say(
            f"{name:26}{start:>9}{busy:>9}{process['rss'] / 1e6:>9.0f}{process['pss'] / 1e6:>9.0f}"
            f"{process['processes']:>11}{process['modules']:>9}"
        )
    say("")


def verify(folder: Path, starts: bool) -> int:
    """Do all of it in `folder`; return the exit status."""
    problems = Problems()
    say("wheels of the lock, and of this repository")
    install.fetch_and_build(folder / "wheels", list(SERVICES))
    say("one prefix a service")
    install.install(folder / "prefixes", folder / "wheels", list(SERVICES))
    services = {name: look_at_prefix(name, folder / "prefixes" / name, problems) for name in SERVICES}
    print_services(services)
    run_folder = folder / "run"
    shutil.rmtree(run_folder, ignore_errors=True)
    stack = ContainedStack(Options(run_folder))
    stack.container = Container(folder / "prefixes", run_folder)
    if stack.container.bubblewrap is None:
        say(
            "\nSKIPPED: user, read-only file system, writable folders: bubblewrap is not here or may not work"
        )
    say("\neach process of each service")
    looked: dict[str, dict[str, Any]] = {}
    stack.start(lambda step: say(f"  {step}"))
    try:
        try_help(stack.container, run_folder / "logs", problems)
        certificate = stack.certificates["operator"]
        seeded = seed(stack)
        demo = DemoFile(
            {
                "base_url": stack.base_url,
                "service_id": seeded.service_id,
                "api_keys": seeded.api_keys,
                "templates": seeded.templates,
                "grpc": stack.grpc_targets,
                "certs": {name: str(getattr(certificate, name)) for name in ("ca", "cert", "key")},
            }
        )
        send_demo_messages(demo, lambda step: say(f"  {step}"))
        looked = look_at_processes(stack)
        if starts:
            time_starts(stack, looked)
        stop_all(stack, problems)
    finally:
        stack.stop()
    print_processes(looked)
    report = {
        "contained": stack.container.bubblewrap is not None,
        "problems": problems.found,
        "services": services,
        "processes": looked,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2))
    say(f"{len(problems.found)} things are wrong" if problems.found else "nothing is wrong")
    return 1 if problems.found else 0


def main() -> int:
    """Command line entry; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="deploy/verify.sh"
    )
    parser.add_argument("--folder", type=Path, default=install.ROOT / ".run" / "images", help="for all of it")
    parser.add_argument("--starts", action="store_true", help="start each process alone too, and time it")
    asked = parser.parse_args()
    return verify(asked.folder.resolve(), asked.starts)


if __name__ == "__main__":
    sys.exit(main())
