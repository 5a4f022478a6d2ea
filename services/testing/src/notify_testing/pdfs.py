"""PDFs as senders make them: right, wrong and hostile."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf

MM = 72 / 25.4
A4 = (210 * MM, 297 * MM)
ADDRESS = ("Ms Example", "1 High Street", "EX1 1EX")


def text(x: float, y: float, *lines: str, size: float = 10, font: str = "F1") -> bytes:
    """Lines of text from a point on, in millimetres from the top left corner."""
    shown = b" T* ".join(b"(" + line.encode("cp1252") + b") Tj" for line in lines)
    start = f"BT /{font} {size} Tf {size * 1.2} TL {x * MM:.2f} {A4[1] - y * MM:.2f} Td ".encode()
    return start + shown + b" ET\n"


def address(*lines: str) -> bytes:
    """Return an address in its window."""
    return text(26, 44, *(lines or ADDRESS))


def bar(x: float, y: float, width: float, height: float, colour: str = "0 g") -> bytes:
    """Return a filled bar, in millimetres from the top left corner."""
    bottom = A4[1] - (y + height) * MM
    return f"{colour} {x * MM:.2f} {bottom:.2f} {width * MM:.2f} {height * MM:.2f} re f 0 g\n".encode()


def fonts() -> Dictionary:
    """Two fonts that every reader is supposed to have; F2 is bold."""
    return Dictionary(
        F1=Dictionary(
            Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding
        ),
        F2=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name("/Helvetica-Bold")),
    )


def letter(
    *pages: bytes,
    size: Sequence[float] = A4,
    change: Callable[[Pdf], None] = lambda pdf: None,
    resources: Mapping[str, Any] | None = None,
    **saving: Any,
) -> bytes:
    """Return a PDF whose pages have these drawings; by default one page with an address and a line of text.

    `change` is done to it before it is saved; `resources` are those of every page, beside fonts.
    """
    pdf = Pdf.new()
    for drawing in pages or (address() + text(20, 110, "Dear Ms Example"),):
        page = pdf.add_blank_page(page_size=(size[0], size[1]))
        page.obj.Resources = Dictionary(Font=fonts(), **(resources or {}))
        page.obj.Contents = pdf.make_stream(drawing)
    change(pdf)
    out = io.BytesIO()
    pdf.save(out, **saving)
    return out.getvalue()


def picture(pdf: Pdf, width: int, height: int, content: bytes, **entries: Any) -> Any:
    """Return a picture."""
    made = pdf.make_stream(content)
    made.Type, made.Subtype = Name.XObject, Name.Image
    made.Width, made.Height = width, height
    made.ColorSpace, made.BitsPerComponent = Name.DeviceRGB, 8
    for name, value in entries.items():
        made[f"/{name}"] = value
    return made


def many_pages(count: int) -> bytes:
    """Return a PDF of very many pages, all of which are one."""

    def change(pdf: Pdf) -> None:
        pdf.Root.Pages.Kids = Array([pdf.pages[0].obj] * count)
        pdf.Root.Pages.Count = count

    return letter(change=change)


def circle_of_pages() -> bytes:
    """Return a PDF whose tree of pages bites its own tail."""
    return b"\n".join(
        [
            b"%PDF-1.4",
            b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
            b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1/Parent 3 0 R>>endobj",
            b"3 0 obj<</Type/Pages/Kids[2 0 R]/Count 1/Parent 2 0 R>>endobj",
            b"trailer<</Root 1 0 R/Size 4>>",
        ]
    )


def bomb(size: int) -> bytes:
    """Return a PDF whose page unpacks to so many bytes."""
    return letter(address() + b"0 0 m " * (size // 6))


def nested_forms(depth: int) -> bytes:
    """Return a PDF whose page draws a form that draws itself twice, and so on: 2**depth drawings."""

    def change(pdf: Pdf) -> None:
        inner = None
        for _ in range(depth):
            form = pdf.make_stream(b"/In Do /In Do" if inner is not None else b"0 0 1 1 re f")
            form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, Array([0, 0, 600, 850])
            if inner is not None:
                form.Resources = Dictionary(XObject=Dictionary(In=inner))
            inner = form
        pdf.pages[0].obj.Resources.XObject = Dictionary(In=inner)
        pdf.pages[0].obj.Contents = pdf.make_stream(address() + b"/In Do")

    return letter(change=change)


def scripted(pdf: Pdf) -> None:
    """Put in all that is not drawn: scripts, actions, a form, a file, notes, a title."""
    script = Dictionary(S=Name.JavaScript, JS="app.alert('here')")
    pdf.Root.OpenAction = script
    pdf.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array(["run", script])))
    pdf.attachments["evil.exe"] = b"MZ not to be handed on"
    page = pdf.pages[0].obj
    page.AA = Dictionary(O=script)
    page.Metadata = pdf.make_stream(b"<x>secret metadata</x>")
    look = pdf.make_stream(b"0 g 0 0 100 20 re f")
    look.Type, look.Subtype, look.BBox = Name.XObject, Name.Form, Array([0, 0, 100, 20])
    field = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            T="name",
            V="filled in",
            F=4,
            Rect=Array([100, 300, 200, 320]),
            A=script,
            AP=Dictionary(N=look),
        )
    )
    link = Dictionary(
        Type=Name.Annot,
        Subtype=Name.Link,
        Rect=Array([100, 400, 200, 420]),
        A=Dictionary(S=Name.URI, URI="https://evil.example"),
    )
    page.Annots = Array([field, pdf.make_indirect(link)])
    pdf.Root.AcroForm = Dictionary(Fields=Array([field]))
    with pdf.open_metadata() as metadata:
        metadata["dc:title"] = "a secret title"


def encrypted(password: str) -> bytes:
    """Return a PDF that nobody may change, and that is read with a password."""
    return letter(encryption=pikepdf.Encryption(owner="owner", user=password))
