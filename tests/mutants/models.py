"""Bugs planted in the choice of models: what fits, who is ranked best, when models change."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
FITTING, CHOOSING = "tests/core/placement/test_fitting.py", "tests/core/placement/test_order.py"
RESIDENCY = "tests/core/placement/test_residency.py"

MUTANTS = [
    Mutant(
        "foreign memory can be had",
        CORE + "placement/fitting.py",
        "total - host.gauge.foreign_mb",
        "total",
        (FITTING, CHOOSING),
    ),
    Mutant(
        "what another server keeps can be had",
        CORE + "placement/fitting.py",
        "for _, m in used | _fixed(host)",
        "for _, m in used",
        (FITTING,),
    ),
    Mutant(
        "any model may be loaded at critical pressure",
        CORE + "placement/fitting.py",
        "if known[model] <= known[smallest]:",
        "if True:",
        (FITTING,),
    ),
    Mutant(
        "vllm is preferred under pressure",
        CORE + "placement/order.py",
        "== (level is Level.LOW)",
        "== (level is not Level.LOW)",
        (CHOOSING,),
    ),
    Mutant(
        "the largest model stays first under pressure",
        CORE + "placement/order.py",
        "level < Level.HIGH:",
        "level < 9:",
        (CHOOSING,),
    ),
    Mutant(
        "a loaded model counts for nothing",
        CORE + "placement/order.py",
        "cold = not loaded(self.board, candidate)",
        "cold = False",
        (CHOOSING,),
    ),
    Mutant(
        "models change for every task",
        CORE + "placement/residency.py",
        "    if not _warm_waits(board, candidate, priority):\n",
        "    if True:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a task is passed over for ever",
        CORE + "placement/residency.py",
        ">= board.policy.residency.max_wait_s:",
        ">= 1e9:",
        (RESIDENCY,),
    ),
    Mutant(
        "a lower priority passes while models wait to change",
        CORE + "placement/residency.py",
        "if server.kept_for is not None and priority > server.kept_for:",
        "if False:",
        (RESIDENCY,),
    ),
    Mutant(
        "a server changes models without draining",
        CORE + "placement/residency.py",
        "    if _in_use(board, host, candidate):\n",
        "    if False:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a model just loaded is given up at once",
        CORE + "placement/residency.py",
        "now.mono + board.policy.residency.min_hold_s",
        "now.mono",
        (RESIDENCY,),
    ),
    Mutant(
        "a pending change outlives the task that wanted it",
        CORE + "placement/residency.py",
        '            server.swap_to, server.kept_for = "", None\n',
        "            pass\n",
        (RESIDENCY,),
    ),
    Mutant(
        "an answer from before the change undoes it",
        CORE + "placement/residency.py",
        "    if models is not None and not used <= models:\n",
        "    if False:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a task's own options load its model anew",
        CORE + "placement/links.py",
        "{k: v for k, v in wanted.items() if k not in LOAD_OPTIONS}",
        "dict(wanted)",
        (RESIDENCY, "tests/core/placement/test_rounds.py"),
    ),
]
