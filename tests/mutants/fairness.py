"""Planted bugs in the turns that callers take."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TURNS, TOKENS = "tests/core/placement/test_turns.py", "tests/surface/test_tokens.py"
WHERE = "ygg/core/placement/turns.py"

CROWD = TURNS + "::test_one_task_beside_ten_thousand_gets_the_next_slot"
BOUND = TURNS + "::test_while_a_caller_has_no_call_there_each_other_starts_one_before_it"
CLASS = TURNS + "::test_a_better_priority_goes_first_whosever_turn_it_is"
SHARE = TURNS + "::test_long_calls_of_one_caller_do_not_take_the_share_of_another"
ELSEWHERE = TURNS + "::test_what_a_caller_has_elsewhere_does_not_cost_it_its_turn"
AGED = TURNS + "::test_with_ageing_old_tasks_of_a_crowd_take_turns_with_new_ones"
PERMIT = (
    TURNS + "::test_a_call_that_waits_for_a_permit_keeps_its_slot_from_another_caller_of_its_class"
)
TOLD = TOKENS + "::test_a_caller_with_one_task_starts_next_to_one_with_many_and_is_told_so"

MUTANTS: list[Mutant] = [
    Mutant(
        "turns: the best rank goes first, whosever turn it is",
        WHERE,
        "_Due(group, turn, offer.rank, offer.head.lane.caller)",
        "_Due(group, Turn(), offer.rank, offer.head.lane.caller)",
        (CROWD, BOUND, TOLD),
    ),
    Mutant(
        "turns: fairness goes before priority",
        WHERE,
        "        return _Due(group, turn,",
        "        return _Due(0, turn,",
        (CLASS, BOUND),
    ),
    Mutant(
        "turns: nobody notes who was served",
        WHERE,
        "    server.served[caller] = board.starts\n",
        "",
        (BOUND,),
    ),
    Mutant(
        "turns: calls that run do not count",
        WHERE,
        "    return Turn(calls.get(caller, 0), ",
        "    return Turn(0, ",
        (SHARE,),
    ),
    Mutant(
        "turns: ghosts are nobody's",
        WHERE,
        "ghost.caller for ghost in",
        "None for ghost in",
        (TURNS + "::test_a_call_that_was_cut_off_counts_as_long_as_it_keeps_its_slot",),
    ),
    Mutant(
        "turns: what runs on any server of the house counts",
        WHERE,
        "    for name in host.grants:\n        call = board.calls[name]\n        if call.candidate[:2] == place:",
        "    for name in board.calls:\n        call = board.calls[name]\n        if call:",
        (ELSEWHERE,),
    ),
    Mutant(
        "turns: the slot is taken though another comes before it there",
        WHERE,
        "        if due < top:\n            return False",
        "        if due:\n            return False",
        (BOUND,),
    ),
    Mutant(
        "turns: a claim that is refused was a turn",
        "ygg/core/calls.py",
        "    attempt = call.tries[task_id]\n    attempt.task = task\n",
        "    attempt = call.tries[task_id]\n    attempt.task = task\n    turns.served(board, call)\n",
        (TURNS + "::test_a_turn_that_was_not_used_is_not_lost",),
    ),
    Mutant(
        "turns: with ageing what is oldest is in a class of its own",
        "ygg/core/placement/ranking.py",
        "math.ceil(max(0.0, rank[0] - now.wall_ms) / (policy.ageing_s * 1000))",
        "math.ceil((rank[0] - now.wall_ms) / (policy.ageing_s * 1000))",
        (AGED,),
    ),
    Mutant(
        "turns: the better number takes the slot of another caller that waits for a permit",
        "ygg/core/placement/rounds.py",
        "        if self.caller in (None, call.caller):\n",
        "        if True:\n",
        (PERMIT,),
    ),
    Mutant(
        "turns: who waits for a permit keeps its slot from a better class of another",
        "ygg/core/placement/rounds.py",
        "class_of(self.rank, policy, now) < class_of(call.rank, policy, now)",
        "False",
        (PERMIT,),
    ),
    Mutant(
        "turns: a server remembers everybody for ever",
        WHERE,
        "    if len(server.served) > KNOWN:\n",
        "    if False:\n",
        (TURNS + "::test_a_server_forgets_who_was_served_longest_ago",),
    ),
    Mutant(
        "turns: why says nothing of them",
        "ygg/telling/explain.py",
        "    if not callers:\n",
        "    if True:\n",
        (TURNS + "::test_why_tells_of_the_turn_of_others",),
    ),
    Mutant(
        "turns: what comes next is shown by rank",
        WHERE,
        "            taken[group] += 1\n",
        "",
        (TURNS + "::test_what_comes_next_is_shown_in_turns",),
    ),
    Mutant(
        "turns: a position between others is told as exact",
        "ygg/api/place.py",
        "ahead >= EXACT or turns > 0",
        "ahead >= EXACT",
        (TOLD,),
    ),
    Mutant(
        "turns: all that others have waiting is in a position",
        "ygg/api/place.py",
        "        turns += min(mine, await _ahead(control, task, others, LAST) - better)\n",
        "        turns += await _ahead(control, task, others, LAST) - better\n",
        (TOKENS + "::test_the_wait_is_reckoned_in_turns",),
    ),
    Mutant(
        "turns: the judge takes a turn for an inversion",
        "ygg/sim/audit.py",
        "if one.caller == other.caller else one.rank[0] < other.rank[0]",
        "if True else False",
        ("tests/test_demo.py::test_of_another_caller_only_a_better_priority_is_better",),
    ),
]
