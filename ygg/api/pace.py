"""How long a batch may still take, from what was measured."""

from __future__ import annotations

from ygg.model import BatchView, State
from ygg.ports import Control, Filter
from ygg.telling.rates import mean_took_ms

COUNTED = 100_000  #: tasks before the last one that are counted


async def left_ms(control: Control, view: BatchView) -> int | None:
    """Until the last task of the batch has ended: until it starts, and then as long as tasks take. Of a sequence as long
    as that for each that is left. 0 once it is over, None while it is not known."""
    if view.over:
        return 0
    snapshot = await control.view()
    took_ms = mean_took_ms(snapshot.recent) if snapshot is not None else None
    if took_ms is None:
        return None
    if view.batch.on_failure is not None:
        return took_ms * (view.batch.total - view.ended)
    which = Filter(batch=view.batch.id, states=(State.QUEUED,), limit=1)
    last = next(iter(await control.archive.find(which)), None)
    if last is None:
        return took_ms
    ahead = await control.archive.ahead(last, control.rivals(last.lane), COUNTED)
    wait_ms = control.wait_estimate_ms(last, ahead)
    return None if wait_ms is None else wait_ms + took_ms
