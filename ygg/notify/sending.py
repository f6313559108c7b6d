"""One try to bring a letter to a target, whatever its kind. What only one kind needs is loaded for it."""

from __future__ import annotations

import asyncio

from ygg.model.notices import Target, TargetKind
from ygg.notify.letters import Letter
from ygg.notify.trying import NotSent


async def send(target: Target, letter: Letter) -> None:
    """Bring it there within the target's time-out. Raises NotSent."""
    try:
        async with asyncio.timeout(target.timeout_s):
            await _by_kind(target, letter)
    except TimeoutError:
        raise NotSent(f"no answer within {target.timeout_s:g} s") from None


async def _by_kind(target: Target, letter: Letter) -> None:
    match target.kind:
        case TargetKind.NTFY | TargetKind.WEBHOOK:
            from ygg.notify import http

            await http.send(target, letter)
        case TargetKind.COMMAND:
            from ygg.notify import command

            await command.send(target, letter)
        case TargetKind.EMAIL:
            from ygg.notify import mail

            await mail.send(target, letter)
