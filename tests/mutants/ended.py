"""Planted bugs in what is done with tasks that have ended."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CONTRACT, SETS = "tests/contract/test_ended.py", "tests/stores/test_sets.py"
API = "tests/surface/test_api_ended.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a cleaning takes what has just ended",
        "ygg/model/lifecycle.py",
        '        AtMost(Plus(Old("finished_ms"), Ms(In("age_s"))), _NOW),\n',
        "",
        (CONTRACT, API),
    ),
    Mutant(
        "a cleaning takes ended tasks of any state",
        "ygg/model/lifecycle.py",
        '        Is(_STATE, In("state")),\n        AtMost(Plus',
        "        AtMost(Plus",
        (CONTRACT + "::test_cleaning_removes_of_the_states_that_are_named_and_tells_them_apart",),
    ),
    Mutant(
        "a cleaning ends behind the first rows",
        "ygg/stores/sqlite/verbs.py",
        "seqs[-1] if len(seqs) == life.SET_ROWS else None",
        "None",
        (CONTRACT, SETS),
    ),
    Mutant(
        "a cleaning ends where all of a part is too young",
        "ygg/stores/sqlite/verbs.py",
        "seqs[-1] if len(seqs) == life.SET_ROWS else None",
        "seqs[-1] if gone == life.SET_ROWS else None",
        (CONTRACT, SETS),
    ),
    Mutant(
        "all is cleaned in one write",
        "ygg/stores/sqlite/verbs.py",
        "self._seqs(statements.IN_STATE, state, after, life.SET_ROWS)",
        "self._seqs(statements.IN_STATE, state, after, 10**9)",
        (SETS,),
    ),
    Mutant(
        "a cleaning forgets to count what it removes",
        "ygg/stores/sqlite/verbs.py",
        "            self._ledger.left((lane, priority, State(state)), batch)\n            of_batches",
        "            of_batches",
        (CONTRACT, SETS),
    ),
    Mutant(
        "whatever is named can be discarded",
        "ygg/model/lifecycle.py",
        'Gone("a person has acted", (Is(_STATE, State.FAILED),)),',
        'Gone("a person has acted", ()),',
        (CONTRACT, API),
    ),
    Mutant(
        "a cleaning that says nothing takes dead letters",
        "ygg/api/documents.py",
        '        "completed", "cancelled", "expired",\n',
        '        "completed", "failed", "cancelled", "expired",\n',
        (API,),
    ),
    Mutant(
        "a cleaning without an age takes all",
        "ygg/api/documents.py",
        "    max_age_seconds: Annotated[float, Field(ge=0, le=MAX_AGE_S)]\n",
        "    max_age_seconds: Annotated[float, Field(ge=0, le=MAX_AGE_S)] = 0\n",
        (API,),
    ),
    Mutant(
        "what is no dead letter is retried as one",
        "ygg/api/ended.py",
        "        _check_dead(task)\n",
        "",
        (API,),
    ),
    Mutant(
        "a cursor is not heeded",
        "ygg/api/queries.py",
        "return replace(_filter(given, owner), before_seq=before)",
        "return _filter(given, owner)",
        (API,),
    ),
    Mutant(
        "dead letters of other callers are listed",
        "ygg/api/queries.py",
        "replace(page_of(query, owner), states=(State.FAILED,))",
        "replace(page_of(query, None), states=(State.FAILED,))",
        (API,),
    ),
    Mutant(
        "who may submit may clean",
        "ygg/desk.py",
        '@verb("POST /v1/async/cleanup", "ended.clean", "doc")',
        '@verb("POST /v1/async/cleanup", "ended.clean", "doc", scope="submit")',
        (API,),
    ),
]
