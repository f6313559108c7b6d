"""What was acknowledged survives a power cut at any write, whatever the drive does to unsynced sectors."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit_connection
from tests.stores.powercut import Disk
from ygg.errors import OutcomeUnknown, StoreError, YggError
from ygg.model import FINAL, ReasonCode, State, Submitted, Task
from ygg.stores.sqlite import opening, writer
from ygg.stores.sqlite.guarding import Process
from ygg.stores.sqlite.ledger import Ledger
from ygg.stores.sqlite.verbs import Verbs
from ygg.stores.sqlite.writer import Writer

PATH = "/power.db"
NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def _folding_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FOLD_PAGES", 40)


@pytest.fixture
def no_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sync is one of a commit."""
    monkeypatch.setattr(writer, "FOLD_PAGES", 10**6)


@dataclass
class Acknowledged:
    """What the store said was done."""

    submitted: set[str] = field(default_factory=set)
    claimed: dict[str, int] = field(default_factory=dict)  # may be lost until something is synced
    attempts: dict[str, int] = field(default_factory=dict)
    ended: dict[str, State] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    count: int = 0

    def synced(self, claimed: dict[str, int], count: int) -> None:
        """So many writes were answered that were asked for after these claims had been."""
        self.attempts |= claimed
        self.claimed = {i: a for i, a in self.claimed.items() if claimed.get(i) != a}
        self.count += count


class Rig:
    """The store's writer, verbs and ledger on a simulated disk, without the reader threads."""

    def __init__(self, disk: Disk, *, syncing: bool = True) -> None:
        self.db = apsw.Connection(PATH, vfs=disk.name)
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")  # one process: no shared memory needed
        opening._prepare(self.db)
        opening.migrate(self.db, Path(PATH), fresh=True)
        opening.fold(self.db)
        self.ledger = Ledger(self.db)
        epoch = opening.next_epoch(self.db, Process("", 0, "", 0))
        self.verbs = Verbs(self.db, self.ledger, epoch, 7 * 86400.0)
        self.writer = Writer(
            self.db,
            Path(PATH),
            before_commit=self.ledger.flush,
            after=self.ledger.after,
            sync=disk.log_sync(PATH) if syncing else lambda: None,
        )
        self.writer.start()

    def post(self, work, *, hasty=False):  # type: ignore[no-untyped-def]
        return self.writer.post(work, hasty=hasty)

    async def submit(self) -> Task:
        (answer,) = await self.post(lambda: self.verbs.submit([new_task()], NOW, None, True))
        assert isinstance(answer, Submitted)
        return answer.task

    async def claim(self, task: Task) -> Task:
        work = self.post(lambda: self.verbs.claim([claim_of(task)], NOW), hasty=True)
        (claimed,) = await work
        assert claimed is not None
        return claimed

    async def after_a_cut(self, disk: Disk) -> Rig:
        """The power fails now; the next owner of the disk."""
        disk.writes_left = 0
        self.writer.close()
        await asyncio.to_thread(self.writer.join)
        disk.cut()
        disk.frozen = True
        self.db.close()
        disk.frozen = False
        return Rig(disk)

    def row(self, task_id: str) -> tuple[str, int, int]:
        """State, attempt and crashes."""
        sql = "SELECT state, attempt, crashes FROM tasks WHERE id = ?"
        found: tuple[str, int, int] = self.db.execute(sql, (task_id,)).fetchone()
        return found

    def close(self) -> None:
        self.writer.close()
        self.writer.join()
        self.db.close()


async def client(rig: Rig, acks: Acknowledged, draw: random.Random, ready: list[Task]) -> None:
    """Submit, claim and end until the power is gone."""
    try:
        while True:
            tasks = [new_task(idempotency_key=None) for _ in range(draw.randint(1, 3))]
            before = dict(acks.claimed)
            answers = await rig.post(lambda tasks=tasks: rig.verbs.submit(tasks, NOW, None, True))
            for answer in answers:
                assert isinstance(answer, Submitted)
                acks.submitted.add(answer.task.id)
                ready.append(answer.task)
            acks.synced(before, len(answers))
            task = ready.pop(draw.randrange(len(ready)))
            claim = rig.post(lambda t=task: rig.verbs.claim([claim_of(t)], NOW), hasty=True)
            (claimed,) = await claim
            if claimed is None:
                continue
            acks.claimed[claimed.id] = claimed.attempt
            before = dict(acks.claimed)
            state = draw.choice((State.COMPLETED, State.FAILED, State.QUEUED))
            reason = ReasonCode.WITHDRAWN if state is State.QUEUED else ReasonCode.COMPLETED
            end = end_of(claimed, state, reason=reason)
            (ended,) = await rig.post(lambda e=end: rig.verbs.finish([e], NOW))
            assert ended is not None
            acks.synced(before, 2)
            if state in FINAL:
                acks.ended[ended.id] = state
    except YggError:
        return


def verify(rig: Rig, acks: Acknowledged) -> None:
    """Note every acknowledgement that the disk no longer knows of."""
    rows = {i: (s, a) for i, s, a in rig.db.execute("SELECT id, state, attempt FROM tasks")}
    for task_id in acks.submitted:
        if task_id not in rows:
            acks.lost.append(f"submit {task_id}")
    for task_id, attempt in acks.attempts.items():
        if rows.get(task_id, ("", 0))[1] < attempt:
            acks.lost.append(f"claim {task_id}.{attempt}")
    for task_id, state in acks.ended.items():
        if rows.get(task_id, ("", 0))[0] != state:
            acks.lost.append(f"end {task_id}: {state}")


async def run_cuts(cuts: int, seed: int, *, syncing: bool = True) -> Acknowledged:
    """`cuts` power cuts in a row on one disk, with recovery, an audit and new work between them."""
    disk, draw, acks = Disk(seed), random.Random(seed), Acknowledged()
    rig = Rig(disk, syncing=syncing)
    ready: list[Task] = []
    for _ in range(cuts):
        disk.writes_left = draw.randint(1, 120)
        await asyncio.gather(*(client(rig, acks, draw, ready) for _ in range(3)))
        rig.writer.close()
        rig.writer.join()
        disk.cut()
        disk.frozen = True
        rig.db.close()
        disk.frozen = False
        rig = Rig(disk, syncing=syncing)
        audit_connection(rig.db)
        verify(rig, acks)
        if acks.lost:
            break
        await rig.post(lambda rig=rig: rig.verbs.recover(NOW, 10**6))
        ready, acks.claimed = [], {}
    rig.close()
    return acks


@pytest.mark.parametrize("seed", range(4))
async def test_a_claim_can_be_lost_for_200_ms_and_not_after_and_is_counted_then(seed: int) -> None:
    """Power cuts up to 300 ms after a start, with nothing else going on."""
    disk, draw = Disk(seed), random.Random(seed)
    rig = Rig(disk)
    lost = 0
    for wait in (0.0, 0.01, 0.2, *(draw.uniform(0.0, 0.3) for _ in range(6))):
        task = await rig.submit()
        await rig.claim(task)
        began = time.monotonic()
        await asyncio.sleep(wait)
        waited = time.monotonic() - began
        rig = await rig.after_a_cut(disk)
        audit_connection(rig.db)
        was = rig.row(task.id)
        assert was in (("queued", 0, 0), ("processing", 1, 0)), "neither as before nor as after"
        await rig.post(lambda rig=rig: rig.verbs.recover(NOW, 10))
        kept = was[0] == "processing"
        assert rig.row(task.id) == ("queued", int(kept), int(kept))
        lost += not kept
        assert kept or waited < 0.2
    rig.close()
    assert lost, "claims are synced at once: this test sees nothing"


async def synced_since(disk: Disk, syncs: int) -> None:
    """Wait for a sync that came after so many; nobody but the writer itself can be the reason of one."""
    for _ in range(20):
        if disk.syncs > syncs:
            return
        await asyncio.to_thread(disk.synced.wait, 0.25)
        disk.synced.clear()
    raise AssertionError("the writer never syncs by itself")


async def test_a_task_that_takes_the_machine_down_again_and_again_is_blocked(
    no_folding: None,
) -> None:
    disk = Disk()
    rig = Rig(disk)
    task = await rig.submit()
    for crash in (1, 2, 3):
        (head,) = await rig.post(lambda rig=rig: rig.verbs.heads(task.lane, task.priority, 9))
        syncs = disk.syncs
        await rig.claim(head)
        await synced_since(disk, syncs)
        rig = await rig.after_a_cut(disk)
        await rig.post(lambda rig=rig: rig.verbs.recover(NOW, 3))
        assert rig.row(task.id) == ("queued" if crash < 3 else "blocked", crash, crash)
    rig.close()


async def test_reads_behind_a_claim_do_not_count_as_its_sync(no_folding: None) -> None:
    disk = Disk()
    rig = Rig(disk)
    task = await rig.submit()
    syncs = disk.syncs
    await rig.claim(task)
    await rig.post(rig.verbs.running)
    await synced_since(disk, syncs)
    rig = await rig.after_a_cut(disk)
    assert rig.row(task.id) == ("processing", 1, 0)
    rig.close()


async def test_claims_are_answered_without_a_sync_and_every_end_with_one(no_folding: None) -> None:
    disk = Disk()
    rig = Rig(disk)
    tasks = [await rig.submit() for _ in range(3)]
    before = disk.syncs
    claimed = [await rig.claim(t) for t in tasks]
    assert disk.syncs == before
    for task in claimed:
        before = disk.syncs
        await rig.post(lambda t=task: rig.verbs.finish([end_of(t)], NOW))
        assert disk.syncs > before
    rig.close()


async def test_an_end_that_waits_beside_a_claim_is_synced(no_folding: None) -> None:
    disk, gate = Disk(), threading.Event()
    rig = Rig(disk)
    first, second = await rig.submit(), await rig.submit()
    running = await rig.claim(first)
    busy = rig.writer.post(gate.wait)  # so that both come in one group
    claim = rig.post(lambda: rig.verbs.claim([claim_of(second)], NOW), hasty=True)
    end = rig.post(lambda: rig.verbs.finish([end_of(running)], NOW))
    syncs = disk.syncs
    gate.set()
    await asyncio.gather(busy, claim, end)
    assert disk.syncs > syncs
    rig.close()


async def test_what_could_not_be_written_for_sure_is_told_as_unknown(no_folding: None) -> None:
    disk = Disk()
    rig = Rig(disk)
    await rig.submit()
    disk.writes_left = 0
    with pytest.raises(OutcomeUnknown, match="may be done or not"):
        await rig.submit()
    rig = await rig.after_a_cut(disk)
    audit_connection(rig.db)
    rig.close()


async def test_what_was_written_and_not_synced_is_told_as_unknown_and_nothing_follows_it(
    no_folding: None,
) -> None:
    """The next owner writes the log anew: what he promises stands on it."""
    disk = Disk()
    rig = Rig(disk)
    await rig.submit()
    disk.deaf = True
    with pytest.raises(OutcomeUnknown, match="may be done or not"):
        await rig.submit()
    disk.deaf = False
    with pytest.raises(StoreError):
        await rig.submit()
    rig.writer.join()
    disk.kill()
    disk.frozen = True
    rig.db.close()
    disk.frozen = False
    rig = Rig(disk)
    await rig.submit()
    rig = await rig.after_a_cut(disk)
    assert rig.db.execute("SELECT count(*) FROM tasks").get == 3
    audit_connection(rig.db)
    rig.close()


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_acknowledged_is_lost_in_25_power_cuts(seed: int) -> None:
    acks = await run_cuts(25, seed)
    assert acks.lost == []
    assert acks.count > 100


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
async def test_nothing_acknowledged_is_lost_in_50_power_cuts(seed: int) -> None:
    acks = await run_cuts(50, seed)
    assert acks.lost == []
    assert acks.count > 200


async def test_the_rig_sees_the_losses_of_a_store_that_does_not_sync() -> None:
    """SQLite itself syncs only at checkpoints: acknowledged commits vanish."""
    runs = [await run_cuts(3, seed, syncing=False) for seed in range(10)]
    assert sum(bool(acks.lost) for acks in runs) >= 8
