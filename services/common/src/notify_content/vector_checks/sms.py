"""`sms.json`: text messages and their counts."""

from typing import Any, Final

from notify_content.sms import SmsTemplate

INPUT_FIELDS: Final = frozenset({"template", "personalisation", "prefix"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    template = SmsTemplate(case_input["template"])
    values = case_input["personalisation"]
    shown = case_input.get("show_prefix", True)
    message = template.render(values, case_input["prefix"] if shown else None)
    return {
        "content": message.content,
        "character_count": message.character_count,
        "character_count_without_prefix": message.character_count_without_prefix,
        "extended_gsm_characters": message.extended_character_count,
        "non_gsm_characters": message.non_gsm_characters,
        "is_unicode": message.is_unicode,
        "fragment_count": message.fragment_count,
        "too_long": message.too_long,
        "characters_over_limit": message.characters_over_limit,
        "is_empty": message.is_empty,
        "unencodable_characters": message.unencodable_characters,
        "placeholders": template.placeholders,
        "missing": template.missing(values),
    }
