"""Plant each known bug in a copy of the tree and see its tests fail: `make mutants`.

A check counts only when a planted bug makes it fail. Each mutant is one exact edit of one file and the
tests that must notice. The tests first have to pass without any edit; a mutant whose text is no longer
in the file, or whose tests still pass, fails the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "ygg",
    "tests",
    "bench",
    "examples",
    "docs",
    "systemd",
    "pyproject.toml",
    "hosts.yaml",
    "README.md",
)
WORKERS = 2
EDITS = count(1)
FEW = 10  #: so many failures on the unchanged tree are no accident
FAILED = re.compile(r"(?m)^FAILED (.+?)(?: - .*)?$")  #: as pytest names them at its end
HANG_S = 15  #: a test that runs longer hangs, which is one way to notice a bug
TRIES = 2  #: a bug that shows itself only now and then is said to
LONG_S, ALL_S = 60, 1800  #: the tests of one bug, and those of all without any


def main() -> int:
    chosen = [m for m in MUTANTS if not sys.argv[1:] or any(a in m.name for a in sys.argv[1:])]
    with tempfile.TemporaryDirectory(prefix="ygg-mutants-") as folder:
        base = Path(folder)
        trees = [_copy(base / str(n)) for n in range(WORKERS)]
        if not _sound(trees[0], chosen):
            return 1
        with ThreadPoolExecutor(WORKERS) as pool:
            shares = [chosen[n::WORKERS] for n in range(WORKERS)]
            results = list(pool.map(_run_share, trees, shares))
    alive = [name for share in results for name in share]
    print(f"{len(chosen) - len(alive)} of {len(chosen)} planted bugs caught")
    for name in alive:
        print(f"  ALIVE: {name}")
    return 1 if alive else 0


def _copy(target: Path) -> Path:
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)
    return target


def _sound(tree: Path, mutants: list[Mutant]) -> bool:
    """The tests of all mutants pass on the unchanged tree; those that failed beside others alone, as each mutant is
    tried."""
    tests = sorted({t for m in mutants for t in m.tests})
    patient = f"--tb=short --timeout {4 * HANG_S} --maxfail {FEW}".split()
    beside = f"-n {WORKERS} --dist loadfile".split()
    code, output = _pytest(tree, [*patient, *beside, *tests], ALL_S)
    failed = FAILED.findall(output)
    if code == 1 and 0 < len(failed) < FEW:
        code, output = _pytest(tree, [*patient, *failed], ALL_S)
    if code != 0:
        print(output)
        print("the tests fail without any planted bug")
    return code == 0


def _run_share(tree: Path, mutants: list[Mutant]) -> list[str]:
    return [m.name for m in mutants if not _caught(tree, m)]


def _caught(tree: Path, mutant: Mutant) -> bool:
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        print(
            f"STALE    {mutant.name}: {mutant.file} holds its text {text.count(mutant.old)} times"
        )
        return False
    started, before = time.monotonic(), path.stat().st_mtime
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    os.utime(path, (0, before + next(EDITS)))  # a time of its own, or old byte code passes for it
    try:
        tries = next((n for n in range(TRIES) if _pytest(tree, mutant.tests)[0] == 1), None)
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (0, before))
    took = f"{time.monotonic() - started:.1f} s{', not at once' if tries else ''}"
    print(f"{'ALIVE   ' if tries is None else 'caught  '} {mutant.name} ({took})", flush=True)
    return tries is not None


def _pytest(tree: Path, tests: Sequence[str], limit_s: float = LONG_S) -> tuple[int, str]:
    """Exit code (1: tests failed; anything else is no verdict) and output of the tests in that tree.

    A thread ends what hangs: an error raised wherever a signal finds it may be swallowed, or end pytest itself.
    """
    options = ["-q", "-x", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-profile", "planted"]
    limit = f"--timeout {HANG_S} --timeout-method thread".split()
    command = [sys.executable, "-m", "pytest", *options, *limit, "-m", "not soak", *tests]
    env = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(tree / ".byte-code"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".hyp"),
    }
    running = subprocess.Popen(
        command, cwd=tree, env=env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = running.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return 1, "timed out"
    finally:  # also a daemon that hangs, whose test was ended before it could end it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    return running.returncode, output


if __name__ == "__main__":
    sys.exit(main())
