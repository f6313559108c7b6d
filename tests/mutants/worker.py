"""A copy of the tree and the process that runs tests in it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

WARM = Path(__file__).with_name("warm.py")
HANG_S = 15  #: a test that runs longer hangs, which is one way to notice a bug
LONG_S = 60  #: the tests of one bug


class Ran(NamedTuple):
    """What came of tests: pytest's exit code (1: tests failed; anything else but 0 is no verdict), its output, and
    the test it was at when it ended, if it had begun one; what hangs before has all tests to itself."""

    code: int
    output: str
    at: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """What failed or hung. Python ends with 1 too where pytest breaks before any test: nothing has failed then."""
        return self.at if self.code == 1 else ()


class Worker:
    """Runs tests in its tree, each time in a process of its own.

    Workers may have one folder for the byte code of them all: it is told apart by the paths of the sources.
    """

    def __init__(
        self, tree: Path, byte_code: Path, hang_s: float = HANG_S, limit_s: float = LONG_S
    ) -> None:
        self.tree = tree
        self._hang_s, self._limit_s = hang_s, limit_s
        self._output, self._at = tree / ".output", tree / ".at"
        env = os.environ | {
            "PYTHONPATH": str(tree),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(byte_code),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".hyp"),
        }
        self._warm = subprocess.Popen(
            [sys.executable, WARM, tree], cwd=tree, env=env, bufsize=0, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, tests: Sequence[str], *more: str, patience: int = 1) -> Ran:
        """Run tests up to the first failure. What takes so much longer than a bug's tests may has failed; what was
        started by the tests and still runs is killed.

        A thread ends a test that hangs: an error raised wherever a signal finds it may be swallowed, or end pytest
        itself.
        """
        options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "planted"]
        limit = f"--timeout {patience * self._hang_s} --timeout-method thread".split()
        pid = self._start([*options, *limit, "-m", "not soak", *more, *tests])
        try:
            ended, _, _ = select.select([self._warm.stdout], [], [], patience * self._limit_s)
        finally:  # also a daemon that hangs, whose test was ended before it could end it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        code, at = self._answer(), self._at.read_text(encoding="utf-8")
        begun = (at,) if at else ()
        if not ended:
            return Ran(1, "timed out", begun or tuple(tests))
        return Ran(code, self._output.read_text(encoding="utf-8", errors="replace"), begun)

    def close(self) -> None:
        _pipe(self._warm.stdin).close()
        self._warm.wait()
        _pipe(self._warm.stdout).close()

    def _start(self, args: list[str]) -> int:
        self._at.write_text("", encoding="utf-8")
        asked = json.dumps([args, str(self._output), str(self._at)])
        _pipe(self._warm.stdin).write(asked.encode() + b"\n")
        return self._answer()

    def _answer(self) -> int:
        line = _pipe(self._warm.stdout).readline()
        if not line:
            raise RuntimeError("the process that runs the tests has ended")
        return int(line)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
