"""A day in which everything goes wrong once: heat, hosts that are down, tasks that fail, work that stands still, readings lost.

`python -m tests.notify.day` prints what was told when, and writes it to docs/notifications.md, between its two marks.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.notify.scene import PHONE, Told, telling
from tests.shell.readings import CARD, FakeProbe
from tests.shell.virtual import House, opened, run_virtual
from ygg.config import from_dict
from ygg.model import OutcomeKind, Reading
from ygg.model.notices import Target, TargetKind
from ygg.ports import ProbeFailed

HOUR = 3600.0
PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
MARKS = ("<!-- a day -->", "<!-- the end of the day -->")
#: Hears all, but nothing but heat until seven.
NIGHTLY = replace(PHONE, name="bedside", quiet=(22 * 60, 7 * 60))
DEAD = Target("dead", TargetKind.WEBHOOK, "http://dead")


HOUSE = {
    "hosts": {
        name: {"backend": "ollama", "url": f"http://{name}:11434", "models": ["m"], "slots": 2}
        for name in ("surtr", "fenrir")
    },
    "task_types": {"general": {"route": ["surtr", "fenrir"]}},
    "policies": {"max_errors": 1, "poll": "5m"},
}


class Probe(FakeProbe):
    """One that may fall silent."""

    silent = False

    async def sample(self) -> Reading:
        reading = await super().sample()
        if self.silent:
            raise ProbeFailed("ssh to surtr is gone")
        return reading


async def at(told: Told, hour: float) -> None:
    """Wait for that hour of the day."""
    await asyncio.sleep(hour * HOUR - told.now())


async def some(home: House, count: int) -> None:
    for n in range(count):
        now = round(asyncio.get_running_loop().time())
        await home.submit(id=f"{now:06}-{n:03}", title=f"Task {n + 1}")


async def heat(home: House, told: Told, probe: FakeProbe) -> None:
    """From three to five the card swings around its limit."""
    for n in range(24):
        degrees = 91.0 if n % 2 else 83.0
        probe.devices = (replace(CARD, temperature_c=degrees, free_mb=11_000.0),)
        await some(home, 4)
        await at(told, 3 + (n + 1) / 12)
    probe.devices = (replace(CARD, temperature_c=55.0, free_mb=11_000.0),)


async def falls(home: House, told: Told) -> None:
    """`fenrir` blips five times, then is down for three hours."""
    place = home.places["fenrir"]
    for n in range(5):
        place.down()
        await some(home, 3)
        await at(told, 8 + n / 20 + 20 / HOUR)
        place.up()
        await at(told, 8 + (n + 1) / 20)
    place.down()
    await some(home, 3)
    await at(told, 11)
    place.up()


async def failures(home: House) -> None:
    """What both hosts say to forty tasks is nothing that can be used."""
    for place in home.places.values():
        place.fault = OutcomeKind.ERROR
    await some(home, 40)
    await asyncio.sleep(HOUR)
    for place in home.places.values():
        place.fault = None


async def stall(home: House, told: Told) -> None:
    """Both hosts say that they are busy, for an hour."""
    for place in home.places.values():
        place.fault, place.retry_after_s = OutcomeKind.BUSY, 300.0
    await some(home, 12)
    await at(told, 17)
    for place in home.places.values():
        place.fault, place.retry_after_s = None, None


async def blind(home: House, told: Told, probe: Probe) -> None:
    """Nothing is read for an hour of work."""
    for place in home.places.values():
        place.latency_s = 300.0
    probe.silent = True
    await some(home, 40)
    await at(told, 20)
    probe.silent = False


async def a_day(home: House, told: Told, probe: Probe) -> None:
    """From midnight to midnight."""
    for place in home.places.values():
        place.latency_s = 6.0
    await some(home, 120)
    await at(told, 3)
    await heat(home, told, probe)
    await at(told, 8)
    await falls(home, told)
    await at(told, 13)
    await failures(home)
    await at(told, 16)
    await stall(home, told)
    await at(told, 19)
    await blind(home, told, probe)
    await at(told, 24)


def played(folder: Path) -> Told:
    """The day, as three targets hear of it: one that is always reached, one with quiet hours, one that is dead."""
    told = Told(targets=(PHONE, NIGHTLY, DEAD), hangs={"dead": 1e6})

    async def main() -> None:
        probe = Probe(replace(CARD, temperature_c=55.0, free_mb=11_000.0))
        config = from_dict(HOUSE, "test")
        home = opened(
            list(config.hosts.values()), config.types, config.policy, checked=False, probes={"surtr": (probe,)}
        )  # fmt: skip
        async with home as found, telling(found, told, folder):
            await a_day(found, told, probe)

    run_virtual(main())
    return told


def table(told: Told) -> str:
    """What each of those that are reached was told, with the times of the simulated day."""
    lines = ["| time | to | title | text |", "|---|---|---|---|"]
    for when, to, letter in told.letters:
        minutes = int(when // 60)
        first = letter.text.splitlines()[0].replace("|", "/")
        lines.append(f"| {minutes // 60:02}:{minutes % 60:02} | {to} | {letter.title} | {first} |")
    return "\n".join(lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        told = table(played(Path(folder)))
    print(told)
    if PAGE.exists():
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        PAGE.write_text(f"{before}{MARKS[0]}\n\n{told}\n\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
