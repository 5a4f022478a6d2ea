"""How emails look that no branding of a service dresses."""

from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import EmailTemplate
from notify_notifications.settings import Settings


def page(**settings: str) -> str:
    told = Settings.model_construct(None, **settings)
    return render_page(EmailTemplate("s", "Hello").render(), told.email_branding())


def test_the_look_that_the_contract_describes_is_the_default() -> None:
    assert page() == render_page(EmailTemplate("s", "Hello").render(), EmailBranding())
    assert "GOV" in page()


def test_a_plain_look_names_nobody_unless_told() -> None:
    plain = page(email_look="plain")
    assert "GOV" not in plain
    assert "<img" not in plain
    assert "Ville de Lyon" in page(email_look="plain", email_brand_name="Ville de Lyon")
    branded = page(
        email_look="plain",
        email_brand_name="Ville de Lyon",
        email_brand_logo_url="https://lyon.example/logo.png",
        email_brand_colour="#aa0000",
    )
    for part in ("Ville de Lyon", "https://lyon.example/logo.png", "#aa0000"):
        assert part in branded
