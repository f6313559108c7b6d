"""What a simulated server does wrong, and when: scripted, by prompt, or drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One way of misbehaving. The bodies are those of the real servers."""

    ERROR_500 = "error_500"
    OOM = "oom"  #: 500 with an out-of-memory text
    OOM_MIDSTREAM = "oom_midstream"  #: the same text as an error line after some tokens
    BUSY = "busy"  #: 503 without Retry-After
    BUSY_LATER = "busy_later"  #: 503 with Retry-After in seconds
    RATE_LIMITED = "rate_limited"  #: 429 with Retry-After in seconds
    UNAUTHORIZED = "unauthorized"  #: 401
    NO_MODEL = "no_model"  #: 404
    BAD_REQUEST = "bad_request"  #: 400
    CONTEXT = "context"  #: 400, the prompt is longer than the context
    LOAD_FAILURE = "load_failure"  #: 500 after the load time
    ERROR_LINE = "error_line"  #: an error object after some tokens, then the end of the stream
    DONE_AFTER_ERROR = "done_after_error"  #: the error object and then an end marker all the same
    EOF = "eof"  #: the stream ends properly, but without its end marker
    RESET = "reset"  #: the connection is aborted after some tokens
    DROP = "drop"  #: the connection is closed without any answer
    STALL_BEFORE = "stall_before"  #: silence instead of the first token
    STALL_AFTER = "stall_after"  #: silence after some tokens
    GARBAGE = "garbage"  #: a line that is no JSON
    NO_OBJECT = "no_object"  #: a line of JSON that is no object
    HTML = "html"  #: 200 with the page of some proxy
    GATEWAY = "gateway"  #: 502 with the page of some proxy


#: Faults a dispatcher gets over by waiting or by trying again.
PASSING = (Fault.ERROR_500, Fault.BUSY, Fault.ERROR_LINE, Fault.EOF, Fault.RESET, Fault.GARBAGE)


@dataclass(frozen=True)
class FaultPlan:
    """Which call gets which fault: the script first, then prompts, then chance.

    `script` names the fault of the first, second, ... call (None: none). `by_prompt` maps a piece of a
    prompt to the faults of the first, second, ... call that holds it. `rates` are chances from 0 to 1,
    drawn from (`seed`, number of the call), so a run repeats.
    """

    script: Sequence[Fault | None] = ()
    by_prompt: Mapping[str, Sequence[Fault | None]] = field(default_factory=dict)
    rates: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    retry_after: str = "2"  #: the header of BUSY_LATER and RATE_LIMITED
    after_tokens: int = 2  #: how many tokens come before a fault in mid-stream

    @classmethod
    def light(cls, seed: int = 0) -> FaultPlan:
        """About one call in ten fails in a way that passes."""
        return cls(rates=dict.fromkeys(PASSING, 0.1 / len(PASSING)), seed=seed)

    def start(self) -> FaultDeck:
        return FaultDeck(self)


class FaultDeck:
    """A plan being dealt to one server's calls."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._calls = 0
        self._seen: dict[str, int] = {}

    def deal(self, prompt: str) -> Fault | None:
        number = self._calls
        self._calls += 1
        if number < len(self.plan.script):
            return self.plan.script[number]
        for text, faults in self.plan.by_prompt.items():
            if text in prompt:
                return self._next_of(text, faults)
        return self._draw(number) if self.plan.rates else None

    def _next_of(self, text: str, faults: Sequence[Fault | None]) -> Fault | None:
        place = self._seen.get(text, 0)
        self._seen[text] = place + 1
        return faults[place] if place < len(faults) else None

    def _draw(self, number: int) -> Fault | None:
        left = random.Random(self.plan.seed * 1_000_003 + number).random()
        for fault, rate in self.plan.rates.items():
            left -= rate
            if left < 0:
                return fault
        return None
