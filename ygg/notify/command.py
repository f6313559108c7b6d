"""A command as a target: a program of the user's, without a shell, in a process group of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from typing import IO

from ygg.model.notices import Target
from ygg.notify.letters import Letter
from ygg.notify.trying import NotSent

STDERR_MAX = 500  #: bytes of its last words


async def send(target: Target, letter: Letter) -> None:
    """Run it; the letter is on its stdin as JSON. Raises NotSent unless it ends with 0; killed where it is cancelled."""
    with tempfile.TemporaryFile() as stderr:
        process = await _started(target, letter, stderr)
        try:
            with contextlib.suppress(ConnectionError):  # it need not read
                await process.communicate(letter.json)
        finally:
            _end(process)
        if process.returncode:
            raise NotSent(f"{target.command[0]} ended with {process.returncode}{_said(stderr)}")


async def _started(target: Target, letter: Letter, stderr: IO[bytes]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *target.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr, start_new_session=True, env=os.environ | _named(letter),
        )  # fmt: skip
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NotSent(f"{target.command[0]} cannot be run: {why}") from None


def _named(letter: Letter) -> dict[str, str]:
    """For scripts that read no JSON. Of several notices the events and hosts, each once."""
    events = dict.fromkeys(n.event for n in letter.notices)
    hosts = dict.fromkeys(n.host for n in letter.notices if n.host)
    return {
        "YGG_EVENT": " ".join(events), "YGG_HOST": " ".join(hosts),
        "YGG_TITLE": letter.title, "YGG_TEXT": letter.text,
    }  # fmt: skip


def _end(process: asyncio.subprocess.Process) -> None:
    """It and all that it started; what has ended by itself leaves its children alone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _said(stderr: IO[bytes]) -> str:
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - STDERR_MAX))
    text = " ".join(stderr.read().decode(errors="replace").split())
    return f": {text}" if text else ""
