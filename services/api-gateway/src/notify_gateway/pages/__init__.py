"""Pages for the people that messages are sent to: no script, nothing loaded from elsewhere, nothing kept."""

from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # The address of a page is a secret.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}

STATIC: Final = "/unsubscribe/page/static"
"""Where the style sheet is."""


def blueprint() -> Blueprint:
    """Return the style sheet, and the templates of all pages."""
    return Blueprint(
        "pages", __name__, static_folder="static", static_url_path=STATIC, template_folder="templates"
    )


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page of a template."""
    response = make_response(render_template(f"pages/{template}", **values), status)
    response.headers.update(_HEADERS)
    return response
