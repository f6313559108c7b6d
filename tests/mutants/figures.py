"""Planted bugs in what is told of hosts and of the queue."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LOWERED = "tests/core/hosts/test_lowered.py"
SEEN = "tests/telling/test_snapshotting.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a temperature of some time ago is told as if it were of now",
        "ygg/core/hosts/lowered.py",
        "    if limits.trust(host, now) is Trust.FRESH:",
        "    if limits.trust(host, now) is not None:",
        (f"{LOWERED}::test_a_reading_that_is_not_fresh_says_how_old_it_is",),
    ),
    Mutant(
        "a hot host does not tell since when it is cool",
        "ygg/core/hosts/lowered.py",
        "    if since is None:\n        return",
        "    if since is not None:\n        return",
        (
            f"{LOWERED}::test_a_hot_host_tells_the_newest_temperature_and_since_when_it_is_cool_enough",
        ),
    ),
    Mutant(
        "until when a hot host rests is not told",
        "ygg/core/hosts/gates.py",
        "return because(code, name, lowered.until_ms(host, now), why",
        "return because(code, name, None, why",
        (f"{LOWERED}::test_a_waiting_task_says_the_same_and_until_when",),
    ),
    Mutant(
        "what a server was too full for is told as the reason of another limit",
        "ygg/core/hosts/limits.py",
        '        host.limit, host.withdrawn = most.slots, ""',
        "        host.limit = most.slots",
        (f"{LOWERED}::test_a_limit_that_readings_lower_forgets_what_a_server_was_too_full_for",),
    ),
    Mutant(
        "a server that is down offers its slots",
        "ygg/core/hosts/gates.py",
        "    if host.drained or server.open or server.busy_until > now.mono:",
        "    if host.drained or server.busy_until > now.mono:",
        (f"{SEEN}::test_a_host_that_takes_no_call_has_no_free_slot",),
    ),
    Mutant(
        "a server that asked for a pause offers its slots",
        "ygg/core/hosts/gates.py",
        "    if host.drained or server.open or server.busy_until > now.mono:",
        "    if host.drained or server.open:",
        (f"{SEEN}::test_a_host_that_takes_no_call_has_no_free_slot",),
    ),
    Mutant(
        "a host offers more slots than its servers",
        "ygg/core/hosts/gates.py",
        "    return min(servers, max(0, limit(host) - host.busy))",
        "    return max(0, limit(host) - host.busy)",
        (f"{SEEN}::test_a_dead_servers_slots_are_not_the_hosts",),
    ),
]
