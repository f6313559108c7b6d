"""What every way to a target has in common: how a try fails, and where secrets come from."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ygg.config import keys
from ygg.errors import ConfigError
from ygg.plain import clean


class NotSent(Exception):
    """It did not arrive, as far as is known. `again`: whether another try may help. The text holds no secret."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(clean(message)[:300])
        self.again = again


async def secret(file: str | None) -> str:
    """What a file of the target holds now, "" where none is named. Raises NotSent: it may be put right any time."""
    if file is None:
        return ""
    try:
        return await asyncio.to_thread(keys.api_key, Path(file))
    except ConfigError as error:
        raise NotSent(f"no secret: got {error.message}") from None
