"""ntfy and webhooks against a real HTTP server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from dataclasses import replace
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from tests.notify.places import DOWN, EVIL, UP, Page, http, trusted
from ygg.model.notices import Event, Notice, Target, TargetKind
from ygg.notify.letters import letter
from ygg.notify.sending import send
from ygg.notify.trying import NotSent

SECRET = "sesame-and-more"


def hook(page: Page, **more: object) -> Target:
    return Target("hook", TargetKind.WEBHOOK, page.url, **more)  # type: ignore[arg-type]


def ntfy(page: Page, **more: object) -> Target:
    return replace(hook(page, **more), kind=TargetKind.NTFY)


def file(folder: Path, text: str = SECRET) -> str:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    return str(path)


async def refused(target: Target) -> NotSent:
    with pytest.raises(NotSent) as caught:
        await send(target, letter([DOWN]))
    return caught.value


# --- what arrives ---------------------------------------------------------------------------------


async def test_a_webhook_gets_the_letter_as_json_signed_over_the_very_bytes(tmp_path: Path) -> None:
    what = letter([DOWN, replace(UP, text="grüße")])
    async with http() as page:
        await send(hook(page, secret_file=file(tmp_path), token_file=file(tmp_path)), what)
    (got,) = page.got
    assert got.line == "POST /hook HTTP/1.1"
    assert json.loads(got.body) == what.body
    digest = hmac.new(SECRET.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-ygg-signature"] == f"sha256={digest}"
    assert got.headers["authorization"] == f"Bearer {SECRET}"
    assert got.headers["content-type"] == "application/json"


async def test_without_files_nothing_is_signed_and_nobody_named() -> None:
    async with http() as page:
        await send(hook(page), letter([DOWN]))
    assert not {"x-ygg-signature", "authorization"} & page.got[0].headers.keys()


async def test_ntfy_gets_the_text_with_title_priority_and_tags(tmp_path: Path) -> None:
    async with http() as page:
        await send(ntfy(page, token_file=file(tmp_path)), letter([DOWN]))
        await send(ntfy(page), letter([UP, replace(DOWN, event=Event.HOT), UP]))
    one, more = page.got
    assert one.body.decode() == "down: no way to it"
    told = {k: one.headers[k] for k in ("title", "priority", "tags", "authorization")}
    assert told == {
        "title": "surtr is down", "priority": "4", "tags": "red_circle", "authorization": f"Bearer {SECRET}",
    }  # fmt: skip
    assert (more.headers["priority"], more.headers["tags"]) == ("5", "green_circle,fire")


@pytest.mark.parametrize("event", Event)
async def test_ntfy_knows_every_event(event: Event) -> None:
    async with http() as page:
        await send(ntfy(page), letter([Notice(event, 0, "title")]))
    assert page.got[0].body == b"title"  # without a text
    assert 1 <= int(page.got[0].headers["priority"]) <= 5


async def test_a_title_cannot_add_a_header_and_other_alphabets_arrive() -> None:
    async with http() as page:
        await send(ntfy(page), letter([replace(DOWN, title=EVIL)]))
        await send(ntfy(page), letter([replace(DOWN, title="漢字" * 90)]))
    first, long = (str(make_header(decode_header(g.headers["title"]))) for g in page.got)
    assert first == "a X-Evil: 1[31m ölwärme"
    assert long == "漢字" * 90
    assert "x-evil" not in page.got[0].headers


async def test_a_title_that_looks_encoded_is_encoded_itself() -> None:
    async with http() as page:
        await send(ntfy(page), letter([replace(DOWN, title="=?UTF-8?B?aGE=?=")]))
    assert str(make_header(decode_header(page.got[0].headers["title"]))) == "=?UTF-8?B?aGE=?="


# --- what does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "again"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
async def test_a_refusal_is_told_in_its_words_and_tried_again_where_that_may_help(
    status: int, again: bool
) -> None:
    async with http() as page:
        page.says(status, body='{"error":\n "no topic\x1b[31m"}')
        error = await refused(ntfy(page))
    assert str(error) == f'HTTP {status}: {{"error": "no topic[31m"}}'
    assert error.again is again


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with http() as elsewhere, http() as page:
        page.says(status, f"Location: {elsewhere.url}")
        error = await refused(hook(page))
    assert elsewhere.got == []
    assert "which is not followed" in str(error)
    assert not error.again


async def test_an_error_without_an_end_is_left_at_its_beginning() -> None:
    async with http() as page:
        page.answer = f"HTTP/1.1 500 Said\r\nContent-Length: {10**9}\r\n\r\n{'x' * 5000}"
        page.stays = True
        error = await refused(hook(page, timeout_s=5.0))
    assert str(error).startswith("HTTP 500: xxx")
    assert len(str(error)) < 300


async def test_a_server_that_says_nothing_costs_its_time_out() -> None:
    async with http() as page:
        page.hangs = True
        began = asyncio.get_running_loop().time()
        error = await refused(hook(page, timeout_s=0.3))
        assert asyncio.get_running_loop().time() - began < 2
    assert str(error) == "no answer within 0.3 s"
    assert error.again


async def test_nobody_there_is_told_by_address() -> None:
    async with http() as page:
        pass
    error = await refused(hook(page))
    assert str(error).startswith("cannot connect to 127.0.0.1:")
    assert error.again


async def test_a_certificate_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    async with http(trusted(tmp_path)) as page:
        error = await refused(hook(page))
    assert "is not trusted" in str(error)
    assert page.got == []


async def test_proxies_of_the_environment_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http() as proxy, http() as page:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        await send(hook(page), letter([DOWN]))
    assert (len(page.got), proxy.got) == (1, [])


# --- secrets --------------------------------------------------------------------------------------


async def test_a_server_that_says_the_token_back_does_not_get_it_into_a_log(tmp_path: Path) -> None:
    async with http() as page:
        page.says(403, body=f"no: {SECRET}")
        error = await refused(ntfy(page, token_file=file(tmp_path)))
    assert SECRET not in str(error)
    assert str(error) == "HTTP 403: no: [the API key]"


async def test_a_file_is_read_anew_for_each_message(tmp_path: Path) -> None:
    async with http() as page:
        target = ntfy(page, token_file=file(tmp_path, "first"))
        await send(target, letter([DOWN]))
        file(tmp_path, "second")
        await send(target, letter([DOWN]))
    assert [g.headers["authorization"] for g in page.got] == ["Bearer first", "Bearer second"]


async def test_without_its_secret_nothing_is_sent(tmp_path: Path) -> None:
    async with http() as page:
        error = await refused(hook(page, secret_file=str(tmp_path / "none")))
    assert "which does not exist" in str(error)
    assert error.again  # it may be put there
    assert page.got == []


async def test_nothing_of_a_secret_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with http() as page:
        target = hook(page, secret_file=file(tmp_path), token_file=file(tmp_path))
        await send(target, letter([DOWN]))
        page.says(500)
        await refused(target)
    assert SECRET not in caplog.text
    assert SECRET not in repr(target)
