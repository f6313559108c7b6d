"""Error bodies, Retry-After and transport exceptions, one by one."""

from __future__ import annotations

import errno
import json
import time
from email.utils import formatdate

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ygg.backends import failures, transport
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
        ("300.5", 300.0),
        ("99999999999", 300.0),
        ("9" * 5000, 300.0),
        ("0." + "0" * 400 + "1", 0.0),
        (".5", 0.5),
        ("Wed, 21 Nov 3026 04:00:00 GMT", 300.0),
        ("Sat, 21 Nov 2026 04:00:30 -0000", 30.0),
        ("Sat, 21 Nov 2026 05:00:30 +0100", 30.0),
        ("Sat, 21 Nov 99999 04:00:30 GMT", None),
        ("Sat, 99 Nov 2026 04:00:30 GMT", None),
        ("5 s", None),
        ("1_0", None),
        ("1e3", None),
        ("inf", None),
        ("-Sat", None),
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
    later = formatdate(time.time() + 60, usegmt=True)
    for date in ({}, {"date": "some time"}, {"date": ""}):
        found = failures.retry_after_s({"retry-after": later, **date})
        assert found == pytest.approx(60, abs=3)


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
    assert len(message) <= failures.READ_MAX
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
    assert failures.from_error({"error": error}).kind is kind


CODES = [
    ({"message": "slow down", "type": "rate_limit_error", "code": "429"}, OutcomeKind.BUSY),
    ({"message": "x", "code": "401"}, OutcomeKind.UNAUTHORIZED),
    ({"message": "x", "code": "503"}, OutcomeKind.BUSY),
    ({"message": "x", "status": 429}, OutcomeKind.BUSY),
    ({"message": "x", "type": "rate_limit_error"}, OutcomeKind.BUSY),
    ({"message": "x", "type": "overloaded_error"}, OutcomeKind.BUSY),
    ({"message": "x", "type": "authentication_error"}, OutcomeKind.UNAUTHORIZED),
    ({"message": "x", "code": "invalid_api_key"}, OutcomeKind.UNAUTHORIZED),
    ({"message": "x", "code": "model_not_found"}, OutcomeKind.REFUSED),
    ({"message": "x", "type": "not_found_error"}, OutcomeKind.REFUSED),
    ({"message": "x", "type": "invalid_request_error"}, OutcomeKind.BAD_REQUEST),
    ({"message": "x", "type": "server_error", "code": 500}, OutcomeKind.ERROR),
    ({"message": "x", "code": True}, OutcomeKind.ERROR),
    ({"message": "x", "code": "9" * 5000}, OutcomeKind.ERROR),
    ("server busy, please try again.  maximum pending requests exceeded", OutcomeKind.BUSY),
]


@pytest.mark.parametrize(("error", "kind"), CODES)
def test_a_code_as_text_or_a_type_is_what_the_number_would_be(
    error: object, kind: OutcomeKind
) -> None:
    assert failures.from_error({"error": error}).kind is kind


def test_a_code_may_stand_beside_the_error() -> None:
    assert failures.from_error({"error": "no", "code": "401"}).kind is OutcomeKind.UNAUTHORIZED


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"code": 500, "type": "server_error"}}, "code 500, type server_error"),
        ({"error": '{"error":{"code":500,"message":"slot failed"}}'}, "slot failed"),
        ({"error": 'upstream said: {"error": "slot failed"}'}, "upstream said: slot failed"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        ({"error": {"message": {"error": {"message": "deep"}}}}, "deep"),
        ({"message": "slot\nfailed\tthen\x1b[0m"}, "slot failed then\ufffd[0m"),
        ({"error": {}}, "an error without a text"),
        ({"error": "  \n "}, "an error without a text"),
        ({}, "an error without a text"),
    ],
)
def test_a_text_has_no_json_and_no_line_end_in_it(body: object, text: str) -> None:
    assert failures.read_error(json.dumps(body).encode())[0] == text


def test_errors_inside_errors_end() -> None:
    body = json.dumps({"error": "x"})
    for _ in range(12):
        body = json.dumps({"error": body})
    assert failures.read_error(body.encode())[0]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_no_descriptor_left_is_our_trouble_and_no_hosts(number: int) -> None:
    key = ConnectionKey("surtr", 11434, False, True, None, None, None)
    cause = aiohttp.ClientConnectorError(key, OSError(number, "Too many open files"))
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    failed = transport.from_transport(error)
    assert failed.kind is OutcomeKind.WITHDRAWN
    assert "ygg has no file descriptor left" in failed.message
    assert failures.health_of(failed).health is HostHealth.UNKNOWN
    cause = aiohttp.ClientConnectorError(key, OSError(errno.ECONNREFUSED, "refused"))
    error.__cause__ = cause
    assert failures.health_of(transport.from_transport(error)).health is HostHealth.DOWN
