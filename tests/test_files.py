"""Files that a setting or a flag names: what is none, or does not end, is told at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ygg import files


def test_a_regular_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2048)
    assert files.read(path, 2048) == b"x" * 2048
    with pytest.raises(OSError, match="it is longer than 1 KiB"):
        files.read(path, 1024)
    (tmp_path / "link").symlink_to(path)
    assert files.read(tmp_path / "link", 4096) == b"x" * 2048


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/random", "/dev/tty"])
def test_devices_are_refused(name: str) -> None:
    with pytest.raises(OSError, match="it is a device, no regular file"):
        files.read(Path(name), 10)


def test_what_waits_for_somebody_else_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        for name, what in (("pipe", "a pipe"), ("link", "a pipe"), ("socket", "a socket")):
            with pytest.raises(OSError, match=f"it is {what}, no regular file"):
                files.read(tmp_path / name, 10)
    with pytest.raises(IsADirectoryError, match="it is a directory"):
        files.read(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "nothing", 10)


def test_a_pipe_that_the_shell_made_for_us_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a command")
    os.close(writing)
    try:
        assert files.read(Path(f"/dev/fd/{reading}"), 100) == b"from a command"
    finally:
        os.close(reading)
