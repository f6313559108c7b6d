"""What lies in contrib/ for programs of others."""

import re
from pathlib import Path

from tests.surface.test_metrics import DOCS, LEGACY, OURS

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
RULES = CONTRIB / "prometheus" / "ygg.rules.yml"
#: What Prometheus adds to each sample, and what a histogram has.
ADDED = {"job", "instance", "le"}


def named(text: str) -> set[str]:
    """The metrics of ygg in an expression."""
    return set(re.findall(r"\bygg_\w+", text))


def samples() -> dict[str, str]:
    """The names of all samples that a page may have, with their families."""
    parts = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {name + part: name for name, kind in (OURS | LEGACY).items() for part in parts.get(kind, ("",))}  # fmt: skip


def unknown_labels(text: str) -> list[str]:
    """`metric{label}` where an expression chooses by a label that the metric does not have, by docs/monitoring.md."""
    chosen = re.findall(r"\b(ygg_\w+)\{([^}]*)\}", text)
    asked = ((name, label) for name, by in chosen for label in re.findall(r"(\w+)(?:=|!=)", by))
    return [f"{name}{{{label}}}" for name, label in asked if label not in ADDED | _labels(name)]


def _labels(name: str) -> set[str]:
    family = samples()[name]
    rows = (row.split(" | ") for row in DOCS.read_text().splitlines() if row.startswith("| `ygg_"))
    found = next(r for r in rows if f"`{family}`" in r[0] or f"`{family}_total`" in r[0])
    return set(re.findall(r"\w+", found[2]))
