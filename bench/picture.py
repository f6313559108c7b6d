"""`make picture`: docs/live-view.svg, a frame of the live view from a real run on simulated servers."""

from __future__ import annotations

import asyncio
import io
import os
import re
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.servers import Servers, config_dict, servers
from ygg.model import Snapshot
from ygg.view.render import render

TARGET = Path(__file__).resolve().parents[1] / "docs" / "live-view.svg"
WIDTH, HEIGHT, RUN_S = 104, 30, 40.0
MODELS = {
    "surtr-reasoning": "qwen3:8b",
    "fenrir-chat": "gemma3:4b",
    "skadi-code": "qwen2.5-coder:3b",
}
TITLES = {
    "reasoning": ("Prove the invariant of the lease", "Plan the move of the media server", "Compare three schemas"),
    "text-processing": ("Summarise the meeting notes", "Translate the manual", "Extract dates from the mails"),
    "code-generation": ("Write pytest cases", "Parse 1h30m into seconds", "Refactor the backup script"),
}  # fmt: skip


async def main() -> Snapshot:
    """Run a while; one server goes away, tasks of every priority wait."""
    from ygg import wire
    from ygg.config import from_dict
    from ygg.intake.tasks import new_task

    with tempfile.TemporaryDirectory() as folder, serving() as running:
        settings = config_dict(running.urls)
        for name, model in MODELS.items():
            settings["hosts"][name]["models"] = [model]
        config = from_dict(settings, "picture")
        async with wire.running(config, Path(folder) / "ygg.db") as scope:
            docs = [document(n) for n in range(90)]
            tasks = [new_task(doc, config, caller="local") for doc in docs]
            await scope.dispatcher.submit(tasks)
            await asyncio.sleep(RUN_S)
            scope.dispatcher.snapshot()
            await asyncio.sleep(1)
            view = scope.dispatcher.snapshot()
            scope.hurry.set()
    return view


def serving() -> AbstractContextManager[Servers]:
    return servers(9.0, tokens=320, models=[*MODELS.values()])


def document(number: int) -> dict[str, Any]:
    kind = [*TITLES][number % 3]
    title = TITLES[kind][number // 3 % 3]
    return {"prompt": title, "title": title, "type": kind, "priority": number * 7 % 5}


def draw(view: Snapshot) -> str:
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for row in render(view, WIDTH, HEIGHT):
        line = Text()
        for text, style in row.spans:
            line.append(text, style)
        console.print(line, no_wrap=True)
    svg = console.export_svg(title="ygg loop --async", theme=MONOKAI)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts of another site


if __name__ == "__main__":
    from ygg.running import evented

    os.environ["TZ"] = "UTC"
    TARGET.write_text(draw(evented.run(main())), encoding="utf-8")
    print(TARGET)
