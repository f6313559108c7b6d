"""What a JWT may say of its caller's best priority and rate: the limits of tokens, by the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.surface.test_jwt import Keys, as_, scene, signed
from tests.surface.test_tokens import bearer, submitted
from tests.surface.world import HELLO, Api
from ygg.api import callers as callers_module
from ygg.api.callers import Callers
from ygg.errors import TooMany, Unauthorized
from ygg.model import Priority


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_the_best_priority_of_a_jwt_is_kept_as_that_of_a_token(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        await found.post("/v1/queue/pause")
        low, high = as_(signed(max_priority="low")), as_(signed(max_priority=1))
        for with_, usual in ((low, "LOW"), (high, "NORMAL")):
            task = await submitted(outside, with_)
            assert (await outside.get(f"/v1/tasks/{task}", headers=with_)).json()["priority_name"] == usual  # fmt: skip
        doc = {"agent_type": "general", "messages": HELLO, "priority": "CRITICAL"}
        answer = await outside.post("/v1/async/submit", json=doc, headers=high)
        told = "priority CRITICAL is above HIGH, the best that anna may have"
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, told)
        raised = await outside.post(f"/v1/tasks/{task}/priority", json={"priority": 0}, headers=high)  # fmt: skip
        assert raised.status_code == 403

    scene(act, keys.credentials())


def test_a_new_jwt_of_a_caller_brings_nothing_anew_of_its_rate(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        first, second = (as_(signed(rate="3/min", jti=n)) for n in "ab")
        await submitted(outside, first)
        await submitted(outside, first)
        docs = {"tasks": [{"prompt": "x"}] * 2}
        answer = await outside.post("/v1/tasks", json=docs, headers=second)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
        assert 15 <= int(answer.headers["Retry-After"]) <= 20
        others = as_(signed(sub="bob", rate="3/min")), await bearer(found, "anna", rate="3/min")
        for with_ in others:  # bob's own, and that of a token, are apart from it
            assert (await outside.post("/v1/tasks", json=docs, headers=with_)).status_code == 200

    scene(act, keys.credentials())


def test_without_the_claims_there_is_no_limit(keys: Keys) -> None:
    callers = Callers(lambda: 0, keys.credentials())
    for more in ({}, {"max_priority": None, "rate": None}):
        caller = callers.of(f"Bearer {signed(**more)}", trusted=False)
        assert (caller.max_priority, caller.limit) == (Priority.CRITICAL, None)


@pytest.mark.parametrize(
    ("claim", "odd"),
    [
        *(("max_priority", odd) for odd in ("best", 5, -1, 1.5, [], {"is": 1}, True, "")),
        *(("rate", odd) for odd in ("60", "0/min", "2000000/min", "60/week", 60, ["60/min"], "")),
    ],
)
def test_an_odd_limit_lets_nobody_in_and_says_which(keys: Keys, claim: str, odd: Any) -> None:
    callers = Callers(lambda: 0, keys.credentials())
    with pytest.raises(Unauthorized, match=f"^the JWT of anna has an odd {claim}: ") as told:
        callers.of(f"Bearer {signed(**{claim: odd})}", trusted=True)
    assert "new one" in told.value.hint


def test_limits_that_are_full_are_forgotten_when_there_are_many(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers_module, "LIMITS", 3)
    callers = Callers(lambda: 0, keys.credentials())

    def of(name: str) -> callers_module.Caller:
        return callers.of(f"Bearer {signed(sub=name, rate='2/d')}", trusted=False)

    of("spender").spend(2)
    for n in range(20):
        of(f"guest-{n}")
    assert len(callers._limits) <= 3
    with pytest.raises(TooMany):
        of("spender").spend(1)
