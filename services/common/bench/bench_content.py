"""How much of the content engine's work one core does a second: `make bench-content`.

Every bench is a function in `BENCHES` that prepares its data and gives back the operation to repeat. Prints a
table and, as the last line, the same as JSON.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from notify_content import email_address, phone
from notify_content.csv_stream import split_chunks
from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.postal_address import PostalAddress
from notify_content.recipients_csv import LetterRows, RecipientRows, RowTemplate, SmsRows
from notify_content.sms import SmsTemplate

Operation = Callable[[], int]
"""Does some of the work and says how many times it did it."""

BENCHES: dict[str, Callable[[], Operation]] = {}


def bench(name: str) -> Callable[[Callable[[], Operation]], Callable[[], Operation]]:
    """Add a bench to the table."""

    def register(prepare: Callable[[], Operation]) -> Callable[[], Operation]:
        BENCHES[name] = prepare
        return prepare

    return register


EMAIL_BODY: Final = """# Your MOT is due

Dear ((name)),

Your vehicle ((reg)) needs an MOT by ((date)).

You can:

* [book online](https://example.gov.uk/mot)
* call 01632 960 001

^ You could be fined up to £1,000.

---

((reminder??You asked us to remind you.))

GOV.UK MOT service"""


def recipients(**changes: object) -> Iterator[dict[str, object]]:
    """Yield ever other people, as the rows of a job are."""
    return cycle(
        {
            "name": f"Ms O'Neil {number}",
            "reg": f"AB{number:02} CDE",
            "date": "1 May 2026",
            "reminder": "yes" if number % 2 else "no",
            "place": "City Hospital",
            "time": "10:30am",
        }
        | changes
        for number in range(100)
    )


@bench("text, prefix and parts")
def text_message() -> Operation:
    template = SmsTemplate(
        "Dear ((name)), your appointment at ((place)) is on ((date)) at ((time)). "
        "Reply YES to confirm or call 01632 960 001."
    )
    values = recipients()
    return lambda: bool(template.render(next(values), "NHS Clinic").fragment_count)


@bench("text, characters downgraded")
def downgraded_text_message() -> Operation:
    template = SmsTemplate("Dear ((name)) – your appointment , ((time)), is “confirmed”… Diolch, Tŷ Bach")
    values = recipients(name="Zoë Wałęsa")
    return lambda: bool(template.render(next(values), "NHS Clinic").fragment_count)


def _email(part: str, **changes: object) -> Operation:
    template = EmailTemplate("MOT due for ((reg))", EMAIL_BODY)
    values = recipients(**changes)
    return lambda: bool(getattr(template.render(next(values)), part))


@bench("email, content as accepted")
def email_content() -> Operation:
    return _email("content")


@bench("email, subject")
def email_subject() -> Operation:
    return _email("subject")


@bench("email, HTML, ordinary values")
def email_html() -> Operation:
    return _email("html_body")


@bench("email, plain text, ordinary values")
def email_plain_text() -> Operation:
    return _email("plain_text")


@bench("email, HTML, Markdown in a value")
def email_html_in_full() -> Operation:
    return _email("html_body", name="*Ann*")


@bench("email, plain text, Markdown in a value")
def email_plain_text_in_full() -> Operation:
    return _email("plain_text", name="*Ann*")


@bench("email, whole page and plain text")
def email_page() -> Operation:
    template = EmailTemplate("MOT due for ((reg))", EMAIL_BODY)
    values = recipients()
    branding = EmailBranding(logo_url="https://static.example.gov.uk/logo.png", text="MOT service")

    def render() -> int:
        message = template.render(next(values))
        return bool(render_page(message, branding) and message.plain_text and message.subject)

    return render


@bench("email template compiled")
def email_template() -> Operation:
    return lambda: bool(EmailTemplate("MOT due for ((reg))", EMAIL_BODY).placeholders)


@bench("letter, blocks")
def letter() -> Operation:
    template = LetterTemplate("MOT due for ((reg))", EMAIL_BODY)
    values = recipients()
    return lambda: bool(template.render(next(values)).to_dict())


@bench("number, plain UK mobile")
def plain_uk_mobile() -> Operation:
    numbers = cycle(f"07400 {number:06d}" for number in range(1000))
    return lambda: bool(phone.parse(next(numbers), allow_international=False))


@bench("number, UK mobile by the numbering plan")
def uk_mobile_by_numbering_plan() -> Operation:
    numbers = cycle(f"07400 {number:06d}" for number in range(1000))
    return lambda: bool(phone.parse_by_numbering_plan(next(numbers), allow_international=False))


@bench("number, foreign mobile")
def foreign_mobile() -> Operation:
    numbers = cycle(f"+33 6 12 34 {number:04d}" for number in range(1000))
    return lambda: bool(phone.parse(next(numbers), allow_international=True))


@bench("email address")
def address_of_email() -> Operation:
    addresses = cycle(f"ann.{number}@digital.example.gov.uk" for number in range(1000))
    return lambda: bool(email_address.parse(next(addresses)))


@bench("postal address, checked")
def address_of_letter() -> Operation:
    addresses = cycle(f"Ms R Patel\n{number} Elm Road\nLeeds\nls14ap" for number in range(1000))

    def check() -> int:
        PostalAddress.from_lines(next(addresses)).check(allow_international=False)
        return 1

    return check


ROWS: Final = 5_000
SMS_HEADERS: Final = ("phone number", "name", "date")
SMS_FILE: Final = "".join(
    f"07400 {number:06d},Ms O'Neil {number},12 March 2026\r\n" for number in range(ROWS)
).encode()
LETTER_HEADERS: Final = ("address line 1", "address line 2", "postcode", "name", "date")
LETTER_FILE: Final = "".join(
    f"Ms R Patel,{number} Elm Road,LS1 4AP,Ria,12 March 2026\r\n" for number in range(ROWS)
).encode()


def _rows(data: bytes, headers: tuple[str, ...], template: RowTemplate) -> Operation:
    return lambda: sum(not row.has_error for row in RecipientRows([data], template, headers=headers))


@bench("row of text messages, two columns")
def sms_rows() -> Operation:
    template = SmsTemplate("Dear ((name)), your appointment is on ((date)). Reply YES to confirm.")
    return _rows(SMS_FILE, SMS_HEADERS, SmsRows(template, "NHS Clinic"))


@bench("row of letters, two columns")
def letter_rows() -> Operation:
    template = LetterTemplate("Your appointment", "Dear ((name)), your appointment is on ((date)).")
    return _rows(LETTER_FILE, LETTER_HEADERS, LetterRows(template))


@bench("row cut into a range")
def split_rows() -> Operation:
    heading = (",".join(SMS_HEADERS) + "\r\n").encode()
    return lambda: sum(part.rows for part in split_chunks([heading, SMS_FILE]))


def measure(operation: Operation, seconds: float) -> float:
    """Return operations a second: the best of three runs."""
    operation()
    best = 0.0
    for _ in range(3):
        done = 0
        start = time.perf_counter()
        end = start + seconds / 3
        while (now := time.perf_counter()) < end:
            for _ in range(10):
                done += operation()
        best = max(best, done / (now - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="time for each line of the table")
    parser.add_argument("--only", default="", help="run the benches whose name has this")
    arguments = parser.parse_args()
    figures = {}
    print(f"{'':44}{'per second':>12}{'µs each':>12}")
    for name, prepare in BENCHES.items():
        if arguments.only not in name:
            continue
        rate = measure(prepare(), arguments.seconds)
        figures[name] = round(rate, 1)
        print(f"{name:44}{rate:12,.0f}{1e6 / rate:12.1f}")
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    print(json.dumps({"bench": "content", "per_second": figures} | machine))


if __name__ == "__main__":
    main()
