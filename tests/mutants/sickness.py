"""Planted bugs: whose fault an error is."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CANARIES = "tests/core/placement/test_canaries.py"
SICKNESS, CORE = "ygg/core/hosts/sickness.py", "ygg/core/placement/canaries.py"


def _bug(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"sick: {name}", file, old, new, (f"{CANARIES}::{test}",))


def _together(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"sick: {name}", file, old, new, ("tests/core/hosts/test_sickness.py",))


MUTANTS = (
    _together(
        "tasks that failed together run together again",
        "ygg/core/placement/links.py",
        "    if own is None:\n",
        "    if True:\n",
    ),
    _together(
        "a server runs one of a hundred that failed together",
        SICKNESS,
        "SHARE = 4",
        "SHARE = 400",
    ),
    _together(
        "a large group takes a small one along",
        "ygg/core/placement/links.py",
        "min([own, *beside])",
        "own",
    ),
    _together(
        "groups of tasks that failed together are counted as one",
        "ygg/core/placement/canaries.py",
        "dict.fromkeys(together, len(together))",
        "dict.fromkeys([*board.apart, *together], len({*board.apart, *together}))",
    ),
    _together(
        "whoever has failed once is tried with few others for ever",
        SICKNESS,
        "if now.mono - at <= TOGETHER_S}",
        "}",
    ),
    _together(
        "a task that ended elsewhere is remembered",
        "ygg/core/calls.py",
        "    canaries.forget(board, end.task_id)\n",
        "",
    ),
    _bug(
        "every error is the task's",
        CORE,
        "    return sickness.doubtful(",
        "    return False and sickness.doubtful(",
        "test_a_sick_server_costs_no_task_anything_however_long_it_lasts",
    ),
    _bug(
        "no error is the task's",
        CORE,
        "    if outcome.kind in _ANSWERS:\n",
        "    if False:\n",
        "test_an_error_of_a_task_on_a_server_that_works_is_its_own",
    ),
    _bug(
        "a success long ago proves a model",
        SICKNESS,
        "    return now.mono - proof.worked <= PROOF_S",
        '    return proof.worked > float("-inf")',
        "test_two_sick_models_are_a_sick_server_but_for_a_model_that_has_just_worked",
    ),
    _bug(
        "one success proves a model whatever fails after it",
        SICKNESS,
        "return others or bool",
        "return bool",
        "test_several_tasks_that_fail_after_a_success_are_in_doubt_again",
    ),
    _bug(
        "the pause before the next canary does not grow",
        SICKNESS,
        "2 * proof.retry_s",
        "proof.retry_s",
        "test_it_is_asked_again_after_1_2_4_up_to_60_seconds",
    ),
    _bug(
        "two sick models say nothing of their server",
        SICKNESS,
        "SICK_MODELS = 2",
        "SICK_MODELS = 9",
        "test_two_sick_models_are_a_sick_server_but_for_a_model_that_has_just_worked",
    ),
    _bug(
        "a canary takes no slot",
        CORE,
        "gates.obstacle(host, candidate, taken, now)",
        "gates.obstacle(host, candidate, gates.Taken(0, 0), now)",
        "test_a_canary_takes_a_slot_like_any_other_call",
    ),
    _bug(
        "a hot host gets canaries",
        CORE,
        "    return not idle and gates.obstacle(host, candidate, taken, now) is None",
        "    return not idle and host.busy < host.host.slots",
        "test_a_canary_of_a_hot_host_waits_until_it_has_cooled",
    ),
    _bug(
        "a suspect is poison to nobody",
        CORE,
        "    if times >= MOST:",
        "    if False:",
        "test_a_task_that_always_takes_its_server_down_is_poison_in_the_end",
    ),
    _bug(
        "a model that nobody waits for is asked for ever",
        CORE,
        "if proof.ask_at > now.mono or not _wanted(board, candidate):",
        "if proof.ask_at > now.mono:",
        "test_nobody_asks_a_sick_model_that_no_task_waits_for",
    ),
    _bug(
        "tasks wait for a sick host though another is well",
        "ygg/core/placement/links.py",
        "    apart,\n    sick,\n    kind,\n",
        "    apart,\n    kind,\n",
        "test_a_sick_server_costs_no_task_anything_however_long_it_lasts",
    ),
    _bug(
        "a suspect cannot be cancelled",
        "ygg/core/calls.py",
        "    held = board.suspects.pop(task_id, None)\n",
        "    held = None\n",
        "test_a_suspect_that_is_cancelled_ends_at_once",
    ),
    _bug(
        "a suspect is taken for a stray",
        "ygg/core/calls.py",
        "    under_way |= board.suspects.keys()\n",
        "",
        "test_the_store_s_rows_of_suspects_are_no_strays",
    ),
    _bug(
        "a suspect is left running when the daemon stops",
        "ygg/core/calls.py",
        "for suspect in list(board.suspects.values())]",
        "for suspect in ()]",
        "test_a_suspect_keeps_its_place_when_the_daemon_stops",
    ),
    _bug(
        "a canary loads its model anew",
        "ygg/core/placement/requests.py",
        "    options = load_options(board, candidate)\n",
        "    options: JsonDict = {}\n",
        "test_a_canary_asks_for_what_failed_with_the_options_of_its_model",
    ),
    _bug(
        "a person who resumes a host has to wait",
        "ygg/core/owning.py",
        "        sickness.ask_now(host, now)\n",
        "",
        "test_a_person_who_resumes_the_host_has_it_asked_at_once",
    ),
    Mutant(
        "sick: status says that all is well",
        "ygg/cli/output.py",
        '    if host["sick"] and host["reachable"]:\n',
        "    if False:\n",
        (
            "tests/cases/test_sick.py::test_a_sick_server_costs_no_task_anything_and_everybody_says_so",
        ),
    ),
)
