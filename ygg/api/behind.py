"""What stands behind those who take tasks over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ygg.api.tasks import Tasks
from ygg.config import Config
from ygg.ports import Control


class Behind(NamedTuple):
    """`config` is asked anew each time: it may be reloaded. `wall_ms`: the clock of the machine."""

    control: Control
    config: Callable[[], Config]
    wall_ms: Callable[[], int]
    tasks: Tasks
