"""Small builders shared by tests."""

from __future__ import annotations

import itertools

from ygg.model import (
    Candidate,
    Claim,
    End,
    Head,
    Lane,
    NewTask,
    ReasonCode,
    Result,
    State,
    Task,
    ToolCall,
    Usage,
)

PLACE = Candidate("surtr", "main", "m")
ANSWER = Result("forty-two", "stop", "m", "ollama")
#: With everything that an answer can have.
MESSAGE = Result(
    "forty-two", "tool_calls", "m", "ollama", Usage(output_tokens=2, eval_ms=1.5), "hmm",
    (ToolCall("weather", '{"place": "Göteborg"}', "call_1"), ToolCall("clock", "{broken")),
    ({"token": "forty", "logprob": -0.25, "top_logprobs": [{"token": "four", "logprob": -2.5}]},
     {"token": "?", "logprob": None, "bytes": [240, 159]}),
    ((0.1, -2.5e-07, 1.0), (3.0, 0.3333333333333333, 1e300)),
)  # fmt: skip
_ids = itertools.count(1)


def new_task(type_: str = "general", **fields: object) -> NewTask:
    """A valid submit; ids are unique in the process."""
    lane = fields.pop("lane", None) or Lane(type_)
    request = {"messages": [{"role": "user", "content": "hello"}]}
    base = {"id": f"task-{next(_ids):06d}", "lane": lane, "request": request, "body_hash": "h"}
    return NewTask(**(base | fields))  # type: ignore[arg-type]


def claim_of(task: Task | Head, place: Candidate = PLACE) -> Claim:
    return Claim(task.id, task.version, place)


def end_of(task: Task, state: State = State.COMPLETED, **fields: object) -> End:
    """The end of the attempt that `task` is in."""
    done = state is State.COMPLETED
    reason = ReasonCode.COMPLETED if done else ReasonCode.ERROR_BUDGET
    base = {"reason": reason, "result": ANSWER if done else None}
    return End(task.id, task.attempt, state, **(base | fields))  # type: ignore[arg-type]
