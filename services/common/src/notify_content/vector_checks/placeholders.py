"""`placeholders.json`: discovery and substitution of placeholders."""

from typing import Any, Final

from notify_content.placeholders import Gaps, Lists, compile_content

INPUT_FIELDS: Final = frozenset({"template", "values"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    content = compile_content(case_input["template"])
    values = case_input["values"]
    answer = {
        "placeholders": content.placeholders,
        "missing": content.missing(values),
        "additional": sorted(content.additional(values)),
        "rendered_plain": content.render(values),
        "rendered_plain_markdown_lists": content.render(values, lists=Lists.BULLETS),
        "rendered_html": content.render(values, escape=True, gaps=Gaps.HTML),
        "rendered_html_markdown_lists": content.render(
            values, escape=True, lists=Lists.BULLETS, gaps=Gaps.HTML
        ),
    }
    if case_input.get("redact"):
        answer["rendered_html_redacted"] = content.render(values, escape=True, gaps=Gaps.HTML_REDACTED)
        answer["rendered_plain_redacted"] = content.render(values, gaps=Gaps.PLAIN_REDACTED)
    return answer
