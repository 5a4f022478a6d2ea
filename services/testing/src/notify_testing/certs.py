"""Throw-away certificates for the local stack and the tests; production brings its own (design.md §6).

Each certificate bears its service's name, and `localhost` and 127.0.0.1 besides, so that tools such as
grpcurl can call a server by its address. The operator's and the observer's bear their names alone.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from notify_common.callers import OBSERVER, OPERATOR

_CERT, _KEY = "ca.pem", "ca.key"
"""Files of the authority."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where one certificate, its key, and its authority are (PEM)."""

    ca: Path
    cert: Path
    key: Path


def ensure_certificates(folder: Path, names: Iterable[str]) -> dict[str, CertificateFiles]:
    """Return the files of a certificate for each name, all by one authority that lives in `folder`.

    What is there already is kept, so a second call changes nothing. Keys are readable by their owner alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority, authority_cert = _authority(folder)
    return {
        name: _files(folder, authority_cert, name)
        if _exist(_files(folder, authority_cert, name))
        else _issue(folder, authority, authority_cert, name)
        for name in names
    }


def renew_certificates(folder: Path, names: Iterable[str]) -> None:
    """Replace the certificate and the key of each name by new ones of the authority that lives in `folder`,
    while servers and clients use them.
    """
    authority, authority_cert = _authority(folder)
    for name in names:
        _issue(folder, authority, authority_cert, name)


@contextmanager
def replace_authority(folder: Path) -> Iterator[None]:
    """Put a new authority in the place of the one that lives in `folder`; inside the block both are trusted,
    and certificates are issued by the new one.
    """
    authority_cert, authority_key = folder / _CERT, folder / _KEY
    old, new = authority_cert.read_bytes(), trustme.CA(organization_name="Throw-away authority")
    _write(authority_key, new.private_key_pem.bytes())
    _write(authority_cert, new.cert_pem.bytes() + old)
    yield
    _write(authority_cert, new.cert_pem.bytes())


def _authority(folder: Path) -> tuple[trustme.CA, Path]:
    authority_cert, authority_key = folder / _CERT, folder / _KEY
    if authority_cert.exists() and authority_key.exists():
        authority = trustme.CA.from_pem(authority_cert.read_bytes(), authority_key.read_bytes())
    else:
        authority = trustme.CA(organization_name="Throw-away authority")
        _write(authority_key, authority.private_key_pem.bytes())
        _write(authority_cert, authority.cert_pem.bytes())
    return authority, authority_cert


def _files(folder: Path, authority_cert: Path, name: str) -> CertificateFiles:
    return CertificateFiles(ca=authority_cert, cert=folder / f"{name}.pem", key=folder / f"{name}.key")


def _exist(files: CertificateFiles) -> bool:
    return files.cert.exists() and files.key.exists()


def _issue(folder: Path, authority: trustme.CA, authority_cert: Path, name: str) -> CertificateFiles:
    files = _files(folder, authority_cert, name)
    names = (name,) if name in (OPERATOR, OBSERVER) else (name, "localhost", "127.0.0.1")
    leaf = authority.issue_cert(*names)
    _write(files.key, leaf.private_key_pem.bytes())
    _write(files.cert, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    return files


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_suffix(f"{path.suffix}.{os.getpid()}")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    scratch.replace(path)
