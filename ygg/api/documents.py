"""The documents of verbs: what a POST says beside tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ygg.desk import PART
from ygg.intake.checking import Document
from ygg.intake.schemas import PriorityField

Ended = Literal["failed", "blocked", "cancelled", "expired"]


class BulkSubmit(Document):
    """POST /v1/tasks. The documents are counted and checked apart, so that each error names its task."""

    tasks: list[Any]
    atomic: bool = False


class Retry(Document):
    """POST /v1/tasks/retry: by id, or every task in these states."""

    ids: Annotated[list[str], Field(max_length=PART, fail_fast=True)] | None = None
    states: Annotated[list[Ended], Field(max_length=100, fail_fast=True)] | None = None


class NewPriority(Document):
    """POST /v1/tasks/{id}/priority."""

    priority: PriorityField
