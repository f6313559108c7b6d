"""POST /process/file and `ygg submit --attach`: what a file is, where it goes, what a model is shown of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.intake.test_contents import PNG
from tests.shell.virtual import run_virtual, until
from tests.surface.cli import Cli
from tests.surface.test_tcp import free_port
from tests.surface.test_tokens import bearer
from tests.surface.world import Api, api, bordered, config, served
from ygg.api import app
from ygg.api.held import Bodies
from ygg.model import OutcomeKind, Policy
from ygg.multipart import Form
from ygg.running.chores import prune_files
from ygg.uploads import Uploads

PATH = "/process/file"
MP3 = b"ID3\3\0\0\0\0\0\0" + bytes(40)
PDF = b"%PDF-1.7\n\xe2\xe3\xcf\xd3"
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2" + bytes(20)
Scene = Callable[[Api], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    """Run one scene against a fresh API that keeps files, in virtual time."""

    def run(scene: Scene, **policy: Any) -> None:
        async def main() -> None:
            settings = Policy(**policy) if policy else None
            async with api(policy=settings, uploads=Uploads(tmp_path / "ygg.db")) as found:
                await scene(found)

        run_virtual(main())

    return run


async def send(
    found: Api, content: bytes, status: int = 200, name: str = "a", wait: Any = None, **fields: str
) -> dict[str, Any]:
    query = {} if wait is None else {"wait": wait}
    files = {"file": (name, content)}
    answer = await found.http.post(PATH, data=fields, files=files, params=query)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def shown(found: Api) -> list[Any]:
    """What the model was told, message by message."""
    (call,) = found.surtr.calls
    assert "file" not in call.attempt.request
    return [m["content"] for m in call.attempt.request["messages"]]


def error(body: dict[str, Any]) -> tuple[str, str]:
    return body["error"]["message"], body["error"]["hint"]


# --- what reaches the model -----------------------------------------------------------------------


def test_a_text_is_summarised_and_the_answer_is_that_of_a_result(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, "\ufeffEin Märchen.\r\nEnde".encode(), name="tale.txt")
        assert shown(found) == ["Summarise this text.\n\nEin Märchen.\r\nEnde"]
        result = await found.get(f"/v1/async/result/{body['task_id']}")
        assert body == {**result, "routing": body["routing"]}
        assert body["routing"] == {"device": "gpu", "why": "no CPU host runs it"}
        assert (body["status"], body["host"]) == ("completed", "surtr")
        task = await found.get(f"/v1/tasks/{body['task_id']}")
        assert (task["type"], task["title"]) == ("process_file", "tale.txt")
        assert (task["content_type"], task["timeout_s"]) == ("text/plain", 60.0)
        assert set(task["request"]["file"]) == {"media", "bytes", "sha256"}
        assert "Märchen" not in json.dumps(task), "the database has no more than what it is"

    play(scene)


def test_an_image_is_a_part_of_its_own_whatever_it_is_called(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, PNG, name="notes.txt")
        (content,) = shown(found)
        text, image = content
        assert text == {"type": "text", "text": "Describe this image."}
        file = image["image_url"]["url"]
        assert (image["type"], file.says) == ("image_url", "data:image/png;base64,")
        assert file.path.read_bytes() == PNG
        task = await found.get(f"/v1/tasks/{body['task_id']}")
        assert task["content_type"] == "image/png"

    play(scene)


def test_metadata_says_what_is_asked_and_of_which_type(play: Any) -> None:
    async def scene(found: Api) -> None:
        said = {
            "task_type": "chat",
            "prompt": "Who?",
            "priority": "HIGH",
            "title": "t",
            "system": "s",
        }
        body = await send(found, b"I am.", metadata=json.dumps(said))
        (call,) = found.house.places["fenrir"].calls
        assert call.attempt.request["messages"][-1]["content"] == "Who?\n\nI am."
        task = await found.get(f"/v1/tasks/{body['task_id']}")
        assert (task["type"], task["priority_name"], task["title"]) == ("chat", "HIGH", "t")

    play(scene)


def test_the_names_of_a_client_lead_nowhere(play: Any, tmp_path: Path) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, b"x", name='../../../etc/pass"wd', wait=0, status=202)
        assert [p.name for p in (tmp_path / "uploads").iterdir()] == [body["task_id"]]
        await found.ended(body["task_id"])

    play(scene)


# --- waiting --------------------------------------------------------------------------------------


def test_who_does_not_wait_gets_the_task(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, b"x", 202, wait=0)
        assert body["status"] in ("queued", "processing")
        assert body["routing"]["device"] == "gpu"
        assert (await found.ended(body["task_id"]))["state"] == "completed"

    play(scene)


def test_what_takes_longer_goes_on(play: Any) -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 50.0
        body = await send(found, b"x", 202, wait=2)
        assert body["status"] == "processing"
        assert (await send(found, b"y", 202))["status"] == "processing", (
            "60 s are not enough for two"
        )
        assert (await found.ended(body["task_id"]))["state"] == "completed"

    play(scene)


def test_a_client_that_leaves_takes_nothing_along(play: Any) -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 5.0
        asked = asyncio.create_task(send(found, b"x"))
        await until(lambda: bool(found.surtr.arrivals))
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        (_, task_id), *_ = found.surtr.arrivals
        assert (await found.ended(task_id))["state"] == "completed"

    play(scene)


@pytest.mark.parametrize("wait", ["soon", "-1", "nan"])
def test_a_wait_is_a_number_of_seconds(play: Any, wait: str, tmp_path: Path) -> None:
    async def scene(found: Api) -> None:
        assert error(await send(found, b"x", 422, wait=wait))[0].startswith(
            "wait: expected seconds"
        )
        assert not (tmp_path / "uploads").exists()

    play(scene)


# --- GPU or CPU -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        ({}, "preferred"),
        ({"gpu": "true"}, "preferred"),
        ({"gpu": "Required"}, "required"),
        ({"gpu": "1", "source_type": "pdf"}, "unneeded"),
        ({"source_type": "audio"}, "preferred"),
    ],
)
def test_the_form_says_what_it_needs(play: Any, fields: dict[str, str], need: str) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, b"x", **fields)
        task = await found.get(f"/v1/tasks/{body['task_id']}")
        assert task["gpu"] == need
        assert task["content_type"] == fields.get("source_type", "text/plain")

    play(scene)


def test_no_gpu_takes_a_cpu_host(play: Any) -> None:
    async def scene(found: Api) -> None:
        for word in ("false", "never", "0"):
            body = await send(found, b"x", 422, gpu=word)
            assert error(body)[0] == "gpu: never, but no CPU host runs type process_file"
        assert error(await send(found, b"x", 422, gpu="often"))[0].startswith(
            "gpu: expected required"
        )

    play(scene)


def test_where_it_goes_is_logged_also_of_what_is_not_served(
    play: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ygg.api")

    async def scene(found: Api) -> None:
        await send(found, PNG, gpu="true")
        await send(found, MP3, 415, gpu="true")
        await send(found, PDF, 415, gpu="true")

    play(scene)
    image, sound, pdf = [r.getMessage() for r in caplog.records if "routing" in r.getMessage()]
    assert image.startswith("Task routing: process_file -> GPU worker (task ")
    assert "queue gpu-tasks, content type image/png): no CPU host runs it" in image
    assert "content type audio/" in sound
    assert pdf.endswith(
        "content type 'application/pdf' doesn't benefit from GPU, but no CPU workers available"
    )


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (MP3, "no server here takes audio"),
        (MP4, "file: it is video/mp4, no server here takes video"),
        (PDF, "file: it is application/pdf, it is not served"),
        (b"PK\x03\x04" + bytes(30), "file: it is application/zip, it is not served"),
        (b"\xfe\x01\x99", "file: it is application/octet-stream, it is not served"),
        (b"a\0b", "file: it is application/octet-stream, it is not served"),
    ],
)
def test_other_files_are_refused_with_what_is_served(
    play: Any, content: bytes, says: str, tmp_path: Path
) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, content, 415, name="picture.png", source_type="image")
        assert body["error"]["code"] == "unsupported_media_type"
        message, hint = error(body)
        assert message.endswith(says)
        audio = "; audio needs a server with `serves: transcription` in hosts.yaml"
        more = audio if content == MP3 else ""
        assert hint == f"served are text in UTF-8 and images: PNG, JPEG, WEBP, GIF{more}"
        assert (await found.get("/v1/tasks"))["tasks"] == []
        assert [*(tmp_path / "uploads").iterdir()] == []

    play(scene)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"metadata": "{"}, "metadata: no valid JSON"),
        ({"metadata": "[1]"}, "metadata: expected a JSON object"),
        ({"metadata": '{"gpu": true}'}, "metadata.gpu: not for a file"),
        ({"metadata": '{"messages": []}'}, "metadata.messages: not for a file"),
        ({"metadata": '{"promt": "x"}'}, "promt: unknown key, did you mean prompt?"),
        ({"metadata": '{"prompt": " "}'}, "prompt is empty"),
        ({"metadata": '{"task_type": 7}'}, "type: "),
        ({"source_type": "x" * 101}, "content_type: "),
        ({"model": "m"}, "model: unknown field of the form"),
    ],
)
def test_a_wrong_field_is_named(
    play: Any, fields: dict[str, str], says: str, tmp_path: Path
) -> None:
    async def scene(found: Api) -> None:
        message, _ = error(await send(found, b"x", 422, **fields))
        assert message.startswith(says)
        assert [*(tmp_path / "uploads").iterdir()] == []

    play(scene)


def test_an_empty_file_and_none_are_refused(play: Any) -> None:
    async def scene(found: Api) -> None:
        assert error(await send(found, b"", 422))[0] == "file: it is empty"
        answer = await found.http.post(PATH, files={"gpu": (None, "true")})
        assert (answer.status_code, error(answer.json())[0]) == (422, "file: missing")
        two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
        answer = await found.http.post(PATH, files=two)
        assert error(answer.json())[0] == "file: it comes twice"

    play(scene)


def raw(body: bytes, boundary: str = "B") -> dict[str, Any]:
    return {
        "content": body,
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


HEAD = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n'


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"json": {"file": "x"}}, 415, "the body has the content type 'application/json'"),
        ({"content": b"x"}, 415, "the body has the content type 'none'"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "the form names no boundary"),
        (raw(b"", "x" * 300), 422, "the body is no form"),
        (raw(b"garbage"), 422, "the body is no form"),
        (raw(b""), 422, "the form breaks off"),
        (raw(HEAD + b"half"), 422, "the form breaks off"),
        (raw(b'--B\r\nContent-Disposition: form-data; name="gpu"\r\n\r\n\xff\r\n--B--\r\n'), 422, "gpu: not UTF-8"),
        (raw(b'--B\r\nX: y\r\n\r\nx\r\n--B--\r\n'), 422, ": unknown field"),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(
    play: Any, request_: dict[str, Any], status: int, says: str, tmp_path: Path
) -> None:
    async def scene(found: Api) -> None:
        answer = await found.http.post(PATH, **request_)
        assert (answer.status_code, error(answer.json())[0][: len(says)]) == (status, says)
        assert [*(tmp_path / "uploads").iterdir()] == []

    play(scene)


def limited(found: Api, mib: float, **more: float) -> None:
    """The limit of a file, as hosts.yaml says it."""
    processing = found.handlers.processing
    config = processing._config()
    settings = replace(config, policy=replace(config.policy, upload_limit_mb=mib, **more))
    processing._config = lambda: settings  # type: ignore[method-assign]


def test_a_file_has_a_limit_and_not_a_byte_more(play: Any, tmp_path: Path) -> None:
    async def scene(found: Api) -> None:
        limited(found, 0.25)
        most = 256 * 1024
        assert (await send(found, b"x" * most, 202, wait=0))["task_id"]
        body = await send(found, b"x" * (most + 1), 413)
        assert body["error"]["code"] == "too_large"
        assert error(body)[0] == "the file is larger than 0.25 MiB"
        assert len([*(tmp_path / "uploads").iterdir()]) == 1

    play(scene)


def test_what_is_too_large_is_refused_while_it_comes(play: Any) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield HEAD
        while True:
            sent += 65_536
            yield b"x" * 65_536

    async def scene(found: Api) -> None:
        limited(found, 1)
        answer = await found.http.post(PATH, **raw(endless()))  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert sent < 2 * 1024 * 1024

    play(scene)


def test_what_goes_to_the_disk_takes_no_room_of_other_bodies(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Bodies", lambda: Bodies(300_000))

    async def scene(found: Api) -> None:
        await send(found, b"x" * 1_000_000, 202, wait=0)
        await found.post("/v1/tasks", {"prompt": "x" * 400_000}, 503)

    play(scene)


def test_all_files_together_have_a_limit(play: Any, tmp_path: Path) -> None:
    async def scene(found: Api) -> None:
        limited(found, 1, upload_total_mb=0.5)
        first = await send(found, b"x" * 300_000, 202, wait=0)
        answer = await found.http.post(PATH, files={"file": ("b", b"y" * 300_000)})
        assert answer.status_code == 507
        assert answer.headers["Retry-After"] == "60"
        assert answer.json()["error"]["code"] == "uploads_full"
        assert "raise policies.upload_total" in error(answer.json())[1]
        assert [p.name for p in (tmp_path / "uploads").iterdir()] == [first["task_id"]]
        await found.ended(first["task_id"])
        await found.post("/v1/async/cleanup", {"max_age_seconds": 0})
        control = found.house.dispatcher
        await prune_files(control.uploads, control.archive)
        await send(found, b"y" * 300_000, 202, wait=0)

    play(scene)


def test_a_field_has_a_limit(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, b"x", 413, metadata=" " * (1024 * 1024 + 1))
        assert error(body)[0] == "metadata: longer than 1048576 bytes"

    play(scene)


def test_a_text_longer_than_any_document_is_refused(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, b"x" * (16 * 1024 * 1024 + 1), 413)
        assert error(body)[0] == "the text is larger than 16 MiB"

    play(scene)


# --- who may, and as whom -------------------------------------------------------------------------


def test_a_caller_is_known_by_its_token(play: Any) -> None:
    async def scene(found: Api) -> None:
        anna = await bearer(found, "anna", max_priority="LOW", rate="1/min")
        reader = await bearer(found, "reader", scope="read")
        transport = httpx.ASGITransport(bordered(found))
        async with httpx.AsyncClient(transport=transport, base_url="http://ygg") as http:
            file = {"files": {"file": b"x"}, "params": {"wait": 0}}
            assert (await http.post(PATH, headers=reader, **file)).status_code == 403
            high = {"data": {"metadata": '{"priority": "HIGH"}'}}
            assert (await http.post(PATH, headers=anna, **file, **high)).status_code == 403
            found_ = await http.post(PATH, headers=anna, **file)
            assert found_.status_code == 202
            task = await found.get(f"/v1/tasks/{found_.json()['task_id']}")
            assert (task["caller"], task["priority_name"]) == ("anna", "LOW")
            assert (await http.post(PATH, headers=anna, **file)).status_code == 429

    play(scene)


def test_over_tcp_a_form_is_taken_here_alone_and_from_no_page(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with served(tmp_path / "ygg.sock", listen=[f"127.0.0.1:{port}"]):
        files = {"file": b"x"}
        assert httpx.post(f"{url}{PATH}", files=files).status_code == 200
        assert httpx.post(f"{url}/v1/tasks", files=files).status_code == 415
        foreign = {"Origin": "http://evil.example"}
        assert httpx.post(f"{url}{PATH}", files=files, headers=foreign).status_code == 403
        site = {"Sec-Fetch-Site": "cross-site"}
        assert httpx.post(f"{url}{PATH}", files=files, headers=site).status_code == 403


def test_the_same_key_is_the_same_task_and_another_file_is_another(play: Any) -> None:
    async def scene(found: Api) -> None:
        said = {"metadata": '{"idempotency_key": "k"}'}
        first = await send(found, b"x", **said)
        assert (await send(found, b"x", **said))["task_id"] == first["task_id"]
        assert (await send(found, b"y", 409, **said))["error"]["code"] == "conflict"

    play(scene)


# --- how long a file is kept ----------------------------------------------------------------------


def test_an_answer_of_the_cache_is_that_of_the_same_file(tmp_path: Path) -> None:
    asks = {"metadata": '{"cache": true, "prompt": "What is it?"}'}

    async def main() -> None:
        uploads = Uploads(tmp_path / "ygg.db")
        async with api(settings=config(cache_ttl="5m"), uploads=uploads) as found:
            sent = [await send(found, text, **asks) for text in (b"one", b"two", b"one")]
            assert [body["cached"] for body in sent] == [False, False, True]
            assert (await send(found, b"one"))["cached"] is False, "unless it asks for one"

    run_virtual(main())


def test_a_file_goes_with_its_task_and_not_before(play: Any) -> None:
    async def scene(found: Api) -> None:
        control = found.house.dispatcher
        kept = (await send(found, b"x"))["task_id"]
        found.surtr.latency_s = 600.0
        waits = (await send(found, b"y", 202, wait=0))["task_id"]
        (control.uploads.folder / ".part-dead").write_bytes(b"half")  # type: ignore[union-attr]
        await prune_files(control.uploads, control.archive)
        assert sorted(control.uploads.names()) == sorted([kept, waits])  # type: ignore[union-attr]
        await found.post("/v1/async/cleanup", {"max_age_seconds": 0})
        await prune_files(control.uploads, control.archive)
        assert control.uploads.names() == [waits]  # type: ignore[union-attr]

    play(scene)


def test_a_task_whose_file_is_gone_says_so(play: Any) -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 5.0
        first = await send(found, b"x", 202, wait=0)
        second = await send(found, b"y", 202, wait=0)
        found.house.dispatcher.uploads.drop(second["task_id"])  # type: ignore[union-attr]
        assert (await found.ended(first["task_id"]))["state"] == "completed"
        ended = await found.ended(second["task_id"])
        assert ended["state"] == "failed"
        assert "the file that came with it is gone: submit it again" in ended["error"]

    play(scene)


def test_another_try_finds_the_file(play: Any) -> None:
    async def scene(found: Api) -> None:
        found.surtr.breaks = [OutcomeKind.ERROR]
        body = await send(found, b"x", 202, wait=1)
        assert (await found.ended(body["task_id"]))["state"] == "completed"
        told = [c.attempt.request["messages"][0]["content"] for c in found.surtr.calls]
        assert len([t for t in told if t == "Summarise this text.\n\nx"]) == 2

    play(scene)


# --- the command ----------------------------------------------------------------------------------


def test_a_file_is_attached_with_a_daemon_and_without(either: Cli, tmp_path: Path) -> None:
    file = tmp_path / "pic.png"
    file.write_bytes(PNG)
    args = (
        "What is it?",
        "--attach",
        str(file),
        "--type",
        "chat",
        "-p",
        "high",
        "--gpu",
        "required",
    )
    task = either.ok("show", either.submit(*args), "--json").json
    assert (task["type"], task["priority_name"], task["gpu"]) == ("chat", "HIGH", "required")
    assert (task["title"], task["content_type"]) == ("pic.png", "image/png")
    assert task["request"]["messages"][0]["content"] == "What is it?"
    assert task["request"]["file"]["bytes"] == len(PNG)


def test_stdin_is_attached_and_needs_no_prompt(either: Cli) -> None:
    ran = either.ok("submit", "--attach", "-", "--json", stdin="some text")
    task = either.ok("show", ran.json["id"], "--json").json
    assert (task["type"], task["title"]) == ("process_file", "stdin")
    assert task["request"]["messages"][0]["content"] == "Summarise this text."


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--attach", "none.txt"), "none.txt cannot be read"),
        (("--attach", "-", "--embed"), "--attach takes no --embed"),
        (("--attach", "-", "--jsonl", "-"), "--jsonl takes no prompt"),
        (("--attach", "-"), "file: it is video/mp4"),
    ],
)
def test_what_cannot_be_attached(either: Cli, args: tuple[str, ...], says: str) -> None:
    ran = either("submit", *args, stdin=MP4)
    assert ran.code != 0
    assert says in ran.err


def test_a_file_that_is_refused_on_its_way_is_told_of(cli: Cli, home: Api, tmp_path: Path) -> None:
    limited(home, 1)
    file = tmp_path / "large"
    file.write_bytes(b"x" * 30_000_000)
    ran = cli("submit", "--attach", str(file))
    assert "the file is larger than 1 MiB" in ran.err


def test_a_form_quotes_what_a_file_is_called(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x")
    with file.open("rb") as stream:
        body = b"".join(Form({}, stream, 'a"b\r\nc: d').pieces())
    assert b'filename="a%22b%0D%0Ac: d"' in body
