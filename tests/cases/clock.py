"""A machine whose clock a case can set: the daemon's wall clock is ahead by what a file says."""

from __future__ import annotations

from pathlib import Path

SITE = """
import time
_told, _ns = {path!r}, time.time_ns
def _ahead():
    with open(_told) as file:
        return int(float(file.read() or 0) * 1e9)
time.time_ns = lambda: _ns() + _ahead()
time.time = lambda: time.time_ns() / 1e9
"""


class Machine:
    """Give `env` to a daemon, then `set` its clock while it runs."""

    def __init__(self, folder: Path) -> None:
        self._told = folder / "ahead"
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE.format(path=str(self._told)))
        self.env = {"PYTHONPATH": str(site)}
        self.set(0)

    def set(self, ahead_s: float) -> None:
        """By how much its clock is ahead of the true time from now on."""
        fresh = self._told.with_suffix(".new")
        fresh.write_text(str(ahead_s))
        fresh.rename(self._told)
