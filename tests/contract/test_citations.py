"""Code and documents cite the references and the design by section; each section that is cited exists."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    "public-api.md": "docs/reference/public-api.md",
    "internal-api.md": "docs/reference/internal-api.md",
    "pipeline.md": "docs/reference/pipeline.md",
    "content.md": "docs/reference/content.md",
    "design.md": "docs/design.md",
}

_SEPARATOR = r"(?:[\s#/*|>]|,|and\b|to\b)*"  # of a list of sections, over the ends of lines in comments too
_LABEL = r"(?:§\s?\d*[A-Z]?(?:\.\d+)*[A-Z]?\b|[Aa]ppendix [A-Z]\b|[A-DX]\d+\b)"
_CITATION = re.compile(
    rf"\b(?P<document>{'|'.join(map(re.escape, DOCUMENTS))})(?P<labels>(?:{_SEPARATOR}{_LABEL})*)"
)
_HEADING = re.compile(r"^#+ +(?P<label>\d*[A-Z]?(?:\.\d+[A-Z]?)*)\.? ", re.MULTILINE)
_APPENDIX = re.compile(r"^#+ +(?P<label>Appendix [A-Z])\b", re.MULTILINE)
_ROW = re.compile(r"^\| *\**(?P<label>[A-DX]\d+)\** *\|", re.MULTILINE)


@cache
def sections(document: str) -> frozenset[str]:
    """Return the labels that a citation of the document may hold: `2.1`, `Appendix B`, numbers of rows such
    as `A22`.
    """
    text = (ROOT / DOCUMENTS[document]).read_text()
    patterns = (_HEADING, _APPENDIX, _ROW)
    return frozenset(found["label"] for pattern in patterns for found in pattern.finditer(text))


def citations(text: str) -> list[tuple[str, str]]:
    """Return each (document, label) that the text cites."""
    return [
        (citation["document"], _normal(label))
        for citation in _CITATION.finditer(text)
        for label in re.findall(_LABEL, citation["labels"])
    ]


def _normal(label: str) -> str:
    return re.sub(r"^§\s?", "", label).replace("appendix", "Appendix")


def files() -> list[Path]:
    """Return the project's own text files, apart from the documents that are cited."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    kinds = {".py", ".proto", ".md", ".typ", ".yaml", ".html", ".css", ".js", ".toml"}
    return [
        ROOT / name
        for name in listed
        if Path(name).suffix in kinds and not name.startswith("docs/reference/") and (ROOT / name).is_file()
    ]


def test_each_cited_section_exists() -> None:
    cited = 0
    missing = []
    for path in files():
        for document, label in citations(path.read_text(errors="replace")):
            cited += 1
            if label not in sections(document):
                missing.append(f"{path.relative_to(ROOT)}: {document} has no {label}")
    assert not missing, "\n".join(missing)
    assert cited > 300


def test_each_document_that_is_named_exists() -> None:
    known = {path.name for path in files()} | set(DOCUMENTS)
    named = {
        (name, str(path.relative_to(ROOT)))
        for path in files()
        if path != Path(__file__)
        for name in re.findall(r"(?<![\w{}*.-])([a-z][\w-]*\.md)\b", path.read_text(errors="replace"))
    }
    assert not {(name, where) for name, where in named if name not in known}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("as public-" + "api.md §2.1, §3.4 says", [("public-api.md", "2.1"), ("public-api.md", "3.4")]),
        ("(des" + "ign.md D12, §2.8)", [("design.md", "D12"), ("design.md", "2.8")]),
        ("# cont" + "ent.md §1.2 and\n# §1.3).", [("content.md", "1.2"), ("content.md", "1.3")]),
        ("see cont" + "ent.md appendix B", [("content.md", "Appendix B")]),
        ("(inter" + "nal-api.md A22; A23)", [("internal-api.md", "A22")]),
        ("nothing here", []),
    ],
)
def test_citations_are_found(text: str, found: list[tuple[str, str]]) -> None:
    assert citations(text) == found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_section_that_is_not_there_is_noticed(document: str) -> None:
    assert len(sections(document)) > 20
    assert "99.9" not in sections(document)
