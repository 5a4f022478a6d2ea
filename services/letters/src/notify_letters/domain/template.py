"""A letter template at one version."""

from dataclasses import dataclass
from typing import NamedTuple


class TemplateKey(NamedTuple):
    """Names a template version, which never changes."""

    service_id: str
    template_id: str
    version: int


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """The wording of a letter: sources with placeholders."""

    subject: str
    content: str
    welsh_subject: str
    """Empty for letters in English only."""
    welsh_content: str
    """Empty for letters in English only."""
    contact_block: str
    """Lines separated by line feeds; empty for none. May hold placeholders."""
    attachment_id: str = ""
    """The PDF that is printed behind its letters; empty for none."""
