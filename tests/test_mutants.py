"""What counts as a planted bug that was caught: its tests fail under it, and pass without it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.mutants.__main__ import judged
from tests.mutants.mutant import Mutant
from tests.mutants.worker import Worker

HOUSE = """
ROOMS = [1, 2]
def halls(): return 7
def doors(): return 3
"""
CONFTEST = """
from hypothesis import settings
settings.register_profile("planted")
def pytest_addoption(parser): pass
def pytest_configure(config): config.addinivalue_line("markers", "soak: long")
"""
TESTS = """
import fcntl, os, signal, subprocess, threading
import pytest
import house

def test_halls(): assert house.halls() == 7
def test_doors(): assert house.doors() < 5
def test_nothing(): pass
def test_never(): assert house.halls() == 8
@pytest.mark.parametrize("room", house.ROOMS)
def test_rooms(room): assert room < 3
def test_leaves_a_process():
    with open("held", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        subprocess.Popen(["sleep", "60"], pass_fds=[held.fileno()])
def test_dies():
    if house.halls() == 8:
        os.kill(os.getpid(), signal.SIGKILL)
def test_ends_late():
    if house.halls() == 8:
        threading.Thread(target=threading.Event().wait).start()
"""
HANG_S, LIMIT_S = 1, 5


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    tree = tmp_path_factory.mktemp("tree")
    (tree / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (tree / "house.py").write_text(HOUSE)
    (tree / "conftest.py").write_text(CONFTEST)
    (tree / "test_house.py").write_text(TESTS)
    byte_code = Path(os.environ["PYTHONPYCACHEPREFIX"])  # what other tests have compiled
    with closing(Worker(tree, byte_code, HANG_S, LIMIT_S)) as found:
        yield found


def bug(test: str, old: str = "return 7", new: str = "return 8", file: str = "house.py") -> Mutant:
    return Mutant(f"{new} for {test}", file, old, new, (f"test_house.py::{test}",))


def test_a_bug_is_caught_where_a_test_fails_that_passes_without_it(worker: Worker) -> None:
    bugs = [bug("test_halls"), bug("test_doors", "return 3", "return 8"), bug("test_halls")]
    assert judged([worker], bugs) == 0
    assert (worker.tree / "house.py").read_text() == HOUSE


@pytest.mark.parametrize(
    "alive",
    [
        pytest.param(bug("test_nothing"), id="its tests pass"),
        pytest.param(bug("test_doors", "return 3", "return 4"), id="its tests pass though it is read"),
        pytest.param(bug("test_halls", "ROOMS", "raise ImportError\nROOMS"), id="no test can be read"),
        pytest.param(bug("test_dies"), id="pytest is killed"),
        pytest.param(bug("test_gone"), id="no such test"),
        pytest.param(bug("test_halls", "(parser): pass", "(parser): 1/0", "conftest.py"), id="pytest breaks"),
        pytest.param(bug("test_halls", "return 9"), id="its text is gone"),
        pytest.param(bug("test_halls", "return", "pass; return"), id="its text stands twice"),
    ],
)  # fmt: skip
def test_any_other_end_is_no_verdict(
    worker: Worker, alive: Mutant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged([worker], [bug("test_halls"), alive]) == 1
    said = capsys.readouterr().out
    assert f"1 of 2 planted bugs caught\n  ALIVE: {alive.name}\n" in said
    stands = (worker.tree / alive.file).read_text().count(alive.old)
    assert ("STALE" in said) == (stands != 1)


@pytest.mark.parametrize(
    "hanging",
    [
        pytest.param(bug("test_halls", "return 7", "\n    while True: pass"), id="in a test"),
        pytest.param(bug("test_halls", "ROOMS", "while True: pass\nROOMS"), id="before any test"),
        pytest.param(bug("test_ends_late"), id="after the tests"),
    ],
)
def test_what_hangs_is_ended_and_caught(worker: Worker, hanging: Mutant) -> None:
    assert judged([worker], [hanging]) == 0


def test_a_test_that_fails_without_any_bug_catches_none(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged([worker], [bug("test_never", "return 3", "return 4"), bug("test_halls")]) == 1
    said = capsys.readouterr().out
    assert "assert 7 == 8" in said
    assert said.endswith("\n  FAILS WITHOUT ANY PLANTED BUG: test_house.py::test_never\n")


def test_a_case_that_is_there_with_a_bug_alone_may_catch_it(worker: Worker) -> None:
    assert judged([worker], [bug("test_rooms", "[1, 2]", "[1, 5]")]) == 0


def test_a_process_that_is_left_over_is_killed(worker: Worker) -> None:
    assert worker.run(["test_house.py::test_leaves_a_process"]).code == 0
    with (worker.tree / "held").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # waits for the death of all who hold it
