"""How many requests a server works on, in the words of each dialect."""

from __future__ import annotations

import json
import re

#: vLLM's gauges; a line has labels between braces and a number.
_GAUGE = re.compile(
    rb"^vllm:num_requests_(?:running|waiting)(?:\{[^\n]*\})? +([0-9.e+]+) *$", re.MULTILINE
)


def of_slots(body: bytes) -> int | None:
    """Busy slots in llama.cpp's GET /slots; None where it says nothing of them."""
    try:
        slots = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(slots, list) or not slots:
        return None
    told = [slot.get("is_processing") if isinstance(slot, dict) else None for slot in slots]
    busy = [is_busy for is_busy in told if isinstance(is_busy, bool)]
    return sum(busy) if len(busy) == len(told) else None


def of_metrics(body: bytes) -> int | None:
    """Requests that run or wait by vLLM's GET /metrics; None where it does not count them."""
    try:
        counts = [round(float(number)) for number in _GAUGE.findall(body)]
    except (ValueError, OverflowError):
        return None
    return sum(counts) if counts else None
