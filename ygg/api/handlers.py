"""Who answers which verb: the parts of the API put together over one Control.

No HTTP here: the HTTP app and the offline desk call the same handlers, so that a command says the same
with a daemon and without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from operator import attrgetter
from typing import Any

from ygg.api.async_ import AsyncFace
from ygg.api.batches import Batches
from ygg.api.behind import Behind
from ygg.api.callers import LOCAL, Caller, Callers, seen, seen_batch
from ygg.api.credentials import Credentials
from ygg.api.described import Described
from ygg.api.ended import Ended
from ygg.api.health import Health
from ygg.api.measured import Measured
from ygg.api.overseeing import Overseeing
from ygg.api.processing import Processing
from ygg.api.pruned import explained
from ygg.api.scraped import Scraped
from ygg.api.stream import Stream
from ygg.api.submits import Submits
from ygg.api.tasks import Tasks
from ygg.api.tokens import Tokens
from ygg.config import Config
from ygg.errors import NotFound
from ygg.intake import times
from ygg.model import JsonDict
from ygg.ports import Control
from ygg.telling.tally import Tally
from ygg.verbs import Verb


class Handlers:
    """The parts, by the names that `desk.VERBS` gives them."""

    def __init__(
        self,
        control: Control,
        config: Callable[[], Config],
        *,
        about: JsonDict | None = None,
        wall_ms: Callable[[], int] = times.wall_ms,
        run_ms: Callable[[], int] | None = None,
        reload: Callable[[], Awaitable[list[str]]] | None = None,
        credentials: Credentials | None = None,
        tally: Tally | None = None,
    ) -> None:
        """`config` is asked anew each time: it may be reloaded. `about`: what the daemon tells of itself in
        the status (`store`, `socket`, `stalls`). `run_ms`: the clock that stored times are of, by default the machine's.
        `reload`: reads hosts.yaml again and says what is different. `credentials`: whose JWTs let in. `tally`: what the
        run counts."""
        self._control, self._config, self._now_ms = control, config, run_ms or wall_ms
        self.callers = Callers(self._now_ms, credentials)
        self.tokens = Tokens(control, self.callers, self._now_ms)
        self.tasks = Tasks(control, config)
        self.submits = Submits(control, config, wall_ms)
        behind = Behind(control, config, wall_ms, self.tasks)
        self.async_ = AsyncFace(behind)
        self.ended = Ended(control)
        self.batches = Batches(behind)
        self.processing = Processing(behind)
        self.stream = Stream(control, self.async_)
        self.overseeing = Overseeing(control, config, about or {}, reload)
        self.measured = Measured(control, config, self._now_ms)
        self.health = Health(control)
        self.scraped = Scraped(control, config, tally or Tally(), about or {})
        self.described = Described(self._handler)

    async def of(
        self,
        verb: Verb[..., Any],
        target: str | None,
        given: Mapping[str, Any],
        caller: Caller = LOCAL,
    ) -> Any:
        """What the verb answers to a caller who may ask it. `target`: the task or host of its path; `given`: what it takes,
        by name."""
        handler = self._handler(verb)
        try:
            if caller.owner is not None and target is not None:
                target = await self._own(verb, target, caller)
            return await handler(*([] if target is None else [target]), **given)
        except NotFound as error:
            if verb.key != "task_id" or target is None or caller.owner is not None:
                raise
            known = await self._control.archive.pruned(target)
            raise explained(error, target, self._config().policy, self._now_ms(), known) from None

    def _handler(self, verb: Verb[..., Any]) -> Callable[..., Any]:
        found: Callable[..., Any] = attrgetter(verb.handler)(self)
        return found

    async def _own(self, verb: Verb[..., Any], target: str, caller: Caller) -> str:
        """What a caller means who sees its own tasks and batches alone: whole ids."""
        if verb.key == "task_id":
            return (await seen(self._control.archive, target, caller)).id
        if verb.key == "batch_id":
            return (await seen_batch(self._control.archive, target, caller)).batch.id
        return target
