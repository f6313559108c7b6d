"""`ygg token secret`: a strong secret in a new file of one's own."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from tests.surface.cli import Cli, typed
from ygg.config import keys
from ygg.model import Jwt
from ygg.ops import secret


def test_it_is_long_differs_each_time_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ran = [typed("token", "secret", str(tmp_path / name)) for name in "ab"]
    finally:
        os.umask(before)
    texts = [(tmp_path / name).read_text() for name in "ab"]
    assert [r.code for r in ran] == [0, 0]
    assert texts[0] != texts[1]
    for name, text, told in zip("ab", texts, ran, strict=True):
        assert len(base64.b64decode(text)) >= 48
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert keys.verifying(Jwt(secret_file=str(tmp_path / name))) == ("HS256", text.strip())
        assert told.out == f"{tmp_path / name}\n"
        assert text.strip() not in told.out + told.err


def test_what_is_there_stays(tmp_path: Path) -> None:
    path, link = tmp_path / "secret", tmp_path / "link"
    path.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    for name in (path, link):
        ran = typed("token", "secret", str(name))
        assert (ran.code, f"{name} is there already" in ran.err) == (1, True)
    assert path.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_is_none_says_so(tmp_path: Path) -> None:
    ran = typed("token", "secret", str(tmp_path / "no" / "secret"))
    assert (ran.code, "cannot be written: No such file" in ran.err) == (69, True)
    assert "Traceback" not in ran.err


def test_a_disk_that_is_full_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(secret.base64, "b64encode", full)
    ran = typed("token", "secret", str(tmp_path / "secret"))
    assert (ran.code, "No space left" in ran.err) == (69, True)
    assert not (tmp_path / "secret").exists()


def test_programs_are_told_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cli(tmp_path, monkeypatch)
    ran = typed("token", "secret", str(tmp_path / "s"), "--json")
    assert json.loads(ran.out) == {"schema": "ygg.token-secret/1", "file": str(tmp_path / "s")}
