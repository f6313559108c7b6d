"""Families in one line each. A family without samples is announced all the same; a sample whose value is not known is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from ygg.telling.tally import Histogram, Labels

Samples = Iterable[tuple[Labels, float | None]]


def gauge(name: str, told: str, labels: Labels, samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, number in samples:
        if number is not None:
            family.add_metric(values, number)
    return family


def alone(name: str, told: str, number: float | None) -> Metric:
    """A gauge of the whole house."""
    return gauge(name, told, (), [((), number)])


def counter(name: str, told: str, labels: Labels, counts: Mapping[Labels, float]) -> Metric:
    """`name` ends in `_total`."""
    family = CounterMetricFamily(name, told, labels=labels)
    for values, number in counts.items():
        family.add_metric(values, number)
    return family


def histogram(name: str, told: str, labels: Labels, found: Mapping[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, told, labels=labels)
    for values, one in found.items():
        bounds = [*map(floatToGoString, one.bounds), "+Inf"]
        family.add_metric(values, [*zip(bounds, accumulate(one.counts), strict=True)], one.total)
    return family
