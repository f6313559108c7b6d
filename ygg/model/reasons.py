"""Why a task waits or went where it went: a code with its numbers.

Decisions make reasons; `text` makes the sentence for people, from one table, when somebody reads it. A
sentence says what is the matter and, where a person can do something, what to type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ygg.model.words import JsonDict, ReasonCode
from ygg.plain import counted

Facts = Mapping[str, Any]


@dataclass(slots=True)
class Reason:
    """`facts` are the numbers and names of this one case, plain values. `until_ms`: wall-clock time at which
    it ends by itself, where that is known. `said`: words that came with the task, such as an error. Nobody
    changes one; it is not frozen because every start makes several."""

    code: ReasonCode
    host: str | None = None
    until_ms: int | None = None
    facts: Facts = field(default_factory=dict)

    @property
    def text(self) -> str:
        """One sentence for a person."""
        if "said" in self.facts:
            return str(self.facts["said"])
        sentence = SENTENCES.get(self.code, "")
        return (
            sentence if isinstance(sentence, str) else sentence(_Facts(self.facts, host=self.host))
        )

    def as_dict(self) -> JsonDict:
        facts = {k: v for k, v in self.facts.items() if not isinstance(v, tuple)}
        return {
            "code": self.code,
            "text": self.text,
            "host": self.host,
            "until_ms": self.until_ms,
            "facts": facts,
        }


def because(
    code: ReasonCode, host: str | None = None, until_ms: int | None = None, **facts: Any
) -> Reason:
    """A reason with these facts."""
    return Reason(code, host, until_ms, facts)


class _Facts(dict[str, Any]):
    """Facts of a reason; one that an older or newer ygg did not tell reads as "?"."""

    def __missing__(self, name: str) -> str:
        return "?"


def _filled(template: str) -> Callable[[_Facts], str]:
    return lambda facts: template.format_map(facts)


def gb(mb: float) -> str:
    """MiB as GB, as people say it."""
    return f"{mb / 1024:.1f} GB"


def pull(host: str, model: str, message: str) -> str:
    """The command that brings a model to a host whose Ollama said `model 'x' not found`; "" for other errors."""
    lacks = bool(model) and f"model {model} not found" in message.replace("'", "").replace('"', "")
    return f"ygg models pull {model} --host {host}" if lacks else ""


def _full(f: _Facts) -> str:
    where = f"{f['host']}/{f['endpoint']}" if "endpoint" in f else f["host"]
    text = f"{where}: {f['busy']} of {counted(f['limit'], 'slot')} busy"
    return f"{text}, {f['slots']} configured ({f['why']})" if f["why"] else text


def _ghost(f: _Facts) -> str:
    one = f["slots"] == 1
    calls, has, its = ("a call", "has", "its slot") if one else ("calls", "have", "their slots")
    return f"{f['host']}: {calls} cut off before the first token {has} not left the server yet: {its} stay taken"


def _no_host(f: _Facts) -> str:
    if "type" in f:
        return f"no host serves type {f['type']} with these pins: ygg config check"
    return f"{f['host']} is not in hosts.yaml any more"


def _nobody(f: _Facts) -> str:
    if "ran" in f:
        return f"it ran on {f['ran']} when the daemon stopped; the next start queues it again"
    return "no daemon is running: ygg loop --async"


def _too_large(f: _Facts) -> str:
    return f"{f['host']}: {f['model']} needs {gb(f['need_mb'])}, {gb(f['room_mb'])} can be had"


def _swap(f: _Facts) -> str:
    return f"{f['host']}: slot idle on purpose: swap pending: {f['why']}"


def _limit(f: _Facts) -> str:
    if "before" not in f:
        return f"{f['host']} takes no new start: {f['why']}"
    text = f"{f['host']}: limit {f['before']} -> {f['limit']}"
    return f"{text}: {f['why']}" if f["why"] else text


def _sick(f: _Facts) -> str:
    command = pull(f["host"] or "", str(f["model"]), str(f["message"]))
    then = f": {command}" if command else ""
    return (
        f"{f['host']}: {f['model']} is sick: {f['message']}; {f['again']}, no task is spent{then}"
    )


def _backing_off(f: _Facts) -> str:
    last = f" after {f['error']}" if f["error"] else ""
    known = ((f["errors"], "error"), (f["deferrals"], "refusal"))
    after = ", ".join(counted(n, what) for n, what in known if n)
    return f"backing off ({after}){last}" if after else f"backing off{last}"


def _chosen(f: _Facts) -> str:
    if "attempt" in f:
        return f"attempt {f['attempt']} runs on {f['where']}"
    passed = [reason.text for reason in f["passed"]]
    if f["further"]:
        passed.append(f"and {f['further']} more")
    what = f"{f['what']} -> " if "what" in f else ""
    where = f"{f['where']} ({f['kind']}, waiting: {f['gpu']} GPU, {f['cpu']} CPU{f['aside']})"
    decided = f": {f['decided']}" if f["decided"] else ("" if passed else ": first choice")
    return "; ".join([f"{what}{where}{decided}", *passed])


def _store_failed(f: _Facts) -> str:
    again = f" ({f['times']} times in the last minute)" if f["times"] > 1 else ""
    return f"store: {f['message']}{again}"


def _ended(f: _Facts) -> str:
    text = f"{f['state']} on {f['host']}"
    if f["took_ms"] is not None:
        text += f" after {f['took_ms'] / 1000:.2f} s"
    if f["tokens"] is not None:
        text += f", {f['tokens']} tokens"
    if f["state"] not in ("completed", f["reason"]):
        text += f": {f['reason']}"
    return f"{text} ({f['detail']})" if f["detail"] else text


def _behind(f: _Facts) -> str:
    return f"behind better-ranked tasks; {f['then'][0].text}"


def _turn(f: _Facts) -> str:
    whose = "another caller" if f["callers"] == 1 else f"{f['callers']} other callers"
    return f"after a task of {whose} on {f['host']}; {f['then'][0].text}"


def _next(f: _Facts) -> str:
    return {"host": f"{f['host']} could take it", "claim": "being claimed now"}.get(
        f["step"], "starts next"
    )


def _unloaded(f: _Facts) -> str:
    how = "unloaded to free memory" if f["done"] else f"could not be unloaded {f['message']}"
    return f"{f['host']}: {f['model']} {how}".rstrip()


#: One sentence for each code that a person may meet, made from its facts.
SENTENCES: dict[ReasonCode, str | Callable[[_Facts], str]] = {
    ReasonCode.NEXT: _next,
    ReasonCode.BEHIND: _behind,
    ReasonCode.TURN: _turn,
    ReasonCode.CHOSEN: _chosen,
    ReasonCode.HOST_FULL: _full,
    ReasonCode.GHOST: _ghost,
    ReasonCode.HOST_DOWN: _filled("{host} is down: {message}"),
    ReasonCode.HOST_UNAUTHORIZED: _filled("{host} is unauthorized: {message}"),
    ReasonCode.HOST_BUSY: _filled("{host} asked for a pause: {message}"),
    ReasonCode.HOST_SICK: _sick,
    ReasonCode.HOST_DRAINED: _filled("{host} is drained by the operator"),
    ReasonCode.HOST_HOT: _filled("{host} takes no new start: {why}"),
    ReasonCode.HOST_PRESSED: _filled("{host} takes no new start: {why}"),
    ReasonCode.MEASURING: _filled("{host}: a reading of its GPU is awaited"),
    ReasonCode.LIMIT: _limit,
    ReasonCode.MODEL_TOO_LARGE: _too_large,
    ReasonCode.MODEL_HELD_BACK: _filled(
        "{host}: memory pressure CRITICAL, only {smallest} may be loaded"
    ),
    ReasonCode.SERVER_HELD_BACK: _filled(
        "{host}: memory pressure {level}, vLLM gets nothing new that {other} can do"
    ),
    ReasonCode.SWAP_PENDING: _swap,
    ReasonCode.GPU_PREFERRED: _filled(
        "waits for a GPU host: tasks waiting for one {gpu}, for a CPU {cpu}; {host} helps out when the"
        " difference is over {margin}"
    ),
    ReasonCode.CPU_PREFERRED: _filled(
        "waits for a CPU host: {host} is kept for tasks that profit from a GPU"
    ),
    ReasonCode.NO_HOST: _no_host,
    ReasonCode.CANDIDATE_REFUSED: _filled("{host} refused it with {model}"),
    ReasonCode.CANDIDATE_AVOIDED: _filled("{host} is avoided after a failure"),
    ReasonCode.APART: _filled(
        "failed at once with others, which are tried again a few at a time: {running} on {host} now"
    ),
    ReasonCode.FURTHER: _filled("and {count} further candidates"),
    ReasonCode.UNSEEN: _filled("{host} is kept until the store has shown better-ranked tasks"),
    ReasonCode.DENIED: _filled("{host}: {limiter} lets no call start: {message}"),
    ReasonCode.PAUSED: "dispatch is paused: ygg queue resume",
    ReasonCode.DRAINING: _filled("draining, {running} running"),
    ReasonCode.NOT_BEFORE: "not before its time",
    ReasonCode.BACKING_OFF: _backing_off,
    ReasonCode.BATCH_TURN: _filled("the tasks before it in {batch} run first"),
    ReasonCode.BATCH_STOPPED: "cancelled: a task before it in its batch failed",
    ReasonCode.CACHED: "answered from the cache",
    ReasonCode.CANCELLED: _filled("being stopped on {where}"),
    ReasonCode.DEADLINE: "deadline passed",
    ReasonCode.NO_DISPATCHER: _nobody,
    ReasonCode.UNSTORABLE: _filled("its end cannot be stored: {message}"),
    ReasonCode.RESUMED: "dispatch resumed",
    ReasonCode.HOST_RESUMED: _filled("{host} resumed"),
    ReasonCode.HOST_WELL: _filled("{host}: {model} is well again"),
    ReasonCode.HOST_UP: _filled("{host} is up"),
    ReasonCode.ENDED: _ended,
    ReasonCode.STALE_END: _filled("stale end of attempt {attempt} refused"),
    ReasonCode.STORE_FAILED: _store_failed,
    ReasonCode.LEVEL: _filled("{host}: memory pressure {level}, {percent:.0f} % used"),
    ReasonCode.READING_DROPPED: _filled("{host}: impossible reading dropped: {fault}"),
    ReasonCode.READING_MISSED: _filled("{host}: no reading from {probe}: {message}"),
    ReasonCode.CARD_LOST: _filled("{host}: {card} is lost: {message}"),
    ReasonCode.CARD_BACK: _filled("{host}: {card} is read again"),
    ReasonCode.UNLOADED: _unloaded,
    ReasonCode.OPTIONS_UNUSED: _filled(
        "{options} not used: hosts.yaml fixes how {model} is loaded"
    ),
}
