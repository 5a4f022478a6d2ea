"""Replaces every process one by one under load, from another commit's code and schema: `make drill-upgrade`.

It starts two of each process from the other commit's code, on its schema, with edges and sidecars that are
configured as that commit has it, and sends texts, emails and letters at a steady rate, each once and without
an Idempotency-Key, as a client does that repeats nothing; and reads now and then. Then it migrates each
database by this commit's code and replaces the processes one by one: SIGTERM, wait for its end, end its
sidecar, start both anew, wait until they are ready. The edges come last: one is left out by the load
balancer, has whoever is connected connect anew, ends, and is started with this commit's configuration; then
the other. Then the same back on the newer schema, as migrations only expand. At the end it counts what was
refused, what was lost and what came twice. Prints a line for each step; ends with status 1 if there was any
of these.

The load balancer stays. Everything runs with the packages of this commit, Envoy's among them.
"""

import argparse
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from notify_local.backing import ChildProcess
from notify_local.stack import Options, Stack, is_envoy, original, rolling

from tests.chaos.faults import NOTHING, ROLLING, Fault
from tests.chaos.run import ADDRESS, VALUES, Census, Sent
from tests.harness.house import ASK_SECONDS, Accepted, House, running_house

ROOT: Final = Path(__file__).parents[2]
COPIES: Final = 2
CLIENTS: Final = 16
EMAIL_EVERY: Final = 5
LETTER_EVERY: Final = 20
READ_EVERY: Final = 4
SETTLE_SECONDS: Final = 3.0
"""How long the load goes on before the first step, and after the last."""
REPLACED: Final = [names for names in ROLLING if "callback-receiver" not in names]


class Code:
    """The code of another commit, ready to be run by this commit's Python."""

    def __init__(self, commit: str, folder: Path) -> None:
        self.commit = _git("rev-parse", "--short", commit)
        self.folder = folder
        folder.mkdir()
        archive = subprocess.Popen(["git", "archive", self.commit], cwd=ROOT, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
        subprocess.run(
            [sys.executable, "protos/build_protos.py"], cwd=folder, check=True, capture_output=True
        )
        sources = [*sorted(folder.glob("services/*/src")), folder / "protos" / "gen"]
        self.path = os.pathsep.join(map(str, sources))

    @property
    def envoy_folder(self) -> Path:
        """Where its configurations of edge and sidecars are."""
        return self.folder / "deploy" / "envoy"

    @property
    def same_lock(self) -> bool:
        """Tell whether it was locked to the packages that it is run with."""
        name = "requirements.txt"
        return (self.folder / name).read_text() == (ROOT / name).read_text()

    @property
    def has_two_faces(self) -> bool:
        """Tell whether its services know the certificates of both faces of the gateway."""
        declared = self.folder / "deploy" / "processes.toml"
        return declared.exists() and "gateway-public" in declared.read_text()

    def run_by(self, process: ChildProcess) -> None:
        """Have a process run this code at its next start."""
        process.environment["PYTHONPATH"] = self.path


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


class OtherStack(Stack):
    """A stack whose services run the code of a commit that is told."""

    def __init__(self, options: Options, code: Code) -> None:
        super().__init__(options)
        options.envoy_folder = code.envoy_folder
        self._code = code

    def _add(
        self, name: str, command: list[str], environment: Mapping[str, str], ready: Callable[[], bool]
    ) -> None:
        super()._add(name, command, environment, ready)
        if self._is_replaced(name):
            self._code.run_by(self.processes[name])

    def _command(self, context: str, *command: str, environment: Mapping[str, str]) -> ChildProcess:
        made = super()._command(context, *command, environment=environment)
        self._code.run_by(made)
        return made

    def use(self, code: Code) -> None:
        """Have what is started from now on run this code."""
        self._code = code
        for name, process in self.processes.items():
            if self._is_replaced(name):
                code.run_by(process)
        self.options.envoy_folder = code.envoy_folder
        self.configure_envoys()

    def _is_replaced(self, name: str) -> bool:
        return any(original(name) in names for names in REPLACED) and not is_envoy(name)


class Load:
    """Steady requests through the edge, none of them repeated, while the block runs."""

    def __init__(self, house: House, rate: float) -> None:
        self._house = house
        self._pause = 1 / rate
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._local = threading.local()
        self.accepted: list[Accepted] = []
        self.letters: list[str] = []
        self.reads = 0
        self.refused: list[tuple[float, str]] = []
        """When, and how, a request was not answered as it should be."""
        self.slowest = 0.0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Send while the block runs, and wait for what is under way."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._send_on) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self._over.set()
                for client in clients:
                    client.result()

    def _send_on(self) -> None:
        with requests.Session() as self._local.session:
            while not self._over.wait(self._pause * CLIENTS):
                begun = time.monotonic()
                try:
                    self._ask(next(self._numbers))
                except requests.RequestException as error:
                    self.refused.append((begun, type(error).__name__))
                self.slowest = max(self.slowest, time.monotonic() - begun)

    def _ask(self, number: int) -> None:
        house, session = self._house, self._local.session
        begun = time.monotonic()
        templates = house.seeded.templates
        base = f"{house.stack.base_url}/v2/notifications"
        if number % READ_EVERY == 0 and self.accepted:
            url = f"{base}/{self.accepted[-1].id}"
            answer = session.get(url, headers=house.headers(), timeout=ASK_SECONDS)
            self.reads += 1
            if answer.status_code != 200:
                self.refused.append((begun, f"GET {answer.status_code}"))
            return
        channel, body = "sms", {"template_id": templates["sms"], "phone_number": f"07400{number % 10**6:06d}"}
        if number % LETTER_EVERY == 1:
            channel, body = "letter", {"template_id": templates["letter"]}
        elif number % EMAIL_EVERY == 2:
            email = f"person-{number}@example.com"
            channel, body = "email", {"template_id": templates["email"], "email_address": email}
        values = VALUES | (ADDRESS if channel == "letter" else {})
        answer = session.post(
            f"{base}/{channel}",
            json=body | {"personalisation": values},
            headers=house.headers(),
            timeout=ASK_SECONDS,
        )
        if answer.status_code != 201:
            self.refused.append((begun, f"POST {answer.status_code} {answer.text[:120]}"))
            return
        self.accepted.append(Accepted(answer.json()["id"], 1, time.monotonic() - begun))
        if channel == "letter":
            self.letters.append(self.accepted[-1].id)


def replace_all(stack: OtherStack, load: Load, code: Code, what: str, say: Callable[[str], None]) -> None:
    """Have this code in all processes, service after service, one copy at a time."""
    stack.use(code)
    for names in rolling(stack, REPLACED):
        sent, refused, begun = len(load.accepted), len(load.refused), time.monotonic()
        replaced = stack.replace(*names)
        how = Counter(how for _, how in load.refused[refused:])
        sidecars = sum(is_envoy(name) for name in replaced if name not in names)
        say(
            f"{what} {names[0]:16} {len(names)} processes, {sidecars} sidecars, "
            f"replaced in {time.monotonic() - begun:4.1f} s; "
            f"{len(load.accepted) - sent:4} sent meanwhile, {how.total()} refused"
            + "".join(f"; {times} times {one}" for one, times in how.items())
            + "".join(f"; {name} ended with status {status}" for name, status in replaced.items() if status)
        )


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make drill-upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="commit", default="HEAD~5", help="the commit to begin with")
    parser.add_argument("--rate", type=float, default=40, help="requests a second (40)")
    parser.add_argument("--no-way-back", action="store_true", help="end once this commit's code runs")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that whoever ends it ends the platform too
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="notify-upgrade-"))
    folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
    # Both are snapshots, so that whoever works on goes on undisturbed.
    code, newer = Code(told.commit, folder / "code"), Code("HEAD", folder / "newer")
    lock = "the same packages" if code.same_lock else "this commit's packages, though its lock is another"
    if not code.has_two_faces:
        parser.error(f"the services of {code.commit} know one face of the gateway; begin with a later commit")
    say(f"from {code.commit} to {newer.commit}, with {lock}")
    stacks: list[OtherStack] = []

    def make(options: Options) -> Stack:
        stacks.append(OtherStack(options, code))
        return stacks[0]

    with running_house(folder / "stack", lambda part: say(f"starting {part}"), COPIES, make) as house:
        [stack] = stacks
        census = Census(house)
        load = Load(house, told.rate)
        pause = threading.Event()
        with load.going_on():
            pause.wait(SETTLE_SECONDS)
            refused = len(load.refused)
            stack.use(newer)
            stack.migrate()
            say(f"migrated; {len(load.refused) - refused} refused")
            replace_all(stack, load, newer, "forth", say)
            if not told.no_way_back:
                replace_all(stack, load, code, "back ", say)
            pause.wait(SETTLE_SECONDS)
        say("waiting until everything has arrived")
        drill = Fault("upgrade", (), NOTHING, lambda _: contextlib.nullcontext())
        verdict = census.take([Sent(drill, load.accepted, load.letters)], redis_too=False)
    print(f"{len(load.accepted)} accepted, {load.reads} reads, slowest {load.slowest:.1f} s")
    for how, times in Counter(how for _, how in load.refused).items():
        print(f"refused {times} times: {how}")
    lost, doubled = verdict.lost[drill.name], verdict.doubled[drill.name]
    print(f"{len(load.refused)} refused, {len(lost)} lost, {len(doubled)} doubled")
    print(f"{len(verdict.unasked)} messages that no client was told of")
    for counter, (wanted, said) in verdict.counters.items():
        print(f"counter {counter}: {said} instead of {wanted}")
    if verdict.ended:
        print(f"ended by themselves: {', '.join(verdict.ended)}")
    good = verdict.clean and not load.refused
    if good:
        shutil.rmtree(folder)
    say("nothing was refused, lost or doubled" if good else f"BROKEN; the logs are in {folder}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
