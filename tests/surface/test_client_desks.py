"""The same verbs with a daemon and without one say the same; what differs is said plainly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.builders import ANSWER, claim_of, end_of
from tests.surface.world import config, served
from ygg import locking, paths, wire
from ygg.api.offline import Offline, Opened
from ygg.cli import app
from ygg.client import Remote
from ygg.desk import Desk
from ygg.errors import ConfigError, Conflict, InvalidInput, NotFound, StoreLocked, Unavailable
from ygg.model import Candidate, Endpoint, Health, HostHealth, State
from ygg.stores import sqlite
from ygg.stores.memory import MemoryStore

LATER = {"prompt": "hello", "not_before": "1h"}
HOSTS = """\
hosts:
  surtr: {slots: 1, backend: ollama, url: "http://127.0.0.1:9", models: [m]}
task_types:
  general: {route: [surtr]}
"""


@pytest.fixture(params=["daemon", "database"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "database":
        yield _offline(tmp_path)
        return
    with served(tmp_path / "ygg.sock"):
        remote = Desk(Remote(tmp_path / "ygg.sock"))
        yield remote
        remote.close()


def _offline(folder: Path, *, write: bool = True) -> Desk:
    (folder / "hosts.yaml").write_text(HOSTS)
    patch = pytest.MonkeyPatch()
    with patch.context() as env:
        env.setenv("YGG_STATE", str(folder / "state"))
        return wire.offline_desk(str(folder / "hosts.yaml"), write=write)


# --- the same on both -----------------------------------------------------------------------------


def test_submit_answers_in_order_with_tasks_and_errors(desk: Desk) -> None:
    good, bad, nothing = desk.submit([LATER, {**LATER, "priority": 7}, None])
    assert (good["state"], good["existing"], good["caller"]) == ("scheduled", False, "local")
    assert bad["error"]["message"].startswith("priority:")
    assert nothing["error"]["code"] == "invalid_input"


def test_atomic_submit_stores_all_or_nothing(desk: Desk) -> None:
    answers = desk.submit([LATER, {}], atomic=True)
    assert all(a["error"]["code"] for a in answers)
    assert desk.tasks()["tasks"] == []
    desk.submit([LATER, LATER], atomic=True)
    assert len(desk.tasks()["tasks"]) == 2


def test_a_key_is_known_again(desk: Desk) -> None:
    doc = {**LATER, "idempotency_key": "k"}
    (first,), (second,) = desk.submit([doc]), desk.submit([doc])
    assert (second["id"], second["existing"]) == (first["id"], True)


def test_listing_and_showing(desk: Desk) -> None:
    one, two = desk.submit([{**LATER, "title": "one"}, {**LATER, "title": "two", "priority": 0}])
    listed = desk.tasks(state=["scheduled"], limit=5, label=None)
    assert listed["schema"] == "ygg.tasks/1"
    assert [t["id"] for t in listed["tasks"]] == [two["id"], one["id"]]
    shown = desk.show(one["id"][-6:])
    assert (shown["schema"], shown["title"], shown["log"][0]["to"]) == (
        "ygg.task/1", "one", "scheduled",
    )  # fmt: skip
    assert not {"existing"} & set(shown)
    assert {k: shown[k] for k in listed["tasks"][1]} == listed["tasks"][1]


def test_priority_cancel_and_retry(desk: Desk) -> None:
    task_id = desk.submit([LATER])[0]["id"]
    assert desk.prioritize(task_id, "HIGH")["priority"] == 1
    assert desk.prioritize(task_id, 4)["priority_name"] == "BACKLOG"
    assert desk.cancel(task_id)["state"] == "cancelled"
    assert desk.wait(task_id, 0)["state"] == "cancelled"
    body = desk.result(task_id)
    assert (body["status"], body["result"]) == ("cancelled", None)
    assert desk.retry([task_id, "nothing"])["retried"] == [task_id]
    assert desk.retry(states=["failed", "cancelled"]) == {"retried": [], "errors": []}


def test_what_has_ended_is_cleaned_away(desk: Desk) -> None:
    first, second = (task["id"] for task in desk.submit([LATER, LATER]))
    desk.cancel(first)
    assert desk.clean(60.0, states=["cancelled"])["removed"] == 0
    with pytest.raises(Conflict, match="is cancelled, no dead letter"):
        desk.discard(first)
    assert desk.clean(0)["by_state"] == {"completed": 0, "cancelled": 1, "expired": 0}
    assert [t["id"] for t in desk.tasks()["tasks"]] == [second]
    with pytest.raises(NotFound, match="any more: cancelled 20"):
        desk.discard(first)


def test_all_tasks_that_fit_are_cancelled_at_once(desk: Desk) -> None:
    docs = [{**LATER, "labels": ["a"]}, {**LATER, "labels": ["b"]}, {**LATER, "labels": ["a", "b"]}]
    ids = [task["id"] for task in desk.submit(docs)]
    body = desk.cancel_many(label="a")
    assert {t["id"]: t["state"] for t in body["tasks"]} == {
        ids[0]: "cancelled",
        ids[2]: "cancelled",
    }
    assert desk.cancel_many(states=["queued"])["tasks"] == []
    assert [t["id"] for t in desk.cancel_many(states=["scheduled"])["tasks"]] == [ids[1]]
    with pytest.raises(InvalidInput, match="states"):
        desk.cancel_many(states=["completed"])


def test_a_result_before_the_end_is_a_conflict(desk: Desk) -> None:
    task_id = desk.submit([LATER])[0]["id"]
    with pytest.raises(Conflict, match="has not ended"):
        desk.result(task_id)


def test_waiting_gives_the_task_as_it_is_when_time_is_up(desk: Desk) -> None:
    task_id = desk.submit([LATER])[0]["id"]
    began = time.monotonic()
    assert desk.wait(task_id, 0.2)["state"] == "scheduled"
    assert 0.2 <= time.monotonic() - began < 5


def test_why_a_scheduled_task_waits(desk: Desk) -> None:
    task_id = desk.submit([LATER])[0]["id"]
    body = desk.why(task_id)
    assert (body["schema"], body["state"], body["position"]) == ("ygg.why/1", "scheduled", None)
    not_before = next(r for r in body["reasons"] if r["code"] == "not_before")
    assert not_before["until_ms"] > time.time() * 1000


@pytest.mark.parametrize("verb", ["show", "result", "why", "cancel"])
def test_what_is_not_there_is_not_found(desk: Desk, verb: str) -> None:
    with pytest.raises(NotFound) as caught:
        getattr(desk, verb)("nothing-here")
    assert caught.value.exit_code == 3


def test_following_what_is_not_there_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        list(desk.follow("nothing-here"))


def test_following_an_ended_task_yields_its_end(desk: Desk) -> None:
    task_id = desk.submit([LATER])[0]["id"]
    desk.cancel(task_id)
    (event,) = desk.follow(task_id)
    assert (event["event"], event["state"]) == ("end", "cancelled")


def test_wrong_filters_are_refused(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="no state 'done'"):
        desk.tasks(state=["done"])


def test_status_counts_the_queue(desk: Desk) -> None:
    desk.submit([LATER, LATER])
    body = desk.status(probe=False)
    assert (body["schema"], body["queue"]["scheduled"]) == ("ygg.status/1", 2)
    assert body["queue"]["by_priority"]["NORMAL"] == 0, "they are not queued yet"


def test_a_pause_and_a_drained_host_are_told_by_queue_and_hosts(desk: Desk) -> None:
    assert (desk.queue()["paused"], _drained(desk)) == (False, set())
    assert desk.pause() == {"paused": True}
    assert desk.queue()["paused"]
    assert desk.drain_host("surtr") == {"host": "surtr", "drained": True}
    assert (desk.queue()["paused"], _drained(desk)) == (True, {"surtr"})
    desk.resume()
    desk.resume_host("surtr")
    assert (desk.queue()["paused"], _drained(desk)) == (False, set())


def _drained(desk: Desk) -> set[str]:
    return {h["name"] for h in desk.hosts()["hosts"] if h["drained"]}


def test_the_queue_is_counted_by_priority_and_state(desk: Desk) -> None:
    first, *_ = desk.submit([{**LATER, "priority": 0}, LATER, LATER])
    desk.cancel(first["id"])
    body = desk.queue()
    assert (body["schema"], body["scheduled"], body["cancelled"]) == ("ygg.queue/1", 2, 1)
    assert body["by_priority"]["NORMAL"] == 0
    told = {p: {s: n for s, n in by.items() if n} for p, by in body["priorities"].items()}
    assert {p: by for p, by in told.items() if by} == {
        "CRITICAL": {"cancelled": 1}, "NORMAL": {"scheduled": 2},
    }  # fmt: skip


def test_hosts_are_listed_unasked_and_probed_on_request(desk: Desk) -> None:
    desk.submit([LATER])
    body = desk.hosts()
    assert body["schema"] == "ygg.hosts/1"
    surtr = next(h for h in body["hosts"] if h["name"] == "surtr")
    assert surtr["endpoints"][0]["backend"] == "ollama"
    (asked,) = desk.probe("surtr")
    assert asked["name"] == "surtr"
    assert (asked["reachable"], asked["checked_at"] is None) != (None, True)
    assert {h["name"] for h in desk.probe()} == {h["name"] for h in body["hosts"]}


@pytest.mark.parametrize("verb", [lambda d: d.drain_host("sutr"), lambda d: d.probe("sutr")])
def test_an_unknown_host_is_not_found_and_the_known_ones_are_named(desk: Desk, verb: Any) -> None:
    with pytest.raises(NotFound, match="no host 'sutr'") as caught:
        verb(desk)
    assert "surtr" in caught.value.hint


# --- without a daemon -----------------------------------------------------------------------------


def test_the_database_says_where_it_is_and_that_no_daemon_runs(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    assert desk.where == f"database {tmp_path}/state/ygg.db (no daemon is running)"
    assert desk.online is False
    assert desk.status(probe=False)["daemon"] is None


def test_a_waiting_task_waits_for_a_daemon(tmp_path: Path) -> None:
    desk = _offline(tmp_path)
    (task,) = desk.submit([{"prompt": "x"}])
    body = desk.why(task["id"])
    assert (body["reasons"][0]["code"], body["position"]) == ("no_dispatcher", 1)
    with pytest.raises(Unavailable, match="nothing will stream"):
        list(desk.follow(task["id"]))


def test_writing_needs_the_lock_and_reading_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "WAIT_S", 0.1)
    _offline(tmp_path).submit([LATER])
    database = tmp_path / "state" / "ygg.db"
    held = sqlite.open_store(database, dispatcher=False)
    try:
        assert len(_offline(tmp_path, write=False).tasks()["tasks"]) == 1
        with pytest.raises(StoreLocked):
            _offline(tmp_path).submit([LATER])
    finally:
        asyncio.run(held.close())
    _offline(tmp_path).submit([LATER])  # nothing keeps the lock


def test_a_reading_desk_does_not_write(tmp_path: Path) -> None:
    (task,) = _offline(tmp_path).submit([LATER])
    with pytest.raises(Unavailable, match="needs a running daemon"):
        _offline(tmp_path, write=False).cancel(task["id"])


class _Checked:
    """A backend that only answers checks."""

    def __init__(self, health: Health) -> None:
        self.health, self.closed, self.asked = health, False, 0
        self.endpoint = Endpoint("main", "ollama", "http://surtr:11434", ("m",))

    async def check(self, timeout_s: float = 3.0) -> Health:
        self.asked += 1
        return self.health

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        raise AssertionError("nobody asks for it")

    async def unload(self, model: str) -> bool:
        return False

    async def close(self) -> None:
        self.closed = True


class _Shelf:
    """A MemoryStore that each verb opens anew, as it does a database."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self) -> Opened:
        self.store = self.store.reopened()
        return self.store, self.store


def _on_shelf(shelf: _Shelf, backends: dict[Any, Any] | None = None) -> Desk:
    return Desk(Offline(config(), Path("x"), shelf.open, lambda: backends or {}, lambda: None))


def test_status_without_a_daemon_asks_the_hosts_itself() -> None:
    up = _Checked(Health(HostHealth.UP, 1.5, "0.12", ("m",)))
    down = _Checked(Health(HostHealth.DOWN, message="connection refused"))
    desk = _on_shelf(_Shelf(), {("surtr", "ollama"): up, ("fenrir", "ollama"): down})
    hosts = {h["name"]: h for h in desk.status(probe=True)["hosts"]}
    assert (hosts["surtr"]["reachable"], hosts["surtr"]["version"]) == (True, "0.12")
    assert (hosts["fenrir"]["reachable"], hosts["fenrir"]["message"]) == (
        False, "connection refused",
    )  # fmt: skip
    assert up.closed
    assert down.closed


def test_a_probe_without_a_daemon_asks_one_host_and_tells_what_is_loaded() -> None:
    up = _Checked(Health(HostHealth.UP, models=("m", "n"), loaded=("n",)))
    never = _Checked(Health(HostHealth.DOWN))
    desk = _on_shelf(_Shelf(), {("surtr", "ollama"): up, ("fenrir", "ollama"): never})
    (surtr,) = desk.probe("surtr")
    assert (surtr["reachable"], surtr["models"], surtr["loaded"]) == (True, ["m", "n"], ["n"])
    assert (up.asked, never.asked) == (1, 0)
    assert {h["reachable"] for h in desk.hosts()["hosts"]} == {None}


def test_a_pause_set_without_a_daemon_is_read_without_the_lock(tmp_path: Path) -> None:
    _offline(tmp_path).pause()
    _offline(tmp_path).drain_host("surtr")
    reading = _offline(tmp_path, write=False)
    assert (reading.queue()["paused"], _drained(reading)) == (True, {"surtr"})
    with pytest.raises(Unavailable):
        reading.resume()


def test_a_task_that_ran_when_the_daemon_died_is_explained() -> None:
    shelf = _Shelf()
    desk = _on_shelf(shelf)
    (task,) = desk.submit([{"prompt": "x"}])
    _work(shelf, task["id"])
    codes = [r["code"] for r in desk.why(task["id"])["reasons"]]
    assert codes == ["no_dispatcher", "no_dispatcher"]
    assert "surtr" in desk.why(task["id"])["reasons"][1]["text"]
    assert desk.cancel(task["id"])["cancel_requested"] is True


def test_reading_a_result_at_the_database_never_shortens_its_life() -> None:
    shelf = _Shelf()
    desk = _on_shelf(shelf)
    (task,) = desk.submit([{"prompt": "x"}])
    _work(shelf, task["id"], end=True)
    before = dict(shelf.store._expiry)
    assert desk.result(task["id"])["result"]["content"] == ANSWER.content
    assert desk.show(task["id"])["reasons"][0]["code"] == "completed"
    assert shelf.store._expiry == before


def _work(shelf: _Shelf, task_id: str, *, end: bool = False) -> None:
    """What a daemon that is gone by now did: a claim, perhaps the end."""

    async def main() -> None:
        store = shelf.store = shelf.store.reopened()
        now = time.time_ns() // 1_000_000
        task = await store.get(task_id)
        (claimed,) = await store.claim([claim_of(task, Candidate("surtr", "main", "m"))], now)
        assert claimed is not None
        if end:
            await store.finish([end_of(claimed, State.COMPLETED)], now)

    asyncio.run(main())


def test_a_command_that_meets_a_daemon_at_the_lock_asks_it(tmp_path: Path) -> None:
    def locked() -> NoReturn:
        raise StoreLocked("in use by another ygg")

    path = tmp_path / "ygg.sock"
    nobody = Desk(Offline(config(), Path("x"), locked, dict, lambda: None))
    with pytest.raises(StoreLocked):
        nobody.tasks()
    with served(path):
        met = Desk(Offline(config(), Path("x"), locked, dict, lambda: Desk(Remote(path))))
        (task,) = met.submit([LATER])
        assert met.show(task["id"])["state"] == "scheduled"


def test_without_a_socket_the_desk_is_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("YGG_STATE", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("YGG_SOCKET", raising=False)
    monkeypatch.setattr(paths, "SYSTEM_SOCKET", tmp_path / "none.sock")
    monkeypatch.setenv("YGG_CONFIG", str(tmp_path / "hosts.yaml"))
    with app.desk(write=True) as desk:
        assert not desk.online
    with served(tmp_path / "run" / "ygg" / "ygg.sock"), app.desk(write=True) as desk:
        assert desk.online


def test_without_daemon_and_configuration_the_places_are_told(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError):
        wire.offline_desk(str(tmp_path / "missing.yaml"), write=False)


def test_before_the_first_task_there_is_nothing_to_read_and_that_is_no_error(
    tmp_path: Path,
) -> None:
    reading = _offline(tmp_path, write=False)
    assert reading.tasks()["tasks"] == []
    assert (reading.queue()["total_tasks"], reading.queue()["paused"]) == (0, False)
    with pytest.raises(NotFound, match="no task"):
        reading.show("0000-nope")
    assert not (tmp_path / "state").exists()
