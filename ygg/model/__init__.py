"""The words of ygg as data: frozen records and enums, standard library only.

Units: fields that end in `_ms` are integer milliseconds (wall-clock times are milliseconds since the Unix
epoch), `_s` are seconds. `None` always means "not known" or "not set", never zero.
"""

from __future__ import annotations

from ygg.model.calls import Call, CallLimits, Counts, Health
from ygg.model.places import Candidate, Endpoint, Holds, Host, Policy, TaskType
from ygg.model.snapshot import (
    EndView,
    GpuView,
    HostView,
    RunningView,
    Snapshot,
    Streamed,
    WaitingView,
)
from ygg.model.tasks import (
    Claim,
    End,
    Head,
    Lane,
    LogRow,
    NewTask,
    Outcome,
    Promoted,
    Recovery,
    Result,
    Submitted,
    Task,
    Usage,
)
from ygg.model.words import (
    FINAL,
    TRANSITIONS,
    GpuNeed,
    HostHealth,
    JsonDict,
    Now,
    Operation,
    OutcomeKind,
    Priority,
    Reason,
    ReasonCode,
    State,
)

__all__ = [
    "FINAL",
    "TRANSITIONS",
    "Call",
    "CallLimits",
    "Candidate",
    "Claim",
    "Counts",
    "End",
    "EndView",
    "Endpoint",
    "GpuNeed",
    "GpuView",
    "Head",
    "Health",
    "Holds",
    "Host",
    "HostHealth",
    "HostView",
    "JsonDict",
    "Lane",
    "LogRow",
    "NewTask",
    "Now",
    "Operation",
    "Outcome",
    "OutcomeKind",
    "Policy",
    "Priority",
    "Promoted",
    "Reason",
    "ReasonCode",
    "Recovery",
    "Result",
    "RunningView",
    "Snapshot",
    "State",
    "Streamed",
    "Submitted",
    "Task",
    "TaskType",
    "Usage",
    "WaitingView",
]
