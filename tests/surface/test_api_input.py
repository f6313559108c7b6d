"""What programs send over HTTP: whatever it is, never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.surface.world import Api, play
from ygg import errors
from ygg.api import app as app_module


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is no valid JSON"),
        (b"{", "the body is no valid JSON"),
        (b"\xff\xfe\xfd", "the body is no valid JSON"),
        (b'{"prompt": NaN}', "the body is no valid JSON: NaN is no JSON number"),
        (b'{"prompt": -Infinity}', "the body is no valid JSON: -Infinity is no JSON number"),
        (b"9" * 5000, "the body is no valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "the body is no valid JSON: nested too deeply"),
        (b"null", "expected a JSON object"),
        (b'{"tasks": {}}', "tasks: expected a list of at most 10000 documents"),
        (b'{"tasks": [], "atomic": 1}', "atomic: expected true or false, got 1"),
        (b'{"tasks": [], "atomik": true}', "atomik: unknown key, did you mean atomic?"),
        (json.dumps({"tasks": [1] * 10_001}).encode(), "tasks: expected a list of at most 10000"),
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_read_are_refused(body: bytes, message: str) -> None:
    async def scene(api: Api) -> None:
        response = await api.http.post("/v1/tasks", content=body)
        assert response.status_code == 422
        assert response.json()["error"]["message"].startswith(message)

    play(scene)


def test_each_document_of_a_bulk_may_be_anything() -> None:
    async def scene(api: Api) -> None:
        docs = [None, 1, "x", [], {"prompt": "fine"}]
        answers = (await api.post("/v1/tasks", {"tasks": docs}))["tasks"]
        codes = [a["error"] and a["error"]["code"] for a in answers]
        assert codes == ["invalid_input"] * 4 + [None]

    play(scene)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("url", ["/v1/async/submit", "/v1/tasks"])
def test_bodies_over_the_limit_are_refused_while_they_arrive(
    monkeypatch: pytest.MonkeyPatch, url: str, declared: bool
) -> None:
    limits = {"/v1/async/submit": "MAX_BODY", "/v1/tasks": "MAX_BULK"}
    monkeypatch.setattr(app_module, limits[url], 1000)
    sent = 0

    async def pieces():  # type: ignore[no-untyped-def]
        nonlocal sent
        for _ in range(100):
            sent += 100
            yield b" " * 100

    async def scene(api: Api) -> None:
        headers = {"Content-Length": "10000"} if declared else {}
        response = await api.http.post(url, content=pieces(), headers=headers)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "too_large"
        assert sent <= (0 if declared else 1200)

    play(scene)


_TEXT = st.text(max_size=20) | st.sampled_from(["\0", "\ud800", "10m", "2027-01-01", "high", ""])
_SCALAR = (
    st.none() | st.booleans() | _TEXT | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers() | st.sampled_from([-1, 0, 2**63, 10**30, 1e308, -0.0])
)  # fmt: skip
_VALUE = st.recursive(
    _SCALAR,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(_TEXT, v, max_size=3),
    max_leaves=6,
)
_KEYS = [
    "agent_type", "prompt", "messages", "type", "system", "priority", "title", "labels", "model", "host",
    "max_tokens", "temperature", "options", "operation", "timeout", "timeout_seconds", "not_before",
    "deadline", "idempotency_key", "retention", "gpu", "content_type", "zzz",
]  # fmt: skip
_MESSAGES = st.lists(
    st.fixed_dictionaries({"role": _TEXT | st.just("user"), "content": _VALUE | _TEXT}), max_size=2
)
_DOCUMENT = st.dictionaries(st.sampled_from(_KEYS), _VALUE, max_size=5).flatmap(
    lambda doc: st.builds(
        lambda messages, prompt: {**messages, **prompt, **doc},
        st.just({}) | _MESSAGES.map(lambda m: {"agent_type": "chat", "messages": m}),
        st.just({}) | st.just({"prompt": "hello"}),
    )
)


DOCUMENTS = st.lists(_DOCUMENT, min_size=1, max_size=8)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(DOCUMENTS)
def test_no_document_whatsoever_breaks_the_daemon(docs: list[dict[str, Any]]) -> None:
    nothing_breaks(docs)


@pytest.mark.soak
@settings(many, max_examples=5000)
@given(DOCUMENTS)
def test_no_document_of_many_breaks_the_daemon(docs: list[dict[str, Any]]) -> None:
    nothing_breaks(docs)


def nothing_breaks(docs: list[dict[str, Any]]) -> None:
    async def scene(api: Api) -> None:
        for url, body in [("/v1/tasks", {"tasks": docs})] + [("/v1/async/submit", d) for d in docs]:
            response = await api.http.post(url, content=json.dumps(body).encode())
            assert response.status_code in (200, 202, 409, 422), response.text
            answer = response.json()
            if response.status_code >= 400:
                assert set(answer["error"]) == {"code", "message", "hint"}
                assert "Traceback" not in response.text
            for task in answer.get("tasks", ()):
                if not isinstance(task["error"], dict):  # it was stored: it can be shown
                    await api.get(f"/v1/tasks/{task['id']}")

    play(scene)


_URLS = ["/v1/async/submit", "/v1/tasks", "/v1/tasks/retry", "/v1/tasks/abcd/priority"]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(_URLS), st.binary(max_size=40) | _VALUE.map(lambda v: json.dumps(v).encode())
)
def test_no_body_whatsoever_breaks_the_daemon(url: str, body: bytes) -> None:
    async def scene(api: Api) -> None:
        response = await api.http.post(url, content=body)
        assert response.status_code in (200, 404, 422), response.text
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"code", "message", "hint"}

    play(scene)


LATER = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.YggError)
    and kind.http_status in (429, 503, 507)
]


@pytest.mark.parametrize("kind", LATER, ids=lambda k: k.code)
def test_who_is_to_come_back_is_told_when(kind: type[errors.YggError]) -> None:
    assert app_module.failed(kind("not now")).headers["Retry-After"] == "10"
    assert app_module.failed(kind("not now", retry_after_s=2.1)).headers["Retry-After"] == "3"


def test_who_need_not_come_back_is_told_no_time() -> None:
    assert "Retry-After" not in app_module.failed(errors.InvalidInput("no")).headers
