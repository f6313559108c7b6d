"""Bugs in what tries planted bugs."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TESTS = "tests/test_mutants.py"

MUTANTS = [
    Mutant(
        "planted bugs: any end but a pass is a catch",
        "tests/mutants/worker.py",
        "self.at if self.code == 1 else",
        "self.at if self.code else",
        (f"{TESTS}::test_any_other_end_is_no_verdict[pytest is killed]",),
    ),
    Mutant(
        "planted bugs: what ends before any test is a catch",
        "tests/mutants/worker.py",
        "(at,) if at else ()",
        "(at,)",
        (f"{TESTS}::test_any_other_end_is_no_verdict[pytest breaks]",),
    ),
    Mutant(
        "planted bugs: what hangs has no verdict",
        "tests/mutants/worker.py",
        'return Ran(1, "timed out"',
        'return Ran(-9, "timed out"',
        (f"{TESTS}::test_what_hangs_is_ended_and_caught[before any test]",),
    ),
    Mutant(
        "planted bugs: what tests started is left running",
        "tests/mutants/worker.py",
        "os.killpg(pid",
        "os.kill(pid",
        (f"{TESTS}::test_a_process_that_is_left_over_is_killed",),
    ),
    Mutant(
        "planted bugs: a test that always fails catches them",
        "tests/mutants/__main__.py",
        "if ran.code == 0:",
        "if ran.code in (0, 1):",
        (f"{TESTS}::test_a_test_that_fails_without_any_bug_catches_none",),
    ),
    Mutant(
        "planted bugs: a stale one is passed over",
        "tests/mutants/__main__.py",
        "return Verdict(mutant.name)",
        'return Verdict(mutant.name, ("stale",))',
        (f"{TESTS}::test_any_other_end_is_no_verdict[its text is gone]",),
    ),
    Mutant(
        "planted bugs: a bug stays in the tree",
        "tests/mutants/__main__.py",
        '        path.write_text(text, encoding="utf-8")',
        "        pass",
        (f"{TESTS}::test_a_bug_is_caught_where_a_test_fails_that_passes_without_it",),
    ),
]
