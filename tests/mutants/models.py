"""Bugs planted in the choice of models: what fits, who is ranked best, when models change."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
FITTING, CHOOSING = "tests/core/test_fitting.py", "tests/core/test_choosing.py"
RESIDENCY = "tests/core/test_residency.py"
NAMES = "tests/model/test_names.py"

MUTANTS = [
    Mutant(
        "foreign memory can be had",
        CORE + "fitting.py",
        "total - host.gauge.foreign_mb",
        "total",
        (FITTING, CHOOSING),
    ),
    Mutant(
        "what another server keeps can be had",
        CORE + "fitting.py",
        "for _, m in used | _fixed(host)",
        "for _, m in used",
        (FITTING,),
    ),
    Mutant(
        "any model may be loaded at critical pressure",
        CORE + "fitting.py",
        "if known[model] <= known[smallest]:",
        "if True:",
        (FITTING,),
    ),
    Mutant(
        "vllm is preferred under pressure",
        CORE + "choosing.py",
        "== (level is Level.LOW)",
        "== (level is not Level.LOW)",
        (CHOOSING,),
    ),
    Mutant(
        "the largest model stays first under pressure",
        CORE + "choosing.py",
        "level < Level.HIGH:",
        "level < 9:",
        (CHOOSING,),
    ),
    Mutant(
        "a loaded model counts for nothing",
        CORE + "choosing.py",
        "cold = not loaded(self.state, candidate)",
        "cold = False",
        (CHOOSING,),
    ),
    Mutant(
        "models change for every task",
        CORE + "residency.py",
        "    if not _warm_waits(state, candidate, priority):\n",
        "    if True:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a task is passed over for ever",
        CORE + "residency.py",
        ">= state.policy.residency.max_wait_s:",
        ">= 1e9:",
        (RESIDENCY,),
    ),
    Mutant(
        "a lower priority passes while models wait to change",
        CORE + "residency.py",
        "if server.kept_for is not None and priority > server.kept_for:",
        "if False:",
        (RESIDENCY,),
    ),
    Mutant(
        "a server changes models without draining",
        CORE + "residency.py",
        "    if _in_use(state, host, candidate):\n",
        "    if False:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a model just loaded is given up at once",
        CORE + "residency.py",
        "now.mono + state.policy.residency.min_hold_s",
        "now.mono",
        (RESIDENCY,),
    ),
    Mutant(
        "a pending change outlives the task that wanted it",
        CORE + "residency.py",
        '            server.swap_to, server.kept_for = "", None\n',
        "            pass\n",
        (RESIDENCY,),
    ),
    Mutant(
        "an answer from before the change undoes it",
        CORE + "residency.py",
        "    if models is not None and not used <= models:\n",
        "    if False:\n",
        (RESIDENCY,),
    ),
    Mutant(
        "a task's own options load its model anew",
        CORE + "routing.py",
        "{k: v for k, v in wanted.items() if k not in LOAD_OPTIONS}",
        "dict(wanted)",
        (RESIDENCY, "tests/core/test_dispatching.py"),
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
        "names.own(endpoint, name) for name in told",
        "name for name in told",
        ("tests/backends/test_names.py",),
    ),
]
