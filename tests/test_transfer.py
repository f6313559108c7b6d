"""Records survive the way over a connection."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import examples
from ygg.model import (
    Reason,
    ReasonCode,
    Snapshot,
)
from ygg.model.transfer import from_plain, to_plain

NUMBERS = st.integers(-(2**53), 2**53)
FACTS = st.dictionaries(st.text(), st.text() | NUMBERS | st.none())
CODES = st.sampled_from(ReasonCode)
st.register_type_strategy(
    Reason, st.builds(Reason, CODES, st.none() | st.text(), st.none() | NUMBERS, FACTS)
)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


@given(st.builds(Snapshot))
@settings(max_examples=examples(20, 500))
def test_a_snapshot_comes_back_as_it_was(view: Snapshot) -> None:
    assert from_plain(Snapshot, json.loads(json.dumps(to_plain(view)))) == view


def test_keys_of_another_version_do_no_harm() -> None:
    plain = to_plain(Reason("next", "starts"))  # type: ignore[arg-type]
    del plain["until_ms"]
    assert from_plain(Reason, plain | {"later": 1}) == Reason("next", "starts")  # type: ignore[arg-type]
