"""A progress bar on stderr, for commands that take minutes. Loads rich: import it when needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ygg.view.text import clean

if TYPE_CHECKING:
    from ygg.ops.models.inventory import Pulling


@contextmanager
def bar(title: str) -> Iterator[Callable[[Pulling], None]]:
    """What is called inside with the state of a pull draws it."""
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[status]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(clean(title), total=None, status="")

        def draw(so_far: Pulling) -> None:
            progress.update(
                task,
                completed=so_far.done,
                total=so_far.total or None,
                status=clean(so_far.status)[:40],
            )

        yield draw
