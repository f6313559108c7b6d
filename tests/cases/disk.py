"""A small disk of its own for a case: filled, emptied, mounted read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cases.house import House


class Disk:
    """A tmpfs at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Until not a byte goes in."""
        with (self.path / "fill").open("ab", buffering=0) as file:
            for size in (65_536, 4096, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def empty(self) -> None:
        (self.path / "fill").unlink()

    def writable(self, yes: bool) -> None:
        how = "remount,rw" if yes else "remount,ro"
        subprocess.run(["mount", "-o", how, str(self.path)], check=True)


@contextmanager
def disk(path: Path, size: str = "3m") -> Iterator[Disk]:
    """Skips where nothing may be mounted."""
    path.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        done = subprocess.run(mounted, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode or os.geteuid():
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def house_on(disk: Disk, folder: Path, text: str) -> House:
    """A house whose state is on that disk, and nothing else."""
    path = folder / "hosts.yaml"
    path.write_text(text)
    home = House(folder, path, "--no-view")
    home.state = disk.path / "state"
    home.env |= {"YGG_STATE": str(home.state)}
    (folder / "run").mkdir(exist_ok=True)
    return home
