"""The certificate of a process: when health speaks of it (docs/operations.md, "Certificates")."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from notify_common import clock
from notify_common.rpc.certificates import CertificateProblem, CertificateWatch, inspect
from notify_common.settings import ServiceSettings

DAY = timedelta(days=1)


def issue(
    folder: Path,
    authority: trustme.CA,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> ServiceSettings:
    """Put a certificate of `authority` where it may replace another; return settings that name it."""
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    leaf = authority.issue_cert("admin", "localhost", not_before=not_before, not_after=not_after)
    if not ca.exists():
        authority.cert_pem.write_to_path(str(ca))
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    return ServiceSettings(tls_ca_file=ca, tls_cert_file=cert, tls_key_file=key)


def test_one_that_ends_while_it_is_used_is_not_well_until_it_is_renewed(tmp_path: Path) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    settings = issue(tmp_path, authority, not_after=now + DAY)
    watch = CertificateWatch(settings)
    assert watch.check()
    with clock.set_for_tests(now + 2 * DAY):
        assert not watch.check()
        issue(tmp_path, authority, not_after=now + 30 * DAY)
        assert watch.check()


def test_one_that_was_replaced_by_a_strangers_is_not_well(tmp_path: Path) -> None:
    authority = trustme.CA()
    watch = CertificateWatch(issue(tmp_path, authority))
    assert watch.check()
    issue(tmp_path, trustme.CA())
    assert not watch.check()
    issue(tmp_path, authority)
    assert watch.check()


def test_what_it_says_is_read(tmp_path: Path) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + DAY
    read = inspect(issue(tmp_path, trustme.CA(), not_after=ends))
    assert read.not_after == ends.timestamp()
    assert read.names == ("admin", "localhost")


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    settings = issue(tmp_path, trustme.CA())
    settings.tls_ca_file.write_text("nothing")
    with pytest.raises(CertificateProblem, match="should hold certificates") as raised:
        inspect(settings)
    assert raised.value.setting == "tls_ca_file"
