"""Plant each known bug in a copy of the tree and see its tests fail: `make mutants`.

A check counts only when a planted bug makes it fail. Each mutant is one exact edit of one file and the
tests that must notice. Each test that noticed has to pass without any edit; a mutant whose text is no longer
in the file, or whose tests still pass, fails the run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "ygg",
    "tests",
    "bench",
    "examples",
    "docs",
    "systemd",
    "contrib",
    "pyproject.toml",
    "hosts.yaml",
    "README.md",
)
WORKERS = 3  #: for two cores: much of a test's time is waiting
EDITS = count(1)
TRIES = 2  #: a bug that shows itself only now and then is said to
PATIENCE = 4  #: for a test on the unchanged tree, beside others that load the machine

Given, Found = TypeVar("Given"), TypeVar("Found")


class Verdict(NamedTuple):
    """Whether a bug was caught: by which tests."""

    name: str
    caught_by: tuple[str, ...] = ()


def main() -> int:
    chosen = [m for m in MUTANTS if not sys.argv[1:] or any(a in m.name for a in sys.argv[1:])]
    with tempfile.TemporaryDirectory(prefix="ygg-mutants-") as folder, ExitStack() as stack:
        base = Path(folder)
        trees = [_copy(base / str(n)) for n in range(WORKERS)]
        workers = [stack.enter_context(closing(Worker(t, base / "byte-code"))) for t in trees]
        return judged(workers, chosen)


def judged(workers: Sequence[Worker], mutants: Sequence[Mutant]) -> int:
    """The exit code for those bugs: 0 where each of them was caught by a test that passes without it."""
    verdicts = _shared(workers, _tried, mutants)
    failing = [t for tests in _shared(workers, _failing, _by_file(verdicts)) for t in tests]
    alive = [v.name for v in verdicts if not v.caught_by]
    print(f"{len(verdicts) - len(alive)} of {len(verdicts)} planted bugs caught")
    for name in alive:
        print(f"  ALIVE: {name}")
    for test in failing:
        print(f"  FAILS WITHOUT ANY PLANTED BUG: {test}")
    return 1 if alive or failing else 0


def _shared(
    workers: Sequence[Worker], work: Callable[[Worker, Given], Found], many: Iterable[Given]
) -> list[Found]:
    """What comes of each piece of work, done by whichever worker is free."""
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def done(one: Given) -> Found:
        worker = free.get()
        try:
            return work(worker, one)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(done, many))


def _copy(target: Path) -> Path:
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)
    return target


def _tried(worker: Worker, mutant: Mutant) -> Verdict:
    """Plant one bug, run its tests, and take it out again."""
    path = worker.tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        print(
            f"STALE    {mutant.name}: {mutant.file} holds its text {text.count(mutant.old)} times"
        )
        return Verdict(mutant.name)
    started, before = time.monotonic(), path.stat().st_mtime
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    os.utime(path, (0, before + next(EDITS)))  # a time of its own, or old byte code passes for it
    try:
        runs = (worker.run(mutant.tests, "--tb=no") for _ in range(TRIES))
        n, ran = next(((n, ran) for n, ran in enumerate(runs) if ran.failed), (TRIES, None))
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (0, before))
    took = f"{time.monotonic() - started:.1f} s{', not at once' if ran and n else ''}"
    print(f"{'caught  ' if ran else 'ALIVE   '} {mutant.name} ({took})", flush=True)
    return Verdict(mutant.name, ran.failed if ran else ())


def _by_file(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """The tests that noticed bugs, those of one file together."""
    files: defaultdict[str, set[str]] = defaultdict(set)
    for test in (t for v in verdicts for t in v.caught_by):
        files[test.partition("::")[0]].add(test)
    return [sorted(tests) for tests in files.values()]


def _failing(worker: Worker, tests: Sequence[str]) -> list[str]:
    """Those that fail on the unchanged tree, if any; what fails is asked once more, with all examples: one may be
    there only with a bug."""
    whole = sorted({test.partition("[")[0] for test in tests})
    for asked in (tests, whole):
        ran = worker.run(asked, "--tb=short", patience=PATIENCE)
        if ran.code == 0:
            return []
    print(ran.output)
    return list(ran.at) or whole


if __name__ == "__main__":
    sys.exit(main())
