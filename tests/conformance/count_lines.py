"""Lines per route of the admin web app, all told: `make count-lines`.

Counted are lines that are neither empty nor a comment, of admin's protos, admin, the gateway's `admin`
package and the tests of both. Routes are those of the url map. What all routes share (the mechanism) is
counted into the sum and shown apart; so is what no route asks for: commands, how the process starts, the feed
of snapshots that other services read, secrets that are encrypted anew, and their tests. The last line counts
text senders, reply-to addresses and contact blocks alone, without the mechanism.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from notify_gateway.admin import internal
from notify_gateway.auth import ClientAuthenticator

ROOT = Path(__file__).resolve().parents[2]
PROTOS, ADMIN = ROOT / "protos/notify/admin/v1", ROOT / "services/admin"
GATEWAY = ROOT / "services/api-gateway/src/notify_gateway/admin"
CODE = ADMIN / "src/notify_admin"
MECHANISM = [
    CODE / "store/mapping.py",
    CODE / "store/columns.py",
    CODE / "servicers/methods.py",
    CODE / "usecases/reads.py",
    *(GATEWAY / name for name in ("routes.py", "shapes.py", "forms.py")),
]
BESIDE = [
    *(CODE / name for name in ("__main__.py", "usecases/purge.py", "usecases/config_feed.py")),
    *(ADMIN / "tests/integration" / f"test_{name}.py" for name in ("house", "config_feed", "rotation")),
    *(PROTOS / name for name in ("config_feed_service.proto", "snapshot.proto")),
    CODE / "store/changes.py",
]
SENDERS = re.compile(r"SmsSender|ReplyToAddress|LetterContact")


def said(text: str) -> int:
    """Return the lines that are neither empty nor a comment."""
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith(("#", "//")))


def lines(paths: Iterable[Path]) -> int:
    """Return the same of files."""
    return sum(said(path.read_text(encoding="utf-8")) for path in paths)


def routes() -> list[str]:
    """Return method and rule of every route, once whichever spelling of its slash."""
    from flask import Flask

    app = Flask("count")
    clients, client = object(), ClientAuthenticator("nobody", [])
    for blueprint in internal.blueprints(clients, client):  # type: ignore[arg-type] # nothing is called
        app.register_blueprint(blueprint)
    found = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("internal_"):
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found.add(f"{method} {rule.rule.rstrip('/')}")
    return sorted(found)


def of_senders() -> int:
    """Return the lines about the three kinds of senders, without what all resources share."""
    blocks = [
        block
        for path in PROTOS.glob("*.proto")
        for block in re.split(r"\n(?=// |message |service )", path.read_text(encoding="utf-8"))
        if re.search(rf"message \w*({SENDERS.pattern})\w* \{{", block)
    ]
    rpcs = [
        line for path in PROTOS.glob("*.proto") for line in path.read_text().splitlines() if "rpc" in line
    ]
    gateway = (GATEWAY / "settings.py").read_text(encoding="utf-8")
    apart = re.compile(
        r"\ndef _data_retention.*?(?=\ndef _setting)|\nDATA_RETENTION = .*?(?=\n\ndef routes)", re.DOTALL
    )
    files = [CODE / "usecases/senders.py", CODE / "domain/senders.py"]
    tests = [ADMIN / "tests/integration/test_senders.py", ADMIN / "tests/unit/test_senders.py"]
    listed = sum(1 for line in rpcs if SENDERS.search(line))
    return sum(map(said, blocks)) + listed + said(apart.sub("", gateway)) + lines(files) + lines(tests)


def main() -> None:
    """Print the counts."""
    served = routes()
    parts = {
        "proto": lines(PROTOS.glob("*.proto")),
        "admin": lines(CODE.rglob("*.py")),
        "gateway": lines(GATEWAY.glob("*.py")),
        "tests": lines([*(ADMIN / "tests").rglob("*.py"), *Path(__file__).parent.glob("*t*.py")])
        - lines([Path(__file__)]),
    }
    total, shared = sum(parts.values()), lines(MECHANISM)
    told = ", ".join(f"{name} {count}" for name, count in parts.items())
    sys.stdout.write(
        f"{len(served)} routes: {told}; {total} lines, {total / len(served):.0f} a route, all told\n"
    )
    sys.stdout.write(f"of them the mechanism: {shared} lines\n")
    asked = total - lines(BESIDE)
    sys.stdout.write(f"without what no route asks for: {asked} lines, {asked / len(served):.0f} a route\n")
    kinds = [route for route in served if re.search("sms-sender|email-reply-to|letter-contact", route)]
    senders = of_senders()
    sys.stdout.write(f"senders: {len(kinds)} routes, {senders} lines, {senders / len(kinds):.0f} a route\n")


if __name__ == "__main__":
    main()
