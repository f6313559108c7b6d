"""Planted bugs in what /openapi.json says, and in what is answered beside it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TESTS = "tests/surface/test_openapi.py"
ALL = TESTS + "::test_every_verb_is_described"
EXAMPLES = TESTS + "::test_every_example_conforms_to_the_document"
TAKEN = TESTS + "::test_a_key_is_taken_where_it_is_described_and_nowhere_else"
BOUNDS = TESTS + "::test_a_value_that_is_not_as_described_is_refused"
REFUSED = TESTS + "::test_what_is_refused_is_refused_as_described"
ROW = TESTS + "::test_an_operation_says_what_its_row_says"
SERVED = TESTS + "::test_it_is_served_and_costs_nobody_who_does_not_ask"
DOCUMENT, SHAPES = "ygg/api/openapi/document.py", "ygg/api/openapi/task_shapes.py"
QUERIES = "ygg/api/queries.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "openapi: a key that is told is not described",
        SHAPES,
        '    "cancel_requested": FLAG,\n',
        "",
        (EXAMPLES,),
    ),
    Mutant(
        "openapi: a key is described that is not told",
        "ygg/api/bodies.py",
        '        "timeout_s": task.timeout_s,\n',
        "",
        (EXAMPLES,),
    ),
    Mutant(
        "openapi: what may be null is said to be there",
        SHAPES,
        '"started_at": TIME_,\n    "completed_at"',
        '"started_at": TIME,\n    "completed_at"',
        (EXAMPLES,),
    ),
    Mutant(
        "openapi: a conflict that may come is not said",
        DOCUMENT,
        "        409: bool(answer.conflict),\n",
        "",
        (EXAMPLES,),
    ),
    Mutant(
        "openapi: a document that cannot be used is not said",
        DOCUMENT,
        'brings or "query" in verb.takes',
        '"query" in verb.takes',
        (REFUSED,),
    ),
    Mutant(
        "openapi: a key of a query that is taken is not described",
        QUERIES,
        "_given(query, LISTING)",
        "_given(query, LISTING | _CURSOR)",
        (TAKEN,),
    ),
    Mutant(
        "openapi: a verb says the queries of another",
        QUERIES,
        '    "async_tasks": PAGE,\n',
        '    "async_tasks": LISTING,\n',
        (TAKEN,),
    ),
    Mutant(
        "a cancel takes unknown keys, and stops what was to be spared",
        QUERIES,
        "    _only(query, keys)\n    default",
        "    default",
        (TAKEN,),
    ),
    Mutant(
        "a key of the header is taken by a batch however long it is",
        "ygg/api/batches.py",
        'header = {} if key is None else {"idempotency_key": key}',
        "header: JsonDict = {}",
        (
            "tests/surface/test_batches.py::test_the_key_of_the_header_is_held_to_what_that_of_the_document_is",
        ),
    ),
    Mutant(
        "openapi: a bound is said that does not hold",
        QUERIES,
        '_whole("so many back", MAX_DAYS, DEFAULT_DAYS)',
        '_whole("so many back", MAX_DAYS - 1, DEFAULT_DAYS)',
        (BOUNDS,),
    ),
    Mutant(
        "openapi: a verb has no answer",
        "ygg/api/openapi/answers.py",
        '    "queue": Answer(house.QUEUE),\n',
        "",
        (ALL,),
    ),
    Mutant(
        "openapi: nobody says which scope a verb takes",
        DOCUMENT,
        '"x-ygg-scope": verb.needs or None',
        '"x-ygg-scope": verb.scope or None',
        (ROW,),
    ),
    Mutant(
        "openapi: it is built for each who asks",
        "ygg/api/described.py",
        "        if self._document is None:\n            self._document",
        "        if True:\n            self._document",
        (SERVED,),
    ),
]
