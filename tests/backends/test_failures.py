"""Error bodies, Retry-After and transport exceptions, one by one."""

from __future__ import annotations

import errno
import json

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ygg.backends import failures
from ygg.model import HostHealth, OutcomeKind

LLAMA_CONTEXT = {
    "error": {
        "code": 400,
        "message": "request (3018 tokens) exceeds the available context size (1024 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 3018,
        "n_ctx": 1024,
    }
}
VLLM_CONTEXT = {
    "error": {
        "message": "This model's maximum context length is 512 tokens.",
        "type": "BadRequestError",
        "param": "input_tokens",
        "code": 400,
    }
}
LLAMA_BATCH = {
    "error": {
        "code": 500,
        "message": "input (16001 tokens) is too large to process. increase the physical batch size "
        "(current batch size: 512)",
        "type": "server_error",
    }
}
STATUSES = [
    (400, {"error": "invalid character 'x'"}, OutcomeKind.BAD_REQUEST),
    (422, {"detail": [{"msg": "field required"}]}, OutcomeKind.BAD_REQUEST),
    (400, {"error": '"all-minilm" does not support chat'}, OutcomeKind.REFUSED),
    (400, LLAMA_CONTEXT, OutcomeKind.REFUSED),
    (400, VLLM_CONTEXT, OutcomeKind.REFUSED),
    (400, {"error": "the input length exceeds the context length"}, OutcomeKind.REFUSED),
    (413, {"error": "too large"}, OutcomeKind.REFUSED),
    (500, LLAMA_BATCH, OutcomeKind.REFUSED),
    (404, {"error": "model 'x' not found"}, OutcomeKind.REFUSED),
    (501, {"error": {"message": "no", "type": "not_supported_error"}}, OutcomeKind.REFUSED),
    (401, {"error": {"message": "Invalid API Key", "code": 401}}, OutcomeKind.UNAUTHORIZED),
    (403, {"error": "no"}, OutcomeKind.UNAUTHORIZED),
    (429, {"error": "slow down"}, OutcomeKind.BUSY),
    (503, {"error": {"message": "Loading model", "code": 503}}, OutcomeKind.BUSY),
    (500, {"error": "model runner has unexpectedly stopped"}, OutcomeKind.ERROR),
    (502, {"error": "bad gateway"}, OutcomeKind.ERROR),
    (302, {}, OutcomeKind.ERROR),
    (418, {}, OutcomeKind.ERROR),
]


@pytest.mark.parametrize(("status", "body", "kind"), STATUSES)
def test_a_status_with_its_body_has_one_meaning(
    status: int, body: dict[str, object], kind: OutcomeKind
) -> None:
    assert failures.from_status(status, {}, json.dumps(body).encode()).kind is kind


@pytest.mark.parametrize("text", failures.OUT_OF_MEMORY)
def test_every_known_text_means_out_of_memory_in_a_500(text: str) -> None:
    for body in ({"error": f"llama: {text.upper()}!"}, {"error": {"message": f"ggml {text}"}}):
        failed = failures.from_status(500, {}, json.dumps(body).encode())
        assert failed.kind is OutcomeKind.OUT_OF_MEMORY


def test_a_prompt_that_talks_of_memory_is_no_memory_error() -> None:
    body = json.dumps({"error": "bad template near 'out of memory'"}).encode()
    assert failures.from_status(400, {}, body).kind is OutcomeKind.BAD_REQUEST


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_makes_the_host_suspect(status: int) -> None:
    assert failures.from_status(status, {}, b"").broken


@pytest.mark.parametrize("status", [400, 404, 429, 503])
def test_other_refusals_do_not(status: int) -> None:
    assert not failures.from_status(status, {}, b"").broken


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999999", failures.RETRY_AFTER_MAX_S),
        ("Sat, 21 Nov 2026 04:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 03:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e999", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    headers = {"retry-after": value, "date": "Sat, 21 Nov 2026 04:00:00 GMT"}
    assert failures.retry_after_s(headers) == seconds


def test_a_retry_date_without_the_servers_date_is_taken_against_our_clock() -> None:
    assert failures.retry_after_s({"retry-after": "Sat, 21 Nov 2009 04:00:30 GMT"}) == 0.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
        b'{"error": null}',
        b"{}",
        b"\0",
    ],
)
def test_no_error_body_is_too_strange_to_read(body: bytes) -> None:
    message, kind, code = failures.read_error(body)
    assert len(message) <= failures.MESSAGE_MAX
    assert kind == ""
    assert code is None


def test_a_web_page_is_named_by_its_title() -> None:
    page = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>"
    assert failures.read_error(page)[0] == "a web page titled '502 Bad Gateway'"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("cudaMalloc failed: out of memory", OutcomeKind.OUT_OF_MEMORY),
        ({"message": "busy", "code": 503}, OutcomeKind.BUSY),
        ({"message": "EngineCore encountered an issue", "code": 500}, OutcomeKind.ERROR),
        ({"message": "x", "type": "exceed_context_size_error", "code": 400}, OutcomeKind.REFUSED),
        ("anything", OutcomeKind.ERROR),
        ({"code": "weird"}, OutcomeKind.ERROR),
    ],
)
def test_an_error_inside_a_stream_means_what_it_says(error: object, kind: OutcomeKind) -> None:
    assert failures.from_error(error).kind is kind


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_no_descriptor_left_is_our_trouble_and_no_hosts(number: int) -> None:
    key = ConnectionKey("surtr", 11434, False, True, None, None, None)
    cause = aiohttp.ClientConnectorError(key, OSError(number, "Too many open files"))
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    failed = failures.from_transport(error)
    assert failed.kind is OutcomeKind.WITHDRAWN
    assert "ygg has no file descriptor left" in failed.message
    assert failures.health_of(failed).health is HostHealth.UNKNOWN
    cause = aiohttp.ClientConnectorError(key, OSError(errno.ECONNREFUSED, "refused"))
    error.__cause__ = cause
    assert failures.health_of(failures.from_transport(error)).health is HostHealth.DOWN
