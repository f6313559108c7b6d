"""A file that came with a task outlives the process that took it, and is never whole in its memory."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.intake.test_contents import PNG
from tests.system.rig import Daemon, hosts_yaml, running, sim_servers, until

SLOTS = {"a": 1}
SOUND = b"ID3\3\0\0\0\0\0\0" + os.urandom(500_000)
LARGE_MIB, MORE_MIB = 48, 16  #: of an image, and what a daemon may take more for sending it
Home = Callable[..., Daemon]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A daemon, not started, with an Ollama `a` and what listens, `echo`, on one simulated house."""
    with (
        sim_servers(tmp_path, 0.0, SLOTS) as texts,
        sim_servers(tmp_path, 1.0, {"echo": 1}, dialect="vllm") as sounds,
    ):
        urls = {**texts, **sounds}
        path = tmp_path / "hosts.yaml"

        def build(*args: str, policies: str = "{}") -> Daemon:
            path.write_text(
                f"hosts:\n  a: {{slots: 1, backend: ollama, url: '{urls['a']}', models: [m]}}\n"
                f"  echo: {{slots: 1, backend: openai, url: '{urls['echo']}', models: [m], serves: transcription}}\n"
                f"task_types: {{general: {{route: [a]}}}}\npolicies: {policies}\n"
            )
            return Daemon(tmp_path, path, *args)

        yield build


def recorded(folder: Path, name: str) -> list[dict[str, object]]:
    """What a simulated server saw, once it has ended."""
    found: list[dict[str, object]] = json.loads((folder / f"{name}.json").read_text())["records"]
    return found


def test_a_file_is_found_again_after_kill_9(tmp_path: Path) -> None:
    with sim_servers(tmp_path, 1.0, SLOTS) as urls:
        daemon = Daemon(tmp_path, hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS))
        file = tmp_path / "picture"
        file.write_bytes(PNG)
        task_id = daemon.ygg("submit", "--attach", str(file)).stdout.strip()
        file.unlink()
        kept = daemon.state / "uploads" / task_id
        assert kept.read_bytes() == PNG
        daemon.start()
        until(lambda: running(daemon, task_id), what="it runs")
        daemon.kill()
        daemon.start()
        try:
            with closing(daemon.remote()) as desk:
                assert desk.wait(task_id, 30)["state"] == "completed"
                assert desk.show(task_id)["crashes"] <= 1
            assert kept.exists()
        finally:
            daemon.stop()


def test_a_recording_is_written_down_whatever_becomes_of_the_daemon(tmp_path: Path) -> None:
    """Submitted, killed while its call runs, listened to whole; its file stays with its task."""
    with sim_servers(tmp_path, 1.0, {"echo": 1, "a": 1}, dialect="vllm") as urls:
        path = tmp_path / "hosts.yaml"
        path.write_text(
            f"hosts:\n  a: {{slots: 1, backend: openai, url: '{urls['a']}', models: [m]}}\n"
            f"  echo: {{slots: 1, backend: openai, url: '{urls['echo']}', models: [m], serves: transcription}}\n"
            "task_types: {general: {route: [a]}}\n"
        )
        file = tmp_path / "talk.wav"
        file.write_bytes(SOUND)
        target = Daemon(tmp_path, path)
        target.start()
        task_id = target.apart("submit", "--attach", str(file)).stdout.strip()
        file.unlink()
        until(lambda: running(target, task_id), what="it runs")
        target.kill()
        target.start()
        try:
            with closing(target.remote()) as desk:
                assert desk.wait(task_id, 30)["state"] == "completed"
                told = desk.show(task_id)
                assert (told["operation"], told["host"]) == ("transcribe", "echo")
                assert len(desk.result(task_id)["result"]["content"].split()) == 8
            kept = target.state / "uploads" / task_id
            assert kept.read_bytes() == SOUND
        finally:
            target.stop()
    seen = recorded(tmp_path, "echo")
    assert 1 <= len(seen) <= 2  # the first may have been on its way still
    digest = hashlib.sha256(SOUND).hexdigest()
    assert {r["prompt"] for r in seen} == {f"audio.mp3 {len(SOUND)} {digest}"}
    assert recorded(tmp_path, "a") == []


def test_a_file_goes_with_its_task_and_half_of_one_with_the_next_start(home: Home) -> None:
    target = home(policies="{retention: 10ms}")
    folder = target.state / "uploads"
    target.start()
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(target.folder / "run/ygg/ygg.sock"))
    head = (
        b"POST /process/file HTTP/1.1\r\nHost: ygg\r\nContent-Length: 999999\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    )
    client.sendall(head + SOUND[:200_000])
    until(lambda: [f for f in folder.glob(".part-*") if f.stat().st_size], what="half has come")
    file = target.folder / "talk.mp3"
    file.write_bytes(SOUND)
    ended = target.ygg("submit", "--attach", str(file), "--wait")
    assert len(ended.stdout.split()) == 8, ended.stderr
    assert len([*folder.iterdir()]) == 2
    target.kill()
    client.close()
    until(lambda: target.process is not None and target.process.poll() is not None)
    target.start()
    try:
        until(lambda: [*folder.iterdir()] == [], what="both are gone")
    finally:
        target.stop()


@pytest.mark.parametrize("loop", ["--async", "--no-async"])
def test_sound_and_text_go_each_to_its_server(home: Home, loop: str) -> None:
    target = home(loop)
    sound, text = target.folder / "talk.mp3", target.folder / "text"
    sound.write_bytes(SOUND)
    text.write_text("some text")
    target.start()
    try:
        for file, host in ((sound, "echo"), (text, "a")):
            ended = target.ygg("submit", "--attach", str(file), "--wait", "--json")
            assert json.loads(ended.stdout)["host"] == host, ended
        tried = target.ygg("doctor", "--try")
        assert "m answered in" in next(
            line for line in tried.stdout.splitlines() if "echo" in line and "answered" in line
        )
    finally:
        target.stop()


def peak_mib(target: Daemon) -> float:
    """The most memory that the daemon ever had."""
    assert target.process is not None
    status = Path(f"/proc/{target.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("begins", [PNG, SOUND], ids=["image", "sound"])
def test_a_large_file_takes_no_memory_to_speak_of(home: Home, begins: bytes) -> None:
    target = home()
    small, large = target.folder / "small", target.folder / "large"
    small.write_bytes(begins)
    large.write_bytes(begins)
    os.truncate(large, LARGE_MIB << 20)
    target.start()
    try:
        assert target.ygg("submit", "--attach", str(small), "--wait").returncode == 0
        before = peak_mib(target)
        assert target.ygg("submit", "--attach", str(large), "--wait").returncode == 0
        assert peak_mib(target) < before + MORE_MIB
    finally:
        target.stop()
