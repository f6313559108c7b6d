"""What readings change: level, heat, foreign memory, what is loaded; and when a host is watched.

A host with probes is watched from the start and as long as it has work; without any for
`REST_S` its probes rest, so that its card may sleep. Before the first start after a rest one reading is
awaited. Readings that cannot be true are dropped and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ygg.core.board import Board, Gauge, HostState
from ygg.core.effects import Effect, Note, Unload, Watch
from ygg.core.events import HostChecked, ModelUnloaded, ReadingMissed, ReadingTaken
from ygg.core.hosts import heat, limits, pressure
from ygg.core.placement import fitting, links, residency
from ygg.core.placement.fitting import canonical
from ygg.model import HostHealth, Lane, Level, Now, PressureRule, Reading, Reason, ReasonCode, Trust

REST_S = 60.0  #: without work for so long, a host is left alone
SETTLE_S = 30.0  #: memory is no measure for so long after another model was loaded
SEEN = 3  #: readings in a row that must show more, or less, than the loaded models took before
DIP = 0.02  #: share of the card by which a reading may fall and still be believed at once
FORGETS = 0.005 / 60  #: share of the card per second by which what they took is forgotten
ROOM_S = 30.0  #: below the stop for so long, starts resume though it is not far below
UNLOAD_S = 30.0  #: between two attempts to free memory


# --- readings ---------------------------------------------------------------------------------------


def taken(board: Board, event: ReadingTaken, now: Now) -> list[Effect]:
    """Learn from a reading; notes of the limit and the level when they changed."""
    host = board.hosts.get(event.host)
    if host is None or host.removed:
        return []
    fault = event.reading.fault()
    if fault is not None:
        board.invalid_readings += 1
        text = f"{event.host}: impossible reading dropped: {fault}"
        return [Note(Reason(ReasonCode.LIMIT, text, event.host), level="WARNING")]
    for endpoint, models in event.reading.loaded or ():
        _told(board, host, endpoint, models, now)
    if not event.reading.devices or not host.gauge.watching:
        return []
    board.retime = True
    news = _measure(host, event.reading, now)
    return [*news, *_adjusted(board, host, now), *_relieve(board, host, now)]


def _measure(host: HostState, reading: Reading, now: Now) -> list[Effect]:
    gauge = host.gauge
    since = min(now.mono - gauge.at, host.host.telemetry.fresh_s)
    gauge.reading, gauge.at, gauge.error = reading, now.mono, ""
    gauge.streak += 1
    gauge.lost = gauge.lost and gauge.streak < limits.PROVEN
    _feel(host, now)
    return _weigh(host, since, now)


def _feel(host: HostState, now: Now) -> None:
    """Too hot or not: starts stop at once and resume after `hold_s` of cool readings."""
    gauge, rule = host.gauge, host.host.heat
    found = heat.heat_of(gauge.devices, rule)
    if found is None:
        return
    if heat.too_hot(found, rule):
        gauge.hot, gauge.cool_since = True, None
    elif gauge.hot and heat.cooled(found, rule):
        gauge.cool_since = now.mono if gauge.cool_since is None else gauge.cool_since
        gauge.hot = now.mono - gauge.cool_since < rule.hold_s
    else:
        gauge.cool_since = None


def _weigh(host: HostState, since: float, now: Now) -> list[Effect]:
    """Level, fullness and foreign memory, `since` seconds after the last reading; a note when the level
    changed."""
    gauge, rule = host.gauge, host.host.pressure
    memory = pressure.memory_of(gauge.devices)
    if memory is None:
        return []
    before = gauge.level
    gauge.level = pressure.level_of(memory.percent, rule, before)
    _fill(gauge, memory.percent, rule, now)
    gauge.foreign_mb = _foreign(host, memory, since, now)
    if before is gauge.level or (before is None and gauge.level is Level.LOW):
        return []
    name = host.host.name
    text = f"{name}: memory pressure {gauge.level.name}, {memory.percent:.0f} % used"
    return [Note(Reason(ReasonCode.LIMIT, text, name))]


def _fill(gauge: Gauge, percent: float, rule: PressureRule, now: Now) -> None:
    """Full or not: starts stop at once, and resume well below the stop, or below it for a while."""
    if pressure.full(percent, rule):
        gauge.full, gauge.room_since = True, None
    elif gauge.full:
        gauge.room_since = now.mono if gauge.room_since is None else gauge.room_since
        waits = now.mono - gauge.room_since < ROOM_S
        gauge.full = waits and not pressure.relieved(percent, rule)


def _foreign(host: HostState, memory: pressure.Memory, since: float, now: Now) -> float:
    """MiB that are not the model servers'."""
    gauge = host.gauge
    assert gauge.reading is not None
    servers = host.servers.values()
    named = pressure.named_foreign(
        memory,
        gauge.reading.processes,
        host.host.telemetry,
        loaded=any(s.loaded for s in servers),
    )
    if named is not None:
        return named
    if any(s.loaded is None for s in servers):
        return 0.0  # nothing tells what should be in memory
    if now.mono - max(s.loaded_at for s in servers) < SETTLE_S:
        return gauge.foreign_mb
    return _learned_foreign(host, memory, since)


def _learned_foreign(host: HostState, memory: pressure.Memory, seconds: float) -> float:
    """What is used beyond what the same loaded models took before, once it was seen often enough.

    The expectation falls to what was seen leaner several times in a row and slowly forgets: one that was
    learned too low would else count our own memory as foreign for ever."""
    gauge, key = host.gauge, loaded_models(host)
    expected = gauge.footprints.get(key)
    if expected is None:
        expected = _sizes(host, key) or memory.used_mb
    expected += FORGETS * memory.total_mb * seconds
    beyond = memory.used_mb - expected
    lean = beyond < -DIP * memory.total_mb
    gauge.lean_seen = gauge.lean_seen + 1 if lean else 0
    learns = beyond < 0 and (not lean or gauge.lean_seen >= SEEN)
    gauge.footprints[key] = memory.used_mb if learns else expected
    much = beyond >= host.host.pressure.foreign_from / 100 * memory.total_mb
    gauge.foreign_seen = gauge.foreign_seen + 1 if much else 0
    return max(0.0, beyond) if not much or gauge.foreign_seen >= SEEN else gauge.foreign_mb


def _sizes(host: HostState, models: Iterable[str]) -> float | None:
    """The configured sizes of these models together; None when one is not known."""
    found = [fitting.size_mb(host, model) for model in models]
    return None if None in found else sum(s for s in found if s is not None)


def missed(board: Board, event: ReadingMissed, now: Now) -> list[Effect]:
    """A probe came back with nothing. The limit falls once the newest reading is too old."""
    host = board.hosts.get(event.host)
    if host is None or host.removed or not host.gauge.watching:
        return []
    gauge, board.retime = host.gauge, True
    news = event.message != gauge.error
    gauge.error, gauge.streak = event.message, 0
    text = f"{event.host}: no reading from {event.source}: {event.message}"
    note = Note(Reason(ReasonCode.LIMIT, text, event.host), level="WARNING")
    return [*([note] if news else []), *_adjusted(board, host, now)]


def _adjusted(board: Board, host: HostState, now: Now) -> list[Effect]:
    reason = limits.adjust(host, board.policy, now)
    return [Note(reason)] if reason else []


# --- memory ---------------------------------------------------------------------------------------


def _told(
    board: Board, host: HostState, endpoint: str, models: Iterable[str] | None, now: Now
) -> None:
    found = None if models is None else frozenset(canonical(m) for m in models)
    residency.told(board, host, endpoint, found, now)


def checked(board: Board, event: HostChecked, now: Now) -> None:
    """A health check tells of loaded models too; of a server that is down nothing is known."""
    host = board.hosts.get(event.host)
    if host is None:
        return
    if event.health.health is not HostHealth.UP or event.health.loaded is not None:
        _told(board, host, event.endpoint, event.health.loaded, now)


def loaded_models(host: HostState) -> frozenset[str]:
    """All models in memory, as far as the servers of the host tell."""
    return frozenset(m for s in host.servers.values() for m in s.loaded or ())


def _relieve(board: Board, host: HostState, now: Now) -> list[Effect]:
    """Memory is too full for any start: free what no call uses."""
    gauge = host.gauge
    if not gauge.full or gauge.unload_at > now.mono:
        return []
    gauge.unload_at = now.mono + UNLOAD_S
    name = host.host.name
    in_use = fitting.in_use(board, host)
    return [
        Unload(name, endpoint, model)
        for endpoint, server in host.servers.items()
        for model in sorted(server.loaded or ())
        if (endpoint, model) not in in_use
    ]


def unloaded(board: Board, event: ModelUnloaded, now: Now) -> list[Effect]:
    """The server's answer to Unload."""
    host = board.hosts.get(event.host)
    server = host.servers.get(event.endpoint) if host else None
    if server is None:
        return []
    if event.done:
        server.loaded = (server.loaded or frozenset()) - {event.model}
        server.loaded_at = now.mono
    how = "unloaded to free memory" if event.done else f"could not be unloaded {event.message}"
    text = f"{event.host}: {event.model} {how}".rstrip()
    return [Note(Reason(ReasonCode.HOST_PRESSED, text, event.host))]


# --- who is watched ---------------------------------------------------------------------------------


def watch_new(board: Board, probed: Mapping[str, bool], now: Now) -> list[Effect]:
    """Begin with the hosts that have a probe; forget the readings of those that have none any more."""
    for name, host in board.hosts.items():
        kind = name in probed, probed.get(name, False)
        if kind != (host.gauge.probed, host.gauge.measured):
            host.gauge = Gauge(*kind)
            host.limit, host.limit_text = host.host.slots, ""
    fresh = [h for h in board.hosts.values() if h.gauge.probed and not h.gauge.watching]
    return [_watch(board, host, now) for host in fresh if not host.removed]


def _watch(board: Board, host: HostState, now: Now) -> Watch:
    gauge, board.retime = host.gauge, True
    gauge.watching, gauge.asked, gauge.active, gauge.error = True, now.mono, now.mono, ""
    board.resting.discard(host.host.name)
    return Watch(host.host.name, True)


def wake(board: Board, now: Now) -> list[Effect]:
    """Hosts that rest are watched again once they have work; measured ones before it starts."""
    if board.paused or board.draining:
        return []
    names = board.resting & (wanted(board) | {n for n in board.resting if board.hosts[n].busy})
    return [_watch(board, board.hosts[n], now) for n in sorted(names) if not board.hosts[n].drained]


def wanted(board: Board) -> set[str]:
    """Hosts that waiting tasks could run on."""
    waiting: set[Lane] = {head.lane for head in board.where.values()}
    return {c.host for lane in waiting for c in links.open_to(board, lane)}


def rest(board: Board, now: Now) -> list[Effect]:
    """Leave hosts alone that have had no work for `REST_S`; look at resting ones as configured."""
    effects: list[Effect] = []
    busy = wanted(board)
    for name, host in board.hosts.items():
        gauge, every = host.gauge, host.host.telemetry.idle_interval_s
        if not gauge.probed or host.removed:
            continue
        if host.busy or (name in busy and not host.drained):
            gauge.active = now.mono
        elif gauge.watching and now.mono - gauge.active >= REST_S:
            gauge.watching = False
            board.resting.add(name)
            effects.append(Watch(name, False))
        elif not gauge.watching and every is not None and now.mono - gauge.at >= every:
            effects.append(_watch(board, host, now))
            gauge.active = now.mono - REST_S + host.host.telemetry.fresh_s
    return effects


def follow(board: Board, now: Now) -> list[Effect]:
    """What the passing of time alone changes: readings age, slots come back."""
    effects: list[Effect] = []
    for host in board.hosts.values():
        if not host.removed:
            effects += _adjusted(board, host, now)
    return effects


def next_change(host: HostState, now: Now) -> float:
    """When `follow` has something to do for this host, on the monotonic clock."""
    rises = host.limit < host.host.slots and host.regain_at is not None
    regain = host.regain_at if rises and host.regain_at is not None else float("inf")
    known = not host.gauge.measured or limits.trust(host, now) is not Trust.STALE
    times = [limits.changes_at(host), regain if known else float("inf")]
    return min((t for t in times if t > now.mono), default=float("inf"))
