"""POST /process/file: a file becomes a task, whose answer is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ygg.api import forms
from ygg.api.behind import Behind
from ygg.api.bodies import Accepted
from ygg.api.callers import Caller
from ygg.api.queries import poll_s
from ygg.api.refused import TooLarge, WrongType
from ygg.api.workers import QUEUES
from ygg.config import Config
from ygg.core.placement.candidates import configured
from ygg.errors import InvalidInput, Unavailable, YggError
from ygg.intake.checking import hash_of
from ygg.intake.contents import IMAGES, TEXT, media_of
from ygg.intake.parsing import DOCUMENT_MAX, DOCUMENT_VALUES, Unreadable, document
from ygg.intake.sharing import of_file
from ygg.intake.tasks import new_task, recording
from ygg.model import FILE_KEY, Capacity, HostHealth, JsonDict, NewTask, Service, Task
from ygg.multipart import Incoming
from ygg.running.waiting import over
from ygg.telling.routing import Routing, Seen, ran, routed
from ygg.uploads import Part, Uploads

log = logging.getLogger("ygg.api")

PROCESS = "process_file"  #: the type of a task whose metadata names none; it runs as `general` does
#: What is asked of a file where metadata has no prompt.
PROMPTS = {"text": "Summarise this text.", "image": "Describe this image."}
#: Keys of a task that are not for metadata: what says it instead.
ELSEWHERE = {
    "type": "task_type", "gpu": "the field gpu", "content_type": "the field source_type",
    "messages": "prompt", "input": "prompt", "operation": "prompt",
}  # fmt: skip
SERVED = "served are text in UTF-8{} and images: " + ", ".join(
    image.partition("/")[2].upper() for image in IMAGES
)
LISTENS = "; audio needs a server with `serves: transcription` in hosts.yaml"
WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}  # fmt: skip


class Processing:
    """The verb on a file."""

    def __init__(self, behind: Behind) -> None:
        self._control, self._config, self._wall_ms, self._tasks = behind

    async def process(self, upload: Incoming, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """POST /process/file. The task goes on where who asked has left."""
        longest = self._config().policy.api_timeout_s
        wait_s = poll_s(query, longest, longest)
        uploads = self._control.uploads
        if uploads is None:
            raise Unavailable("this ygg keeps no files", hint="ygg loop --async")
        task, routing = await self._submitted(upload, uploads, caller)
        if wait_s:
            task = await self._control.wait_end(task.id, wait_s)
        return await self._answer(task, routing)

    async def _answer(self, task: Task, routing: Routing) -> JsonDict:
        """The result with the routing; before the end, the status."""
        routing = self._where(task, routing)
        if not over(task):
            body = await self._tasks.status(task.id, {})
            return Accepted({**body, "routing": routing.as_dict()})
        body = await self._tasks.result_of(task)
        await self._control.touch_read(task.id, self._config().policy.read_retention_s)
        return {**body, "routing": routing.as_dict()}

    async def _submitted(
        self, upload: Incoming, uploads: Uploads, caller: Caller
    ) -> tuple[Task, Routing]:
        """The task, once it is stored. A file that got none goes with the next prune."""
        total = _bytes(self._config().policy.upload_total_mb)
        part, kept = await asyncio.to_thread(uploads.begin, total), None
        try:
            new, routing = await self._read(upload, part, caller)
            kept = new.id
            await asyncio.to_thread(uploads.keep, part, kept)
            capacity = Capacity(self._config().policy.capacity, single=True)
            (answer,) = await self._control.submit([new], capacity=capacity)
            if isinstance(answer, YggError):
                raise answer
            return answer.task, routing
        finally:
            uploads.end(part, kept)

    async def _read(self, upload: Incoming, part: Part, caller: Caller) -> tuple[NewTask, Routing]:
        """The task of a file that has come, and where it goes. Raises WrongType for what no server is shown."""
        config = self._config()
        form = await forms.read(upload, part, _bytes(config.policy.upload_limit_mb))
        if not part.size:
            raise InvalidInput("file: it is empty")
        media = media_of(part.head, is_text=part.is_text)
        doc = caller.with_priority(_document(form, media, config))
        make = recording if _heard(media, config) else new_task
        new = make(doc, config, caller=caller.name, now_ms=self._wall_ms())
        caller.check_priority(new.priority)
        routing = self._routed(new, config)
        _check_served(media, part.size, config)
        caller.spend(1)
        about = {"media": media, "bytes": part.size, "sha256": part.sha256}
        request = {**new.request, FILE_KEY: about}
        body_hash = hash_of([form.fields, part.sha256])
        sharing = new.sharing and of_file(new.sharing, part.sha256, config)
        return replace(new, request=request, body_hash=body_hash, sharing=sharing), routing

    # --- GPU or CPU ----------------------------------------------------------------------------

    def _routed(self, new: NewTask, config: Config) -> Routing:
        """Decided and told, whatever becomes of it then."""
        view = self._control.snapshot()
        places = configured(config.type_of(new.lane.type), config.hosts, new.lane)
        kinds = {c.host: config.hosts[c.host].kind_of(c.endpoint) for c in places}
        up = {h.name for h in view.hosts if h.health is HostHealth.UP} if view else set(kinds)
        seen = Seen(
            could=set(kinds.values()),
            up={kind for name, kind in kinds.items() if name in up},
            gpu_waiting=view.gpu_waiting if view else 0,
            cpu_waiting=view.cpu_waiting if view else 0,
            margin=config.policy.overflow_margin,
        )
        content = new.content_type or TEXT
        routing = routed(new.lane.gpu, content, seen)
        log.info(
            "Task routing: %s -> %s worker (task %s, queue %s, content type %s): %s",
            new.lane.type, routing.device.upper(), new.id, QUEUES[routing.device], content, routing.why,
        )  # fmt: skip
        return routing

    def _where(self, task: Task, first: Routing) -> Routing:
        """Where it ran, once it has."""
        host = self._config().hosts.get(task.host or "")
        if host is None or not over(task) or task.endpoint is None:
            return first
        return ran(first, host.kind_of(task.endpoint), host.name)


def _bytes(mib: float) -> int:
    return round(mib * 1024 * 1024)


def _document(form: forms.Filled, media: str, config: Config) -> JsonDict:
    """As `ygg submit` would give it: metadata says most of it, the form what it works on."""
    said = _metadata(form.fields.get("metadata", ""))
    given = {key: value for key, value in said.items() if key != "task_type"}
    usual: JsonDict = {"timeout": config.policy.api_timeout_s}
    usual |= {} if _heard(media, config) else {"prompt": PROMPTS[_kind(media)]}
    if form.name and config.privacy.titles:
        usual["title"] = form.name[:500]
    gpu = form.fields.get("gpu", "").strip().lower()
    return {
        **usual,
        **given,
        "type": said.get("task_type") or PROCESS,
        "gpu": WORDS.get(gpu, gpu) if gpu else None,
        "content_type": form.fields.get("source_type", "").strip() or media,
    }


def _kind(media: str) -> str:
    return "image" if media.startswith("image/") else "text"


def _metadata(text: str) -> JsonDict:
    """What the field says. Raises InvalidInput."""
    if not text.strip():
        return {}
    try:
        found = document(text.encode(), most=DOCUMENT_VALUES)
    except Unreadable as error:
        raise InvalidInput(f"metadata: no valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput('metadata: expected a JSON object, such as {"prompt": "…"}')
    for key in found:
        if key in ELSEWHERE:
            raise InvalidInput(f"metadata.{key}: not for a file", hint=f"{ELSEWHERE[key]} says it")
    return {key: value for key, value in found.items() if value is not None}


def _listens(config: Config) -> bool:
    """Whether some server writes down what is said."""
    servers = (endpoint for host in config.hosts.values() for endpoint in host.endpoints)
    return any(Service.TRANSCRIPTION in server.serves for server in servers)


def _heard(media: str, config: Config) -> bool:
    """Whether a file is to be written down."""
    return media.startswith("audio/") and _listens(config)


def _check_served(media: str, size: int, config: Config) -> None:
    """Raises WrongType for what no model server of ours takes, TooLarge for a text that is longer than any document."""
    if media == TEXT:
        if size > DOCUMENT_MAX:
            raise TooLarge(f"the text is larger than {DOCUMENT_MAX >> 20} MiB", hint="in parts")
        return
    if media in IMAGES or _heard(media, config):
        return
    kind = media.partition("/")[0]
    why = f"no server here takes {kind}" if kind in ("audio", "video") else "it is not served"
    hint = SERVED.format(", audio" if _listens(config) else "")
    raise WrongType(f"file: it is {media}, {why}", hint=hint + (LISTENS if kind == "audio" else ""))
