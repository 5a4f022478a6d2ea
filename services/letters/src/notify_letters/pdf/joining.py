"""PDFs whose pages come one after the other."""

import io

from pikepdf import Pdf


def joined(first: bytes, last: bytes) -> bytes:
    """Return the pages of two PDFs as one; the same two give the same bytes."""
    out = io.BytesIO()
    with Pdf.open(io.BytesIO(first)) as made, Pdf.open(io.BytesIO(last)) as added:
        made.pages.extend(added.pages)
        made.save(out, deterministic_id=True)
    return out.getvalue()
