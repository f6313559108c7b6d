"""The shape of the code: small files, small functions, the core tested module by module."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "ygg").rglob("*.py"))

HARD_CAP, SOFT_CAP = 450, 300  #: lines of a file
ROOT_CAP = 150  #: lines of the composition root, which only names and joins
LONG_SHARE = 0.05  #: of the files may be over the soft cap
MEDIAN_BODY, P90_BODY, LONGEST = 6, 18, 60  #: lines of a function
TESTED = 0.95  #: lines of tests for a line of the package
COMPOSED = ("running", "api")  #: rooms whose classes are put together of parts, not cut into bases

#: Rooms whose modules are each tested by a file of their name, in the folder of tests that mirrors them.
ROOMS = ("core", "core/placement", "core/hosts", "telling")
FLOOR = 12  #: modules of the core that stand in no room

#: Their modules without a test file of their own name, and the file that tests them.
TESTED_IN = {
    "core/house": "core/hosts/test_gates",
    "core/owning": "core/hosts/test_gates",
    "core/watching": "core/hosts/test_readings",
    "core/hosts/condition": "core/hosts/test_readings",
    "core/hosts/models": "core/placement/test_fitting",
    "core/placement/remedies": "core/placement/test_residency",
    "core/placement/requests": "core/test_calls",
    "core/placement/rounds": "core/placement/test_links",
    "core/board": "core/placement/test_dispatching",
    "core/step": "core/placement/test_dispatching",
    "core/placement/ranking": "core/placement/test_dispatching",
    "telling/snapshotting": "telling/test_explain",
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions() -> Iterator[tuple[str, int]]:
    """Every function of the package with the lines of its body, docstring left out."""
    for path in PACKAGE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node, clean=False) is not None
                start = node.body[0].end_lineno if documented else node.body[0].lineno - 1
                yield (
                    f"{_name(path)}:{node.lineno} {node.name}",
                    (node.end_lineno or 0) - (start or 0),
                )


def _has_functions(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


def test_no_file_is_over_the_hard_cap() -> None:
    sizes = {_name(path): _lines(path) for path in PACKAGE}
    assert {n: s for n, s in sizes.items() if s > HARD_CAP} == {}


def test_few_files_are_over_the_soft_cap() -> None:
    long = [f"{_name(path)}: {_lines(path)}" for path in PACKAGE if _lines(path) > SOFT_CAP]
    assert len(long) <= LONG_SHARE * len(PACKAGE), long


def test_the_composition_root_is_short() -> None:
    assert _lines(ROOT / "ygg" / "wire.py") <= ROOT_CAP


def test_functions_are_small() -> None:
    sizes = dict(_functions())
    assert len(sizes) > 100
    assert statistics.median(sizes.values()) <= MEDIAN_BODY
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= P90_BODY
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}


def test_every_decision_is_tested_by_a_file_of_its_name() -> None:
    for room in ROOMS:
        modules = {p.stem for p in (ROOT / "ygg" / room).glob("*.py") if _has_functions(p)}
        for module in modules:
            test = TESTED_IN.get(f"{room}/{module}", f"{room}/test_{module}")
            assert (ROOT / "tests" / f"{test}.py").exists(), f"{room}/{module}: no {test}.py"
        tests = {p.stem.removeprefix("test_") for p in (ROOT / "tests" / room).glob("test_*.py")}
        assert tests <= modules, f"a test file in {room} of a module that is gone"


def test_there_is_about_a_line_of_tests_for_each_line() -> None:
    tests = sum(_lines(path) for path in (ROOT / "tests").rglob("*.py"))
    assert tests >= TESTED * sum(_lines(path) for path in PACKAGE)


@pytest.mark.parametrize("room", COMPOSED)
def test_no_class_is_split_over_bases(room: str) -> None:
    trees = [
        ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "ygg" / room).rglob("*.py")
    ]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = {node.name for node in classes}
    split = {node.name for node in classes for base in node.bases if ast.unparse(base) in names}
    assert classes
    assert split == set()


def test_the_core_stays_a_house_of_rooms() -> None:
    assert len(list((ROOT / "ygg/core").glob("*.py"))) <= FLOOR


def test_every_planted_bug_still_fits_its_file() -> None:
    texts = {m.file: (ROOT / m.file).read_text(encoding="utf-8") for m in MUTANTS}
    stale = [m.name for m in MUTANTS if texts[m.file].count(m.old) != 1]
    assert stale == []
    names = [m.name for m in MUTANTS]
    assert len(names) == len(set(names)), "two planted bugs of one name"
