"""All families in one page, in the format that the client accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ygg.config import Config
from ygg.metrics import Drawn, counted, gauges, legacy

VERSIONS = ("", "0.0.1", "0.0.4", "1.0.0")  #: of the formats


class _Once(Collector):
    """What an encoder takes for a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def page(of: Drawn, accept: str = "") -> tuple[bytes, str]:
    """The text and its media type: OpenMetrics for who accepts it, else Prometheus' own 0.0.4."""
    encode, kind = choose_encoder(_known(accept))
    return encode(_Once(families(of))), kind


def _known(accept: str) -> str:
    """Without versions that there are not: the library breaks on some, and says of others that it writes them."""

    def known(entry: str) -> bool:
        named = (part.strip().partition("=") for part in entry.split(";"))
        return all(value in VERSIONS for name, _, value in named if name.strip() == "version")

    return ",".join(filter(known, accept.split(",")))


def families(of: Drawn) -> Iterator[Metric]:
    if of.config.metrics.legacy:
        yield from legacy.families(of.view, of.tally, _models(of.config))
    yield from gauges.families(of.view, of.tally, of.config.hosts)
    yield from gauges.disk(of.room)
    yield from counted.families(of.view, of.tally, of.stalls)
    yield from ProcessCollector(registry=None).collect()


def _models(config: Config) -> frozenset[str]:
    return frozenset(m for h in config.hosts.values() for e in h.endpoints for m in e.models)
