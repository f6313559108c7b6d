"""Which requests are written as JSON beside the loop, not in it."""

from __future__ import annotations

import pytest

from ygg.backends.http import heavy
from ygg.model import JsonDict

WORDS = "Summarise the report in three sentences, please. "


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": WORDS * 5_000},
        {"messages": [{"role": "user", "content": WORDS * 1_000}] * 5},
        {"options": {f"key{n}": n for n in range(5_000)}},
        {"options": {"stop": [[[]] * 10] * 1_000}},
    ],
    ids=["a long text", "texts that are long together", "many values", "empty values"],
)
def test_a_request_that_takes_long_to_write_is_not_written_in_the_loop(body: JsonDict) -> None:
    assert heavy(body)


@pytest.mark.parametrize(
    "body",
    [{}, {"prompt": WORDS * 1_000}, {"messages": [{"role": "user", "content": WORDS}] * 100}],
    ids=["nothing", "a page", "a talk"],
)
def test_an_everyday_request_is_written_at_once(body: JsonDict) -> None:
    assert not heavy(body)
