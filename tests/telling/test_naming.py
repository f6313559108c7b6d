"""What the log calls a task, while it waits, while it runs, and after it."""

from __future__ import annotations

from tests.core.world import World, host, kind
from ygg.telling.naming import named


def test_a_task_is_known_while_it_waits_runs_and_once_it_has_ended() -> None:
    world = World((host("a", slots=1),), {"code": kind("code", "a")})
    first, second = world.submit(title="first"), world.submit(title="second")
    assert named(world.board, first) == ("code", "first")
    assert first in world.board.call_of
    assert second not in world.board.call_of
    assert named(world.board, second) == ("code", "second")
    world.end(first)
    assert named(world.board, first) == ("code", "first")
    assert named(world.board, "unheard") == ("", "")
