"""Run vector files: `python -m notify_content.vectors FILE…` (format: content.md §15).

Prints each failing case with what was expected and got, then `N passed, M failed`; exits 1 when any case
failed and 2 when a file cannot be read as vectors.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final, NamedTuple

from notify_content import vector_checks


class Checker(NamedTuple):
    """How one kind of vector file is answered: a module of `notify_content.vector_checks`."""

    input_fields: frozenset[str]
    actual: Callable[[dict[str, Any]], object]


class Failure(NamedTuple):
    """A case whose answer differs from the expected one, in the fields that differ."""

    name: str
    expected: object
    got: object


class UnknownVectors(ValueError):
    """A file that is not a vector file of a known kind."""


def _checkers() -> dict[str, Checker]:
    checkers = {}
    for kind in sorted(module.name for module in iter_modules(vector_checks.__path__)):
        module = import_module(f"{vector_checks.__name__}.{kind}")
        checkers[kind] = Checker(module.INPUT_FIELDS, module.actual)
    return checkers


CHECKERS: Final = _checkers()


def _kind(path: Path, cases: list[dict[str, Any]]) -> str:
    """Return the kind in the file's name, else the one with the most input fields that every case has."""
    named = [kind for kind in CHECKERS if kind in path.stem]
    fitting = [
        kind
        for kind, checker in CHECKERS.items()
        if all(checker.input_fields <= case["input"].keys() for case in cases)
    ]
    if not named and not fitting:
        raise UnknownVectors(f"{path}: no known kind of vectors")
    return max(named, key=len) if named else max(fitting, key=lambda kind: len(CHECKERS[kind].input_fields))


def _canonical(value: object) -> str:
    # JSON text, unlike Python equality, tells 1 from 1.0 and from true.
    return json.dumps(value, sort_keys=True, default=repr)


def _differing(expected: object, got: object) -> tuple[object, object]:
    if not isinstance(expected, dict) or not isinstance(got, dict):
        return expected, got
    fields = [
        key
        for key in expected | got
        if key not in got or key not in expected or _canonical(expected[key]) != _canonical(got[key])
    ]
    return (
        {key: expected[key] for key in fields if key in expected},
        {key: got[key] for key in fields if key in got},
    )


def run(path: Path) -> Iterator[Failure | None]:
    """One answer for each case of a file: None when it passes.

    Raises UnknownVectors when the file is no vector file or of no known kind, OSError when it cannot be read.
    """
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        checker = CHECKERS[_kind(path, cases)]
        questions = [(case["name"], case["input"], case["expected"]) for case in cases]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnknownVectors(f"{path}: {error}") from error
    for name, case_input, expected in questions:
        try:
            got = checker.actual(case_input)
        except Exception as error:
            # Whatever a checker raises is that case's failure.
            yield Failure(name, expected, f"{type(error).__name__}: {error}")
            continue
        if _canonical(expected) == _canonical(got):
            yield None
        else:
            yield Failure(name, *_differing(expected, got))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(arguments: list[str]) -> int:
    """Return the command; returns its exit code. Raises SystemExit for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m notify_content.vectors",
        description="Answer the cases of vector files and compare the answers with the expected ones.",
        epilog="Exits 1 when a case failed and 2 when a file cannot be read as vectors.",
    )
    kinds = ", ".join(CHECKERS)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=f"JSON of one kind of: {kinds}")
    passed = failed = 0
    for argument in parser.parse_args(arguments).files:
        try:
            for failure in run(argument):
                if failure is None:
                    passed += 1
                    continue
                failed += 1
                _say(f"{argument}: {failure.name}")
                _say(f"  expected {json.dumps(failure.expected)}")
                _say(f"  got      {json.dumps(failure.got, default=repr)}")
        except (UnknownVectors, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return 2
    _say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
