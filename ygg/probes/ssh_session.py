"""One connection's worth of readings: nvidia-smi as a stream, and what to do where that does not work.

Where a pipe holds the stream's lines back, `stdbuf` is tried, then one command for each reading. Drivers
that do not know a field are asked without it, and those that say nothing of any card because one is lost are
asked of the others. What worked is kept for the next connection. A driver that hangs keeps every nvidia-smi
that is started, so each further silence is waited out longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import IntEnum

from ygg.model import Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes import sick, smi
from ygg.probes.remote import Connection, Run, ask, running
from ygg.probes.ssh_beside import Beside

SPARE_S = 2.0  #: beyond two intervals, before a silence means something
GAP_S = 0.25  #: rows of one moment come closer together than this
NOISE = 50  #: lines that are no rows, such as a shell's greeting, before giving up
QUIET = "LC_ALL=C "
MISSING = ("not found", "not recognized", "unknown command")

Moments = AsyncGenerator[tuple[smi.Row, ...], None]


class Way(IntEnum):
    """How rows are had, the cheapest first."""

    STREAM = 0
    UNBUFFERED = 1
    SINGLE = 2


@dataclass(slots=True)
class Habits:
    """What is known of a machine's ways."""

    way: Way = Way.STREAM
    works: bool = False  #: rows came this way
    query: smi.Query = field(default_factory=smi.Query)
    prefix: str = QUIET  #: "" for shells that take no variables, such as those of Windows
    silences: int = 0  #: in a row
    known: dict[int, smi.Row] = field(default_factory=dict)  #: of cards that were well, by index

    def command(self, interval_s: float) -> str:
        whole = interval_s == int(interval_s)
        loop = f"-l {interval_s:.0f}" if whole else f"-lms {1000 * interval_s:.0f}"
        loop = "" if self.way is Way.SINGLE else f" {loop}"
        unbuffered = "stdbuf -oL " if self.way is Way.UNBUFFERED else ""
        return f"{self.prefix}{unbuffered}{self.query.command}{loop}"

    def worked(self) -> None:
        self.works, self.silences = True, 0

    def failed(self) -> None:
        """Begin anew unless something is known to work."""
        if not self.works:
            self.way, self.query, self.prefix = Way.STREAM, smi.Query(), QUIET


class Session:
    """Readings over one connection to `who`, as a person wrote it."""

    def __init__(
        self, connection: Connection, who: str, telemetry: Telemetry, habits: Habits
    ) -> None:
        self._connection, self._who, self._habits = connection, who, habits
        self._interval_s = telemetry.interval_s
        self._silence_s = max(2 * telemetry.interval_s + SPARE_S, telemetry.timeout_s)
        self._beside = Beside(connection, self._silence_s)
        self._asking: asyncio.Task[None] | None = None
        self._noise: list[str] = []
        self._complaint: sick.Complaint | None = None
        habits.query = replace(habits.query, only=())  # a card that was lost may be back

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Endless. Raises ProbeFailed, and what the connection raises when it breaks."""
        try:
            while True:
                async with aclosing(self._rows()) as moments:
                    async for rows in moments:
                        reading = await self._reading(self._well(rows))
                        self._habits.worked()
                        yield reading
        except ValueError as why:
            raise self._error(str(why), smi.advice(str(why)) or FORCED) from None
        except ProbeFailed:
            self._habits.failed()
            raise
        finally:
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.wait({self._asking})

    def _begin_asking(self) -> asyncio.Task[None]:
        """Now that the words are known that are understood there."""
        habits = self._habits
        return asyncio.create_task(self._beside.run(habits.query, habits.prefix))

    def _well(self, rows: tuple[smi.Row, ...]) -> tuple[smi.Row, ...]:
        """The rows of a moment, lost cards among them. Raises ValueError when no card is well."""
        well = {row.device.index: row for row in rows if not row.device.error}
        if not well:
            raise ValueError(rows[0].device.error)
        self._noise = []
        self._habits.known |= well
        return sick.whole(rows, self._habits.known, self._complaint)

    async def _reading(self, rows: Iterable[smi.Row]) -> Reading:
        self._asking = self._asking or self._begin_asking()
        await self._beside.answered()
        limits = self._beside.limits
        devices = [replace(row.device, max_c=limits.get(row.bus_id)) for row in rows]
        memory = await self._beside.memory() if any(d.unified for d in devices) else None
        shared = tuple(smi.shared(device, memory) for device in devices)
        return Reading("ssh", shared, self._beside.processes)

    def _rows(self) -> Moments:
        self._noise = []
        return self._single() if self._habits.way is Way.SINGLE else self._stream()

    # --- a stream ---------------------------------------------------------------------------------------

    async def _stream(self) -> Moments:
        """The moments of one long command. Its end, if no error, means to try something else."""
        seen = 0
        command = self._habits.command(self._interval_s)
        async with running(self._connection, command) as run, aclosing(self._moments(run)) as found:
            try:
                async for rows in found:
                    seen += 1
                    yield rows
            except TimeoutError:
                self._silent()
            else:
                await self._ended(await run.status(), seen)

    async def _moments(self, run: Run) -> Moments:
        """Raises TimeoutError when nothing comes for too long."""
        ticks = smi.Ticks()
        line: str | None = ""
        while line is not None:
            quiet = False
            try:
                async with asyncio.timeout(self._patience_s(ticks)):
                    line = await run.line()
            except TimeoutError:
                if not ticks.pending:
                    raise
                quiet = True
            row = None if quiet or line is None else self._row(line)
            rows = ticks.flush() if quiet or line is None else ticks.add(row) if row else ()
            if rows:
                yield rows

    def _patience_s(self, ticks: smi.Ticks) -> float:
        """How long the next line may take."""
        if ticks.pending:
            return max(GAP_S, self._interval_s / 2) if ticks.counted else GAP_S
        return self._silence_s * float(1 << min(10, self._habits.silences // 3))

    def _row(self, line: str) -> smi.Row | None:
        """None for a line that is none. Raises ValueError, also for too many of those."""
        if not line.strip():
            return None
        try:
            return self._habits.query.row(line)
        except ValueError as why:
            if smi.looks_like_a_row(line):
                return sick.row(self._habits.query, line, str(why))
            if len(self._noise) >= NOISE:
                raise
        self._noise.append(line)
        self._complaint = sick.complaint(line) or self._complaint
        return None

    # --- one command for each reading ---------------------------------------------------------------------

    async def _single(self) -> Moments:
        command = self._habits.command(self._interval_s)
        while True:
            due = asyncio.get_running_loop().time() + self._interval_s
            limit_s = self._patience_s(smi.Ticks())
            text, status = await ask(self._connection, command, limit_s)
            self._noise = []
            newest = {row.device.uuid: row for row in map(self._row, text.splitlines()) if row}
            if newest:
                yield tuple(sorted(newest.values(), key=lambda row: row.device.index))
            elif status is None:
                self._silent()
                return
            else:
                await self._ended(status, 0)
                return
            await asyncio.sleep(due - asyncio.get_running_loop().time())

    # --- what an end means ----------------------------------------------------------------------------------

    def _silent(self) -> None:
        """Go on to the next way, unless this one is known to work or was the last."""
        habits = self._habits
        habits.silences += 1
        if habits.works or habits.way is Way.SINGLE:
            raise self._error("says nothing", HUNG)
        habits.way = Way(habits.way + 1)

    async def _ended(self, status: int | None, seen: int) -> None:
        """The command is over: find another one that may work, or raise."""
        habits, said = self._habits, smi.plain(" ".join(self._noise))
        if seen == 1 and status == 0:
            habits.way = Way.SINGLE  # the login is bound to a command without -l
        elif others := await self._others():
            habits.query = replace(habits.query, only=others)
        elif seen:
            raise self._error(_exit(status, said), smi.advice(said) or HUNG)
        elif status in (126, 127) or (status and any(w in said.lower() for w in MISSING)):
            self._missing(said)
        elif fix := smi.advice(said):
            raise self._error(_exit(status, said), fix)
        elif (other := habits.query.instead(said)) is not None:
            habits.query = other
        else:
            raise self._error(
                _exit(status, said), smi.advice(said) or BY_HAND.format(who=self._who)
            )

    async def _others(self) -> tuple[str, ...]:
        """The cards but the one that it complains about; () when it does not, or did so again."""
        said = next(filter(None, map(sick.complaint, self._noise)), None)
        if said is None or self._habits.query.only:
            return ()
        well = [r.device.uuid for r in self._habits.known.values() if not said.about(r)]
        if well:
            return tuple(well)
        text, _ = await ask(self._connection, self._habits.prefix + sick.LIST, self._silence_s)
        return sick.uuids(text)

    def _missing(self, said: str) -> None:
        """The shell there does not know a word of the command."""
        habits = self._habits
        if habits.way is Way.UNBUFFERED:
            habits.way = Way.SINGLE
        elif habits.prefix and "LC_ALL" in said:
            habits.prefix = ""
        else:
            raise ProbeFailed(f"there is no nvidia-smi on {self._who}", hint=INSTALL)

    def _error(self, what: str, hint: str) -> ProbeFailed:
        return ProbeFailed(f"nvidia-smi on {self._who}: {what}", hint=hint)


def _exit(status: int | None, said: str) -> str:
    how = "killed" if status is None else f"exit {status}"
    return f"it ended ({how}){': ' if said else ''}{said}"


FORCED = "a command that authorized_keys forces must be the one in docs/operations.md"
HUNG = "a driver that hangs needs a reboot of that machine; look into dmesg for NVRM and Xid"
BY_HAND = "see what `ssh {who} nvidia-smi` says"
INSTALL = (
    "install the NVIDIA driver there, or put nvidia-smi on the PATH of logins without a terminal"
)
