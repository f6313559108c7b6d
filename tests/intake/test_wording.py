"""What is wrong with a document is told in the words of a person, not in those of a library."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.world import config
from ygg.errors import InvalidInput
from ygg.intake.schemas import TaskDocument
from ygg.intake.tasks import new_task
from ygg.intake.wording import SHORT, shown, worded

LIBRARY = re.compile(
    r"Input should|should have|Field required|valid (integer|string|list|dict)|pydantic|sys\."
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)  # fmt: skip


def refused(doc: Any) -> str:
    """What is said of a document; "" when it is taken."""
    try:
        new_task(doc, config(), caller="test", now_ms=0)
    except InvalidInput as error:
        return error.message
    return ""


@given(st.sampled_from(sorted(TaskDocument.model_fields)), ANYTHING)
def test_no_value_of_any_key_is_answered_with_the_words_of_a_library(
    key: str, value: object
) -> None:
    said = refused({"prompt": "x", key: value})
    assert LIBRARY.search(said) is None, said
    assert len(said) < 300


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (9, "got 9"), (1.5, "got 1.5"), ("urgent", "got 'urgent'"), (True, "got true"), ([1], "got a list"),
        ("9" * 5000, "got a string"), (1e300, "got 1e+300"), (1.9999999, "got 1.9999999"),
    ],
)  # fmt: skip
def test_a_priority_says_what_it_may_be(value: object, said: str) -> None:
    found = refused({"prompt": "x", "priority": value})
    assert found == f"priority: expected 0 to 4 or CRITICAL, HIGH, NORMAL, LOW, BACKLOG, {said}"


@pytest.mark.parametrize("value", [0, "0", "critical", "Critical", 0.0])
def test_a_priority_may_be_a_number_or_a_name(value: object) -> None:
    assert (
        new_task({"prompt": "x", "priority": value}, config(), caller="t", now_ms=0).priority == 0
    )


def test_an_error_of_a_newer_kind_keeps_its_words() -> None:
    assert worded({"type": "brand_new", "msg": "is odd", "input": 1}) == "is odd"


@given(ANYTHING)
def test_what_is_shown_of_a_value_is_short(value: object) -> None:
    assert len(shown(value)) <= 6 * SHORT
