"""The process that reads one file of a stranger: `python -I -m notify_letters.pdf.reader_process check …`.

It reads the file from its input and writes to its output one line of JSON and then what it made of the file.
`check` says what `Inspected` holds and makes the PDF to print, if there is one; `page` says how many pages
there are and makes a picture of one, or nothing past the last; `zones` says how many and marks on all of them
where nothing may be printed; `preview` typesets the wording that `pdf.previews.Wording` is. It is told
everything by its arguments and the file: its environment is empty, so that it knows no secret. What is wrong
with a PDF that is checked is said in that line; who kills this process, or finds that it failed, knows that
the file was too much for it.
"""

import argparse
import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from notify_letters.domain.precompiled import UNREADABLE


def main() -> None:
    """Read the PDF at the standard input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    parser.add_argument("--output-bytes", type=int, required=True)
    parser.add_argument("--allow-international", action="store_true")
    parser.add_argument("--page-number", type=int)
    parser.add_argument("--lone-page", action="store_true")
    parser.add_argument("--zones", choices=["letter", "attachment"])
    parser.add_argument("--font-dir", type=Path, action="append", default=[])
    told = parser.parse_args()
    # libraries that print would write into the answer
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (told.output_bytes, told.output_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (told.cpu_seconds, told.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (told.memory_bytes, told.memory_bytes))
    said, made = _COMMANDS[told.command](told)
    with out:
        out.write(json.dumps(said).encode() + b"\n")
        out.write(made)


def _check(told: argparse.Namespace) -> tuple[dict[str, Any], bytes]:
    from notify_letters.pdf.fonts import Fonts
    from notify_letters.pdf.overlays import OverlayTypesetter
    from notify_letters.pdf.precompiled import Tools, inspect
    from notify_letters.pdf.substitutes import Substitutes

    tools = Tools(OverlayTypesetter(Fonts(told.font_dir)).overlay, Substitutes())
    pdf = sys.stdin.buffer.read()
    try:
        inspected, made = inspect(
            pdf,
            tools,
            allow_international=told.allow_international,
            is_attachment=told.zones == "attachment",
        )
    except Exception as error:  # whatever the file provokes is the file's fault
        return {**asdict(UNREADABLE), "error": type(error).__name__}, b""
    return {**asdict(inspected), "error": ""}, made


def _page(told: argparse.Namespace) -> tuple[dict[str, Any], bytes]:
    from notify_letters.pdf.geometry import printable
    from notify_letters.pdf.pages import count_pages, page_png

    pdf = sys.stdin.buffer.read()
    page_count, number = count_pages(pdf), told.page_number
    drawn = 1 if page_count == 1 and told.lone_page else number
    if not 1 <= drawn <= page_count:
        return {"page_count": page_count}, b""
    zones = printable(number, is_attachment=told.zones == "attachment") if told.zones else ()
    return {"page_count": page_count}, page_png(pdf, drawn, zones)


def _zones(told: argparse.Namespace) -> tuple[dict[str, Any], bytes]:
    from notify_letters.pdf.precompiled import with_zones

    made, page_count = with_zones(sys.stdin.buffer.read(), is_attachment=told.zones == "attachment")
    return {"page_count": page_count}, made


def _preview(told: argparse.Namespace) -> tuple[dict[str, Any], bytes]:
    from notify_letters.pdf.fonts import Fonts
    from notify_letters.pdf.previews import preview

    return preview(json.load(sys.stdin.buffer), Fonts(told.font_dir))


_COMMANDS: Final = {"check": _check, "page": _page, "zones": _zones, "preview": _preview}


if __name__ == "__main__":
    main()
