"""A key that a server says back."""

from __future__ import annotations

import pytest

from ygg.backends.secret import MASK, Secret
from ygg.model import Done, OutcomeKind, Usage
from ygg.ports import CallFailed

KEY = 'sk-0123"456789'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no", "no"),
        (f"no: {KEY}!", f"no: {MASK}!"),
        (f"{KEY}{KEY}", f"{MASK}{MASK}"),
        (f"cut: {KEY[:9]}", f"cut: {MASK}"),
        ("ends with sk-", "ends with sk-"),
    ],
)
def test_a_key_is_taken_out_of_a_text_whole_or_cut(text: str, told: str) -> None:
    assert Secret(KEY).hide(text) == told


def test_it_is_taken_out_of_what_a_server_says_of_itself() -> None:
    assert Secret(KEY).hide_in({"version": f"1 {KEY}", "n": [1]}) == {
        "version": f"1 {MASK}",
        "n": [1],
    }


def test_it_is_taken_out_of_an_end_and_of_a_failure() -> None:
    done = Secret(KEY).hide_end(Done(f"stop {KEY}", KEY, Usage()))
    assert (done.stop_reason, done.model) == (f"stop {MASK}", MASK)
    with pytest.raises(CallFailed) as caught, Secret(KEY).kept():
        raise CallFailed(OutcomeKind.ERROR, f"no {KEY}")
    assert caught.value.message == str(caught.value) == f"no {MASK}"


@pytest.mark.parametrize("key", ["", "abc"])
def test_no_key_and_one_too_short_to_be_one_hide_nothing(key: str) -> None:
    assert Secret(key).hide("abc") == "abc"
    assert Secret(key).hide_in({"a": "abc"}) == {"a": "abc"}
