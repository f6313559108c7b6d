"""What a submit says of GPU and content, by every way in, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.surface.cli import Cli
from tests.surface.world import HELLO, Api, play
from ygg.config import Config, from_dict
from ygg.errors import InvalidInput
from ygg.intake.tasks import async_task, new_task
from ygg.model import NewTask

HOST = {"slots": 1, "backend": "ollama", "url": "http://x:1"}


def house(**policies: Any) -> Config:
    """GPU host `g`, CPU host `c`; `code` needs a GPU, `pages` never takes one, `images` is on GPUs alone."""
    data = {
        "hosts": {
            "g": {**HOST, "models": ["m"]},
            "c": {**HOST, "kind": "cpu", "models": ["m", "s"]},
        },
        "task_types": {
            "general": {"route": ["g", "c"]},
            "code": {"route": ["g", "c"], "gpu": "required"},
            "pages": {"route": ["g", "c"], "gpu": "never"},
            "images": {"route": ["g"]},
        },
        "policies": policies,
    }
    return from_dict(data, "test")


def made(config: Config | None = None, **fields: Any) -> NewTask:
    return new_task({"prompt": "x", **fields}, config or house(), caller="local", now_ms=0)


def refusal(**fields: Any) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as caught:
        made(**fields)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(("fields", "expected"), [
    ({}, "preferred"),
    ({"gpu": None}, "preferred"),
    ({"gpu": "Required"}, "required"),
    ({"gpu": "never"}, "never"),
    ({"gpu": True}, "preferred"),
    ({"gpu": False}, "never"),
    ({"type": "code"}, "required"),
    ({"type": "code", "gpu": "preferred"}, "preferred"),
    ({"type": "code", "gpu": True}, "preferred"),
    ({"type": "pages"}, "never"),
    ({"type": "unheard-of"}, "preferred"),
    ({"content_type": "video"}, "preferred"),
    ({"content_type": "application/pdf"}, "unneeded"),
    ({"content_type": "pdf", "gpu": True}, "unneeded"),
    ({"content_type": "pdf", "gpu": "required"}, "required"),
    ({"content_type": "pdf", "type": "code"}, "required"),
    ({"content_type": "", "gpu": "preferred"}, "preferred"),
])  # fmt: skip
def test_what_is_said_becomes_the_need_of_the_task(fields: dict[str, Any], expected: str) -> None:
    assert made(**fields).lane.gpu == expected
    doc = {"agent_type": fields.pop("type", "general"), "messages": HELLO, **fields}
    assert async_task(doc, house(), caller="local", now_ms=0).lane.gpu == expected


def test_the_types_that_profit_come_from_the_configuration() -> None:
    config = house(gpu_content_types=["pdf"])
    assert made(config, content_type="pdf").lane.gpu == "preferred"
    assert made(config, content_type="audio").lane.gpu == "unneeded"
    assert made(config).lane.gpu == "unneeded", "it is text"


@pytest.mark.parametrize("bad", ["maybe", "unneeded", 1, 0, [], {}, "true", ""])
def test_any_other_word_is_refused(bad: object) -> None:
    expected = "gpu: expected required, preferred or never, or true (preferred) or false (never)"
    assert refusal(gpu=bad) == (expected, "")


def test_a_content_type_is_a_short_text() -> None:
    assert refusal(content_type=7)[0].startswith("content_type: ")
    assert refusal(content_type="x" * 101)[0].startswith("content_type: ")


@pytest.mark.parametrize(("fields", "message", "hint"), [
    ({"gpu": "required", "host": "c"}, "required, but no GPU host runs type general on c", "GPU hosts: g"),
    ({"gpu": "required", "model": "s"}, "required, but no GPU host runs type general with s", "GPU hosts: g"),
    ({"type": "code", "host": "c"}, "required, but no GPU host runs type code on c", "GPU hosts: g"),
    ({"type": "images", "gpu": "never"}, "never, but no CPU host runs type images", "CPU hosts: c"),
    ({"type": "images", "gpu": False}, "never, but no CPU host runs type images", "CPU hosts: c"),
])  # fmt: skip
def test_a_task_that_no_host_could_ever_run_is_refused(
    fields: dict[str, Any], message: str, hint: str
) -> None:
    assert refusal(**fields) == (f"gpu: {message}", hint)


def test_a_pin_beyond_the_route_is_honoured() -> None:
    assert made(type="images", gpu="never", model="s").lane.gpu == "never"


def test_a_house_without_cpu_hosts_says_so() -> None:
    data = {"hosts": {"g": {**HOST, "models": ["m"]}}, "task_types": {"general": {"route": ["g"]}}}
    with pytest.raises(InvalidInput) as caught:
        made(from_dict(data, "test"), gpu=False)
    assert caught.value.hint == "CPU hosts: none in hosts.yaml"


# --- by every way in --------------------------------------------------------------------------------


def test_the_api_takes_words_and_the_missions_booleans() -> None:
    async def scene(api: Api) -> None:
        found = await api.submit(gpu=True, content_type="application/pdf")
        shown = await api.get(f"/v1/tasks/{found['task_id']}")
        assert (shown["gpu"], shown["content_type"]) == ("unneeded", "application/pdf")
        refused = await api.submit(422, gpu=False)
        assert refused["error"] == {
            "code": "invalid_input",
            "message": "gpu: never, but no CPU host runs type general",
            "hint": "CPU hosts: none in hosts.yaml",
        }
        refused = await api.submit(422, gpu="sometimes")
        assert refused["error"]["message"].startswith("gpu: expected required, preferred or never")

    play(scene)


def test_options_of_the_command_line(either: Cli) -> None:
    task = either.submit("x", "--gpu", "required", "--content-type", "audio/mpeg")
    shown = either.ok("show", task, "--json").json
    assert (shown["gpu"], shown["content_type"]) == ("required", "audio/mpeg")
    assert "gpu            required" in either.ok("show", task).lines
    assert either.ok("show", either.submit("x", "--content-type", "pdf"), "--json").json["gpu"] == "unneeded"  # fmt: skip


@pytest.mark.parametrize(("args", "says"), [
    (("--gpu", "maybe"), "gpu: expected required, preferred or never"),
    (("--gpu", "never"), "gpu: never, but no CPU host runs type general"),
])  # fmt: skip
def test_bad_options_are_refused(either: Cli, args: tuple[str, ...], says: str) -> None:
    ran = either("submit", "x", *args)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_lines_of_a_file(either: Cli) -> None:
    docs: list[dict[str, Any]] = [
        {"prompt": "a", "gpu": "required"},
        {"prompt": "b", "gpu": True, "content_type": "pdf"},
        {"prompt": "c", "gpu": "often"},
        {"prompt": "d"},
    ]
    ran = either("submit", "--jsonl", "-", stdin="\n".join(map(json.dumps, docs)))
    assert ran.code == 1
    assert "-:3: gpu: expected required" in ran.err
    needs = [either.ok("show", line, "--json").json["gpu"] for line in ran.lines]
    assert needs == ["required", "unneeded", "preferred"]
