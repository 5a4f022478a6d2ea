"""`python -m notify_testing.revision admin add_something`: begin the next migration of a service."""

import argparse
import importlib.resources
import re
from pathlib import Path

_TEMPLATE = '''"""{sentence}."""

from alembic import op

revision = "{number}"
down_revision = {previous}


def upgrade() -> None:
    """Runs in one transaction; takes no lock for longer than 2 s and moves no data (design.md §2.9)."""
    op.execute("")
'''


def write_revision(versions: Path, message: str) -> Path:
    """Write the next migration, empty, into `versions` and return its path.

    Raises:
        ValueError: `message` is not of lower-case words joined by underscores.
    """
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", message):
        raise ValueError(
            "the message should be lower-case words joined by underscores, such as add_something"
        )
    numbers = sorted(path.name[:4] for path in versions.glob("[0-9][0-9][0-9][0-9]_*.py"))
    previous = numbers[-1] if numbers else None
    number = f"{int(previous or 0) + 1:04d}"
    path = versions / f"{number}_{message}.py"
    sentence = message.replace("_", " ").capitalize()
    path.write_text(
        _TEMPLATE.format(sentence=sentence, number=number, previous=f'"{previous}"' if previous else None)
    )
    return path


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notify_testing.revision", description=__doc__)
    parser.add_argument("service", help="such as admin")
    parser.add_argument("message", help="lower-case words joined by underscores, such as add_something")
    arguments = parser.parse_args()
    try:
        package = importlib.resources.files(f"notify_{arguments.service}")
        path = write_revision(Path(str(package)) / "migrations" / "versions", arguments.message)
    except ModuleNotFoundError:
        parser.error(f"there is no service {arguments.service}")
    except ValueError as error:
        parser.error(str(error))
    print(path)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    _main()
