"""Calls that are cancelled, runners and servers that die: on real servers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.llama.programs import LlamaServer, Ollama, cpu_ticks
from tests.real.home import SLOTS, Home
from tests.system.rig import until

pytestmark = pytest.mark.real_ollama

LONG = {"prompt": "hello", "model": "slow", "max_tokens": 2000}
SHORT = {"prompt": "hello", "model": "slow", "max_tokens": 5}


def rests(pid: int) -> bool:
    """Whether a process uses no processor time for a while."""
    before = cpu_ticks(pid)
    time.sleep(0.3)
    return cpu_ticks(pid) == before


def test_a_cancelled_call_frees_its_slot_and_ollama_stops_generating(
    home: Home, ollama: Ollama
) -> None:
    ids = home.put(*[{**LONG, "host": "ollama"}] * 3)
    for task in ids[:2]:
        home.writes(task)
    (runner,) = ollama.children
    for task in ids:
        assert home.ygg("cancel", task).returncode == 0
    assert [t["state"] for t in home.ends(ids)] == ["cancelled"] * 3
    assert home.end(*home.put({**SHORT, "host": "ollama"}))["state"] == "completed"

    until(lambda: rests(runner), 10, "the runner rests")
    assert home.servers["ollama"].inside == 0


def test_a_cancelled_call_frees_its_slot_and_llama_cpp_stops_generating(
    home: Home, llama: LlamaServer
) -> None:
    (task,) = home.put({**LONG, "host": "llama"})
    home.writes(task)
    assert len(llama.working) == 1
    assert home.ygg("cancel", task).returncode == 0
    assert home.end(task)["state"] == "cancelled"
    until(lambda: not llama.working, 10, "the slot is free")


def test_a_task_whose_runner_is_killed_in_mid_answer_is_tried_again(
    home: Home, ollama: Ollama
) -> None:
    (task,) = home.put({**LONG, "max_tokens": 100, "host": "ollama"})
    home.writes(task)
    (runner,) = ollama.children
    os.kill(runner, signal.SIGKILL)
    ended = home.end(task, 60)
    assert (ended["state"], ended["attempt"]) == ("completed", 2)
    assert len(home.result(task)["result"]["content"]) == 100, "nothing of the first is mixed in"


@contextmanager
def dying(ollama: Ollama) -> Iterator[None]:
    """Each runner is killed while it loads."""
    over = threading.Event()

    def reap() -> None:
        while not over.wait(0.005):
            for pid in ollama.children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=reap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_ollama_whose_runner_dies_at_each_load_is_sick_and_its_tasks_wait(
    home: Home, ollama: Ollama
) -> None:
    """Where the model has just worked the first error is taken for the task's."""
    with dying(ollama):
        ids = home.put(*[{**SHORT, "model": "b", "host": "ollama"}] * 20)
        (sick,) = until(lambda: home.host("ollama")["sick"], 30, "the model is sick")
        assert sick["model"] == "b"
        rows = [home.task(task) for task in ids]
        assert {row["state"] for row in rows} <= {"queued", "scheduled"}
        assert sum(row["errors"] for row in rows) <= 1
        assert home.host("ollama")["health"] == "up"
    assert home.ygg("hosts", "resume", "ollama").returncode == 0
    tasks = home.ends(ids)
    assert {t["state"] for t in tasks} == {"completed"}
    assert sum(t["errors"] for t in tasks) <= 1
    assert home.host("ollama")["sick"] == []


@pytest.mark.parametrize("host", ["ollama", "llama"])
def test_a_server_that_is_killed_and_comes_back_answers_the_tasks_that_waited(
    home: Home, ollama: Ollama, llama: LlamaServer, host: str
) -> None:
    server = {"ollama": ollama, "llama": llama}[host]
    ids = home.put(*[{**LONG, "max_tokens": 100, "host": host}] * 4)
    home.writes(ids[0])
    server.kill()
    until(lambda: home.host(host)["health"] == "down", 20, "the host is down")
    assert {home.task(task)["state"] for task in ids} == {"queued"}
    server.start()
    tasks = home.ends(ids, 60)
    assert {t["state"] for t in tasks} == {"completed"}
    assert [t["errors"] for t in tasks] == [0] * 4, "a host that is down is charged, not its tasks"
    assert home.host(host)["health"] == "up"


def test_a_call_cancelled_in_its_prefill_keeps_its_slot_until_llama_cpp_is_done(
    home: Home, llama: LlamaServer
) -> None:
    """Its prompt is computed in one piece of some seconds, which nothing interrupts."""
    server = home.servers["llama"]
    (cut,) = home.put({**SHORT, "prompt": "b" * 1200, "host": "llama"})
    (ghost,) = until(lambda: llama.working, 20, "the prompt is computed")
    home.cancel(cut)
    until(lambda: server.inside == 0, 20, "the proxy has seen it")
    server.reset()
    after = home.put(*[{**SHORT, "host": "llama"}] * 3)
    until(lambda: home.host("llama")["ghosts"] == 1, 5, "its slot stays taken")

    def over() -> tuple[int, bool] | None:
        """Once the ghost has left, or too much was sent: the most calls at once before."""
        peak, inside = server.peak, ghost in llama.working
        return None if inside and peak < SLOTS else (peak, inside)

    peak, _ = until(over, 60, "the prompt is done")
    assert peak < SLOTS, "its slot was given away as long as it was inside"
    assert {t["state"] for t in home.ends(after)} == {"completed"}
    until(lambda: home.host("llama")["ghosts"] == 0, 5, "all slots are free")
