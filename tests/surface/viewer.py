"""Shows the home of the golden files until q, Ctrl-C or SIGTERM; then says what was asked of it."""

from __future__ import annotations

import asyncio
import signal
import sys

from tests.surface.view_world import home
from ygg.model import Snapshot
from ygg.view.live import LiveView
from ygg.view.ui import Action


async def main() -> None:
    asked: list[Action] = []
    over = asyncio.Event()

    async def act(action: Action) -> str:
        asked.append(action)
        return f"{action.verb} {action.host}"

    async def source() -> Snapshot:
        return home()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with LiveView(source, act, over.set, ascii_="--ascii" in sys.argv):
        await over.wait()
    print("over", *(f"{a.verb}:{a.host}" for a in asked))


asyncio.run(main())
