"""Command line of the local stack: `python -m notify_local run | demo | template | rpc | certs`."""

import argparse
import logging
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NoReturn

import grpc
from notify_testing.certs import ensure_certificates
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from notify_local.backing import StartFailed
from notify_local.demo import DemoFailed, DemoFile, demo_path, details, send_demo_messages
from notify_local.seed import Seeded, make_template, seed, seed_callback
from notify_local.stack import ADMIN_CLIENT_SECRET, CERTIFICATE_NAMES, Options, PortTaken, Stack

DEFAULT_RUN_FOLDER = Path(".run")
ADMIN_CLIENT_ID = "notify-admin"
MOST_COPIES = 4
"""Of each process; a laptop has no room for more."""
STEPS = 7
"""How many things a start reports, for the bar's length."""

console = Console(highlight=False, soft_wrap=True)


class _Reporter:
    """Shows the steps of a start: a bar on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._bar = (
            Progress(
                TextColumn("starting {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            if console.is_terminal
            else None
        )
        self._task = self._bar.add_task("", total=STEPS) if self._bar else None

    def __enter__(self) -> "_Reporter":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, text: str) -> None:
        """Say what is being done now."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1, description=text)
        else:
            console.print(f"starting {text}")

    def waiting(self, text: str) -> None:
        """Say what takes long to start."""
        console.print(f"still waiting for {text}", markup=False)


def run(arguments: argparse.Namespace) -> int:
    """Start everything, send the demo messages and stay until it is told to stop."""
    run_folder = arguments.run_folder.resolve()
    stack = Stack(
        Options(run_folder, port=arguments.port, with_edge=True, with_receiver=True, copies=arguments.copies)
    )
    other = stack.ledger.running_stack()
    if other is not None:
        console.print(
            f"run: the platform runs already, as process {other}; stop that one first (Ctrl-C there)"
        )
        return 1
    left = stack.ledger.end_leftovers()
    if left:
        console.print(f"ended {left} processes that an earlier run left behind")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell has a background job ignore the former
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    demo_path(run_folder).unlink(missing_ok=True)
    is_up = False
    try:
        with _Reporter() as reporter:
            stack.start(reporter.step, reporter.waiting)
        is_up = True
        seeded = seed(stack)
        seed_callback(stack)
        demo = _write_demo_file(stack, seeded)
        console.print("sending a text, an email and a letter with the official Python client …")
        send_demo_messages(demo, lambda text: console.print(f"  {text}"))
        _say_where_to_look(stack, demo, time.monotonic() - started)
        _stay(stack)
    except KeyboardInterrupt:
        pass
    except (PortTaken, StartFailed, DemoFailed) as error:
        console.print(f"run: {error}", markup=False)
        return 1
    except grpc.RpcError as error:
        console.print(f"run: seeding failed: {details(error)}", markup=False)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if is_up:
            console.print("stopping …")
        demo_path(run_folder).unlink(missing_ok=True)
        stack.stop()
    return 0


def _stay(stack: Stack) -> NoReturn:
    told: set[str] = set()
    while True:
        time.sleep(1.0)
        for name in set(stack.ended()) - told:
            told.add(name)
            process = stack.processes[name]
            status = process.exit_status()
            console.print(f"{name} ended with status {status}; see {process.log}", markup=False)


def _write_demo_file(stack: Stack, seeded: Seeded) -> DemoFile:
    operator = stack.certificates["operator"]
    content = {
        "base_url": stack.base_url,
        "admin_client_id": ADMIN_CLIENT_ID,
        "admin_secret": ADMIN_CLIENT_SECRET,
        "service_id": seeded.service_id,
        "api_keys": seeded.api_keys,
        "templates": seeded.templates,
        "grpc": {context: stack.first_address(context) for context in stack.grpc_targets},
        "redis_url": stack.redis_url,
        "object_store_url": stack.object_store_url,
        "certs": {"ca": str(operator.ca), "cert": str(operator.cert), "key": str(operator.key)},
    }
    demo_file = DemoFile(content)
    demo_file.write(stack.folder)
    return demo_file


def _say_where_to_look(stack: Stack, demo: DemoFile, seconds: float) -> None:
    copies = stack.options.copies
    of_each = f", with {copies} of each server, worker and edge" if stack.has_copies else ""
    console.print(
        f"""
The platform is up, {seconds:.0f} s after the start{of_each}.

  Inbox      {stack.base_url}/console/
  Callbacks  {stack.received_url}/
  REST API   {stack.base_url}/v2/notifications
  Service    {demo.content["service_id"]} (Demo service)
  Live key   {demo.content["api_keys"]["normal"]}
  Team key   {demo.content["api_keys"]["team"]}
  Test key   {demo.content["api_keys"]["test"]}
  Scripts    {demo_path(stack.folder)}
  Logs       {stack.folder / "logs"}

  make demo    sends three more messages
  make rpc     calls a method: make rpc CALL=notify.admin.v1.ServicesService/ListServices
  Ctrl-C       stops everything; the data stays""",
        markup=False,
    )


def demo(arguments: argparse.Namespace) -> int:
    """Send the demo messages through a platform that runs."""
    try:
        demo_file = DemoFile.read(arguments.run_folder)
        send_demo_messages(demo_file, lambda text: console.print(f"  {text}"))
    except DemoFailed as error:
        console.print(f"demo: {error}", markup=False)
        return 1
    console.print(f"look at them: {demo_file.content['base_url']}/console/")
    return 0


def rpc(arguments: argparse.Namespace) -> int:
    """Call one method with grpcurl and the operator's certificate; `list` and `describe` work too."""
    try:
        content = DemoFile.read(arguments.run_folder).content
    except DemoFailed as error:
        console.print(f"rpc: {error}", markup=False)
        return 1
    context = arguments.service or _context_of(arguments.call)
    if context not in content["grpc"]:
        names = ", ".join(sorted(content["grpc"]))
        console.print(
            f"rpc: {arguments.call!r} names no context; say notify.<context>.v1.<Service>/<Method> "
            f"with one of {names}, or a context alone to list its services",
            markup=False,
        )
        return 1
    command = [
        str(Path(sysconfig.get_path("scripts")) / "grpcurl"),
        *(
            "-cacert",
            content["certs"]["ca"],
            "-cert",
            content["certs"]["cert"],
            "-key",
            content["certs"]["key"],
        ),
    ]
    if "/" in arguments.call:
        command += ["-d", arguments.data, content["grpc"][context], arguments.call]
    elif arguments.call == context:
        command += [content["grpc"][context], "list"]
    else:
        command += [content["grpc"][context], "describe", arguments.call]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - a developer's own call


def _context_of(call: str) -> str:
    parts = call.split(".")
    return parts[1] if parts[0] == "notify" and len(parts) > 1 else call


def template(arguments: argparse.Namespace) -> int:
    """Make a template of the demo service and say how to send with it."""
    try:
        demo_file = DemoFile.read(arguments.run_folder)
        template_id = make_template(
            demo_file, arguments.channel, arguments.name, arguments.subject, arguments.content
        )
    except (DemoFailed, ValueError) as error:
        console.print(f"template: {error}", markup=False)
        return 1
    except grpc.RpcError as error:
        console.print(f"template: it was not made: {details(error)}", markup=False)
        return 1
    content = demo_file.content
    content["templates"][arguments.name] = template_id
    demo_file.write(arguments.run_folder)
    console.print(
        f"made {template_id}\n"
        f"it stands in {demo_path(arguments.run_folder)} as templates[{arguments.name!r}]; "
        "send with it as the README shows",
        markup=False,
    )
    return 0


def certs(arguments: argparse.Namespace) -> int:
    """Make the certificates that are missing."""
    for name, certificate in ensure_certificates(arguments.run_folder / "certs", CERTIFICATE_NAMES).items():
        console.print(f"{name}: {certificate.cert}")
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it should be a number from 1 to 65535")
    return int(text)


def _copies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_COPIES):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number from 1 to {MOST_COPIES}")
    return int(text)


def main() -> int:
    """Command line entry; return the exit status."""
    parser = argparse.ArgumentParser(prog="notify_local", description=__doc__)
    parser.add_argument(
        "--run-folder", type=Path, default=DEFAULT_RUN_FOLDER, help="state, logs, certificates"
    )
    commands = parser.add_subparsers(required=True)
    run_parser = commands.add_parser("run", help="start the platform and stay until Ctrl-C")
    run_parser.add_argument("--port", type=_port, default=6011, help="where the platform is reached (6011)")
    run_parser.add_argument("--copies", type=_copies, default=1, help="of each server, worker and edge (1)")
    run_parser.set_defaults(command=run)
    demo_parser = commands.add_parser("demo", help="send a text, an email and a letter")
    demo_parser.set_defaults(command=demo)
    rpc_parser = commands.add_parser("rpc", help="call a gRPC method with the operator's certificate")
    rpc_parser.add_argument("call", help="notify.<context>.v1.<Service>/<Method>, a service, or a context")
    rpc_parser.add_argument("--data", default="{}", help="the request as JSON")
    rpc_parser.add_argument("--service", default="", help="the context to ask; by default the call's own")
    rpc_parser.set_defaults(command=rpc)
    template_parser = commands.add_parser("template", help="make a template of the demo service")
    template_parser.add_argument("--channel", choices=["sms", "email", "letter"], default="sms")
    template_parser.add_argument("--name", required=True, help="what it is called")
    template_parser.add_argument("--subject", default="", help="emails and letters: the subject")
    template_parser.add_argument("--content", required=True, help="its text, with ((placeholders))")
    template_parser.set_defaults(command=template)
    certs_parser = commands.add_parser("certs", help="make the development certificates")
    certs_parser.set_defaults(command=certs)
    arguments = parser.parse_args()
    # What the client logs of a failed request is said again, in a sentence, by whoever made it.
    logging.getLogger("notifications_python_client").addHandler(logging.NullHandler())
    return int(arguments.command(arguments))


if __name__ == "__main__":
    sys.exit(main())
