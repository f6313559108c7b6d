"""What lies in contrib/ for programs of others."""

from pathlib import Path

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
RULES = CONTRIB / "prometheus" / "ygg.rules.yml"
