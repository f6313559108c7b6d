"""What is the matter with a host: one sentence for each thing, the same for view, status and API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.surface.view_world import AT, host
from ygg.api.host_bodies import host_body
from ygg.model import EndpointView, HostHealth, SickView
from ygg.telling.troubles import troubles

DOWN, UP = HostHealth.DOWN, HostHealth.UP
SICK = (SickView("a", "m", "it hangs up", AT + 9000), SickView("b", "", "no answer", AT))


def server(name: str, health: HostHealth, busy_until_ms: int | None = None) -> EndpointView:
    return EndpointView(name, "gpu", 1, 1, 0, health, "gone", 1, busy_until_ms)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"health": HostHealth.UNKNOWN}, []),
        ({"health": DOWN, "health_text": "off", "ask_at_ms": AT + 8000}, ["down: off; asked again in 8 s"]),
        ({"health": HostHealth.UNAUTHORIZED, "health_text": "bad key"}, ["no access: bad key"]),
        ({"health": DOWN, "endpoints": (server("a", UP), server("b", DOWN))}, ["b down"]),
        ({"health": DOWN, "endpoints": (server("a", DOWN), server("b", DOWN))}, ["down"]),
        ({"drained": True}, ["drained: running calls go on, no new ones start: ygg hosts resume x"]),
        ({"busy_until_ms": AT + 30_000}, ["busy, asked again in 30 s"]),
        ({"endpoints": (server("a", UP), server("b", UP, AT + 20_000))}, ["b busy, asked again in 20 s"]),
        ({"limit": 0, "limit_reason": "too hot: 88 °C", "ghosts": 1},
         ["too hot: 88 °C", "1 slot taken by a call that was cut off"]),
        ({"sick": SICK[:1]}, ["m is sick: it hangs up; asked again in 9 s, no task is spent: ygg doctor --try"]),
        ({"sick": SICK, "endpoints": (server("a", UP), server("b", UP))},
         ["m on a is sick: it hangs up; asked again in 9 s, no task is spent: ygg doctor --try",
          "its model on b is sick: no answer; asked again in 1 s, no task is spent: ygg doctor --try"]),
    ],
)  # fmt: skip
def test_each_trouble_is_a_sentence(fields: dict[str, Any], said: list[str]) -> None:
    one = host("x", 1, **fields)
    assert list(troubles(one, AT)) == said
    assert host_body(one, None, AT)["troubles"] == said
