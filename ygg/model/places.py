"""Hosts, endpoints, task types and the numbers of the scheduler, as config.py builds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model server on a host. `backend` names the driver: `ollama` or `openai`."""

    name: str
    backend: str
    url: str
    models: tuple[str, ...] = ()
    dialect: str | None = None  #: openai only: `llama.cpp`, `vllm` or None (found out)
    api_key_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holds:
    """What a person has stopped: dispatch as a whole, single hosts."""

    paused: bool = False
    drained: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of hosts.yaml. `slots` is the configured limit, `kind` is `gpu` or `cpu`."""

    name: str
    slots: int
    endpoints: tuple[Endpoint, ...]
    kind: str = "gpu"
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


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
    """What hosts.yaml says of one kind of work. `route` is ordered: first usable candidate wins."""

    name: str
    route: tuple[Candidate, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    timeout_s: float = 600.0
    retries: int | None = None  #: attempts allowed after a timeout or error; None: the policy's
    match_labels: tuple[str, ...] = ()
    match_titles: tuple[str, ...] = ()  #: regular expressions, case-insensitive


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
    regain_slot_s: float = 30.0  #: one withdrawn slot comes back per this time
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
    capacity: int = 1000
