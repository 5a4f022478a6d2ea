"""Manifests: what was handed to the printer, line by line, signed.

A manifest is a text of JSON lines: one that says what it is of, one a letter (of a batch) or a batch (of a
run), and last `{"key_id", "signature"}`: Ed25519 over the SHA-256 of all bytes before that line, base64.
The same batch always gives the same bytes, so that writing a manifest again changes nothing.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from notify_common.enums import Postage

from notify_letters.domain.batch import ClaimedPrintBatch
from notify_letters.domain.letter import LetterToPrint
from notify_letters.domain.print_run import Counts, PrintBatch, PrintRun, PrintRunState, Volume, total

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


class Signer:
    """Signs manifests.

    Args:
        seed: 32 secret bytes that the key is made of.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key()
        raw = self.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(raw).hexdigest()[:16]
        """Names the key, so that a verifier with several knows which one to take."""

    @classmethod
    def of_secret(cls, secret: str) -> Self:
        """Return the signer whose key is made of a secret that may serve for other things too."""
        return cls(HKDF(SHA256(), 32, salt=None, info=b"notify print manifests").derive(secret.encode()))

    def line(self, digest: bytes) -> bytes:
        """Return the last line of a manifest whose bytes so far have this SHA-256."""
        return json_line(
            {"key_id": self.key_id, "signature": base64.b64encode(self._key.sign(digest)).decode()}
        )


def is_signed_by(manifest: bytes, key: Ed25519PublicKey) -> bool:
    """Tell whether a whole manifest bears the signature of this key."""
    signed = manifest[: manifest.rstrip(b"\n").rfind(b"\n") + 1]
    try:
        signature = base64.b64decode(json.loads(manifest[len(signed) :])["signature"], validate=True)
        key.verify(signature, hashlib.sha256(signed).digest())
    except Exception:  # whatever is wrong with it, it is not signed
        return False
    return True


def json_line(value: dict[str, Any]) -> bytes:
    """Return one line of a manifest."""
    return _ENCODER.encode(value).encode() + b"\n"


def batch_key(print_run_id: str, number: int, batch_id: str) -> str:
    """Return the key of a batch's manifest in the blob store."""
    return f"letters/manifests/{print_run_id}/batches/{number:07}-{batch_id}.jsonl"


def run_key(print_run_id: str) -> str:
    """Return the key of a run's manifest in the blob store."""
    return f"letters/manifests/{print_run_id}/run.jsonl"


def report_key(print_run_id: str) -> str:
    """Return the key of a run's report in the blob store."""
    return f"letters/manifests/{print_run_id}/report.json"


def batch_manifest(batch: ClaimedPrintBatch, letters: Sequence[LetterToPrint], signer: Signer) -> bytes:
    """Return the manifest of a batch: id, reference, pages, sheets and hash of the PDF of each of its
    letters.
    """
    head = {
        "type": "print-batch",
        "version": 1,
        "print_run_id": batch.print_run_id,
        "print_batch_id": batch.id,
        "number": batch.number,
        "postage": batch.postage,
        "service_id": batch.service_id,
        "letter_count": len(letters),
        "page_count": sum(letter.page_count for letter in letters),
        "sheet_count": sum(letter.sheet_count for letter in letters),
    }
    lines = (
        {
            "id": letter.id,
            "reference": letter.reference,
            "pages": letter.page_count,
            "sheets": letter.sheet_count,
            "sha256": letter.pdf_sha256,
        }
        for letter in letters
    )
    signed = b"".join((json_line(head), *map(json_line, lines)))
    return signed + signer.line(hashlib.sha256(signed).digest())


def run_head(run: PrintRun, volumes: Sequence[Volume]) -> dict[str, Any]:
    """Return the first line of a run's manifest."""
    letter_count, page_count, sheet_count = total(volumes)
    return {
        "type": "print-run",
        "version": 1,
        "print_run_id": run.id,
        "deadline": run.deadline.isoformat(),
        "batch_count": run.batch_count,
        "letter_count": letter_count,
        "page_count": page_count,
        "sheet_count": sheet_count,
    }


def batch_line(print_run_id: str, batch: PrintBatch) -> dict[str, Any]:
    """Return a batch's line in its run's manifest."""
    return {
        "id": batch.id,
        "number": batch.number,
        "postage": batch.postage,
        "service_id": batch.service_id,
        "letters": batch.letter_count,
        "pages": batch.page_count,
        "sheets": batch.sheet_count,
        "manifest": batch_key(print_run_id, batch.number, batch.id),
        "sha256": batch.manifest_sha256,
    }


def report(
    run: PrintRun, state: PrintRunState, counts: Counts, differing: Iterable[str], volumes: Sequence[Volume]
) -> dict[str, Any]:
    """Return how a run went: every count of its letters, those that disagree, and the volumes by class of
    post.

    `summary` has what the printer is told of a day's volume (pipeline.md §4.7): letters and sheets in all,
    first class, second class, economy and international.
    """
    groups: dict[str, Collection[Postage]] = {
        "total": list(Postage),
        "first": [Postage.FIRST],
        "second": [Postage.SECOND],
        "economy": [Postage.ECONOMY],
        "international": [Postage.EUROPE, Postage.REST_OF_WORLD],
    }
    summary = {
        name: {
            "letters": sum(volume.letter_count for volume in volumes if volume.postage in group),
            "sheets": sum(volume.sheet_count for volume in volumes if volume.postage in group),
        }
        for name, group in groups.items()
    }
    return {
        "print_run_id": run.id,
        "state": state,
        "deadline": run.deadline.isoformat(),
        "start_time": run.create_time.isoformat(),
        "collect_time": None if run.collect_time is None else run.collect_time.isoformat(),
        "expected_letter_count": run.expected_letter_count,
        "counts": {
            "collected": counts.collected,
            "in_batches": counts.in_batches,
            "in_letters": counts.in_letters,
            "taken": counts.taken,
        },
        "disagreements": list(differing),
        "volumes": [
            {
                "postage": volume.postage,
                "batches": volume.batch_count,
                "letters": volume.letter_count,
                "pages": volume.page_count,
                "sheets": volume.sheet_count,
            }
            for volume in volumes
        ],
        "summary": summary,
    }
