"""Hosts, endpoints, task types and the numbers of the scheduler, as config.py builds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ygg.model.words import Service

#: Options whose change makes a server load the model again (Ollama's `needsReload`): one set per host
#: and model, or two kinds of tasks would take turns reloading it.
LOAD_OPTIONS = frozenset(
    {"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model server on a host. `backend` names the driver: `ollama` or `openai`. `slots` is what it runs at once; None:
    as many as its host."""

    name: str
    backend: str
    url: str
    models: tuple[str, ...] = ()
    dialect: str | None = None  #: openai only: `llama.cpp`, `vllm` or None (found out)
    api_key_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)  #: MiB by model, where given
    slots: int | None = None
    kind: str | None = None  #: `gpu` or `cpu`, where it is not that of its host
    serves: tuple[str, ...] = (Service.TEXT,)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where the readings of a host come from and how far they are trusted.

    `source`: `auto`, `nvml`, `ssh`, `ollama_ps`, `static` or `off`. `on_unknown`: what happens without
    a reading that can be trusted: `conservative` (one slot), `static` (all of them), `hold` (none).
    """

    source: str = "auto"
    ssh: str | None = None  #: `user@machine` or a name of ssh_config
    interval_s: float = 2.0
    timeout_s: float = 4.0
    idle_interval_s: float | None = None  #: samples of a host without work; None: it may sleep
    on_unknown: str = "conservative"
    memory_mb: float | None = None  #: the card's memory where nothing can read it
    servers: tuple[str, ...] = ("ollama", "llama-server", "llama-swap", "vllm", "VLLM::EngineCore")

    @property
    def fresh_s(self) -> float:
        """Three missed samples and a timeout: 10 s by default."""
        return 3 * self.interval_s + self.timeout_s

    @property
    def stale_s(self) -> float:
        """After this a reading says nothing: 30 s by default."""
        return 3 * self.fresh_s


@dataclass(frozen=True, slots=True)
class PressureRule:
    """Memory pressure of one host, percent of used / total. `mode`: `foreign` (slots shrink for memory
    that is not the model servers') or `seed` (the concurrency table 4, 2, 2, 1 over the level)."""

    mode: str = "foreign"
    normal: float = 50.0
    high: float = 70.0
    critical: float = 85.0
    stop: float = 95.0  #: no new starts from here on
    hysteresis: float = 3.0  #: a level is left this far below where it began
    foreign_from: float = 10.0  #: less foreign memory than this is a desktop, not a game


@dataclass(frozen=True, slots=True)
class HeatRule:
    """Heat of one host. `mode`: `limits` (the temperatures here) or `card` (the card's own margin)."""

    mode: str = "limits"
    normal: float = 65.0
    throttle: float = 80.0
    stop: float = 85.0
    cool: float = 5.0  #: starts resume this far below `stop`
    hold_s: float = 30.0  #: for this long
    hot_margin: float = 3.0  #: degrees to the card's own limit
    stop_margin: float = 0.0
    cool_margin: float = 10.0
    assumed_max: float = 88.0  #: of a card that tells no limit


@dataclass(frozen=True, slots=True)
class Residency:
    """How long tasks may wait for a loaded model's sake: the bound, and the shortest stay of a model."""

    max_wait_s: float = 60.0
    min_hold_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Privacy:
    """What of a task is shown beside its answer. `titles`: a task without one is called by the first words it says."""

    titles: bool = True


@dataclass(frozen=True, slots=True)
class Jwt:
    """Who signs JWTs that let in: one of the two files; `issuer` and `audience` are None where any will do."""

    secret_file: str | None = None
    public_key_file: str | None = None
    issuer: str | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a certificate and its private key, in PEM."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Api:
    """Where HTTP is spoken beside the unix socket. `listen`: ADDRESS:PORT each; `hosts`: further names of this machine;
    `require_token`: whether this machine's own programs need one; `insecure`: whether nobody does; `tls`: of TCP."""

    listen: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    require_token: bool = False
    insecure: bool = False
    jwt: Jwt | None = None
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """What Prometheus finds. `listen`: ADDRESS:PORT each where it is served alone; `legacy`: whether with the mission's own
    names beside ygg's."""

    listen: tuple[str, ...] = ()
    legacy: bool = True


@dataclass(frozen=True, slots=True)
class Holds:
    """What a person has stopped: dispatch as a whole, single hosts."""

    paused: bool = False
    drained: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of hosts.yaml. `slots` is the configured limit over all its endpoints, `kind` is `gpu` or `cpu`, of those that
    name none."""

    name: str
    slots: int
    endpoints: tuple[Endpoint, ...]
    kind: str = "gpu"
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    telemetry: Telemetry = Telemetry()
    pressure: PressureRule = PressureRule()
    heat: HeatRule = HeatRule()

    def kind_of(self, endpoint: str) -> str:
        """`gpu` or `cpu`: on which an endpoint runs its models."""
        for one in self.endpoints:
            if one.name == endpoint:
                return one.kind or self.kind
        return self.kind


class Candidate(NamedTuple):
    """One place a task may run: host, endpoint and model. `model` is "" where the server has only one."""

    host: str
    endpoint: str
    model: str

    @property
    def key(self) -> str:
        return f"{self.host}/{self.endpoint}/{self.model}"


@dataclass(frozen=True, slots=True)
class TaskType:
    """What hosts.yaml says of one kind of work. `route` is ordered: the first usable host wins."""

    name: str
    route: tuple[Candidate, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    timeout_s: float = 600.0
    retries: int | None = None  #: attempts allowed after a timeout or error; None: the policy's
    match_labels: tuple[str, ...] = ()
    match_titles: tuple[str, ...] = ()  #: regular expressions, case-insensitive
    choose: str = "order"  #: or "best": rank the whole route by level, load, latency, failures
    gpu: str = "preferred"  #: for tasks that do not say: required, preferred or never
    cache: bool = True  #: whether its tasks may get the answer of an identical one


@dataclass(frozen=True, slots=True)
class Policy:
    """Every number of the scheduler, with the defaults of the design."""

    max_errors: int = 5
    max_deferrals: int = 100
    max_crashes: int = 5
    backoff_s: tuple[float, ...] = (2.0, 8.0, 32.0, 120.0, 300.0)
    jitter: float = 0.2
    defer_s: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 60.0)
    probe_min_s: float = 1.0
    probe_max_s: float = 60.0
    check_every_s: float = 30.0  #: health check of a host without traffic
    ghost_s: float = (
        120.0  #: a call that was cut off before its first token holds its slot so long at most
    )
    regain_slot_s: float = 30.0  #: a limit rises by one slot at most per this time
    ageing_s: float | None = (
        None  #: W: a task gains one priority class per W of waiting; None: strict
    )
    poll_s: float = 2.0
    drain_s: float = 60.0
    interrupted: str = "block"  #: or "requeue"
    timeout_s: float = 600.0
    api_timeout_s: float = 60.0
    connect_s: float = 5.0
    first_token_s: float = 300.0
    between_tokens_s: float = 60.0
    retention_s: float = 7 * 86400.0
    read_retention_s: float = 300.0
    cache_ttl_s: float = 300.0  #: how old an answer may be that an identical request gets; 0: none
    cache_across_callers: bool = False
    capacity: int = 1000
    batch_capacity: int = 100_000
    upload_limit_mb: float = 64.0  #: MiB of one file
    upload_total_mb: float = 8192.0  #: MiB of all that are kept
    residency: Residency = Residency()
    overflow_margin: int = 5  #: a CPU slot helps out when the GPU queue is longer by more than this
    gpu_content_types: tuple[str, ...] = ("audio", "video", "image", "text")
    bundle_sizes: tuple[int, ...] = (8, 6, 4, 1)  #: by level of memory pressure
