"""What a task shares with identical ones: their answers (the cache), or their run."""

from __future__ import annotations

from dataclasses import replace

from ygg.config import Config
from ygg.errors import InvalidInput
from ygg.intake.checking import hash_of
from ygg.intake.schemas import Submission
from ygg.model import JsonDict, Lane, Sharing


def shared(
    asked: Submission, lane: Lane, request: JsonDict, config: Config, *, unasked: bool
) -> Sharing | None:
    """None where it shares nothing. `unasked`: whether an answer of the cache will do where the document says nothing.

    Raises InvalidInput for a document that is to be one with others, and with itself alone.
    """
    if asked.coalesce and asked.idempotency_key is not None:
        raise InvalidInput(
            "coalesce: a task with an idempotency key is one with itself alone",
            hint="give one of the two",
        )
    fresh_s = (config.policy.cache_ttl_s or None) if _cached(asked, lane, config, unasked) else None
    if fresh_s is None and not asked.coalesce:
        return None
    caller = None if config.policy.cache_across_callers else lane.caller
    told = [caller, asked.does, lane.type, lane.host, lane.model, lane.gpu, request]
    return Sharing(cache_prefix(config) + hash_of(told), fresh_s, asked.coalesce)


def of_file(sharing: Sharing, sha256: str, config: Config) -> Sharing:
    """The same of a task that works on this file, too: identical are those of identical files."""
    return replace(sharing, key=cache_prefix(config) + hash_of([sharing.key, sha256]))


def cache_prefix(config: Config) -> str:
    """What keys begin with: under other settings the same request may get another answer."""
    return f"{config.fingerprint}:"


def _cached(asked: Submission, lane: Lane, config: Config, unasked: bool) -> bool:
    wanted = unasked if asked.cache is None else asked.cache
    return wanted and config.type_of(lane.type).cache
