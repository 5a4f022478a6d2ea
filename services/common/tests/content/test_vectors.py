"""Every vector file kept here passes, and the runner tells a failing case from a passing one."""

import json
from pathlib import Path

import pytest
from notify_content.vectors import CHECKERS, main, run

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector_file_passes(path: Path) -> None:
    answers = list(run(path))
    assert answers
    assert [failure for failure in answers if failure is not None] == []


def test_every_kind_has_a_vector_file() -> None:
    assert {path.stem for path in VECTORS} == set(CHECKERS)


def _write(path: Path, expected_content: object) -> str:
    case_input = {"template": "", "values": None}
    expected = {
        "placeholders": [],
        "missing": [],
        "additional": [],
        "rendered_plain": expected_content,
        "rendered_plain_markdown_lists": "",
        "rendered_html": "",
        "rendered_html_markdown_lists": "",
    }
    case = {"name": "the-case", "input": case_input, "expected": expected}
    path.write_text(json.dumps({"description": "", "cases": [case]}))
    return str(path)


def test_a_failing_case_is_named_with_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = _write(tmp_path / "any-name.json", "something")
    assert main([wrong]) == 1
    out = capsys.readouterr().out
    assert f'{wrong}: the-case\n  expected {{"rendered_plain": "something"}}\n' in out
    assert '  got      {"rendered_plain": ""}\n' in out
    assert out.endswith("0 passed, 1 failed\n")


def test_a_file_under_another_name_is_recognised_by_its_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([_write(tmp_path / "any-name.json", "")]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def test_numbers_are_compared_as_json(tmp_path: Path) -> None:
    # An empty answer is neither false nor zero.
    others: list[object] = [False, 0, None, []]
    for other in others:
        assert main([_write(tmp_path / "placeholders.json", other)]) == 1


def test_a_checker_that_raises_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sms.json"
    case_input = {"template": None, "personalisation": None, "prefix": None}
    path.write_text(json.dumps({"cases": [{"name": "broken", "input": case_input, "expected": {}}]}))
    assert main([str(path)]) == 1
    assert "TypeError" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": [{"name": "x"}]}', '{"cases": [{"input": {}}]}'])
def test_what_is_no_vector_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    assert main([str(path)]) == 2


def test_help_tells_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "usage: python -m notify_content.vectors" in capsys.readouterr().out


def test_usage_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert main([str(tmp_path / "absent.json")]) == 2
