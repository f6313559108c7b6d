"""Bugs planted in what readings do: heat, pressure, limits, who is watched."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
HEAT, PRESSURE = "tests/core/hosts/test_heat.py", "tests/core/hosts/test_pressure.py"
LIMITS, READINGS = "tests/core/hosts/test_limits.py", "tests/core/hosts/test_readings.py"

MUTANTS = [
    Mutant(
        "levels have no hysteresis",
        CORE + "hosts/pressure.py",
        "before is not None and before >= step",
        "False",
        (PRESSURE,),
    ),
    Mutant(
        "a full card is used again at once",
        CORE + "hosts/condition.py",
        "waits = now.mono - gauge.room_since < ROOM_S",
        "waits = False",
        (LIMITS,),
    ),
    Mutant(
        "a cooled card is used again at once",
        CORE + "hosts/condition.py",
        "now.mono - gauge.cool_since < rule.hold_s",
        "False",
        (LIMITS,),
    ),
    Mutant(
        "a stale reading is trusted",
        CORE + "hosts/limits.py",
        "return Trust.FRESH if now.mono - gauge.at <= telemetry.fresh_s else Trust.STALE",
        "return Trust.FRESH",
        (LIMITS,),
    ),
    Mutant(
        "an old reading is trusted for ever",
        CORE + "hosts/limits.py",
        "if now.mono >= gauge.at + telemetry.stale_s:",
        "if False:",
        (LIMITS,),
    ),
    Mutant(
        "one reading ends a loss",
        CORE + "hosts/limits.py",
        "PROVEN = 3",
        "PROVEN = 1",
        (LIMITS,),
    ),
    Mutant(
        "a host whose readings died while it was hot is stuck",
        CORE + "hosts/limits.py",
        "found is Trust.UNKNOWN or (",
        "(",
        (LIMITS,),
    ),
    Mutant(
        "a reading that says nothing any more is held",
        "ygg/core/hosts/limits.py",
        "        _lose(host)\n",
        "        pass\n",
        (LIMITS,),
    ),
    Mutant(
        "limits rise at once",
        CORE + "hosts/limits.py",
        "host.regain_at is not None and host.regain_at > now.mono",
        "False",
        (LIMITS,),
    ),
    Mutant(
        "limits rise in one leap",
        CORE + "hosts/limits.py",
        "        host.limit += 1\n",
        "        host.limit = most.slots\n",
        (LIMITS,),
    ),
    Mutant(
        "foreign memory counts as ours",
        CORE + "hosts/pressure.py",
        "sum(p.used_mb for p in processes if is_server(p.name, telemetry))",
        "sum(p.used_mb for p in processes)",
        (PRESSURE, READINGS),
    ),
    Mutant(
        "our own models count as foreign memory",
        CORE + "hosts/pressure.py",
        "return max(0.0, memory.used_mb - ours)",
        "return memory.used_mb",
        (PRESSURE, READINGS),
    ),
    Mutant(
        "a model that was just loaded counts as foreign memory",
        CORE + "hosts/condition.py",
        "< SETTLE_S:",
        "< 0:",
        (READINGS,),
    ),
    Mutant(
        "what was learned too low stays for ever",
        CORE + "hosts/condition.py",
        "FORGETS = 0.005 / 60",
        "FORGETS = 0",
        (READINGS,),
    ),
    Mutant(
        "the coolest card counts",
        CORE + "hosts/heat.py",
        "celsius = max(",
        "celsius = min(",
        (HEAT,),
    ),
    Mutant(
        "a margin is taken for a temperature",
        CORE + "hosts/heat.py",
        "if device.margin_c is not None:",
        "if False:",
        (HEAT,),
    ),
    Mutant(
        "the power cap counts as a slowdown",
        "ygg/model/telemetry.py",
        "return bool((self.reasons or 0) & SLOWED)",
        "return bool((self.reasons or 0) & (SLOWED | 4))",
        (HEAT,),
    ),
    Mutant(
        "a claim under way starts on a host that got too hot",
        "ygg/core/calls.py",
        "board.stopping or gates.stopped(board.hosts[call.candidate.host])",
        "board.stopping",
        (LIMITS,),
    ),
    Mutant(
        "the first start after a rest waits for no reading",
        CORE + "hosts/gates.py",
        "if limits.awaited(host, now):",
        "if False:",
        (READINGS,),
    ),
    Mutant(
        "idle cards are never left alone",
        "ygg/core/watching.py",
        "now.mono - gauge.active >= REST_S",
        "False",
        (READINGS,),
    ),
    Mutant(
        "resting hosts are not woken for work",
        CORE + "step.py",
        "    if board.resting:\n",
        "    if False:\n",
        (READINGS,),
    ),
    Mutant(
        "a model in use is unloaded",
        "ygg/core/placement/remedies.py",
        "if (endpoint, model) not in used",
        "if True",
        (READINGS,),
    ),
    Mutant(
        "impossible readings are believed",
        "ygg/model/telemetry.py",
        "not 0 <= temperature <= 130",
        "False",
        (LIMITS,),
    ),
]
