"""The service that looks at snapshots and tells what changed: beside the loop, which never waits for it.

What was told and what still waits is kept in a small file, so that a restart repeats nothing and forgets nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ygg import files, private
from ygg.model import Snapshot
from ygg.model.notices import Notice, Target
from ygg.model.transfer import from_plain, to_plain
from ygg.notify.posting import Post, Send
from ygg.notify.sending import send
from ygg.telling.noticing import Known, seen

log = logging.getLogger("ygg.notifications")

LOOK_S = 5.0  #: between two snapshots
FILE = "notifications.json"  #: in the state directory
FILE_MAX = 4 << 20  #: bytes of it that are read


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a run: what is known, and what each target has not been told yet."""

    known: Known = field(default_factory=Known)
    waiting: Mapping[str, tuple[Notice, ...]] | None = None


class Notifying:
    """Over the snapshots of one run. `targets` is asked anew each time: hosts.yaml may be read again. `times` as of `Post`,
    `tell` gets what is wrong with the targets, a line each."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        targets: Callable[[], tuple[Target, ...]],
        times: Callable[[], tuple[int, int]],
        tell: Callable[[tuple[str, ...]], None],
        state: Path,
        send: Send = send,
    ) -> None:
        self._snapshot, self._targets, self._times, self._tell = snapshot, targets, times, tell
        self._file, self._send = state / FILE, send
        self._posts: dict[str, Post] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever; what waits is kept when it ends."""
        self._kept = await asyncio.to_thread(_read, self._file)
        self._known = self._kept.known
        self._left = dict(self._kept.waiting or {})
        try:
            while True:
                self._look()
                await self._keep()
                await asyncio.sleep(LOOK_S)
        finally:
            for job in self._jobs.values():
                job.cancel()
            await asyncio.gather(*self._jobs.values(), return_exceptions=True)
            await self._keep()

    def _look(self) -> None:
        self._follow(self._targets())
        if not self._posts:
            self._known = Known()  # nobody is told: whoever comes hears of what is the matter then
            return
        view = self._snapshot()
        if view.draining:
            return
        self._known, notices = seen(self._known, view)
        for notice in notices:
            log.info("%s: %s", notice.event, notice.title)
        for post in self._posts.values():
            for notice in notices:
                post.add(notice)
            post.look()
        self._tell(tuple(p.trouble for p in self._posts.values() if p.trouble))

    def _follow(self, targets: tuple[Target, ...]) -> None:
        """Have a way to each of them; one that changed takes over what waits."""
        by_name = {t.name: t for t in targets}
        for name, post in list(self._posts.items()):
            if by_name.get(name) != post.target:
                self._left[name] = post.waiting
                self._jobs.pop(name).cancel()
                del self._posts[name]
        for name, target in by_name.items():
            if name not in self._posts:
                post = Post(target, self._times, self._left.pop(name, ()), self._send)
                self._posts[name] = post
                self._jobs[name] = asyncio.create_task(post.run())
        self._left.clear()  # of targets that are gone
        if not self._posts:
            self._tell(())

    async def _keep(self) -> None:
        """Write what changed. A disk that is full or slow holds nobody up."""
        waiting = {name: post.waiting for name, post in self._posts.items() if post.waiting}
        now = Kept(self._known.kept, waiting or None)
        if now != self._kept:
            self._kept = now
            await asyncio.to_thread(_write, self._file, now)


def _read(file: Path) -> Kept:
    """What is kept; nothing where the file is not there, or none of ours."""
    try:
        return from_plain(Kept, json.loads(files.read(file, FILE_MAX)))
    except FileNotFoundError:
        return Kept()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s cannot be read: %s: messages may come again", file, error)
        return Kept()


def _write(file: Path, kept: Kept) -> None:
    try:
        if kept == Kept():
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
        else:
            private.put(file, json.dumps(to_plain(kept)))
    except OSError as error:
        log.warning("%s cannot be written: %s: messages may come again", file, error)
