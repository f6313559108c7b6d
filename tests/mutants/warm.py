"""A process that has read what tests import from others, and whose children run tests: `warm.py TREE`.

Half of what a planted bug costs is pytest, its plugins and the libraries, the same each time; a child of this process
has them. Nothing of ygg or of its tests is read here: a child reads those from the tree, with the bug in it.

Each line on stdin is one run: the arguments of pytest, the file for its output, the file for the test it is at. Two
lines answer: the child's process id at once, which is its session's and group's too, and its exit code, as
`os.waitstatus_to_exitcode` gives it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

LIBRARIES = (
    "aiohttp", "apsw", "asyncssh", "fastapi.responses", "fastapi.routing", "httpx", "httpx_aiohttp",
    "hypothesis.stateful", "ollama", "pydantic.fields", "pynvml", "pyte", "re2", "rich.live", "rich.progress",
    "rich.table", "typer.testing", "uvicorn.protocols.http.h11_impl", "uvloop", "wcwidth", "yaml",
)  # fmt: skip
NO_TEST = "def test_nothing(tmp_path):\n    pass\n"
ALONE = "-q -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function --basetemp temporary"


class Noting:
    """Keeps the name of the test that runs where it outlives the process."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._path.write_text(nodeid, encoding="utf-8")


def main() -> None:
    sys.path[0] = sys.argv[1]
    answers = os.dup(1)
    os.dup2(2, 1)  # what warming up says is no answer
    _warm_up()
    for line in sys.stdin:
        args, output, at = json.loads(line)
        pid = os.fork()
        if not pid:
            os.close(answers)
            _child(args, output, at)
        os.write(answers, b"%d\n" % pid)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(answers, b"%d\n" % code)


def _warm_up() -> None:
    """Have pytest run once, by itself, and read its plugins and the libraries: it warns of those it did not read."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("pytest.ini").write_text("[pytest]", encoding="utf-8")
        imports = "".join(f"import {name}\n" for name in LIBRARIES)
        Path("test_nothing.py").write_text(imports + NO_TEST, encoding="utf-8")
        with contextlib.redirect_stdout(said):
            code = pytest.main(ALONE.split())
    if code != 0:
        sys.exit(f"a test of nothing fails\n{said.getvalue()}")
    del sys.modules["test_nothing"]
    sys.path.remove(folder)
    if (threads := len(list(Path("/proc/self/task").glob("*")))) > 1:
        sys.exit(f"{threads} threads: a child would have one of them")
    gc.freeze()


def _child(args: list[str], output: str, at: str) -> None:
    os.setsid()
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, written, written)):
        os.dup2(source, number)
    os.close(nothing)
    os.close(written)
    sys.argv = ["pytest", *args]
    globals()["__file__"] = None  # or what tests fork with multiprocessing would read this anew
    sys.exit(pytest.main(args, plugins=[Noting(at)]))


if __name__ == "__main__":
    main()
