"""A finding of `ygg doctor`, and how checks are run: all at once, each under a deadline."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from ygg.desk import JsonDict

DEADLINE_S = 3.0  #: for one check


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` is what to do about it, or a hint on a finding that is in order."""

    name: str
    category: str
    status: Status
    message: str
    detail: str = ""
    fix: str = ""

    def body(self) -> JsonDict:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the findings of one subject."""

    name: str
    category: str

    def ok(self, message: str, detail: str = "", fix: str = "") -> Check:
        return Check(self.name, self.category, Status.OK, message, detail, fix)

    def warning(self, message: str, detail: str = "", fix: str = "") -> Check:
        return Check(self.name, self.category, Status.WARNING, message, detail, fix)

    def error(self, message: str, detail: str = "", fix: str = "") -> Check:
        return Check(self.name, self.category, Status.ERROR, message, detail, fix)


@dataclass(frozen=True, slots=True)
class Probe:
    """A subject to look at. `run` may raise: that is a finding too, a bug of ygg."""

    name: str
    category: str
    run: Callable[[], Awaitable[list[Check]]]


async def run_all(probes: Iterable[Probe]) -> list[Check]:
    """The findings of all probes in their order, each under the deadline. Never raises."""
    found = await asyncio.gather(*(_bounded(probe, DEADLINE_S) for probe in probes))
    return [check for checks in found for check in checks]


async def _bounded(probe: Probe, deadline_s: float) -> list[Check]:
    of = Maker(probe.name, probe.category)
    limit = asyncio.timeout(deadline_s)
    try:
        async with limit:
            return await probe.run()
    except Exception as bug:  # noqa: BLE001 - a check that breaks must not hide the others
        if isinstance(bug, TimeoutError) and limit.expired():
            return [of.error(f"no answer within {deadline_s:g} s")]
        last = traceback.format_exception(bug)[-2:]
        text = f"bug: {type(bug).__name__}: {bug}"
        return [of.error(text, "".join(last).strip(), "report it, with this detail")]
