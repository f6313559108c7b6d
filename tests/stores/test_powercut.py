"""What was acknowledged survives a power cut at any write, whatever the drive does to unsynced sectors."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit_connection
from tests.stores.powercut import Disk
from ygg.errors import YggError
from ygg.model import FINAL, ReasonCode, State, Submitted, Task
from ygg.stores.sqlite import opening, writer
from ygg.stores.sqlite.ledger import Ledger
from ygg.stores.sqlite.verbs import Verbs
from ygg.stores.sqlite.writer import Writer

PATH = "/power.db"
NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def _folding_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FOLD_PAGES", 40)


@dataclass
class Acknowledged:
    """What the store said was done."""

    submitted: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    ended: dict[str, State] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    count: int = 0


class Rig:
    """The store's writer, verbs and ledger on a simulated disk, without the reader threads."""

    def __init__(self, disk: Disk, synchronous: str) -> None:
        self.db = apsw.Connection(PATH, vfs=disk.name)
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")  # one process: no shared memory needed
        opening._prepare(self.db, synchronous)
        opening.migrate(self.db, Path(PATH), fresh=True)
        self.ledger = Ledger(self.db)
        self.verbs = Verbs(self.db, self.ledger, opening.next_epoch(self.db), 7 * 86400.0)
        self.writer = Writer(
            self.db, PATH, before_commit=self.ledger.flush, after=self.ledger.after
        )
        self.writer.start()

    def post(self, work):  # type: ignore[no-untyped-def]
        return self.writer.post(self.ledger.operation(work))

    def close(self) -> None:
        self.writer.close()
        self.writer.join()
        self.db.close()


async def client(rig: Rig, acks: Acknowledged, draw: random.Random, ready: list[Task]) -> None:
    """Submit, claim and end until the power is gone."""
    try:
        while True:
            tasks = [new_task(idempotency_key=None) for _ in range(draw.randint(1, 3))]
            answers = await rig.post(lambda tasks=tasks: rig.verbs.submit(tasks, NOW, None, True))
            for answer in answers:
                assert isinstance(answer, Submitted)
                acks.submitted.add(answer.task.id)
                acks.count += 1
                ready.append(answer.task)
            task = ready.pop(draw.randrange(len(ready)))
            (claimed,) = await rig.post(lambda t=task: rig.verbs.claim([claim_of(t)], NOW))
            if claimed is None:
                continue
            acks.attempts[claimed.id] = claimed.attempt
            state = draw.choice((State.COMPLETED, State.FAILED, State.QUEUED))
            reason = ReasonCode.WITHDRAWN if state is State.QUEUED else ReasonCode.COMPLETED
            end = end_of(claimed, state, reason=reason)
            (ended,) = await rig.post(lambda e=end: rig.verbs.finish([e], NOW))
            acks.count += 2
            if ended is not None and state in FINAL:
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


async def run_cuts(cuts: int, seed: int, synchronous: str = "FULL") -> Acknowledged:
    """`cuts` power cuts in a row on one disk, with recovery, an audit and new work between them."""
    disk, draw, acks = Disk(seed), random.Random(seed), Acknowledged()
    rig = Rig(disk, synchronous)
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
        rig = Rig(disk, synchronous)
        audit_connection(rig.db)
        verify(rig, acks)
        if acks.lost:
            break
        await rig.post(lambda rig=rig: rig.verbs.recover(NOW, 10**6))
        ready = []
    rig.close()
    return acks


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
    """synchronous = NORMAL syncs only at checkpoints: acknowledged commits vanish."""
    runs = [await run_cuts(3, seed, "NORMAL") for seed in range(10)]
    assert sum(bool(acks.lost) for acks in runs) >= 8
