"""Bugs planted in the choice of models: what fits, who is ranked best, when models change."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
FITTING, CHOOSING = "tests/core/placement/test_fitting.py", "tests/core/placement/test_order.py"
RESIDENCY = "tests/core/placement/test_residency.py"
NAMES = "tests/model/test_names.py"

MUTANTS = [
    Mutant(
        "foreign memory can be had",
        "ygg/core/hosts/models.py",
        "total - host.condition.foreign_mb",
        "total",
        (FITTING, CHOOSING),
    ),
    Mutant(
        "what another server keeps can be had",
        "ygg/core/placement/fitting.py",
        "    held = used | _fixed(host)\n",
        "    held = used\n",
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
        "ygg/core/placement/residency.py",
        "    return _warm_waits(turn, candidate, could)\n",
        "    return False\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a task is passed over for ever",
        "ygg/core/placement/residency.py",
        "if turn.now.mono >= patient_until(server, turn.board.policy):",
        "if False:",
        (RESIDENCY,),
    ),
    Mutant(
        "a lower priority passes while models wait to change",
        "ygg/core/placement/residency.py",
        "if kept is not None and turn.priority > kept:",
        "if False:",
        (f"{RESIDENCY}::test_while_a_task_waits_for_a_change_only_its_equals_go_first",),
    ),
    Mutant(
        "a server changes models without draining",
        "ygg/core/placement/residency.py",
        "    if in_the_way(turn.board, candidate):\n",
        "    if False:\n",
        (f"{RESIDENCY}::test_two_models_that_take_turns_are_not_changed_for_every_task",),
    ),
    Mutant(
        "a model just loaded is given up at once",
        CORE + "placement/residency.py",
        "now.mono + board.policy.residency.min_hold_s",
        "now.mono",
        (
            f"{RESIDENCY}::test_a_model_that_was_just_loaded_stays_a_while_for_those_who_wait_for_it",
        ),
    ),
    Mutant(
        "a pending change outlives the task that wanted it",
        "ygg/core/placement/dispatching.py",
        "decided=set(board.changing)",
        "decided=set()",
        (f"{RESIDENCY}::test_a_cancelled_task_leaves_no_change_pending",),
    ),
    Mutant(
        "an answer from before the change undoes it",
        "ygg/core/placement/residency.py",
        "    if found is not None and not used <= found:\n",
        "    if False:\n",
        (f"{RESIDENCY}::test_an_answer_from_before_the_change_does_not_undo_it",),
    ),
    Mutant(
        "a task's own options load its model anew",
        "ygg/core/placement/requests.py",
        "{k: v for k, v in wanted.items() if k not in LOAD_OPTIONS}",
        "dict(wanted)",
        (f"{RESIDENCY}::test_a_model_is_loaded_with_one_set_of_options_whoever_asks",),
    ),
    Mutant(
        "two spellings of a model are two",
        "ygg/model/names.py",
        '.lower().rpartition("://")[2].removesuffix(":latest")',
        "",
        (NAMES, "tests/backends/test_names.py", "tests/config/test_model_names.py"),
    ),
    Mutant(
        "a tag says nothing",
        "ygg/model/names.py",
        '.removesuffix(":latest")',
        '.partition(":")[0]',
        (NAMES,),
    ),
    Mutant(
        "vllm's names are as loose as llama.cpp's",
        "ygg/model/names.py",
        "    VLLM: (),\n",
        "    VLLM: (_bare,),\n",
        (NAMES, "tests/backends/test_names.py"),
    ),
    Mutant(
        "llama.cpp's router is asked by the name of hosts.yaml",
        "ygg/backends/openai.py",
        "return names.find(known or (), model, LLAMA_CPP) or model",
        "return model",
        ("tests/backends/test_names.py",),
    ),
    Mutant(
        "a model listed twice is two",
        "ygg/config/build.py",
        "first.setdefault(names.canonical(form.name, dialect), form.name)",
        "first.setdefault(form.name, form.name)",
        ("tests/config/test_model_names.py",),
    ),
    Mutant(
        "a probe's spelling comes in as it is",
        "ygg/backends/ollama.py",
        'names.own(endpoint, m["name"]) for m in told',
        'm["name"] for m in told',
        ("tests/backends/test_names.py",),
    ),
]
