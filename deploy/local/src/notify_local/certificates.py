"""The throw-away authority of the local stack: one certificate a service, made once and kept.

Each certificate's first DNS name is the name that allow-lists go by (design.md §2.8, D12); `localhost` and
127.0.0.1 are in it as well, since that is where everything listens here.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("api-gateway", "notifications", "letters", "providers", "admin", "operator")


@dataclass(frozen=True)
class Certificate:
    """Paths of what one process needs, all PEM."""

    ca: Path
    """The authority's certificate."""
    cert: Path
    """The chain of the process's own certificate."""
    key: Path
    """Its private key."""


def ensure_certificates(folder: Path) -> dict[str, Certificate]:
    """Returns the certificate of every name in NAMES, making the authority and whatever is missing first."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_cert, ca_key = folder / "ca.pem", folder / "ca.key"
    if ca_cert.exists() and ca_key.exists():
        authority = trustme.CA.from_pem(ca_cert.read_bytes(), ca_key.read_bytes())
    else:
        authority = trustme.CA(organization_name="notify local stack")
        _write_private(ca_key, authority.private_key_pem.bytes())
        authority.cert_pem.write_to_path(ca_cert)
    certificates = {}
    for name in NAMES:
        certificate = Certificate(ca_cert, folder / f"{name}.pem", folder / f"{name}.key")
        if not (certificate.cert.exists() and certificate.key.exists()):
            issued = authority.issue_cert(name, "localhost", "127.0.0.1", common_name=name)
            _write_private(certificate.key, issued.private_key_pem.bytes())
            certificate.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        certificates[name] = certificate
    return certificates


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
