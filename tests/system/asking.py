"""What schemathesis asks a daemon, made to reach what is there: loaded by it, over $SCHEMATHESIS_HOOKS.

Every second request that names a task or a batch means one that was just submitted: a random id never is one. What
came is noted for the test: a line `operation status` for each answer.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import schemathesis

URL = os.environ["YGG_ASKED_AT"]
NOTES = Path(os.environ["YGG_NOTES"])
BREAKS = os.environ["YGG_BREAKS"]  #: in a prompt that the server refuses
_http = httpx.Client(base_url=URL, timeout=60)
RARE = {"host", "model", "not_before", "deadline", "retention", "timeout", "content_type"}
BRIEF_S, DEFAULT = 0.1, 30.0
STREAMS = (
    "/follow",
    "/stream/{task_id}",
)  #: these answer when the task has ended: they mean one that has
_counts: dict[str, itertools.count[int]] = defaultdict(itertools.count)
_KINDS = itertools.cycle(
    ({"prompt": "hello"}, {"prompt": BREAKS}, {"prompt": "later", "not_before": "1h"})
)


def _submitted(operation: str, key: str) -> str:
    """A new one: that runs, that fails, that waits for its time."""
    doc: dict[str, Any] = next(_KINDS)
    if "dead-letters" in operation or operation.endswith(STREAMS):
        doc = {"prompt": BREAKS}
    made = _http.post("/v1/batches", json={"tasks": [doc | {"priority": "CRITICAL"}]}).json()
    task_id = str(made["task_ids"][0])
    if "not_before" not in doc:
        _http.get(f"/v1/tasks/{task_id}/wait")
    return task_id if key == "task_id" else str(made["batch_id"])


def _be_brief(case: Any, operation: str) -> None:
    """Whoever may wait long does not."""
    asked = dict(case.query or {})
    if operation.endswith("/wait"):
        asked.setdefault("timeout", DEFAULT)
    for key in ("wait", "timeout"):
        with contextlib.suppress(TypeError, ValueError):
            asked[key] = min(float(asked.get(key)), BRIEF_S)
    case.query = asked


def _be_plain(body: Any) -> None:
    """Documents of tasks name no host, model or time that a random text is not, and say something."""
    if not isinstance(body, dict):
        return
    for doc in (body, *_listed(body, "tasks"), *_listed(body, "requests")):
        for key in RARE & doc.keys():
            del doc[key]
        for message in _listed(doc, "messages"):
            message["content"] = "hello"


def _listed(doc: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = doc.get(key)
    return [d for d in items if isinstance(d, dict)] if isinstance(items, list) else []


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    named = case.path_parameters or {}
    operation = case.operation.label
    _be_brief(case, operation)
    if next(_counts[operation]) % 2 and not operation.endswith(STREAMS):
        return
    _be_plain(case.body)
    for key in {"task_id", "batch_id"} & named.keys():
        named[key] = _submitted(operation, key)
    if "host" in named:
        named["host"] = "a"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    with NOTES.open("a") as notes:
        notes.write(f"{case.operation.definition.raw['operationId']} {response.status_code}\n")
