"""`email_markdown.json`: the parts of emails."""

from typing import Any, Final

from notify_content.emails import EmailTemplate

INPUT_FIELDS: Final = frozenset({"subject", "body", "values"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    template = EmailTemplate(case_input["subject"], case_input["body"])
    values = case_input["values"]
    message = template.render(values, case_input.get("unsubscribe_link"))
    return {
        "html_body": message.html_body,
        "plain_text": message.plain_text,
        "subject_html": message.subject_html,
        "subject_plain": message.subject,
        "preheader": message.preheader,
        "placeholders": template.placeholders,
        "missing": template.missing(values),
    }
