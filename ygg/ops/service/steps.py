"""Changes to a machine as a list of steps: each is told before it is done, or only told."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ygg import private
from ygg.errors import YggError

Say = Callable[[str], None]


class Step(Protocol):
    """One change. `do` raises YggError when it cannot be made."""

    def told(self) -> str: ...

    def do(self) -> None: ...


class Write(NamedTuple):
    """A file of ours, put in place whole; nothing happens when it already says this."""

    path: Path
    text: str

    def told(self) -> str:
        return f"{'keep' if self.done() else 'write'} {self.path}"

    def done(self) -> bool:
        return _text_of(self.path) == self.text

    def do(self) -> None:
        if self.done():
            return
        try:
            _put(self.path, self.text)
        except OSError as error:
            raise YggError(f"{self.path} cannot be written: {error.strerror or error}") from error


class WriteOnce(NamedTuple):
    """A file that belongs to its user once it is there."""

    path: Path
    text: str

    def told(self) -> str:
        return f"{'keep' if self.path.exists() else 'write'} {self.path}"

    def do(self) -> None:
        if not self.path.exists():
            Write(self.path, self.text).do()


class Remove(NamedTuple):
    """A file that goes; one that is gone is no error."""

    path: Path

    def told(self) -> str:
        return f"remove {self.path}"

    def do(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise YggError(f"{self.path} cannot be removed: {error.strerror or error}") from error


class Run(NamedTuple):
    """A command that must succeed."""

    argv: tuple[str, ...]
    hint: str = ""

    def told(self) -> str:
        return f"run {shlex.join(self.argv)}"

    def do(self) -> None:
        try:
            done = subprocess.run(
                self.argv, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except OSError as error:
            raise YggError(f"{self.argv[0]} cannot be run: {error.strerror or error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            why = said or f"it ended with {done.returncode}"
            raise YggError(f"{shlex.join(self.argv)} failed: {why}", hint=self.hint)


def carry_out(steps: Sequence[Step], say: Say, *, dry_run: bool) -> None:
    """Tell and do the steps in order. Raises the YggError of the first that fails."""
    for step in steps:
        say(step.told())
        if not dry_run:
            step.do()


def need(tool: str) -> None:
    """Raises YggError when a program is not installed."""
    if shutil.which(tool) is None:
        raise YggError(
            f"{tool} is not on this machine, so it has no systemd that could run a service",
            hint="run `ygg loop` under your own supervisor; `ygg service print` shows the unit",
        )


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _put(path: Path, text: str) -> None:
    """Replace `path` in one move, readable by all as unit files and configurations are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    private.put(path, text, mode=0o644)
