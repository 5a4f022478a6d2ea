"""Placeholders, conditionals and personalisation values (content.md §2).

Content is compiled once and rendered many times: `compile_content("Dear ((name))").render({"name": "Ann"})`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

from notify_content.text import (
    escape_html,
    insensitive_key,
    is_true,
    sentence_list,
    strip_obscure,
    text_of,
)

_PLACEHOLDER: Final = re.compile(r"\(\(([^()]++)\)\)")


class Lists(Enum):
    """How a personalisation value that is a list is written (content.md §2.2)."""

    SENTENCE = "sentence"
    BULLETS = "bullets"


class Gaps(Enum):
    """How a placeholder without a value is shown (content.md §2.4)."""

    HTML = "html"
    HTML_NO_BRACKETS = "html_no_brackets"
    HTML_REDACTED = "html_redacted"
    PLAIN = "plain"
    PLAIN_REDACTED = "plain_redacted"


class Placeholder(NamedTuple):
    """One `((name))` or `((name??text))`; `text` is None for a plain placeholder."""

    name: str
    key: str
    text: str | None

    def gap(self, style: Gaps) -> str:
        """Return what stands in the content when the value is missing (content.md §2.4)."""
        match style:
            case Gaps.PLAIN:
                return f"(({self.name}))" if self.text is None else f"(({self.name}??{self.text}))"
            case Gaps.PLAIN_REDACTED:
                return "[hidden]"
            case Gaps.HTML_REDACTED:
                return "<span class='placeholder-redacted'>hidden</span>"
        if self.text is not None:
            return (
                f"<span class='placeholder-conditional'>&#40;&#40;{self.name}??</span>{self.text}&#41;&#41;"
            )
        if style is Gaps.HTML_NO_BRACKETS:
            return f"<span class='placeholder-no-brackets'>{self.name}</span>"
        return f"<span class='placeholder'>&#40;&#40;{self.name}&#41;&#41;</span>"


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names deduplicated by `insensitive_key`, first spelling kept, in order (content.md §1.7)."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(insensitive_key(name), name)
    return tuple(first.values())


def value_text(value: object, lists: Lists) -> str:
    """Return a value, not None, as the text put into content, before any escaping (content.md §2.2)."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        return text_of(value)
    items = [item for item in (strip_obscure(text_of(one)) for one in value if one is not None) if item]
    if not items:
        return ""
    if lists is Lists.SENTENCE:
        return sentence_list(items)
    return "\n\n* " + "\n* ".join(items)


def _shows(value: object, text: str, *, escape: bool) -> bool:
    """Whether a conditional shows its text; `text` is what the value would be written as.

    A list is tested in its sentence form, whatever it is written as (content.md §2.2).
    """
    if isinstance(value, list | tuple):
        text = value_text(value, Lists.SENTENCE)
        text = escape_html(text) if escape else text
    return is_true(text)


class Personalisation:
    """Values supplied for one message, keyed insensitively, the last of colliding ones (content.md §1.7).

    Build it once per message and hand it to every render of that message. False when nothing was supplied.
    """

    __slots__ = ("_escaped", "_supplied", "values")

    def __init__(self, supplied: Mapping[str, object] | None) -> None:
        self._supplied = supplied or {}
        self._escaped: dict[str, object] | None = None
        self.values: Mapping[str, object] = {
            insensitive_key(name): value for name, value in self._supplied.items()
        }

    @classmethod
    def by_column(cls, values: Mapping[str, object]) -> "Personalisation":
        """Values whose names already are column keys, as all rows of a file share them (content.md §11.2).

        No name is read again, however long it is.
        """
        personalisation = cls(None)
        personalisation._supplied = values
        personalisation.values = values
        return personalisation

    @classmethod
    def of(cls, values: "Mapping[str, object] | Personalisation | None") -> "Personalisation":
        """`values` itself when it is one already, otherwise a new one."""
        return values if isinstance(values, Personalisation) else cls(values)

    def by_key(self, *, escape: bool) -> Mapping[str, object]:
        """Return the values by the keys a mode looks them up by, HTML-escaped in escape mode (content.md
        §2.3).
        """
        if not escape:
            return self.values
        if self._escaped is None:
            self._escaped = {
                insensitive_key(escape_html(name)): value for name, value in self._supplied.items()
            }
        return self._escaped

    def __bool__(self) -> bool:
        return bool(self.values)

    def names(self) -> Iterable[str]:
        """Return the keys as supplied."""
        return self._supplied.keys()


Values = Mapping[str, object] | Personalisation | None
"""What render and missing accept: a map of values by key, or one made into a Personalisation."""


@dataclass(frozen=True)
class Parts:
    """Content cut at its placeholders: literal, placeholder, literal, …, literal."""

    literals: tuple[str, ...]
    placeholders: tuple[Placeholder, ...]

    @classmethod
    def cut(cls, content: str) -> "Parts":
        pieces = _PLACEHOLDER.split(content)
        return cls(tuple(pieces[::2]), tuple(map(_read_placeholder, pieces[1::2])))


def _read_placeholder(inside: str) -> Placeholder:
    name, mark, text = inside.partition("??")
    return Placeholder(name, insensitive_key(name), text if mark else None)


@dataclass(frozen=True)
class CompiledContent:
    """Content with its placeholders found; immutable, so one instance serves any number of threads."""

    content: str

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """Unique names in order of first appearance, each in its first spelling."""
        return unique_names(placeholder.name for placeholder in self._parts.placeholders)

    @cached_property
    def _keys(self) -> tuple[tuple[str, str], ...]:
        """The same, each with the key that its value is found by."""
        return tuple((name, insensitive_key(name)) for name in self.placeholders)

    @cached_property
    def _parts(self) -> Parts:
        return Parts.cut(self.content)

    @cached_property
    def _literal_length(self) -> int:
        return sum(map(len, self._parts.literals))

    @cached_property
    def _escaped_parts(self) -> Parts:
        return Parts.cut(escape_html(self.content))

    def parts(self, *, escape: bool) -> Parts:
        """Return the content of a mode, HTML-escaped in escape mode (content.md §2.3), cut at its
        placeholders.
        """
        return self._escaped_parts if escape else self._parts

    def missing(self, values: Values) -> list[str]:
        """Placeholders whose value is absent or None, in placeholder order (content.md §2.2)."""
        supplied = Personalisation.of(values).values
        return [name for name, key in self._keys if supplied.get(key) is None]

    def additional(self, values: Values) -> list[str]:
        """Supplied keys that match no placeholder, first spelling of each, as supplied (content.md §2.2)."""
        known = set(map(insensitive_key, self.placeholders))
        supplied = unique_names(Personalisation.of(values).names())
        return [name for name in supplied if insensitive_key(name) not in known]

    def render(
        self,
        values: Values = None,
        *,
        escape: bool = False,
        lists: Lists = Lists.SENTENCE,
        gaps: Gaps = Gaps.PLAIN,
    ) -> str:
        """Return the content with values put in and gaps shown (content.md §2.2–2.4).

        With `escape` the template and each value are HTML-escaped; without it nothing is.
        """
        parts = self.parts(escape=escape)
        if not parts.placeholders:
            return parts.literals[0]
        supplied = Personalisation.of(values).by_key(escape=escape)
        literals = iter(parts.literals)
        out = [next(literals)]
        for placeholder, literal in zip(parts.placeholders, literals, strict=True):
            value = supplied.get(placeholder.key)
            if value is None:
                out.append(placeholder.gap(gaps))
            else:
                text = value if type(value) is str else value_text(value, lists)
                if escape:
                    text = escape_html(text)
                if placeholder.text is None:
                    out.append(text)
                elif is_true(text) if type(value) is str else _shows(value, text, escape=escape):
                    out.append(placeholder.text)
            out.append(literal)
        return "".join(out)

    def length(self, values: Values = None) -> int:
        """Characters that `render` gives in passthrough mode with lists as bullets, gaps left out.

        Found without putting the text together: a large value that a template repeats costs nothing here.
        """
        supplied = Personalisation.of(values).values
        lengths: dict[str, tuple[int, bool]] = {}
        total = self._literal_length
        for placeholder in self._parts.placeholders:
            value = supplied.get(placeholder.key)
            if type(value) is str and placeholder.text is None:
                total += len(value)
                continue
            if placeholder.key not in lengths:
                text = "" if value is None else value_text(value, Lists.BULLETS)
                lengths[placeholder.key] = len(text), _shows(value, text, escape=False)
            length, shows = lengths[placeholder.key]
            if placeholder.text is None:
                total += length
            elif shows:
                total += len(placeholder.text)
        return total

    def render_without_values(self, mark: str) -> str:
        """Each plain placeholder as `mark`, each conditional left out (content.md §3.1 step 1)."""
        literals = iter(self._parts.literals)
        out = [next(literals)]
        for placeholder, literal in zip(self._parts.placeholders, literals, strict=True):
            if placeholder.text is None:
                out.append(mark)
            out.append(literal)
        return "".join(out)


def missing(placeholders: Iterable[str], values: Values) -> list[str]:
    """Return the names among `placeholders` whose value is absent or None, in order (content.md §2.2)."""
    supplied = Personalisation.of(values).values
    return [name for name in placeholders if supplied.get(insensitive_key(name)) is None]


def compile_content(content: str) -> CompiledContent:
    """Find the placeholders of `content`, once, for many renders."""
    return CompiledContent(content)


def filled_in(body: CompiledContent, values: Values) -> str:
    """Return an email's or letter's body as the API reports it, with placeholders filled in (content.md
    §2.5).
    """
    return body.render(values, lists=Lists.BULLETS, gaps=Gaps.HTML).strip()


def is_empty_message(body: CompiledContent, values: Values) -> bool:
    """Whether an email or letter says nothing: no body, or one made of placeholders that fill to nothing.

    Source: content.md §2.5. Text messages have their own test.
    """
    content = body.content
    if not content:
        return True
    return content.startswith("((") and content.endswith("))") and not filled_in(body, values)
