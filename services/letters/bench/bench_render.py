"""How fast letters are typeset on one core: from a template version and values to a PDF in memory.

Three letters: one page of plain paragraphs, one page with headings, lists and a QR code of its own, and a
bilingual letter of four pages. Each is laid out and typeset LETTERS times with other values every time, after
one that warms the fonts. No database and no object store take part. Prints a table, the memory at each tenth
of each case, which stays flat where nothing is kept of a letter, and one JSON line.
"""

import argparse
import json
import os
import platform
import statistics
import time
from array import array
from datetime import UTC, datetime
from typing import Any

import psutil
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.layout import LetterLayout
from notify_letters.pdf.typesetter import Typesetter

_ADDRESS = ["Ms A Example", "Flat 4", "27 High Street", "Exampleton", "EX1 2BB"]
_CONTACT = "Example Council\nParking Services\nTown Hall\nHigh Street\nExampleton\nEX1 1AA"
_PARAGRAPH = "Your application for a ((type)) permit has been received and we are dealing with it. " * 3
_PLAIN = "\n\n".join(["Dear ((name)),", *[_PARAGRAPH] * 5, "Yours sincerely,"])
_RICH = f"""Dear ((name)),

{_PARAGRAPH}

# What happens next

* we check your address
* we write to you within ten working days

# What you need to do

1. keep this letter
2. pay at https://www.example.gov.uk/pay-for-a-permit

QR: https://www.example.gov.uk/permits/((number))

Yours sincerely,
"""
_CASES = {
    "plain, 1 page": TemplateVersion("Your ((type)) permit", _PLAIN, "", "", _CONTACT),
    "rich, 1 page": TemplateVersion("Your ((type)) permit", _RICH, "", "", _CONTACT),
    "bilingual, 4 pages": TemplateVersion(
        "Your ((type)) permit",
        f"{_PLAIN}\n\n***\n\n{_PLAIN}",
        "Eich trwydded",
        f"{_PLAIN}\n\n***\n\n{_PLAIN}",
        _CONTACT,
    ),
}


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--letters", type=int, default=200, help="letters of each case")
    count = parser.parse_args().letters
    if count < 1:
        parser.error("--letters must be at least 1")
    typesetter = Typesetter(Fonts())
    results = {name: _measure(typesetter, version, count) for name, version in _CASES.items()}
    print(f"{'letter':<20} {'letters/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'layout ms':>10} {'pages':>6} KiB")
    for name, one in results.items():
        print(
            f"{name:<20} {one['letters_per_second']:>10.1f} {one['p50_ms']:>8.2f} {one['p99_ms']:>8.2f} "
            f"{one['layout_p50_ms']:>10.2f} {one['pages']:>6} {one['pdf_kib']:.1f}"
        )
    for name, one in results.items():
        print(f"MiB by tenths of {name}: {', '.join(map(str, one['rss_mib_by_tenths']))}")
    print(f"{os.cpu_count()} cores, {platform.machine()}")
    summary = {
        "bench": "render",
        "letters": count,
        "rss_mib": round(_rss_mib()),
        "cores": os.cpu_count(),
        **results,
    }
    print(json.dumps(summary))


def _measure(typesetter: Typesetter, version: TemplateVersion, count: int) -> dict[str, Any]:
    layout = LetterLayout(version)
    moment = datetime(2026, 3, 5, 12, tzinfo=UTC)

    def values(number: int) -> dict[str, str | list[str] | None]:
        return {"name": f"Person {number}", "type": "parking", "number": f"{number:08}"}

    typesetter.typeset(layout.letter(values(0), _ADDRESS, moment), moment)
    took, layout_took = array("d"), array("d")
    memory: list[float] = []
    pages, size = 0, 0
    started = time.perf_counter()
    for number in range(1, count + 1):
        begin = time.perf_counter()
        letter = layout.letter(values(number), _ADDRESS, moment)
        laid_out = time.perf_counter()
        pdf = typesetter.typeset(letter, moment)
        took.append(time.perf_counter() - begin)
        layout_took.append(laid_out - begin)
        pages, size = pdf.page_count, size + len(pdf.content)
        if number * 10 // count > len(memory):
            memory.append(round(_rss_mib(), 1))
    elapsed = time.perf_counter() - started
    return {
        "letters_per_second": round(count / elapsed, 1),
        "p50_ms": round(statistics.median(took) * 1000, 2),
        "p99_ms": round(sorted(took)[min(count - 1, int(count * 0.99))] * 1000, 2),
        "layout_p50_ms": round(statistics.median(layout_took) * 1000, 2),
        "pages": pages,
        "pdf_kib": round(size / count / 1024, 1),
        "rss_mib_by_tenths": memory,
    }


def _rss_mib() -> float:
    return psutil.Process().memory_info().rss / 2**20


if __name__ == "__main__":
    main()
