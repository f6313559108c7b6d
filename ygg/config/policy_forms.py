"""The forms of hosts.yaml that hold the numbers of the scheduler."""

from __future__ import annotations

from pydantic import Field

from ygg.config import values as v
from ygg.config.host_forms import Form
from ygg.model import Policy

P = Policy()  #: the defaults come from there, so that they are written once


class ResidencyForm(Form):
    """Changing a model costs seconds: of equal tasks those whose model is loaded go first, within these bounds."""

    max_wait: v.Span = Field(
        default=P.residency.max_wait_s,
        description="Longest time a task is passed over for tasks whose model is loaded.",
    )
    min_hold: v.Span = Field(
        default=P.residency.min_hold_s,
        description="For this long after a load its own tasks go first even so, among equals. Without any nothing waits.",
    )


class PolicyForm(Form):
    """The numbers of the scheduler. Durations: `60s`, `10m`, `2h`, `7d`, or seconds."""

    max_errors: v.Budget = Field(
        default=P.max_errors,
        description="Errors on healthy hosts after which a task fails.",
    )
    max_deferrals: v.Budget = Field(
        default=P.max_deferrals,
        description="How often servers may put a task off (busy, out of memory) before it fails.",
    )
    max_crashes: v.Budget = Field(
        default=P.max_crashes,
        description="Dispatcher crashes while a task ran after which it is blocked.",
    )
    backoff: v.Steps = Field(
        default=list(P.backoff_s),
        description="Waits after the first, second, ... error of a task; the last one repeats. "
        "The first error goes to another candidate of the route at once, where there is one.",
    )
    jitter: v.Share = Field(
        default=P.jitter, description="Share by which a wait is moved up or down, 0 to 1."
    )
    defer: v.Steps = Field(
        default=list(P.defer_s),
        description="Waits after a busy answer that names no time of its own; the last one repeats.",
    )
    probe_min: v.Duration = Field(
        default=P.probe_min_s, description="First pause before a host that is down is asked again."
    )
    probe_max: v.Duration = Field(
        default=P.probe_max_s, description="Longest pause between questions to a host that is down."
    )
    check_every: v.Duration = Field(
        default=P.check_every_s, description="How often a host without traffic is checked."
    )
    regain_slot: v.Duration = Field(
        default=P.regain_slot_s,
        description="What heat, foreign memory or an out-of-memory answer took of a host's slots comes back one at a time, "
        "one per this time.",
    )
    ghost: v.Duration = Field(
        default=P.ghost_s,
        description="Longest time that a call which was cut off before its first token keeps its slot: until its server "
        "says that it has left. A server that does not tell (Ollama) is believed to be done after 5 s, on a CPU host 30 s.",
    )
    ageing: v.Ageing = Field(
        default=P.ageing_s,
        description="A task gains one priority class per this time of waiting. `off`: strict priority.",
    )
    poll: v.Duration = Field(
        default=P.poll_s,
        description="The safety net: how often the queue is looked at without a cause.",
    )
    drain: v.Duration = Field(
        default=P.drain_s, description="How long a shutdown waits for running tasks."
    )
    interrupted: v.Interrupted = Field(
        default=P.interrupted,  # type: ignore[arg-type]  # Policy keeps it as text
        description="What becomes of tasks that a shutdown cuts off: `block` (a person decides) or "
        "`requeue` (they keep their place). Not set: `$YGG_INTERRUPTED`, which the systemd unit sets to "
        "`requeue`.",
    )
    timeout: v.Duration = Field(
        default=P.timeout_s,
        description="Longest time of one attempt, from its first token.",
    )
    api_timeout: v.Duration = Field(
        default=P.api_timeout_s, description="The same for tasks submitted over /v1/async."
    )
    connect: v.Duration = Field(
        default=P.connect_s, description="Longest time to connect to a server."
    )
    first_token: v.Duration = Field(
        default=P.first_token_s,
        description="Longest wait for the first token, the model's load included. A token is text, a thought or a tool call; "
        "pings, blank lines and empty pieces are none.",
    )
    between_tokens: v.Duration = Field(
        default=P.between_tokens_s, description="Longest wait from one token to the next."
    )
    retention: v.Duration = Field(
        default=P.retention_s, description="How long ended tasks and their results are kept."
    )
    read_retention: v.Duration = Field(
        default=P.read_retention_s,
        description="How long a result is kept after its first read over HTTP; one that the cache lends, at least to the end of `cache_ttl`.",
    )
    cache_ttl: v.Keeping = Field(
        default=P.cache_ttl_s,
        description="How old an answer may be that an identical request gets, instead of a run of its own: those of "
        "`/v1/async/submit`, and tasks that ask for it (`cache`). `off`: every task runs.",
    )
    cache_across_callers: bool = Field(
        default=P.cache_across_callers,
        description="Whether that may be an answer that another caller was given.",
    )
    residency: ResidencyForm = Field(
        default=ResidencyForm(), description="How long tasks wait for a loaded model's sake."
    )
    overflow_margin: v.Margin = Field(
        default=P.overflow_margin,
        description="CPU hosts take tasks that prefer a GPU when more of those wait than CPU tasks by over this number.",
    )
    gpu_content_types: list[v.Text] = Field(
        default=list(P.gpu_content_types),
        description="Content types that profit from a GPU; tasks of others go to CPU hosts first.",
    )
    capacity: v.Capacity = Field(
        default=P.capacity,
        description="Waiting tasks of single submits over HTTP (`POST /v1/async/submit`, `POST /process/file`) above which another one is refused as queue full; others neither count nor are refused by it.",
    )
    batch_capacity: v.Capacity = Field(
        default=P.batch_capacity,
        description="Waiting tasks of all kinds above which a batch, a file of tasks or whatever else comes by `POST /v1/tasks` is refused: each request is taken whole or not at all.",
    )
    upload_limit: v.Memory = Field(
        default=P.upload_limit_mb, description="Largest file that may come with a task: `64MB`."
    )
    upload_total: v.Memory = Field(
        default=P.upload_total_mb,
        description="What all files together may take that are kept with tasks; above it further ones are refused (507). A file "
        "goes with its task.",
    )
