"""A day in the house, in virtual time: physics of cards, games, probes that die, drivers that hang,
hosts that reboot, and a queue that is rarely empty. Two dispatchers live through it: the real one, which
sees readings as they come, and an oracle of the same limits with the truth at every moment and no
hysteresis, no waiting before a slot comes back. What they complete is compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from random import Random

from tests.core.world import COMPLETED, World, host, kind
from ygg.core import events as ev
from ygg.core.hosts import heat, pressure
from ygg.core.step import step
from ygg.model import Device, Host, HostHealth, OutcomeKind, Process

TICK_S = 2.0  #: one step of physics, and the interval of readings
DAY_S = 24 * 3600.0
TOTAL_MB = 8192.0
OURS_MB = 4000.0  #: of the model, once loaded
GAMES_MB = (0.75 * TOTAL_MB, 0.75 * TOTAL_MB, 0.93 * TOTAL_MB)
LEAVES = 0.08  #: share of the card a model server leaves free
WORK_S = 40.0  #: of one task
HEATS_C = 26.0  #: what one running call adds in the end
SETTLES_S = 90.0  #: time constant of the heat


@dataclass
class Machine:
    """One host as it truly is."""

    host: Host
    random: Random
    air_c: float = 30.0
    celsius: float = 35.0
    game_mb: float = 0.0
    up: bool = True
    loaded: bool = False
    plays_mb: float = 0.0
    #: until when, on the world's clock
    game_until: float = 0.0
    wave_until: float = 0.0
    down_until: float = 0.0
    silent_until: float = 0.0

    def happen(self, now: float) -> None:
        """What chance brings: about one game, two heat waves, two losses, one reboot in six hours."""
        chance = self.random.random
        per_tick = TICK_S / 3600
        if chance() < per_tick / 6:
            self.game_until = now + self.random.uniform(600, 3600)
            self.plays_mb = self.random.choice(GAMES_MB)
        if chance() < per_tick / 3:
            self.wave_until = now + self.random.uniform(600, 2400)
        if chance() < per_tick / 3:
            self.silent_until = now + self.random.choice((5, 20, 45, 400, 4000))
        if chance() < per_tick / 6:
            self.down_until = now + self.random.uniform(30, 200)

    def move(self, now: float, running: int) -> None:
        """Physics of one tick."""
        self.happen(now)
        self.up = now >= self.down_until
        self.loaded = self.up and (self.loaded or running > 0)
        self.game_mb = self.plays_mb if now < self.game_until and self.up else 0.0
        self.air_c = 44.0 if now < self.wave_until else 30.0
        load = running * HEATS_C + (24.0 if self.game_mb else 0.0)
        target = self.air_c + load * (1.0 if self.up else 0.0)
        self.celsius += (target - self.celsius) * (1 - math.exp(-TICK_S / SETTLES_S))

    @property
    def ours_mb(self) -> float:
        room = TOTAL_MB * (1 - LEAVES) - 250.0 - self.game_mb
        return max(100.0, min(OURS_MB, room)) if self.loaded else 0.0

    def device(self) -> Device:
        used = 250.0 + self.game_mb + self.ours_mb
        return Device(
            f"GPU-{self.host.name}", total_mb=TOTAL_MB, free_mb=max(0.0, TOTAL_MB - used),
            temperature_c=round(self.celsius, 1),
        )  # fmt: skip

    def processes(self) -> tuple[Process, ...]:
        found = [Process(1, "/usr/bin/ollama", self.ours_mb)] if self.loaded else []
        return (*found, *([Process(2, "game", self.game_mb)] if self.game_mb else ()))

    def true_slots(self) -> int:
        """What the rules allow at this moment for one who knows everything."""
        device, slots = self.device(), self.host.slots
        if not self.up:
            return 0
        felt = heat.heat_of([device], self.host.heat)
        memory = pressure.memory_of([device])
        assert felt is not None
        assert memory is not None
        rule = self.host.pressure
        if heat.too_hot(felt, self.host.heat) or pressure.full(memory.percent, rule):
            return 0
        level = pressure.level_of(memory.percent, rule)
        share = (250.0 + self.game_mb) / memory.total_mb
        allowed = (
            heat.slots(slots, felt, self.host.heat),
            pressure.slots(slots, level, share, rule),
        )
        return min(allowed)


@dataclass
class Findings:
    """What a day brought."""

    completed: int = 0
    starts_with_reading: int = 0
    hot_starts: list[str] = field(default_factory=list)
    full_starts: list[str] = field(default_factory=list)
    early_raises: list[str] = field(default_factory=list)
    longest_idle_s: float = (
        0.0  #: a host that could work by the truth, had work waiting, and did none
    )


class Unchecked(World):
    """A day has too many steps to recompute every index after each."""

    def feed(self, event: ev.Event, *, settle: bool = True) -> None:
        self.todo += step(self.board, event, self.now)
        if settle:
            self.settle()


class Day:
    """The real dispatcher's day."""

    def __init__(self, seed: int, hosts: tuple[Host, ...] | None = None, *, named: bool) -> None:
        self.random = Random(seed)
        self.hosts = hosts or tuple(host(n, s) for n, s in (("a", 2), ("b", 3), ("c", 1)))
        names = tuple(h.name for h in self.hosts)
        self.world = Unchecked(self.hosts, {"general": kind("general", *names)}, measured=names)
        self.machines = {h.name: Machine(h, Random(f"{seed}{h.name}")) for h in self.hosts}
        self.named = named  # whether the driver tells the processes
        self.ends_at: dict[str, float] = {}
        self.limits = {n: h.limit for n, h in self.world.board.hosts.items()}
        self.changed = dict.fromkeys(names, float("-inf"))
        self.idle = dict.fromkeys(names, 0.0)
        self.looked = 0
        self.found = Findings()

    def run(self, seconds: float = DAY_S) -> Findings:
        end = self.world.mono + seconds
        while self.world.mono < end:
            self._tick()
        return self.found

    def _tick(self) -> None:
        world = self.world
        world.pass_time(TICK_S)
        self._watch_starts()
        self._watch_limits()
        for name, machine in self.machines.items():
            machine.move(world.mono, len(world.running_on(name)))
            if any(e.host == name for e in world.unloads):
                machine.loaded = False
            self._server(name, machine)
        world.unloads.clear()
        for name, machine in self.machines.items():
            self._reading(name, machine)
        for task in [t for t, at in self.ends_at.items() if at <= world.mono and t in world.calls]:
            world.end(task, COMPLETED)
            del world.rows[task], self.ends_at[task]
            self.found.completed += 1
        while len(world.calls) + len(world.board.where) < 10:
            world.submit("general")
        for task in world.calls.keys() - self.ends_at.keys():
            self.ends_at[task] = world.mono + WORK_S
        self._watch_starts()
        self._watch_limits()
        self._watch_idle()

    def _server(self, name: str, machine: Machine) -> None:
        world = self.world
        if not machine.up:
            for task in world.running_on(name):
                self.ends_at.pop(task, None)
                world.fail(task, OutcomeKind.UNREACHABLE)
        for asked in [c for c in world.checks if c[0] == name]:
            world.checks.remove(asked)
            world.check_answer(name, HostHealth.UP if machine.up else HostHealth.DOWN)

    def _reading(self, name: str, machine: Machine) -> None:
        world = self.world
        if name not in world.watched:
            return
        self._watch_starts()  # those before this reading
        if not machine.up or world.mono < machine.silent_until:
            world.feed(ev.ReadingMissed(name, "ssh", "no answer"))
        else:
            device = machine.device()
            loaded = (("main", ("m",) if machine.loaded else ()),)
            processes = machine.processes() if self.named else None
            world.read(name, device, processes=processes, loaded=loaded)
        self._watch_starts()

    def _watch_starts(self) -> None:
        """Every start since the last look must be allowed by the newest reading that is held."""
        for task in self.world.started[self.looked :]:
            name = self.world.rows[task].host or ""
            reading = self.world.board.hosts[name].gauge.reading
            if reading is None:
                continue
            (device,) = reading.devices
            self.found.starts_with_reading += 1
            assert device.temperature_c is not None
            assert device.free_mb is not None
            if device.temperature_c > 85:
                self.found.hot_starts.append(f"{name} at {device.temperature_c}")
            if 1 - device.free_mb / TOTAL_MB >= 0.95:
                self.found.full_starts.append(f"{name} with {device.free_mb} MB free")
        self.looked = len(self.world.started)

    def _watch_limits(self) -> None:
        for name, state in self.world.board.hosts.items():
            if (
                state.limit > self.limits[name]
                and self.world.mono - self.changed[name] < 30 - TICK_S
            ):
                self.found.early_raises.append(f"{name} at {self.world.mono}")
            if state.limit != self.limits[name]:
                self.limits[name], self.changed[name] = state.limit, self.world.mono

    def _watch_idle(self) -> None:
        for name, machine in self.machines.items():
            idle = machine.true_slots() > 0 and not self.world.running_on(name)
            self.idle[name] = self.idle[name] + TICK_S if idle else 0.0
            self.found.longest_idle_s = max(self.found.longest_idle_s, self.idle[name])


class Oracle(Day):
    """The same day, with true readings and no hysteresis: every slot the rules allow is used."""

    def run(self, seconds: float = DAY_S) -> Findings:
        running: dict[str, list[float]] = {n: [] for n in self.machines}
        now = self.world.mono
        end = now + seconds
        while now < end:
            now += TICK_S
            for name, machine in self.machines.items():
                machine.move(now, len(running[name]))
                if not machine.up:
                    running[name].clear()
                self.found.completed += sum(at <= now for at in running[name])
                running[name] = [at for at in running[name] if at > now]
                free = machine.true_slots() - len(running[name])
                running[name] += [now + WORK_S] * max(0, free)
        return self.found


def with_rules(hosts: tuple[Host, ...], **rules: object) -> tuple[Host, ...]:
    return tuple(replace(h, **rules) for h in hosts)  # type: ignore[arg-type]
