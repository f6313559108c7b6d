"""Planted bugs in the configuration."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

EFFECT = "tests/config/test_effect.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a duplicate key is taken",
        "ygg/config/tree.py",
        "elif key.value in own:",
        "elif False:",
        (
            "tests/test_config.py::test_one_mistake_is_told_once_with_line_path_and_suggestion[host twice]",
        ),
    ),
    Mutant(
        "a route to a model nobody has is taken",
        "ygg/config/build.py",
        "listing or tuple(e for e in endpoints if not e.models)[:1]",
        "listing or endpoints[:1]",
        (
            "tests/test_config.py::test_one_mistake_is_told_once_with_line_path_and_suggestion[route to an unknown model]",
        ),
    ),
    Mutant(
        "general may be missing",
        "ygg/config/build.py",
        "if GENERAL not in named:",
        "if not named:",
        (
            "tests/test_config.py::test_one_mistake_is_told_once_with_line_path_and_suggestion[no general]",
        ),
    ),
    Mutant(
        "a host may have no slot",
        "ygg/config/values.py",
        "Slots = Annotated[int, Field(ge=1",
        "Slots = Annotated[int, Field(ge=0",
        (
            "tests/test_config.py::test_one_mistake_is_told_once_with_line_path_and_suggestion[no slot]",
        ),
    ),
    Mutant(
        "an error shows a password",
        "ygg/config/problems.py",
        're.sub(r"//[^/@]*@", "//***@", value)',
        "value",
        (
            "tests/test_config.py::test_one_mistake_is_told_once_with_line_path_and_suggestion[password in a url]",
        ),
    ),
    Mutant(
        "secrets are shown",
        "ygg/config/show.py",
        "HIDDEN if _secret(k, v) else _hide(v)",
        "_hide(v)",
        ("tests/config/test_show.py",),
    ),
    Mutant(
        "the first place wins, there or not",
        "ygg/config/__init__.py",
        "next((place for place in places if _there(place)), None)",
        "places[0]",
        ("tests/config/test_find.py",),
    ),
    Mutant(
        "a setting without effect is taken by the check",
        "ygg/config/build.py",
        "problems.found += idle if strict else ()",
        "pass",
        (EFFECT,),
    ),
    Mutant(
        "a setting without effect is left out in silence",
        "ygg/config/build.py",
        "tuple(problems.text(p) for p in idle)",
        "()",
        (EFFECT,),
    ),
    Mutant(
        "nobody reads a setting",
        "ygg/config/forms.py",
        'where it always answers."""\n',
        'where it always answers."""\n\n    backlog: v.Slots = Field(default=8, description="Waiting connections.")\n',
        (EFFECT,),
    ),
    Mutant(
        "a missing key file passes the check",
        "ygg/config/build.py",
        "                keys.api_key(place)\n",
        "                pass\n",
        (EFFECT,),
    ),
    Mutant(
        "an order of priorities that ygg does not have is taken",
        "ygg/config/environment.py",
        "    if any(better >= worse for better, worse in pairwise(known)):",
        "    if False:",
        ("tests/config/test_environment.py",),
    ),
    Mutant(
        "what the environment says is told nowhere",
        "ygg/config/environment.py",
        "    return replace(config, environment=tuple(said))",
        "    return config",
        ("tests/config/test_environment.py",),
    ),
    Mutant(
        "a kept configuration looks for its files in the state directory",
        "ygg/config/kept.py",
        "load(state / NAME, env, copy_of=meant), error",
        "load(state / NAME, env), error",
        ("tests/config/test_kept.py",),
    ),
    Mutant(
        "one that names files beside it is never kept",
        "ygg/config/kept.py",
        "load(part, env, copy_of=config.source)",
        "load(part, env)",
        ("tests/config/test_kept.py",),
    ),
]
