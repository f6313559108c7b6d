"""Writes docs/api.md: `python -m tests.surface.api_doc > docs/api.md`.

Every example is a real exchange with the app over the real run loop, in virtual time and with counted
ids, so that the page is the same every time; a test compares it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any
from unittest.mock import patch

import httpx

from tests.shell.readings import CARD, measure, past
from tests.shell.virtual import run_virtual, until
from tests.surface.world import Api, api, config
from ygg import __version__
from ygg.api import tokens
from ygg.api.tasks import Tasks
from ygg.desk import Desk
from ygg.intake import ids, tasks
from ygg.model import OutcomeKind
from ygg.uploads import Uploads

INTRO = """\
# HTTP API

The daemon serves it on its unix socket (`$RUNTIME_DIRECTORY/ygg.sock`, else `$XDG_RUNTIME_DIR/ygg/ygg.sock`);
whoever may open the socket may use it. With `api: {listen: "127.0.0.1:8420"}` in hosts.yaml it answers there too, for every
program of this machine. All bodies are JSON.

```
curl --unix-socket /run/ygg/ygg.sock http://ygg/v1/async/stats
curl http://localhost:8420/v1/async/stats
```

Rules that hold everywhere:

- What is not known is `null`, never zero. Times are ISO 8601 in UTC, durations are in the unit their name ends with.
- An id may be shortened to its last 4 or more characters as long as they fit one task alone.
- `status` is one of `queued`, `processing`, `completed`, `failed`, `cancelled` (`batching` is reserved); `state` is ygg's
  own word: `scheduled`, `queued`, `processing`, `blocked`, `completed`, `failed`, `cancelled`, `expired`.
- An error is `{"error": {"code", "message", "hint"}}`. Codes and statuses: `invalid_input`, `bad_config` 422, `not_found` 404,
  `method_not_allowed` 405, `conflict`, `left_out` 409, `too_slow` 408, `too_large` 413, `queue_full`, `draining`, `unavailable`, `store_error`,
  `store_locked` 503, `store_full`, `store_read_only` and `uploads_full` 507, `internal` 500. 429, 503 and 507 always have `Retry-After`: 10 s where the time is not known.
- Over TCP a request names this machine in `Host`, is asked by no page that was served elsewhere (`Origin`, `Sec-Fetch-Site`), and
  has `Content-Type: application/json` where it has a body (`multipart/form-data` for a file); else it is refused (`forbidden` 403, `unsupported_media_type` 415).
- `HEAD` is answered where `GET` is, the same without a body: at once, also for streams and long polls, and it is no reading of a result.
- A target may be absolute (`GET http://surtr:8420/healthz HTTP/1.1`): its host counts then, whatever `Host` says.
- Unknown keys are errors. Null is the same as leaving the key out, and a whole number may be written as `60.0`. Text with
  NUL bytes or lone surrogates, NaN and infinities are refused.
- A body may have 16 MiB, that of `POST /v1/tasks` 64 MiB, with 300,000 values (keys and entries of lists) in all. A document
  may have 16 MiB and 20,000 values. A request whose head takes longer than 10 s, or whose body pauses for 30 s, is cut off.
- A task whose type hosts.yaml does not have is taken, runs as `general`, and the answer has a `warning` that says so. A host or
  model that nobody has is refused with what there is.
- `GET /openapi.json` describes every request and answer of this page for programs, as OpenAPI 3.1: documents, queries, bodies, the
  statuses that may come, the scope that it takes (`x-ygg-scope`), the events of streams (`x-ygg-events`).

This page is written by `python -m tests.surface.api_doc`; every example was run.
"""

FIELDS = """\
## A task document

One object per task, in `POST /v1/tasks` and as a line of `ygg submit --jsonl`.

| key | value |
|---|---|
| `prompt` | text; or `messages`, or `input` |
| `messages` | list of `{"role", "content"}`; further keys of a message go to the server as they are |
| `input` | a text, or a list of up to 1,000, to turn into vectors |
| `type` | task type; else found by `labels` and `title` |
| `system` | system prompt; replaces the type's |
| `priority` | 0 to 4, or `CRITICAL`, `HIGH`, `NORMAL` (default), `LOW`, `BACKLOG` |
| `title` | up to 500 characters |
| `labels` | up to 32 of up to 64 characters |
| `model`, `host` | run with this model, on this host only |
| `gpu` | `required`, `preferred`, `never`; `true` is preferred, `false` is never; default: as the type says, else preferred |
| `max_tokens` | 1 to 1,000,000 |
| `temperature` | 0 to 5 |
| `options` | object, passed to the server as it is |
| `operation` | `chat` (default), `generate` (a bare `prompt`), `complete` (go on from the `prompt` as it is, without the model's template; no `system`) or `embed` (with `input`; no `system`, `max_tokens`, `temperature`) |
| `timeout` | time of one attempt: seconds or `10m`, 7 days at most |
| `not_before`, `deadline` | ISO time (UTC without a zone), or a duration from now |
| `idempotency_key` | up to 200 characters; same key and document: the same task again; another document: 409 |
| `retention` | how long the ended task is kept |
| `content_type` | what it works on: `text` (default), `audio`, `image/png`, `application/pdf`, ...; with `gpu: preferred` only what is in `policies.gpu_content_types` prefers a GPU |

| `cache` | `true`: the answer of an identical task will do, if it is no older than `policies.cache_ttl`; `false`: it has to run. Default: `true` for `POST /v1/async/submit`, else `false` |
| `coalesce` | `true`: an identical task of the same caller that waits for a slot or runs will do; not together with `idempotency_key`, nor in a batch |

`POST /v1/async/submit` takes the same keys but these: `agent_type` (required) for `type`, `timeout_seconds` (a number,
default 60) for `timeout`, no `prompt`, `input` and `operation`; the key may also come as header `Idempotency-Key`.
"""

MESSAGE = """\
## A result

`result` of an ended task is the message that came; what it does not have is left out.

| key | value |
|---|---|
| `content` | its text, perhaps empty |
| `stop_reason` | as the server says it: `stop`, `length`, `tool_calls`, ... |
| `thinking` | what a reasoning model thought |
| `tool_calls` | `{"id", "type": "function", "function": {"name", "arguments"}}` for each tool that the model wants called; `arguments` is JSON text as the model wrote it, `id` is null where the server gives none |
| `logprobs` | `{"token", "logprob", "bytes", "top_logprobs"}` for each token, where `options` asked for them |
| `embeddings` | a vector for each text of `input`, in its order |

Tools, a format and the like are given in `options`, as the server wants them. In a followed stream a piece has `tool_calls` too:
parts with the `index` of their call, whose `arguments` are joined.
"""


TOKENS = """\
## Tokens

Who asks without one on the unix socket, or over loopback, is `local` and may do everything (`api: {require_token: true}` closes
loopback to it). From other machines everybody needs one, as `Authorization: Bearer ygg_…`; a bearer that begins with `ygg_` is looked
at wherever it comes from, any other `Authorization` counts as none. `/healthz` and `/readyz` need none anywhere.

| scope | may |
|---|---|
| `read` | read how the house is doing: hosts, queue, GPUs, health, history |
| `submit` | the same, and submit tasks; see, cancel, retry and prioritize its own. Those of others are not there for it |
| `admin` | everything |

No token that holds: 401 `unauthorized`. A scope that is too small, a priority above the token's best: 403 `forbidden`. More tasks than
its rate: 429 `rate_limited` with `Retry-After`. Tasks bear the name of their token as `caller`; idempotency keys are each caller's own.

Where hosts.yaml has `api: {jwt: ...}`, a bearer that is a JWT is looked at too, wherever it comes from. Its `sub` is the name of the
caller, one and the same as that of a token with this name; the greatest of `read`, `submit` and `admin` in its `scope` (words with
spaces between) is its scope. `max_priority` and `rate` in it are as in `POST /v1/tokens`; a rate is shared by all JWTs of the caller that
say the same one, and is apart from that of a token. It needs `exp`; one that is not signed as hosts.yaml says, or does not hold now, is 401.

A stream or a long poll that is open when its token expires or is revoked, or its JWT expires (half a minute after `exp`, as for
requests) or is let in no more after a reload, ends at that moment: a stream with an event `error`, a long poll with 401, both of which
say which it was. What changes something was let in whole and goes on.
"""


STREAM = """\
The task as server-sent events, until it has ended or is blocked. Each but `error` has an `id`, `data` is JSON:

| event | data |
|---|---|
| `state` | the state now, then every change, also those between attempts; the last one after all tokens; with its place where it is queued |
| `attempt` | an attempt begins on this host: texts of earlier ones are void |
| `token` | `content`, `thinking` and perhaps `tool_calls` (parts with the `index` of their call, whose `arguments` are joined) |
| `gap` | so many characters and parts are not kept any more (of one attempt the first 1,000,000 characters are): `result` has them |
| `result` | what `/v1/async/result` says, and the stream ends; reading it starts the shorter retention |
| `error` | why the stream ends before that; the task goes on |

A comment comes after 15 s without an event. A client that comes back with the header `Last-Event-ID`, or with `?last_event_id=`,
gets what it has not had: no token twice, and none is left out as long as the attempt runs. Where another one runs by now, that
one's text from its start; where none does any more, the result. Browsers' `EventSource` and clients like it do so by themselves
after 3 s; once they have had the result they get 204, which ends that. Ids are not for reading; one that is of another task, or
none, begins as without."""


ADDING = """\
## Where a verb is written

Each verb of this page is one row of the table in `ygg/desk.py` and one handler in `ygg/api/`. The row of `why`:

```python
{row}
```

It names method and path; the handler, by its part of `ygg/api/handlers.py`; after that what the handler is given beside the task
or host of the path: `doc` (the JSON body), `query`, `caller`, `key`. The function is the verb as commands call it, online and
offline: its signature is what they give, its body what of that is sent as document or query. The handler:

```python
{handler}
```

The routes (`ygg/api/app.py`), the requests of the client (`ygg/client.py`) and the calls of the offline desk
(`ygg/api/offline.py`) are built from the table. So a new verb is a row and a handler, and its example here. A verb for HTTP alone is
a bare row below the class, with the reason why desks do not have it. What a document may say is in `ygg/intake/schemas.py`, which
task it becomes in `ygg/intake/tasks.py`, the shape of answers in `ygg/api/bodies.py`. What lies behind the handlers, and where to
change it: [architecture.md](architecture.md).
"""


def _adding() -> str:
    """With the code as it is today."""
    assert Desk.why.sends is not None
    row, handler = map(inspect.getsource, (Desk.why.sends, Tasks.why))
    return ADDING.format(row=dedent(row).strip(), handler=dedent(handler).strip())


METRICS_SHOWN = 20  #: lines of a page of metrics


class _Counted:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def new(self, now_ms: int) -> str:
        self.count += 1
        return ids.new_id(now_ms, 7919 * self.count)


class _Page:
    def __init__(self, found: Api) -> None:
        self.api, self.parts = found, [INTRO]

    def text(self, text: str) -> None:
        self.parts.append(text)

    async def show(self, title: str, about: str, url: str = "", doc: Any = None) -> httpx.Response:
        """Run one request and write it down. `title` is method and route."""
        method, route = title.split()
        response = await self.api.http.request(method, url or route, json=doc)
        shown = url or route
        request = [f"{method} {shown}"] + ([_pretty(doc)] if doc is not None else [])
        answer = [f"{response.status_code}", *_body(response)]
        block = "\n".join([*request, "", *answer])
        self.parts.append(f"### `{method} {route}`\n\n{about}\n\n```\n{block}\n```\n")
        return response


def _pretty(doc: Any) -> str:
    """Indented, with short lists and objects on one line."""
    text = json.dumps(doc, indent=2, ensure_ascii=False)
    return re.sub(
        r"[\[{][^\[\]{}]*[\]}]",
        lambda m: flat if len(flat := " ".join(m[0].split())) < 90 else m[0],
        text,
    )


def _body(response: httpx.Response) -> list[str]:
    if response.headers["content-type"].startswith("text/event-stream"):
        lines = [line for line in response.text.splitlines() if line]
        return [line if len(line) < 120 else f"{line[:117]}..." for line in lines]
    if response.headers["content-type"].startswith("text/plain"):
        return [*response.text.splitlines()[:METRICS_SHOWN], "…"]
    return [_pretty(response.json())]


async def _mission(page: _Page) -> str:
    page.text("## Asynchronous tasks\n")
    hello = {"role": "user", "content": "What are the symptoms of diabetes?"}
    doc = {
        "agent_type": "general", "messages": [hello], "priority": "NORMAL", "timeout_seconds": 60,
        "max_tokens": 4, "temperature": 0.7,
    }  # fmt: skip
    await page.api.running((await page.api.submit())["task_id"])
    about = (
        "Stores one task; when the answer comes it is on disk. 503 `queue_full` when `policies.capacity` tasks of such single submits wait; batches and files of tasks do not count. "
        "`position_in_queue` is exact to 1,000, then a bound (`position_is_bound`); it is one too where other callers wait in its priority, since they take turns. `estimated_wait_ms` comes from "
        "measured times; it is null while dispatch stands still, no host would take the task or nothing was measured. An identical "
        "request (type or model, messages, `system`, `options`, `max_tokens`, `temperature`, pins, `gpu`) that was answered within "
        "`policies.cache_ttl` is stored as `completed`, with that answer and `cached` true, also when the queue is full; "
        "`cache: false` runs it. With `coalesce` one that waits or runs is given back, as `existing` and `coalesced`: a cancel of it is one for all."
    )
    made = await page.show("POST /v1/async/submit", about, doc=doc)
    task_id: str = made.json()["task_id"]
    about = (
        "409 with the status body as long as the task has not ended; then, whatever became of it, 200 (below). With `?wait=30` "
        "the answer comes when the task has ended or is blocked, after so many seconds (60 at most) at the latest."
    )
    await page.show("GET /v1/async/result/{id}", about, f"/v1/async/result/{task_id}")
    await page.api.running(task_id)
    dispatcher = page.api.house.dispatcher
    await until(lambda: any(r.tokens for r in dispatcher.snapshot().running))
    about = (
        "`progress_percent` counts streamed pieces of the smaller of `max_tokens` and what nine of ten answers of the type "
        "had; null while neither is known. It never falls, is 99 at most before the end and 100 when completed. `?wait=30` as above."
    )
    await page.show("GET /v1/async/status/{id}", about, f"/v1/async/status/{task_id}")
    await page.show("GET /v1/async/stream/{id}", STREAM, f"/v1/async/stream/{task_id}")
    about = (
        "A task that failed, expired, was cancelled or is blocked has `result` null and `error`, `reason` instead. "
        "The first read starts the shorter retention (300 s)."
    )
    await page.show("GET /v1/async/result/{id}", about, f"/v1/async/result/{task_id}?wait=30")
    about = (
        "A page of tasks, newest first, with the filters of `GET /v1/tasks` but `order`. `next_cursor` is for the next page, as "
        "`cursor`; null after the last. What is submitted meanwhile moves no page."
    )
    await page.show("GET /v1/async/tasks", about, "/v1/async/tasks?limit=1")
    about = (
        "The states add up to `total_tasks`; `by_priority` are the queued ones. Means are over what has ended lately, "
        "earlier runs included; `throughput_tasks_per_minute` leaves out the time in which nothing ran. `cache` counts the "
        "answers that identical requests would get now; with `policies.cache_ttl: off` both are 0. The four numbers at the end are for dashboards."
    )
    await page.show("GET /v1/async/stats", about)
    await _health(page)
    victim = (await page.api.submit(priority="LOW", cache=False))["task_id"]
    about = (
        "Also stops a processing task: its stream is closed, the server stops generating. With `?running=false` "
        "that is refused with 409."
    )
    await page.show("DELETE /v1/async/cancel/{id}", about, f"/v1/async/cancel/{victim}")
    return victim


async def _health(page: _Page) -> None:
    about = (
        "Always 200: `health` says it. `degraded`: more than 500 queued tasks, more than 5 % of the tasks that ended lately failed, "
        "they take more than 5000 ms on average, a card is above 80 °C, dispatch is paused, ygg is shutting down, or all that "
        "waits waits for hosts that are drained or have asked for a pause. `unhealthy`: the store fails, no host is up, no host "
        "takes what waits, or most of the newest 20 tasks failed. `reasons` are the worst first; readings that are off are none. "
        "`avg_latency_ms` is `avg_processing_time_ms` of `/v1/async/stats`; what is not known is null."
    )
    await page.show("GET /v1/async/health", about)
    await page.api.post("/v1/queue/pause")
    about = "A reason is a code for programs and a sentence for people."
    await page.show("GET /v1/async/health", about)
    await page.api.post("/v1/queue/resume")
    await page.show("GET /healthz", "The process lives. Nothing is asked, no store either.")
    about = (
        "Whether a submit would be taken; 503 with `Retry-After` while ygg is shutting down (`draining`) or its store fails "
        "(`store_error`). A pause and hosts that are down are no obstacle: tasks wait."
    )
    await page.show("GET /readyz", about)
    about = (
        "For Prometheus: every family with its meaning is in [monitoring.md](monitoring.md). OpenMetrics for who accepts "
        "`application/openmetrics-text`. `metrics.listen` serves it on an address of its own, without a token."
    )
    await page.show("GET /metrics", about)


async def _tasks(page: _Page, cancelled: str) -> None:
    page.text("## Tasks\n\nWhat the command line uses.\n")
    about = (
        "Up to 10,000 documents; an answer or an error for each, in order. With `atomic` one error stores nothing, with "
        "`brief` a task is told by its id and state. 503 `queue_full`, and nothing is stored, when more than "
        "`policies.batch_capacity` tasks would wait."
    )
    docs = [
        {"prompt": "Explain WAL", "priority": "HIGH", "title": "wal"},
        {"prompt": "Say hello", "promt": "?"},
    ]
    made = await page.show("POST /v1/tasks", about, doc={"tasks": docs, "atomic": False})
    task_id = made.json()["tasks"][0]["id"]
    url = f"/v1/tasks/{task_id}"
    about = (
        "Query: `state` (repeat for several), `type`, `priority`, `host`, `label`, `caller`, `batch`, "
        "`limit` (50; at most 10,000), `order` (`newest`, `queue`)."
    )
    await page.show("GET /v1/tasks", about, "/v1/tasks?state=cancelled&limit=1")
    about = "Attempts, pieces as they are generated, and the ended task (`error` when the stream had to stop)."
    await page.show("GET /v1/tasks/{id}/follow", about, f"{url}/follow")
    await page.show("GET /v1/tasks/{id}", "The task with its request, log and reasons.", url)
    about = "As `/v1/async/result`, but reading it here does not shorten how long it is kept."
    await page.show("GET /v1/tasks/{id}/result", about, f"{url}/result")
    about = (
        "Cancels every task that has not ended and fits `states` (of `scheduled`, `queued`, `processing`, `blocked`), `type` and "
        "`label`; with nothing said, all. `running: false` leaves alone what runs. The tasks as they are then."
    )
    await page.show("POST /v1/tasks/cancel", about, doc={"label": "no-such-label"})
    about = "Put failed, blocked, cancelled or expired tasks back: by `ids`, or all in `states`."
    doc: dict[str, Any] = {"ids": [cancelled, task_id]}
    await page.show("POST /v1/tasks/retry", about, doc=doc)
    await page.api.ended(cancelled)
    await page.api.post("/v1/queue/pause")
    waiting = (await page.api.submit(title="waits", cache=False))["task_id"]
    url = f"/v1/tasks/{waiting}"
    about = "Why the task is where it is: the best reason first, then one for each candidate."
    await page.show("GET /v1/tasks/{id}/why", about, f"{url}/why")
    about = "It keeps its place among tasks of the new priority by age."
    await page.show("POST /v1/tasks/{id}/priority", about, f"{url}/priority", {"priority": "LOW"})
    about = "Long poll: the task once it has ended or is blocked, or as it is after `timeout` seconds (30; at most 60)."
    await page.show("GET /v1/tasks/{id}/wait", about, f"{url}/wait?timeout=0.5")
    about = "As `DELETE /v1/async/cancel`, with the task as the answer."
    await page.show("POST /v1/tasks/{id}/cancel", about, f"{url}/cancel")
    await page.api.post("/v1/queue/resume")


async def _batches(page: _Page) -> None:
    page.text("## Batches\n")
    about = (
        "Stores 1 to 10,000 tasks, all or none: what is wrong with one is told with its place (`requests[2].priority: …`). "
        "`timeout_seconds` is for each that names none. With `process_in_parallel: false` they run one after another; when one "
        "fails or expires the rest is cancelled, unless `on_failure` is `continue`. The header `Idempotency-Key` makes a second "
        "submit the same batch. 503 `queue_full` when more than `policies.batch_capacity` tasks would wait."
    )
    requests = [
        {"agent_type": "chat", "messages": [{"role": "user", "content": f"Question {n}?"}]}
        for n in (1, 2, 3)
    ]
    doc = {"requests": requests, "timeout_seconds": 60, "process_in_parallel": True}
    made = (await page.show("POST /v1/async/submit-batch", about, doc=doc)).json()
    await page.api.ended(made["task_ids"][0])
    about = (
        "The counts add up to `total_tasks`; tasks that were deleted meanwhile count, and are not in `task_statuses`. `over`: "
        "all have ended or are blocked. `estimated_completion_ms` comes from measured times, null while there are none. With "
        "`?wait=30` the answer comes once it is over, after so many seconds (60 at most) at the latest."
    )
    url = f"/v1/async/batch-status/{made['batch_id']}"
    await page.show("GET /v1/async/batch-status/{batch_id}", about, url)
    about = "The same from documents as those of `POST /v1/tasks`; `sequential: true` runs them one after another."
    doc = {"tasks": [{"prompt": "First?", "type": "chat"}], "sequential": True}
    await page.show("POST /v1/batches", about, doc=doc)
    await page.show(
        "GET /v1/batches", "The newest first. Query: `limit` (50).", "/v1/batches?limit=1"
    )
    url = f"/v1/batches/{made['batch_id']}"
    about = "Cancels all of it that has not ended. The batch as it is then."
    await page.show("POST /v1/batches/{batch_id}/cancel", about, f"{url}/cancel")
    about = "Queues all of it that has not completed; of a sequence in its order."
    await page.show("POST /v1/batches/{batch_id}/retry", about, f"{url}/retry")


async def _daemon(page: _Page) -> None:
    page.text("## Queue and hosts\n")
    page.api.house.places["fenrir"].down(OutcomeKind.UNREACHABLE)
    about = "`probe=true` asks every host first, all at once, for 3 s at most; else what was known is told."
    await page.show("GET /v1/status", about, "/v1/status?probe=true")
    page.text(
        "### `GET /v1/snapshot`\n\nWhat `ygg top` draws, at most four times a second. Its shape follows the version of ygg"
        " and is no contract: programs read `/v1/status`, `/v1/queue` and `/v1/hosts`.\n"
    )
    about = "Tasks of every state; `priorities` has them by priority and state. A pause outlives restarts."
    await page.show("GET /v1/queue", about)
    about = "No task starts until `resume`; running ones go on."
    await page.show("POST /v1/queue/pause", about)
    await page.show("POST /v1/queue/resume", "Ends the pause.")
    about = "The daemon reads hosts.yaml again, as on SIGHUP. One that is wrong is told with 422 `bad_config` and changes nothing."
    await page.show("POST /v1/reload", about)
    about = "Every host as it is known, asking none."
    await page.show("GET /v1/hosts", about)
    about = (
        "The hosts that are up as workers: GPU hosts serve the queue `gpu-tasks`, CPU hosts `celery`. `max_tasks` is the limit "
        "now; `length` counts the queued tasks that wait for such a host, right to within a poll; `gpu_available`: a GPU host "
        "has a free slot."
    )
    await page.show("GET /api/v1/status/workers", about)
    about = "Asks this host now, for 3 s at most, and answers how it is. An unknown host is 404, as for all its verbs."
    await page.show("POST /v1/hosts/{name}/probe", about, "/v1/hosts/surtr/probe")
    about = "Nothing new is sent to the host; running calls go on."
    await page.show("POST /v1/hosts/{name}/drain", about, "/v1/hosts/surtr/drain")
    await page.show(
        "POST /v1/hosts/{name}/resume",
        "Ends it, and a pause that the host has asked for.",
        "/v1/hosts/surtr/resume",
    )


async def _programs(page: _Page) -> None:
    answer = await page.api.http.get("/openapi.json")
    told = {k: answer.json()[k] for k in ("openapi", "info")}
    told["info"] = {k: v for k, v in told["info"].items() if k != "description"}
    page.text(
        "## The description for programs\n\n### `GET /openapi.json`\n\nEvery verb of this page, built from the same table. "
        f'Clients can be generated of it.\n\n```\nGET /openapi.json\n\n200\n{_pretty(told)[:-2]},\n  "paths": …\n}}\n```\n'
    )


async def _readings(page: _Page) -> None:
    page.text(
        "## Readings\n\nMemory is in MiB, that of all cards of a host that tell it together; temperature is that of the hottest, power their"
        " sum, use their mean. A reading that is stale is shown with its age; one that says nothing any more is null.\n"
    )
    home = page.api.house
    measure(home, "surtr", CARD)
    await asyncio.sleep(3)
    rows = past(40, home.dispatcher.loop.clock.now_ms() // 60_000 * 60_000)
    grown = [replace(r, used_mb=6400.0 + 25 * n) for n, r in enumerate(rows)]
    await home.store.record_minutes(grown)
    about = (
        "The house, then host by host: `jq .gpu`. `memory_pressure` is `LOW`, `NORMAL`, `HIGH` or `CRITICAL`; `limit` the slots "
        "allowed now, and why they are fewer than configured; `preferred_backend` the kind of server that dispatch prefers "
        "at this level, `bundle_size` how many tasks one call would carry (each carries one so far); `hosts_read` counts hosts with a fresh reading."
    )
    await page.show("GET /v1/gpu/status", about)
    about = (
        "A straight line through the memory used in the last half hour, one point per minute and the newest reading: from 5 "
        "points over 4 minutes on. `next_level` is the next level on that line, or `STOP`, where nothing new starts; null while "
        "memory is flat, falling or not known. Models come and go in steps, which no line foretells."
    )
    await page.show("GET /v1/gpu/memory-forecast", about)
    about = (
        "What each host did, a row per minute, kept 14 days. Query: `host`, `minutes` (60; at most 1440, of one host 20160). "
        "`running` is a mean, `waiting` the most tasks seen that could run there and found no slot, `started` the tasks that "
        "started, `wait_ms` how long these had waited. A minute in which nothing ran, waited or changed has no row."
    )
    await page.show("GET /v1/history", about, "/v1/history?host=surtr&minutes=1")
    about = (
        "What `ygg tune` says. Query: `host`, `days` (7; 1 to 14). `advice` is `more`, `fewer`, `fine` or `unknown`; "
        "`change` is what to change in hosts.yaml. [tuning.md](tuning.md) has the rules."
    )
    await page.show("GET /v1/tuning", about, "/v1/tuning?host=surtr")


async def _ended(page: _Page) -> None:
    page.text(
        "## Tasks that have ended\n\nThey go by themselves once their retention is over; failed ones, the dead letters, stay until someone acts.\n"
    )
    page.api.surtr.fault = OutcomeKind.BAD_REQUEST
    dead, other = [(await page.api.submit(title=t, cache=False))["task_id"] for t in ("one", "two")]
    await page.api.ended(other)
    page.api.surtr.up()
    about = (
        "A page of failed tasks, newest first. Query as of `GET /v1/async/tasks`, but for `state`."
    )
    await page.show("GET /v1/async/dead-letters", about, "/v1/async/dead-letters?limit=1")
    about = "Puts it back, as `POST /v1/tasks/retry`. 409 for a task that is not failed."
    url = f"/v1/async/dead-letters/{dead}"
    await page.show("POST /v1/async/dead-letters/{id}/retry", about, f"{url}/retry")
    await page.api.ended(dead)
    about = "Removes it with its log. 409 for a task that is not failed."
    await page.show("DELETE /v1/async/dead-letters/{id}", about, f"/v1/async/dead-letters/{other}")
    await asyncio.sleep(300)
    about = (
        "Removes tasks that ended `max_age_seconds` ago or earlier, with results and logs, however long they were to be kept and what the cache lends of them; 0: all that "
        "have ended. `states` (`completed`, `cancelled`, `expired`): `failed` only where it is named, `blocked` never. It goes by "
        "500 tasks at a time, and others write in between; the answer comes when all are gone."
    )
    await page.show("POST /v1/async/cleanup", about, doc={"max_age_seconds": 300})


async def _tokens(page: _Page) -> None:
    page.text(TOKENS)
    about = (
        "`scope`: `submit` unless said. May be left out: `expires` (`90d`, or a time), `max_priority` (the best that its tasks may "
        "have), `rate` (tasks by time: `60/min`, `10/s`, `1000/h`, `5000/d`). This answer is the only one with the token."
    )
    doc = {"name": "anna", "max_priority": "HIGH", "rate": "60/min"}
    with patch.object(tokens, "new_text", lambda: f"ygg_{'x' * 43}"):
        await page.show("POST /v1/tokens", about, doc=doc)
    await page.show("GET /v1/tokens", "All that were given out, by name.")
    about = "Its next request is refused, its open streams and long polls end. The name may be given again."
    await page.show("DELETE /v1/tokens/{name}", about, "/v1/tokens/anna")


async def _files(page: _Page) -> None:
    page.text("## Files\n")
    page.text(
        "### `POST /process/file`\n\n"
        "A form (`multipart/form-data`) with a `file`, which becomes a task; `ygg submit --attach FILE` does the same. What it is, its "
        "bytes tell, not its name: text in UTF-8 (16 MiB at most) goes to the model behind what is asked, an image (PNG, JPEG, WebP, GIF) "
        "as an image, for models that see. Sound (MP3, WAV, FLAC, Ogg, M4A, WebM, …) is written down by a server with "
        "`serves: transcription` (docs/configuration.md): the text is the answer. Anything else is 415 with what is served: video, and "
        "sound where nobody listens. 413 above `policies.upload_limit` (64 MB); 507 with `Retry-After` while the files that are kept "
        "with tasks take `policies.upload_total` (8 GB) together.\n\n"
        "| field | value |\n|---|---|\n"
        "| `file` | the file; required |\n"
        "| `gpu` | `true` (preferred), `false` (never), or a word as in a task document; left out: as the type says |\n"
        "| `source_type` | what it is worked on as, for the choice of GPU or CPU: `content_type` of a task document; left out: as found |\n"
        "| `metadata` | JSON: `prompt` (default: summarise the text, describe the image; for sound names and how words are spelled, by "
        "default nothing), `task_type` (default `process_file`, which runs as `general` unless hosts.yaml has it), and keys of a task "
        "document; for sound `options` such as `language` and `response_format`, and no `system` or `max_tokens` |\n\n"
        "The answer is that of `/v1/async/result/{id}` with `routing`: GPU or CPU, and why. It comes once the task has ended, after "
        "`?wait=` seconds at the latest (default and most: `policies.api_timeout`); before the end it is 202 with the status. "
        "`?wait=0` does not wait. Who leaves meanwhile stops nothing. The file is kept as long as its task.\n"
    )
    fields = {"gpu": "true", "metadata": '{"prompt": "What is in it?"}'}
    answer = await page.api.http.post(
        "/process/file", data=fields, files={"file": ("notes.txt", b"Milk and bread.")}
    )
    form = " ".join(f"-F '{key}={text}'" for key, text in fields.items())
    asked = f"curl -F file=@notes.txt {form} http://localhost:8420/process/file"
    block = "\n".join([asked, "", f"{answer.status_code}", *_body(answer)])
    page.text(f"```\n{block}\n```\n")


async def _write() -> str:
    with TemporaryDirectory() as folder:
        return await _written(Uploads(Path(folder) / "ygg.db"))


async def _written(uploads: Uploads) -> str:
    async with api(settings=config(cache_ttl="5m"), uploads=uploads) as found:
        page = _Page(found)
        cancelled = await _mission(page)
        await _tasks(page, cancelled)
        await _batches(page)
        await _files(page)
        await _daemon(page)
        await _readings(page)
        await _ended(page)
        await _tokens(page)
        await _programs(page)
        page.text(FIELDS)
        page.text(MESSAGE)
        page.text(_adding())
        return "\n".join(page.parts).replace(f'"{__version__}"', '"…"')


def written() -> str:
    """The page."""
    with patch.object(tasks, "_ids", _Counted()):
        return run_virtual(_write())


if __name__ == "__main__":
    print(written(), end="")
