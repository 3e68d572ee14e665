"""`earlysign attachments verify` and what the doctor says of attachments."""

from __future__ import annotations

from pathlib import Path

from litestar.testing import TestClient

from server.app import create_app
from server.settings import Settings
from tests.attachments.kit import photograph, upload
from tests.cli.kit import data_option, run
from tests.http.kit import enrolled_phone


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with TestClient(create_app(Settings(data=data, jobs=False, linkage_ahead="no"))) as client:
        digests = [upload(enrolled_phone(client, f"officer{seed}"), photograph(seed)) for seed in (1, 2, 3)]
    whole = run("attachments", "verify", *data_option(data))
    assert whole.code == 0 and "3 whole, 0 missing, 0 damaged" in whole.out
    assert "3 files; 0 more" in run("doctor", *data_option(data)).out
    first, second = (data / "attachments" / "objects" / one[:2] / one for one in digests[:2])
    first.unlink()
    second.chmod(0o600)
    second.write_bytes(photograph(9))
    broken = run("attachments", "verify", *data_option(data))
    assert broken.code == 1 and "1 whole, 1 missing, 1 damaged" in broken.out
    assert f"missing  {digests[0]}" in broken.out and f"damaged  {digests[1]}" in broken.out
    assert "missing or cut short" in run("doctor", *data_option(data)).out
