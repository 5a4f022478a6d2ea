"""The branded HTML page around an email's HTML part (content.md §4.6, Appendix E)."""

import re
from dataclasses import dataclass
from html import escape
from typing import Final

from notify_content.emails import EmailMessage

_COLOUR: Final = re.compile(r"#?[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?")
_TEXT_COLOUR: Final = "#0b0c0c"
_GOVUK_BLUE: Final = "#1d70b8"
_GOVUK_DOT: Final = "#00ffe0"
_FONT: Final = "font-family: Helvetica, Arial, sans-serif"
_TABLE: Final = (
    '<table role="presentation" width="{width}" cellpadding="0" cellspacing="0" border="0" '
    'style="border-collapse: collapse;{style}"{attributes}>'
)
_FULL_WIDTH: Final = _TABLE.format(
    width="100%", style=" min-width: 100%; width: 100% !important;", attributes=""
)
_CENTRED: Final = _TABLE.format(
    width="100%", style=" max-width: 580px; width: 100% !important;", attributes=' align="center"'
)
_CONTENT: Final = _TABLE.format(
    width="100%",
    style=" max-width: 580px; width: 100% !important;",
    attributes=' align="center" class="content"',
)
_SPACER: Final = '<tr><td height="{height}" style="line-height: {height}px;"><br></td></tr>'
# Padding, since a cell's width alone gives way where the screen is narrow.
_GUTTER: Final = '<td width="10" valign="middle" style="padding: 0 5px;"><br></td>'
_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<meta name="format-detection" content="telephone=no">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
@media print {{ .brand__banner {{ border-bottom: 1px solid #0b0c0c; }} }}
@media only screen and (min-width: 581px) {{ .content {{ width: 580px !important; }} }}
body {{ margin: 0 !important; }}
</style>
<!--[if mso]><style>table {{ border-collapse: collapse; }} .content {{ width: 580px; }}</style><![endif]-->
</head>
<body style="%s; font-size: 16px; margin: 0; color: %s;">
""" % (_FONT, _TEXT_COLOUR)  # noqa: UP031 - the braces of the style sheet are doubled for format()
_PREVIEW: Final = (
    '<span style="display: none; font-size: 1px; color: #fff; max-height: 0;" hidden>{preheader}…</span>\n'
)


@dataclass(frozen=True)
class EmailBranding:
    """How an email page is dressed.

    Texts and addresses are escaped when the page is written; a `colour` that is not three or six hexadecimal
    digits counts as unset. GOV.UK banner and brand are independent of each other (content.md §4.6).
    """

    govuk_banner: bool = True
    logo_url: str | None = None
    text: str | None = None
    colour: str | None = None
    banner: bool = False
    """Whether the brand is a full-width bar instead of a logo with a border."""
    alt_text: str | None = None
    link: str | None = None
    """Where logo and text lead."""

    @property
    def safe_colour(self) -> str | None:
        """The colour as CSS, or None when it is unset."""
        if not self.colour or not _COLOUR.fullmatch(self.colour):
            return None
        return self.colour if self.colour.startswith("#") else f"#{self.colour}"


def render_page(
    message: EmailMessage,
    branding: EmailBranding,
    *,
    complete_html: bool = True,
    crown_url: str | None = None,
) -> str:
    """Return the whole page of an email.

    `complete_html` adds the document around the body's content. `crown_url` is where mail programs fetch the
    crown of the GOV.UK banner; without it the banner shows the wordmark alone.
    """
    parts = [
        _HEAD.format(title=message.subject_html) if complete_html else "",
        _PREVIEW.format(preheader=message.preheader),
        _govuk_banner(crown_url) if branding.govuk_banner else "",
        _brand(branding),
        _body(message.html_body),
        "</body>\n</html>\n" if complete_html else "",
    ]
    return "".join(parts)


def _govuk_banner(crown_url: str | None) -> str:
    crown = (
        f'<img src="{escape(crown_url)}" alt="" aria-hidden="true" height="32" border="0" '
        'style="border: 0; vertical-align: middle;"> '
        if crown_url
        else ""
    )
    wordmark = f'GOV<span style="color: {_GOVUK_DOT};">.</span>UK'
    link = (
        '<a href="https://www.gov.uk" title="Go to the GOV.UK homepage" '
        'style="text-decoration: none; color: #ffffff;">'
        f'{crown}<span style="{_FONT}; font-weight: 700; color: #ffffff; font-size: 28px; '
        f'line-height: 1.315789474; vertical-align: middle;">{wordmark}</span></a>'
    )
    cell = f'<td width="70" bgcolor="{_GOVUK_BLUE}" valign="middle" style="padding-left: 10px;">{link}</td>'
    outlook = f'<table role="presentation" width="580" align="center"><tr>{cell}</tr></table>'
    return (
        f'{_FULL_WIDTH}<tr><td class="brand__banner" width="100%" height="60" bgcolor="{_GOVUK_BLUE}">'
        f"<!--[if mso]>{outlook}<![endif]--><!--[if !mso]><!-->{_CENTRED}<tr>{cell}</tr></table>"
        "<!--<![endif]--></td></tr></table>\n"
    )


def _brand(branding: EmailBranding) -> str:
    if branding.banner:
        return _brand_banner(branding)
    return _brand_logo(branding) if branding.logo_url else ""


def _logo(branding: EmailBranding) -> str:
    """Return the logo: beside text it is small and hidden from readers, alone it is larger and has its own
    text.
    """
    height = 27 if branding.text else 54
    described = 'alt="" aria-hidden="true"' if branding.text else f'alt="{escape(branding.alt_text or "")}"'
    return (
        f'<img src="{escape(branding.logo_url or "")}" {described} height="{height}" border="0" '
        f'style="height: {height}px; max-height: 54px; border: 0;">'
    )


def _linked(branding: EmailBranding, shown: str, colour: str) -> str:
    if not branding.link:
        return shown
    return f'<a href="{escape(branding.link)}" style="text-decoration: none; color: {colour};">{shown}</a>'


def _brand_banner(branding: EmailBranding) -> str:
    colour = branding.safe_colour or _TEXT_COLOUR
    logo = (
        f'<td style="padding-left: 10px;">{_linked(branding, _logo(branding), "#ffffff")}</td>'
        if branding.logo_url
        else ""
    )
    text = (
        f'<td width="100%" style="{_FONT}; padding-left: 10px; font-size: 19px; line-height: 1.315789474; '
        f'font-weight: bold; color: #ffffff;">{_linked(branding, escape(branding.text), "#ffffff")}</td>'
        if branding.text
        else ""
    )
    return (
        f'{_FULL_WIDTH}<tr><td class="brand__banner" width="100%" height="53" bgcolor="{colour}">'
        f"{_CENTRED}<tr>{logo}{text}</tr></table></td></tr></table>\n"
    )


def _brand_logo(branding: EmailBranding) -> str:
    colour = branding.safe_colour
    border = f" border-left: 2px solid {colour};" if colour else ""
    text = (
        f'<td width="100%" style="{_FONT}; padding-left: 10px; font-size: 18px; line-height: 23px;">'
        f"{_linked(branding, escape(branding.text), _TEXT_COLOUR)}</td>"
        if branding.text
        else ""
    )
    return (
        f"{_CENTRED}{_SPACER.format(height=24)}<tr>{_GUTTER}"
        f'<td style="padding-left: 10px;{border}">{_linked(branding, _logo(branding), _TEXT_COLOUR)}</td>'
        f"{text}</tr></table>\n"
    )


def _body(html_body: str) -> str:
    return (
        f"{_CONTENT}{_SPACER.format(height=30)}<tr>{_GUTTER}"
        # A long address in the text must not make the cell wider than a phone.
        f'<td style="{_FONT}; font-size: 19px; line-height: 1.315789474; max-width: 560px; '
        f'overflow-wrap: anywhere; word-break: break-word;">{html_body}</td>'
        f"{_GUTTER}</tr>{_SPACER.format(height=30)}</table>\n"
    )
