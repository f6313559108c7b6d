"""What has become due, and when to look again.

Due are: failed store writes, the pass over due tasks, the safety-net poll, slots to give back and health
checks. `wake` asks for one Ticked at the earliest of them; an idle dispatcher wakes once per poll.
"""

from __future__ import annotations

from ygg.core import dispatching, gates, readings, residency
from ygg.core.effects import CheckHost, Effect, Finish, ListLanes, Promote, WakeAt
from ygg.core.state import State
from ygg.model import Now


def due(state: State, now: Now) -> list[Effect]:
    """Everything whose time has come."""
    effects: list[Effect] = []
    if state.store_retry_at is not None:
        if state.store_retry_at > now.mono:
            return effects
        effects += _store_again(state, now)
    if not state.hosts:
        return effects
    if not state.promoting and _promotion_at(state, now) <= now.mono:
        state.promoting = True
        effects.append(Promote())
    if state.poll_at <= now.mono:
        state.poll_at = now.mono + state.policy.poll_s
        state.forget_idle_lanes()
        residency.forget(state)
        effects += [ListLanes(), *readings.rest(state, now)]
    effects += readings.follow(state, now)
    effects += _due_hosts(state, now)
    return effects


def _store_again(state: State, now: Now) -> list[Effect]:
    """The pause after a store failure is over: write what was refused, then dispatch."""
    state.store_retry_at = None
    effects: list[Effect] = [Finish((end,)) for end in state.unwritten.values()]
    state.unwritten.clear()
    return effects + dispatching.dispatch(state, now)


def _promotion_at(state: State, now: Now) -> float:
    """Monotonic time of the next pass over due times; the poll makes one too."""
    if state.next_due_ms is None:
        return state.poll_at
    return min(state.poll_at, now.mono + (state.next_due_ms - now.wall_ms) / 1000)


def _due_hosts(state: State, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    for name, host in state.hosts.items():
        if host.removed:
            continue
        for endpoint, server in host.servers.items():
            gates.calm(server, state.policy, now)
            if not server.checking and server.check_at <= now.mono:
                server.checking = True
                effects.append(CheckHost(name, endpoint))
    return effects


def wake(state: State, now: Now) -> list[Effect]:
    """WakeAt for the earliest thing to come, when it differs from the last one asked for."""
    state.retime = False
    times = [] if not state.hosts else [state.poll_at, _hosts_change(state, now)]
    if state.store_retry_at is not None:
        times = [state.store_retry_at]
    elif state.next_due_ms is not None and not state.promoting:
        times.append(_promotion_at(state, now))
    at = max(now.mono, min(times, default=float("inf")))
    if at == float("inf") or at == state.wake_at:
        return []
    state.wake_at = at
    return [WakeAt(at)]


def _hosts_change(state: State, now: Now) -> float:
    times = [float("inf")]
    for host in (h for h in state.hosts.values() if not h.removed):
        times.append(readings.next_change(host, now))
        for server in host.servers.values():
            if not server.checking:
                times.append(server.check_at)
            if server.swap_to and server.held_until > now.mono:
                times.append(server.held_until)
            if server.busy_until > now.mono:
                times.append(server.busy_until)
            elif server.busy_times and (calm := gates.calm_at(server, state.policy)) > now.mono:
                times.append(calm)
    return min(times)
