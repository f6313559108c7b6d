"""What each verb of the queue makes of a task.

Every table below is a `Verb`: its guard says which rows it may touch at all, its cases say in order what
becomes of one. The end of an attempt is the union of two sayings: what the dispatcher wants (`core` decides
about retries) is an input; what the row makes of it is said here, on the row as it is at the moment of the
write. So a cancel that was acknowledged before cannot be overtaken by a retry that was decided before it.

Inputs that several verbs share: `now` (wall-clock milliseconds), `keep_s` (how long ended tasks are kept
that say nothing themselves), `epoch` (of the run that writes).
"""

from __future__ import annotations

from ygg.errors import IllegalTransition
from ygg.model.batches import NEVER_MS
from ygg.model.cases import (
    Ahead,
    AtMost,
    Case,
    Either,
    Gone,
    In,
    Is,
    Least,
    Most,
    Ms,
    Not,
    Old,
    OneOf,
    Plus,
    Refusal,
    Stay,
    Unmarked,
    Value,
    Verb,
)
from ygg.model.words import FINAL, TRANSITIONS, ReasonCode, State

POISON = "the daemon died while it ran, as often as policies.max_crashes allows; ygg retry tries it again"
SET_ROWS = 500  #: a verb over a set of rows is cut into operations of this many

_STATE, _NOW = Old("state"), In("now")
_ENDED = tuple(sorted(FINAL))
_CRASHED = Plus(Old("crashes"), 1)


def legal(task_id: str | int, before: State | None, after: State) -> None:
    """Raises IllegalTransition for a change of state that is not in the table of them."""
    if (before, after) not in TRANSITIONS:
        raise IllegalTransition(f"task {task_id}: {before} -> {after} is no legal change")


def _to(**change: Value) -> dict[str, Value]:
    return change


_NOWHERE = _to(host=None, endpoint=None, model=None, epoch=None)


def _over(state: Value, reason: Value) -> dict[str, Value]:
    """It has ended; kept for as long as it asks for, else as all are."""
    kept = Plus(_NOW, Ms(Either(Old("retention_s"), In("keep_s"))))
    return _to(state=state, reason=reason, due_ms=None, finished_ms=_NOW, expires_ms=kept)


def _dead_letter(reason: Value) -> dict[str, Value]:
    """It has failed: kept until a person acts, unless it says for how long."""
    return _over(State.FAILED, reason) | _to(expires_ms=Plus(_NOW, Ms(Old("retention_s"))))


def _queued(reason: Value) -> dict[str, Value]:
    """It waits for a slot from now on, and is nowhere."""
    return _NOWHERE | _to(
        state=State.QUEUED, reason=reason, due_ms=None, queued_ms=_NOW, finished_ms=None,
        expires_ms=None,
    )  # fmt: skip


_OPEN = _to(finished_ms=None, expires_ms=None)
_SUBMITTED = _OPEN | _to(reason=ReasonCode.SUBMITTED)

_TURN = _to(state=State.SCHEDULED, reason=ReasonCode.BATCH_TURN, due_ms=NEVER_MS, queued_ms=None)
_CACHED = _over(State.COMPLETED, ReasonCode.CACHED) | _to(
    queued_ms=None, expires_ms=Plus(_NOW, Ms(Either(In("retention_s"), In("keep_s"))))
)
_WAITS_FOR_TURN = (Is(_STATE, State.SCHEDULED), Is(Old("reason"), ReasonCode.BATCH_TURN))

#: Inputs: not_before_ms, turn, cached (an identical task's answer is stored with it), retention_s. There is no row yet.
SUBMIT = Verb(
    "submit",
    guard=(),
    cases=(
        Case("from the cache", (Is(In("cached"), True),), _CACHED),
        Case("when its turn comes", (Is(In("turn"), True),), _OPEN | _TURN),
        Case(
            "later",
            (Not(Is(In("not_before_ms"), None)), Not(AtMost(In("not_before_ms"), _NOW))),
            _SUBMITTED | _to(state=State.SCHEDULED, due_ms=In("not_before_ms"), queued_ms=None),
        ),
        Case("now", (), _SUBMITTED | _to(state=State.QUEUED, due_ms=None, queued_ms=_NOW)),
    ),
)

#: Inputs: version (as the scheduler saw the row), host, endpoint, model, call.
CLAIM = Verb(
    "claim",
    guard=(
        Is(_STATE, State.QUEUED),
        Is(Old("version"), In("version")),
        Not(AtMost(Old("deadline_ms"), _NOW)),
    ),
    cases=(
        Case(
            "chosen",
            (),
            _to(
                state=State.PROCESSING, reason=ReasonCode.CHOSEN, attempt=Plus(Old("attempt"), 1),
                epoch=In("epoch"), host=In("host"), endpoint=In("endpoint"), model=In("model"),
                call=In("call"), started_ms=_NOW,
            ),
        ),
    ),
)  # fmt: skip

_COUNTED = _to(
    error=In("detail"),
    lane=Either(In("lane"), Old("lane")),
    errors=Plus(Old("errors"), In("add_errors")),
    deferrals=Plus(Old("deferrals"), In("add_deferrals")),
)

#: Inputs: attempt, and what is wanted: state (one that `legal` lets follow processing), reason, detail,
#: lane, due_ms, add_errors, add_deferrals.
END = Verb(
    "end",
    guard=(
        Is(_STATE, State.PROCESSING),
        Is(Old("attempt"), In("attempt")),
        Is(Old("epoch"), In("epoch")),
    ),
    cases=(
        Case(
            "over",
            (OneOf(In("state"), (State.COMPLETED, State.CANCELLED, State.EXPIRED)),),
            _over(In("state"), In("reason")) | _COUNTED,
        ),
        Case(
            "a wish to cancel came before",
            (Is(Old("cancel_requested"), True),),
            _over(State.CANCELLED, ReasonCode.CANCELLED) | _COUNTED,
        ),
        Case("again at once", (Is(In("state"), State.QUEUED),), _queued(In("reason")) | _COUNTED),
        Case(
            "again later",
            (Is(In("state"), State.SCHEDULED),),
            _NOWHERE
            | _COUNTED
            | _to(state=State.SCHEDULED, reason=In("reason"), due_ms=In("due_ms")),
        ),
        Case(
            "a person is needed",
            (Is(In("state"), State.BLOCKED),),
            _COUNTED | _to(state=State.BLOCKED, reason=In("reason")),
        ),
        Case("dead letter", (), _dead_letter(In("reason")) | _COUNTED),
    ),
)

_HAS_ENDED = Refusal(
    "it has ended", (OneOf(_STATE, _ENDED),), "task {id} has already ended: {state}"
)

#: Inputs: running (whether a running one may be cancelled).
CANCEL = Verb(
    "cancel",
    guard=(),
    cases=(
        Stay("it is cancelled", (Is(_STATE, State.CANCELLED),)),
        _HAS_ENDED,
        Refusal(
            "it runs and must not be touched",
            (Is(_STATE, State.PROCESSING), Is(In("running"), False)),
            "task {id} is processing",
            "cancel it without running=false",
        ),
        Case("a wish", (Is(_STATE, State.PROCESSING),), _to(cancel_requested=True)),
        Case("it waits", (), _over(State.CANCELLED, ReasonCode.CANCELLED) | _to(epoch=None)),
    ),
    note=ReasonCode.CANCELLED,
)

_AGAIN = _to(
    errors=0, deferrals=0, crashes=0, cancel_requested=False, read_ms=None,
    lane=Unmarked(refused=True), deadline_ms=Ahead(Old("deadline_ms"), _NOW),
)  # fmt: skip

#: Inputs: turn (whether it waits for those before it in its batch).
RETRY = Verb(
    "retry",
    guard=(),
    cases=(
        Refusal(
            "nothing to retry",
            (OneOf(_STATE, (State.QUEUED, State.PROCESSING, State.COMPLETED)),),
            "task {id} is {state}: there is nothing to retry",
        ),
        Case(
            "when its turn comes again",
            (Is(_STATE, State.CANCELLED), Is(Old("reason"), ReasonCode.BATCH_STOPPED)),
            _AGAIN | _TURN | _NOWHERE | _OPEN,
        ),
        Case(
            "when its turn comes once more",
            (Is(In("turn"), True), Not(Is(_STATE, State.SCHEDULED))),
            _AGAIN | _TURN | _NOWHERE | _OPEN,
        ),
        Case("from the start", (), _queued(ReasonCode.RETRIED) | _AGAIN),
    ),
)  # fmt: skip

#: Inputs: priority.
PRIORITIZE = Verb(
    "prioritize",
    guard=(),
    cases=(_HAS_ENDED, Case("it has not ended", (), _to(priority=In("priority")))),
    note=ReasonCode.PRIORITIZED,
)

#: Inputs: max_crashes.
RECOVER = Verb(
    "recover",
    guard=(Is(_STATE, State.PROCESSING), Not(Is(Old("epoch"), In("epoch")))),
    cases=(
        Case(
            "a wish to cancel came before",
            (Is(Old("cancel_requested"), True),),
            _over(State.CANCELLED, ReasonCode.CANCELLED) | _to(crashes=_CRASHED, epoch=None),
        ),
        Case(
            "poison",
            (AtMost(In("max_crashes"), _CRASHED),),
            _to(
                state=State.BLOCKED,
                reason=ReasonCode.POISON,
                crashes=_CRASHED,
                epoch=None,
                error=POISON,
            ),
        ),
        Case("again", (), _queued(ReasonCode.RECOVERED) | _to(crashes=_CRASHED)),
    ),
)

#: Inputs: until (`now`, or for times that a person has said also the machine's clock).
BECOME_DUE = Verb(
    "become due",
    guard=(Is(_STATE, State.SCHEDULED), AtMost(Old("due_ms"), In("until"))),
    cases=(Case("due", (), _queued(ReasonCode.DUE) | _to(lane=Unmarked(refused=False))),),
)

TAKE_TURN = Verb(
    "take turn",
    guard=_WAITS_FOR_TURN,
    cases=(Case("the ones before have ended", (), _queued(ReasonCode.DUE)),),
)

STOP = Verb(
    "stop",
    guard=_WAITS_FOR_TURN,
    cases=(Case("one before has failed", (), _over(State.CANCELLED, ReasonCode.BATCH_STOPPED)),),
)

EXPIRE = Verb(
    "expire",
    guard=(
        OneOf(_STATE, (State.QUEUED, State.SCHEDULED)),
        AtMost(Old("deadline_ms"), _NOW),
    ),
    cases=(Case("too late", (), _over(State.EXPIRED, ReasonCode.DEADLINE) | _to(epoch=None)),),
)

_LENT_UNTIL = Plus(Old("finished_ms"), Old("lends"))  # to identical tasks

#: Inputs: read_keep_s (how long it is kept from its first reading, unless its answer is lent longer).
TOUCH_READ = Verb(
    "touch read",
    guard=(
        Is(Old("read_ms"), None),
        OneOf(_STATE, (State.COMPLETED, State.CANCELLED, State.EXPIRED)),
    ),
    cases=(
        Case(
            "first reading",
            (),
            _to(
                read_ms=_NOW,
                expires_ms=Least(
                    Old("expires_ms"), Most(Plus(_NOW, Ms(In("read_keep_s"))), _LENT_UNTIL)
                ),
            ),
        ),
    ),
    quiet=True,
)

PRUNE = Verb(
    "prune",
    guard=(AtMost(Old("expires_ms"), _NOW),),
    cases=(Gone("kept long enough", ()),),
)

#: Inputs: state, and age_s (of the youngest that go): a person wants the room, however long they are kept.
CLEAN = Verb(
    "clean",
    guard=(
        OneOf(_STATE, _ENDED),
        Is(_STATE, In("state")),
        AtMost(Plus(Old("finished_ms"), Ms(In("age_s"))), _NOW),
    ),
    cases=(Gone("ended long enough ago", ()),),
)

_NO_DEAD_LETTER = "task {id} is {state}, no dead letter"

DISCARD = Verb(
    "discard",
    guard=(),
    cases=(
        Gone("a person has acted", (Is(_STATE, State.FAILED),)),
        Refusal(
            "it has ended otherwise",
            (OneOf(_STATE, _ENDED),),
            _NO_DEAD_LETTER,
            "ygg retry tries again what was cancelled or has expired, POST /v1/async/cleanup removes what has ended",
        ),
        Refusal(
            "a person is needed",
            (Is(_STATE, State.BLOCKED),),
            _NO_DEAD_LETTER,
            "ygg retry {id} tries it again, ygg cancel {id} ends it",
        ),
        Refusal("it has not ended", (), _NO_DEAD_LETTER, "ygg cancel {id} ends it"),
    ),
)

VERBS = (
    SUBMIT, CLAIM, END, CANCEL, RETRY, PRIORITIZE, RECOVER, BECOME_DUE, TAKE_TURN, STOP, EXPIRE, TOUCH_READ, PRUNE, CLEAN, DISCARD,
)  # fmt: skip
