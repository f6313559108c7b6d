"""What /openapi.json says, held against what the API answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from tests.surface.test_verbs import handlers
from ygg.verbs import JsonDict


def told() -> JsonDict:
    """The document, as it is served."""
    found: JsonDict = json.loads(json.dumps(handlers().described.built()))
    return found


def closed(schema: Any) -> Any:
    """The same, in which no object has a key beside those that are named."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _taken(response: httpx.Response) -> bool:
    """Whether nothing of what was asked was refused, no document of many either."""
    return response.is_success and '"error":{' not in response.text


class Contract:
    """The document, strictly: what is told and not described is wrong as well."""

    def __init__(self, document: JsonDict) -> None:
        self.document = closed(document)
        self._paths = {
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): path
            for path in document["paths"]
        }

    def operation(self, method: str, path: str) -> JsonDict:
        """Exact paths before those with a name in them."""
        known = self.document["paths"]
        fits = [path] if path in known else [p for r, p in self._paths.items() if r.fullmatch(path)]
        found: JsonDict = next(known[p][method.lower()] for p in fits if method.lower() in known[p])
        return found

    def wrong(self, response: httpx.Response) -> Iterator[str]:
        """What of an answer is not as described; and of its request where it was well."""
        request = response.request
        operation = self.operation(request.method, request.url.path)
        described = operation["responses"].get(str(response.status_code))
        if described is None:
            yield f"{operation['operationId']}: {response.status_code} is not described"
            return
        kind = response.headers.get("content-type", "").partition(";")[0]
        assert not response.content or kind in described["content"], kind
        if kind == "text/event-stream":
            yield from self._events(described["content"][kind]["x-ygg-events"], response.text)
        elif response.content:
            body = response.json() if kind == "application/json" else response.text
            yield from self.of(described["content"][kind]["schema"], body)
        form = request.headers.get("content-type", "").startswith("multipart/")
        if not form and request.content and _taken(response):
            asked = operation["requestBody"]["content"]["application/json"]["schema"]
            yield from self.of(asked, json.loads(request.content))

    def _events(self, described: JsonDict, text: str) -> Iterator[str]:
        for event in text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in event.splitlines() if line[:1] != ":")
            if "data" in lines:
                data = json.loads(lines["data"])
                yield from self.of(described[lines.get("event") or data["event"]], data)

    def of(self, schema: JsonDict, value: Any) -> Iterator[str]:
        """What is wrong with a value."""
        whole = {**schema, "components": self.document["components"]}
        for error in Draft202012Validator(whole).iter_errors(value):
            yield f"{error.json_path}: {error.message[:300]}"
