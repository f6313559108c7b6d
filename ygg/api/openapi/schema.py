"""JSON schemas in few words, for what answers are made of. Those with a name are components of the document."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ygg.model import JsonDict, Level, Priority, ReasonCode, State

Schema = JsonDict
COMPONENTS: dict[str, Schema] = {}  #: those with a name


def obj(keys: dict[str, Schema], maybe: dict[str, Schema] | None = None) -> Schema:
    """An object with these keys, and perhaps those of `maybe`."""
    return {"type": "object", "properties": keys | (maybe or {}), "required": [*keys]}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """An object whose keys are names."""
    return {"type": "object", "additionalProperties": values}


def each(keys: Any, values: Schema) -> dict[str, Schema]:
    return {str(key): values for key in keys}


def words(*of: str | type[Enum]) -> Schema:
    """One of these, or of the values of an enum."""
    told = [m.value for kind in of if not isinstance(kind, str) for m in kind]
    return {"type": "string", "enum": [*told, *(w for w in of if isinstance(w, str))]}


def null_or(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas]}


def exactly(value: str) -> Schema:
    return {"type": "string", "const": value}


def named(name: str, schema: Schema) -> Schema:
    """A reference to it."""
    COMPONENTS[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {"type": "object"}  #: an object whose keys are not ours
PERCENT: Schema = {"type": "integer", "minimum": 0, "maximum": 100}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
STATE = named("State", words(State))
STATUS = named("Status", words("queued", "processing", "completed", "failed", "cancelled"))
PRIORITY = named("Priority", words(*Priority.__members__))
LEVEL = named("Level", words(*Level.__members__))
REASON = named("ReasonCode", words(ReasonCode))
TEXT_, TIME_, COUNT_, NUMBER_ = map(null_or, (TEXT, TIME, COUNT, NUMBER))
SHARE_, LEVEL_, REASON_ = map(null_or, (SHARE, LEVEL, REASON))

STATES = each(State, COUNT)
STATES_OF_ALL = {"total_tasks": COUNT, **STATES}
COUNTS = {**STATES_OF_ALL, "by_priority": obj(each(Priority.__members__, COUNT))}


def schema_of(name: str) -> dict[str, Schema]:
    """The key of bodies that say which they are."""
    return {"schema": exactly(f"ygg.{name}/1")}


ERROR = named("Error", obj({"error": obj({"code": TEXT, "message": TEXT, "hint": TEXT})}))
