"""The driver of the live view, where no real terminal is needed to see it."""

from __future__ import annotations

import errno
import sys
import termios
from contextlib import ExitStack

import pytest

from tests.surface.view_world import home
from ygg.model import Snapshot
from ygg.view import keys
from ygg.view.live import LiveView
from ygg.view.ui import Action


async def source() -> Snapshot:
    return home()


async def act(action: Action) -> str:
    return action.verb


def broken(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), termios.error(errno.EIO, "gone")])
async def test_a_terminal_that_is_gone_while_it_is_given_back_ends_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(view: LiveView) -> None:
        view._terminal = ExitStack()
        view._terminal.callback(broken, error)

    monkeypatch.setattr(LiveView, "_take_terminal", taken)
    monkeypatch.setattr(LiveView, "_draw", lambda self: None)
    async with LiveView(source, act, lambda: None):
        assert not keys.foreground(sys.stdout)
