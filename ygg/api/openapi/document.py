"""/openapi.json, built from the table of verbs, their documents (`api/documents.py`), queries (`api/queries.py`) and answers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from ygg import __version__
from ygg.api.documents import DOCUMENTS, Form
from ygg.api.openapi.answers import ANSWERS, Answer
from ygg.api.openapi.schema import COMPONENTS, ERROR, TEXT, Schema
from ygg.api.queries import QUERIES
from ygg.desk import PART
from ygg.model import JsonDict
from ygg.verbs import Verb

Row = Verb[..., Any]
JSON, EVENTS = "application/json", "text/event-stream"
REF = "#/components/schemas/{model}"
SCHEME = "bearer"

#: What an error says by its status; 409 as the verb does.
STATUSES = {
    401: "A token that does not hold, or none where one is needed: `unauthorized`.",
    403: "Of a page of another origin, under a foreign name, or beyond what the token is good for: `forbidden`.",
    404: "There is none of that name: `not_found`.",
    408: "The body stopped coming: `too_slow`.",
    413: "The body is too large: `too_large`.",
    415: "The body does not say that it is JSON: `unsupported_media_type`.",
    422: "It cannot be used as it is: `invalid_input`, `bad_config`.",
    429: "More tasks than the rate of the token: `rate_limited`.",
    503: "Not now: `unavailable`, `draining`, `queue_full`, `store_error` and the like.",
    507: "The disk is full or cannot be written: `store_full`, `store_read_only`; or there is no room for further files: `uploads_full`.",
}
WAIT_HEADER: JsonDict = {"schema": {"type": "integer", "minimum": 1}, "description": "seconds"}

FORM: JsonDict = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                    "source_type": TEXT,
                    "gpu": TEXT,
                    "metadata": {"type": "string", "contentMediaType": JSON},
                },
                "required": ["file"],
            }
        }
    },
}

#: What the path names.
KEYS = {
    "task_id": "id of a task, or its last 4 or more characters",
    "batch_id": "id of a batch, or its last 4 or more characters",
    "host": "name in hosts.yaml",
    "name": "name of a token",
}
KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
HEADERS = {
    "key": ("Idempotency-Key", KEY, "the same submit again is the same task; instead of the key in the document"),
    "last": ("Last-Event-ID", TEXT, "the id of the last event that was had"),
}  # fmt: skip


def document(verbs: Sequence[Row], told: Callable[[Row], str]) -> JsonDict:
    """OpenAPI 3.1 of these. `told`: what is said of one. KeyError for a verb that is not described."""
    paths: dict[str, JsonDict] = {}
    for verb in verbs:
        paths.setdefault(verb.path, {})[verb.method.lower()] = _operation(verb, told(verb))
    return {
        "openapi": "3.1.0",
        "info": {"title": "ygg", "version": __version__, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {**COMPONENTS, **_documents()},
            "securitySchemes": {SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


ABOUT = (
    "Over the unix socket and, where hosts.yaml does not say otherwise, loopback no token is needed. What is not known is "
    "null. In documents null is the same as leaving the key out, but for keys that are required. `x-ygg-scope` is the least "
    "scope of a token that may ask. HEAD is answered where GET is, the same without a body, and at once."
)


def missing(verbs: Sequence[Row]) -> list[str]:
    """What to do about each verb that is not described."""
    found = []
    for verb in verbs:
        if verb.name not in ANSWERS:
            found.append(
                f"{verb.name}: say what it answers, in ANSWERS of ygg/api/openapi/answers.py"
            )
        if "query" in verb.takes and verb.name not in QUERIES:
            found.append(f"{verb.name}: say what it may be asked, in QUERIES of ygg/api/queries.py")
        if "doc" in verb.takes and verb.name not in DOCUMENTS:
            found.append(f"{verb.name}: name its document, in DOCUMENTS of ygg/api/documents.py")
    return found


def _operation(verb: Row, told: str) -> JsonDict:
    summary, _, more = told.partition(". ")
    return {
        "operationId": verb.name,
        "summary": summary.rstrip(".:"),
        "description": more or told,
        "tags": [verb.handler.partition(".")[0].strip("_")],
        "parameters": [*_path(verb), *_query(verb), *_headers(verb)],
        **({"requestBody": _body(DOCUMENTS[verb.name])} if "doc" in verb.takes else {}),
        **({"requestBody": FORM} if "upload" in verb.takes else {}),
        "responses": _responses(verb, ANSWERS[verb.name]),
        "security": [{}, {SCHEME: []}] if verb.needs else [],
        "x-ygg-scope": verb.needs or None,
    }


def said_of(verb: Row, handler: Callable[..., Any]) -> str:
    """The docstring of the row, else of the handler, in one line and without its route."""
    text = " ".join(inspect.getdoc(verb.sends or handler).split())  # type: ignore[union-attr]
    text = re.sub(rf"^{verb.method} /\S+?[.:]? ", "", f"{text} ").strip()
    return text[:1].upper() + text[1:]


# --- what is asked ---------------------------------------------------------------------------------


def _path(verb: Row) -> list[JsonDict]:
    if verb.key is None:
        return []
    schema = {"type": "string", "minLength": 1}
    return [_parameter("path", verb.key, schema, KEYS[verb.key], required=True)]


def _query(verb: Row) -> list[JsonDict]:
    asked = QUERIES[verb.name] if "query" in verb.takes else {}
    return [
        _parameter("query", k, schema, str(schema["description"])) for k, schema in asked.items()
    ]


def _headers(verb: Row) -> list[JsonDict]:
    named = [HEADERS[given] for given in verb.takes if given in HEADERS]
    return [_parameter("header", name, schema, told) for name, schema, told in named]


def _parameter(
    where: str, name: str, schema: Schema, told: str, *, required: bool = False
) -> JsonDict:
    schema = {k: v for k, v in schema.items() if k != "description"}
    return {"name": name, "in": where, "required": required, "description": told, "schema": schema}


def _body(form: Form) -> JsonDict:
    schema = {"$ref": REF.format(model=form.document.__name__)}
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _documents() -> dict[str, Schema]:
    """The schemas of all documents, and of what is in them."""
    kinds = {kind for form in DOCUMENTS.values() for kind in (form.document, form.each)}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, told = models_json_schema([(k, "validation") for k in ordered], ref_template=REF)
    found: dict[str, Schema] = told["$defs"]
    for form in DOCUMENTS.values():
        if form.key:
            items = {"$ref": REF.format(model=form.each.__name__)}
            bounds = {"minItems": form.least, "maxItems": PART}
            keys = found[form.document.__name__]["properties"]
            keys[form.key] = {"type": "array", "items": items, **bounds}
    return found


# --- what is answered ------------------------------------------------------------------------------


def _responses(verb: Row, answer: Answer) -> JsonDict:
    told = {str(verb.status): _success(answer)}
    if answer.later is not None:
        told["202"] = {"description": "Not yet.", "content": {JSON: {"schema": answer.later}}}
    if "last" in verb.takes:
        told["204"] = {"description": "There is nothing more: do not ask again."}
    return told | {str(status): _failure(status, answer) for status in statuses(verb)}


def statuses(verb: Row) -> list[int]:
    """Of the errors that may come."""
    answer = ANSWERS[verb.name]
    brings = not {"doc", "upload"}.isdisjoint(verb.takes)  # a body
    may = {
        401: True,
        403: True,
        404: verb.key is not None or answer.found,
        408: brings,
        409: bool(answer.conflict),
        413: brings,
        415: brings,
        422: verb.key in SHORT or brings or "query" in verb.takes or verb.name == "reload",
        429: answer.submits,
        503: verb.name not in NEVER_AWAY,
        507: verb.method != "GET" and verb.name not in UNSTORED,
    }  # fmt: skip
    return [status for status, so in may.items() if so]


NEVER_AWAY = ("healthz", "openapi")  #: they ask nobody
UNSTORED = ("reload", "probe_host")  #: they change nothing that is stored
SHORT = ("task_id", "batch_id")  #: ids of which the end may be given, which may fit several


def _success(answer: Answer) -> JsonDict:
    if answer.events is not None:
        told = {"x-ygg-events": answer.events}
        return {"description": "Server-sent events, with JSON.", "content": {EVENTS: told}}
    content = {kind: {"schema": answer.shape} for kind in answer.kinds}
    return {"description": "As asked.", "content": content}


def _failure(status: int, answer: Answer) -> JsonDict:
    conflict = f"Because {answer.conflict}."
    told = {"description": STATUSES.get(status, conflict), "content": {JSON: {"schema": ERROR}}}
    if status == 409:
        told["content"] = {JSON: {"schema": answer.contradicts}}
    if status == 401:
        told["headers"] = {"WWW-Authenticate": {"schema": TEXT, "required": True}}
    if status in (429, 503, 507):
        told["headers"] = {"Retry-After": {**WAIT_HEADER, "required": status == 429}}
    return told
