"""Reasons in tests of decisions tell all that their sentences need."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ygg.model import reasons


@pytest.fixture(autouse=True)
def no_reason_lacks_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a reader of an older or newer ygg sees "?", a test fails."""

    def missing(facts: Mapping[str, object], name: str) -> str:
        raise AssertionError(f"a reason has no {name!r}: {dict(facts)}")

    monkeypatch.setattr(reasons._Facts, "__missing__", missing)
