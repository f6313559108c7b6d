"""POST /process/file of a file with sound in it, where a server listens."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.shell.virtual import opened, run_virtual
from tests.surface.test_uploads import MP3, MP4, error, send
from tests.surface.world import Api, over
from ygg.api.handlers import Handlers
from ygg.config import Config, from_dict
from ygg.model import FILE_KEY, OutcomeKind
from ygg.uploads import Uploads


def settings(**whisper: Any) -> Config:
    """Hosts `surtr`, of general's route, and `echo`, which has a server for text and one that listens."""
    listens = {
        "backend": "openai", "url": "http://echo:8000", "models": ["whisper-1", "whisper-2"],
        "serves": "transcription", **whisper,
    }  # fmt: skip
    text = {"backend": "ollama", "url": "http://echo:11434", "models": ["n"]}
    surtr = {"slots": 1, "backend": "ollama", "url": "http://surtr:11434", "models": ["m"]}
    data = {
        "hosts": {"surtr": surtr, "echo": {"slots": 1, "endpoints": {"o": text, "w": listens}}},
        "task_types": {
            "general": {"route": ["surtr"], "options": {"temperature": 0.9}, "system": "Be brief."},
            "talks": {"route": ["echo/whisper-2", "surtr"], "options": {"language": "de"}},
        },
    }
    return from_dict(data, "test")


@asynccontextmanager
async def listening(folder: Path, config: Config) -> AsyncIterator[Api]:
    hosts, uploads = [*config.hosts.values()], Uploads(folder / "ygg.db")
    async with opened(hosts, config.types, config.policy, uploads=uploads) as home:
        clock = home.dispatcher.loop.clock.now_ms
        about = {"pid": 1, "store": "ygg.db", "socket": "ygg.sock"}
        handlers = Handlers(
            home.dispatcher, lambda: config, about=about, wall_ms=clock, reload=None
        )  # type: ignore[arg-type]
        async with over(home, handlers) as found:
            yield found


@pytest.fixture
def play(tmp_path: Path) -> Any:
    def run(scene: Any, config: Config | None = None) -> None:
        async def main() -> None:
            async with listening(tmp_path, config or settings()) as found:
                await scene(found)

        run_virtual(main())

    return run


def call_of(found: Api) -> Any:
    """The one call, which the server that listens got."""
    calls = {name: place.calls for name, place in found.house.places.items() if place.calls}
    assert [*calls] == ["echo/w"]
    (one,) = calls["echo/w"]
    return one


def test_sound_goes_to_the_server_that_listens(play: Any) -> None:
    async def scene(found: Api) -> None:
        body = await send(found, MP3, name="talk.mp3")
        one = call_of(found)
        assert one.candidate.model == "whisper-1"
        request = one.attempt.request
        assert request[FILE_KEY].path.read_bytes() == MP3
        assert {k: v for k, v in request.items() if k != FILE_KEY} == {"options": {}}
        result = await found.get(f"/v1/async/result/{body['task_id']}")
        assert (result["status"], result["host"]) == ("completed", "echo")
        assert body["routing"]["device"] == "gpu"
        task = await found.get(f"/v1/tasks/{body['task_id']}")
        assert (task["operation"], task["type"], task["title"]) == (
            "transcribe", "process_file", "talk.mp3",
        )  # fmt: skip
        assert task["content_type"] == "audio/mpeg"
        assert task["request"] == {FILE_KEY: {**task["request"][FILE_KEY], "media": "audio/mpeg"}}

    play(scene)


def test_metadata_is_for_whoever_listens(play: Any) -> None:
    async def scene(found: Api) -> None:
        said = {
            "task_type": "talks",
            "prompt": "Yggdrasil",
            "temperature": 0.1,
            "options": {"x": 1},
        }
        await send(found, MP3, metadata=json.dumps(said))
        one = call_of(found)
        assert one.candidate.model == "whisper-2", "as the route of the type says"
        request = {k: v for k, v in one.attempt.request.items() if k != FILE_KEY}
        assert request == {
            "prompt": "Yggdrasil", "temperature": 0.1, "options": {"language": "de", "x": 1},
        }  # fmt: skip

    play(scene)


def test_text_never_goes_to_a_server_that_only_listens(play: Any) -> None:
    async def scene(found: Api) -> None:
        await send(found, b"some text", metadata='{"task_type": "talks"}')
        await send(found, b"more text", metadata='{"host": "echo"}')
        assert not found.house.places["echo/w"].calls
        assert len(found.house.places["echo/o"].calls) == 1
        body = await send(found, b"text", 422, metadata='{"model": "whisper-1"}')
        assert error(body) == ("model: no host has 'whisper-1'", "models: m, n")

    play(scene)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"system": "s"}, "operation transcribe takes no system"),
        ({"max_tokens": 5}, "operation transcribe takes no max_tokens"),
        ({"model": "whisper-9"}, "model: no host has 'whisper-9'"),
        ({"host": "surtr"}, "no server of host surtr serves transcription"),
    ],
)
def test_what_sound_cannot_have_is_told(play: Any, metadata: dict[str, Any], says: str) -> None:
    async def scene(found: Api) -> None:
        message, _ = error(await send(found, MP3, 422, metadata=json.dumps(metadata)))
        assert message.startswith(says)

    play(scene)


def test_video_stays_what_is_not_served(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ygg.api")

    async def scene(found: Api) -> None:
        body = await send(found, MP4, 415, gpu="true")
        assert error(body) == (
            "file: it is video/mp4, no server here takes video",
            "served are text in UTF-8, audio and images: PNG, JPEG, WEBP, GIF",
        )
        await send(found, MP3, gpu="true")

    play(scene)
    video, audio = [r.getMessage() for r in caplog.records if "routing" in r.getMessage()]
    assert "content type video/mp4" in video
    assert audio.startswith("Task routing: process_file -> GPU worker (task ")


def test_an_error_of_the_server_is_another_try(play: Any) -> None:
    async def scene(found: Api) -> None:
        found.house.places["echo/w"].breaks = [OutcomeKind.ERROR]
        body = await send(found, MP3, 202, wait=1)
        assert (await found.ended(body["task_id"]))["state"] == "completed"

    play(scene)


def test_the_same_recording_is_written_down_once(play: Any) -> None:
    async def scene(found: Api) -> None:
        asks = {"metadata": '{"cache": true}'}
        sent = [await send(found, data, **asks) for data in (MP3, MP3 + b"x", MP3)]
        assert [body["cached"] for body in sent] == [False, False, True]

    play(scene)


def test_a_document_alone_asks_for_no_transcript(play: Any) -> None:
    async def scene(found: Api) -> None:
        await found.post("/v1/tasks", {"prompt": "x", "operation": "transcribe"}, 422)

    play(scene)
