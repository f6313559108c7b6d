"""The command line in this process: what a person types, and what comes back."""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import typer.main

from ygg import paths
from ygg.__main__ import run

HOSTS = """\
hosts:
  surtr: {slots: 1, backend: ollama, url: "http://127.0.0.1:9", models: [m], telemetry: off}
  fenrir: {slots: 1, backend: ollama, url: "http://127.0.0.1:9", models: [m], telemetry: off}
task_types:
  general: {route: [surtr]}
  chat: {route: [fenrir], match: {labels: [talk]}}
"""

#: Each call of the program builds the tree of all commands, which takes longer than most of them, and is always the same.
BUILT = functools.cache(typer.main.get_command)


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def typed(
    *args: str, stdin: bytes | None = None, tty: bool = False, env: Mapping[str, str] | None = None
) -> Ran:
    """One command in this process. `tty`: stdin, stdout and stderr are terminals. Without `stdin` there is a terminal
    there. `env`: the whole environment, if not that of the test."""
    out, err = (Terminal(), Terminal()) if tty else (io.StringIO(), io.StringIO())
    source = Terminal() if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        patch.setattr("sys.stdin", source)
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        patch.setattr(typer.main, "get_command", BUILT)
        code = run(list(args))
    return Ran(code, out.getvalue(), err.getvalue())


class Cli:
    """Runs commands with a state directory and a configuration of their own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        self.socket = folder / "run" / "ygg" / "ygg.sock"
        self.config = folder / "hosts.yaml"
        self.config.write_text(HOSTS)
        self.state = folder / "state" / "ygg"
        patch.setenv("XDG_STATE_HOME", str(self.state.parent))
        patch.delenv("YGG_STATE", raising=False)
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        patch.setenv("YGG_CONFIG", str(self.config))
        patch.delenv("YGG_SOCKET", raising=False)
        patch.setattr(paths, "SYSTEM_SOCKET", folder / "none.sock")
        patch.setattr(paths, "SYSTEM_UNITS", ())

    def __call__(self, *args: str, stdin: str | bytes | None = None, tty: bool = False) -> Ran:
        """As `typed`, in this environment."""
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        return typed(*args, stdin=raw, tty=tty)

    def ok(self, *args: str, **more: Any) -> Ran:
        ran = self(*args, **more)
        assert ran.code == 0, ran
        return ran

    def submit(self, *args: str) -> str:
        """The id of a new task."""
        return self.ok("submit", *(args or ("hello",))).out.strip()
