"""`ygg` as a process that is forked, not started: nine tenths of what a start costs is the reading of modules, and here
one process has read them for all.

It has an id, an environment, streams and signals of its own, and reads its command line as ever. What is about the
start of Python itself needs `subprocess`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import IO

READ = [
    "tests.system.forked", "uvicorn.lifespan.off", "uvicorn.protocols.http.h11_impl", "uvloop", "ygg.__main__",
    "ygg.api.app", "ygg.api.border", "ygg.api.handlers", "ygg.api.server", "ygg.backends.ollama",
    "ygg.backends.openai", "ygg.cli.app", "ygg.config.kept", "ygg.daemon", "ygg.legacy",
    "ygg.ops.service.heartbeat", "ygg.probes.building", "ygg.running.scope", "ygg.stores.sqlite", "ygg.view.live",
]  # fmt: skip

ITS_START = ("LD_", "PYTHON")  #: what these say is read where a program starts

_context = get_context("forkserver")
_context.set_forkserver_preload(READ)


def may_have(env: Mapping[str, str]) -> bool:
    """Whether a process with that environment may be forked."""
    names = [name for name in {*env, *os.environ} if name.startswith(ITS_START)]
    return all(env.get(name) == os.environ.get(name) for name in names)


class Forked:
    """`ygg` with those arguments: what tests ask of a `subprocess.Popen`, under the same names."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], out: IO[bytes]) -> None:
        given = (list(args), dict(env), str(Path.cwd()), out.name)
        self._process = _context.Process(target=_become, args=given, daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("ygg", timeout or 0)
        return code


def _become(args: list[str], env: dict[str, str], folder: str, out: str) -> None:
    from ygg.__main__ import run

    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    written = os.open(out, os.O_WRONLY | os.O_APPEND)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.close(written)
    raise SystemExit(run(args))
