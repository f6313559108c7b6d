"""One short real task: the last step of `ygg init`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ygg.client import connect
from ygg.config import GENERAL, Config
from ygg.desk import Desk
from ygg.errors import TaskFailed, WaitTimeout
from ygg.model import CallLimits, JsonDict, Outcome
from ygg.ops.asking import call_of
from ygg.ops.threads import run_without_waiting
from ygg.running.calls import run_call

PROMPT = "Say hello in one short sentence."
TOKENS = 300  #: a model that thinks first needs some for that
RELOAD = "systemctl reload ygg, or kill -HUP its process"
LIMIT_S = 180.0  #: the first task loads the model


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and where."""

    text: str
    where: str
    took_s: float


def trial(config: Config, socket: str | None, env: Mapping[str, str]) -> Answer:
    """The answer to a short prompt: through the running daemon, else straight from the first place of
    `general`'s route. Raises TaskFailed, WaitTimeout, Unavailable."""
    remote = connect(socket, env)
    if remote is None:
        return run_without_waiting(_straight(config))
    try:
        status = remote.status(probe=False)
        daemon = status["daemon"] or {}
        if daemon.get("paused") or daemon.get("draining"):
            return run_without_waiting(_straight(config))
        stale = {h["name"] for h in status["hosts"]} != set(config.hosts)
        return _queued(remote, f"; it has not read this file yet: {RELOAD}" if stale else "")
    finally:
        remote.close()


def _queued(remote: Desk, note: str) -> Answer:
    begun = time.monotonic()
    doc = {
        "prompt": PROMPT,
        "title": "ygg init: a first task",
        "max_tokens": TOKENS,
        "type": GENERAL,
    }
    (task,) = remote.submit([doc], atomic=True)
    ended = remote.wait(task["id"], LIMIT_S)
    if ended["state"] in ("queued", "scheduled", "processing"):
        raise WaitTimeout(
            f"task {task['id']} is still {ended['state']}", hint=f"ygg why {task['id']}"
        )
    body = remote.result(task["id"])
    if body["state"] != "completed":
        raise TaskFailed(
            f"the test task is {body['state']}: {body.get('error') or body.get('reason')}",
            hint=f"ygg show {task['id']}",
        )
    where = f"{ended.get('host')}, through the daemon{note}"
    return Answer(_said(body["result"] or {}), where, time.monotonic() - begun)


def _said(result: JsonDict) -> str:
    return str(result.get("content") or result.get("thinking") or "").strip()


async def _straight(config: Config) -> Answer:
    from ygg import wire

    place = config.types[GENERAL].route[0]
    endpoint = next(e for e in config.hosts[place.host].endpoints if e.name == place.endpoint)
    backend = wire.backend(endpoint, place.host)
    request: JsonDict = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": TOKENS}
    limits = CallLimits(
        connect_s=5.0, first_token_s=LIMIT_S, between_tokens_s=60.0, total_s=LIMIT_S
    )
    begun = time.monotonic()
    try:
        call = call_of("init-test", place, request, limits)
        (outcome,) = (await run_call(call, backend, lambda _attempt, _item: None)).values()
    finally:
        await backend.close()
    model = f" with {place.model}" if place.model else ""
    return Answer(_text(outcome, place.host), f"{place.host}{model}", time.monotonic() - begun)


def _text(outcome: Outcome, host: str) -> str:
    if outcome.result is None:
        raise TaskFailed(
            f"the test task failed on {host}: {outcome.message}", hint="ygg doctor --try"
        )
    return (outcome.result.content or outcome.result.thinking or "").strip()
