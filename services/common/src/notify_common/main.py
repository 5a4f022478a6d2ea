"""The command line of every service: `python -m notify_<name> serve | work | migrate | check-config`."""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from notify_common import signals
from notify_common.boot import BootError
from notify_common.logging import configure_logging, describe_exception, get_logger
from notify_common.metrics import serve_metrics
from notify_common.rpc.certificates import require_usable_certificate
from notify_common.settings import ServiceSettings, load_settings
from notify_common.tracing import configure_tracing, shutdown_tracing

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Command(Generic[S]):
    """One command of a service.

    `run(settings, arguments, stop)` does it until it is done or the event `stop` is set, and returns the exit
    status (None means 0). `add_arguments` declares its options. `long_running` commands serve metrics.
    """

    name: str
    help: str
    run: Callable[[S, argparse.Namespace, threading.Event], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    long_running: bool = True


def work_command(
    help: str, queues: Sequence[str], run: Callable[[S, argparse.Namespace, threading.Event], int | None]
) -> Command[S]:
    """Return the command `work`; `arguments.queues` are those of `queues` that `--queues` names, or all."""

    def chosen(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        unknown = sorted(set(names) - set(queues))
        if unknown:
            raise argparse.ArgumentTypeError(
                f"no such queue: {', '.join(unknown)}; there are {', '.join(queues)}"
            )
        return list(dict.fromkeys(names))

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--queues",
            type=chosen,
            default=list(queues),
            help=f"comma-separated, of {', '.join(queues)}; all by default",
        )

    return Command("work", help, run, add_arguments)


def run(
    service: str, settings: type[S], commands: Sequence[Command[S]], arguments: Sequence[str] | None = None
) -> NoReturn:
    """Run the command that `arguments` (by default the process's) name, and end the process.

    Exit status: 0 done, 1 failed, 2 bad arguments or settings. `check-config` reads the settings, says what
    is wrong with them and does nothing else. SIGTERM and SIGINT stop a command, SIGUSR1 shows its stacks.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m notify_{service.removeprefix('api-').replace('-', '_')}",
        description=f"The {service} service. Settings come from the environment.",
    )
    choices = parser.add_subparsers(dest="command", required=True, metavar="command")
    choices.add_parser("check-config", help="read the settings and say what is wrong with them")
    for command in commands:
        subparser = choices.add_parser(command.name, help=command.help, description=command.help)
        if command.add_arguments is not None:
            command.add_arguments(subparser)
    parsed = parser.parse_args(arguments)
    loaded = load_settings(settings)
    require_usable_certificate(loaded)
    if parsed.command == "check-config":
        sys.stdout.write("the settings are complete\n")
        raise SystemExit(0)
    chosen = next(command for command in commands if command.name == parsed.command)
    raise SystemExit(_run(service, chosen, loaded, parsed))


def _run(
    service: str, command: Command[Any], settings: ServiceSettings, arguments: argparse.Namespace
) -> int:
    stop = signals.install()
    configure_logging(service, settings.log_level)
    configure_tracing(service, settings.otlp_endpoint)
    log = get_logger()
    metrics = None
    try:
        if command.long_running:
            try:
                metrics = serve_metrics(settings.metrics_listen)
            except OSError:
                raise BootError(
                    f"{settings.metrics_listen} can't be listened on: it is taken or not an address here; "
                    "set metrics_listen"
                ) from None
            log.info("started", command=command.name, environment=settings.environment, port=metrics.port)
        return command.run(settings, arguments, stop) or 0
    except BootError as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 1
    except Exception as error:  # the last place where it can be told without its text
        log.error("command failed", command=command.name, **describe_exception(error))
        sys.stderr.write(f"{service}: {command.name} failed ({type(error).__name__}); see the log\n")
        return 1
    finally:
        if metrics is not None:
            metrics.close()
        shutdown_tracing()
