"""`make picture`: the scene of `ygg demo` as docs/live-view.svg, a frame of it, and docs/demo.cast, which plays it.

The frames are those of the live view, drawn from the run's own snapshots. The cast is asciinema's format, version 2:
`asciinema play docs/demo.cast`. Of each frame it holds the rows that have changed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ygg.model import Snapshot
from ygg.running import evented
from ygg.running.dispatcher import Dispatcher
from ygg.sim.demo import Report, demo, summary
from ygg.sim.house import Options
from ygg.view.frame import Row
from ygg.view.render import render

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH, HEIGHT, EVERY_S = 104, 30, 0.5
READ_S = 8.0  #: how long the account at the end stays


class Recorder:
    """Frames of a run, each with its time."""

    def __init__(self) -> None:
        self.frames = list[tuple[float, Snapshot]]()

    @asynccontextmanager
    async def show(self, dispatcher: Dispatcher) -> AsyncIterator[None]:
        """Instead of the live view."""
        task = asyncio.create_task(self._watch(dispatcher))
        try:
            yield
        finally:
            task.cancel()

    async def _watch(self, dispatcher: Dispatcher) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            self.frames.append((loop.time() - begun, await dispatcher.view()))
            await asyncio.sleep(EVERY_S)

    @property
    def fullest(self) -> Snapshot:
        """The moment with the most trouble."""
        return max(
            (view for _, view in self.frames),
            key=lambda v: (
                sum(h.limit < h.slots or h.health == "down" for h in v.hosts),
                len(v.recent),
            ),
        )


def line_of(row: Row) -> Text:
    """A row with its styles."""
    return Text.assemble(*row.spans)


def styled(row: Row) -> str:
    """A row with the codes of its styles."""
    console = Console(width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="256")
    with console.capture() as captured:
        console.print(line_of(row), no_wrap=True, end="")
    return captured.get()


def cast(recorder: Recorder, report: Report) -> str:
    """The file that plays it."""
    lines = [json.dumps({"version": 2, "width": WIDTH, "height": HEIGHT, "title": "ygg demo"})]
    before: list[Row] = []
    for at, view in recorder.frames:
        rows = render(view, WIDTH, HEIGHT)
        changed = [
            f"\x1b[{n};1H{styled(row)}"
            for n, row in enumerate(rows, 1)
            if rows[n - 1 : n] != before[n - 1 : n]
        ]
        before = rows
        lines.append(json.dumps([round(at, 2), "o", "".join(changed)], ensure_ascii=False))
    end = recorder.frames[-1][0] + EVERY_S
    account = summary(report).replace("\n", "\r\n")
    lines += [json.dumps([round(end, 2), "o", f"\x1b[2J\x1b[H{account}"], ensure_ascii=False)]
    lines += [json.dumps([round(end + READ_S, 2), "o", "\r\n"])]
    return "".join(f"{line}\n" for line in lines)


def drawn(view: Snapshot) -> str:
    """The frame as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for row in render(view, WIDTH, HEIGHT):
        console.print(line_of(row), no_wrap=True)
    svg = console.export_svg(title="ygg demo", theme=MONOKAI)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts of another site


def main() -> None:
    os.environ["TZ"] = "UTC"
    recorder = Recorder()
    report = evented.run(demo(Options(), recorder.show))
    for name, text in (
        ("live-view.svg", drawn(recorder.fullest)),
        ("demo.cast", cast(recorder, report)),
    ):
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name)
    print(summary(report))


if __name__ == "__main__":
    main()
