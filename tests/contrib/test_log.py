"""The configurations of contrib/log: they name what there is, read the lines that ygg writes, and hold no secret."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import re2
import yaml

from tests.contrib import CONTRIB
from ygg.logs import CleanFormatter, JournalFormatter
from ygg.ops.service import units

FOLDER = CONTRIB / "log"
SOURCES, SINKS = ("journal", "file"), ("loki", "elasticsearch", "datadog")
#: The words of the journal, by priority.
SYSLOG = {2: "crit", 3: "err", 4: "warning", 6: "info", 7: "debug"}
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


def vector(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "vector" / f"{name}.yaml").read_text())  # type: ignore[no-any-return]


def program(name: str) -> str:
    return str(vector(name)["transforms"]["ygg"]["source"])


def fields(name: str) -> set[str]:
    """Of the events that the transform leaves."""
    return set(re.findall(r'^ *"(\w+)":', program(name).partition(". = {")[2], re.MULTILINE))


def record(level: int, *, trouble: bool = False) -> logging.LogRecord:
    made = logging.LogRecord("ygg", level, "", 0, "fenrir is down: refused", None, None)
    if trouble:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            made.exc_info = sys.exc_info()
    return made


def test_all_files_are_named_here() -> None:
    assert {path.stem for path in (FOLDER / "vector").iterdir()} == {*SOURCES, *SINKS}


@pytest.mark.parametrize("name", SOURCES)
def test_either_source_leaves_the_same_events(name: str) -> None:
    config = vector(name)
    (source,) = config["sources"]
    assert config["transforms"].keys() == {"ygg"}
    assert config["transforms"]["ygg"]["inputs"] == [source]
    assert fields(name) == {"timestamp", "host", "service", "level", "message"}


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_takes_fields_that_there_are_and_secrets_from_outside(name: str) -> None:
    (sink,) = vector(name)["sinks"].values()
    assert sink["inputs"] == ["ygg"]
    assert set(re.findall(r"\{\{ (\w+) \}\}", str(sink))) <= fields("journal")
    told = [sink.get(k) for k in ("endpoint", "endpoints", "default_api_key", "site")]
    told += [sink.get("auth", {}).get(k) for k in ("user", "password")]
    given = [str(one) for one in told if one is not None]
    assert given
    assert [one for one in given if not re.fullmatch(r"(\[')?\$\{[A-Z_]+\}('\])?", one)] == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("trouble", [False, True])
def test_a_line_of_the_file_is_read_whole(level: int, trouble: bool) -> None:
    """As RE2 reads it, whose patterns Vector's library shares."""
    (pattern,) = re.findall(r"r'([^']+)'", program("file"))
    line = CleanFormatter().format(record(level, trouble=trouble))
    found = re2.match(pattern, line)
    assert found is not None
    assert found["level"] == logging.getLevelName(level)
    assert found["text"].startswith("fenrir is down: refused")
    assert found["text"].endswith("lines" if trouble else "refused")


def test_an_event_begins_where_a_line_has_a_time() -> None:
    around = vector("file")["sources"]["ygg_file"]["multiline"]
    assert around["start_pattern"] == around["condition_pattern"]
    assert around["mode"] == "halt_before"
    first, *others = CleanFormatter().format(record(logging.ERROR, trouble=True)).splitlines()
    assert re2.match(around["start_pattern"], first)
    assert len(others) > 2
    assert not any(re2.match(around["start_pattern"], line) for line in others)


def test_the_levels_of_the_file_are_called_as_the_journal_calls_them() -> None:
    chain = dict(re.findall(r'parsed\.level == "(\w+)" \{\s*level = "(\w+)"', program("file")))
    for level in LEVELS:
        priority = int(JournalFormatter().format(record(level))[1])
        assert chain.get(logging.getLevelName(level), "info") == SYSLOG[priority]


def test_the_journal_is_that_of_the_unit() -> None:
    unit = Path(str(units.__path__[0])) / "ygg.service"
    assert unit.exists()
    assert vector("journal")["sources"]["ygg_journal"]["include_units"] == [unit.stem]
    assert f'"_SYSTEMD_UNIT={unit.name}"' in (FOLDER / "ygg.alloy").read_text()


def test_alloy_s_components_lead_to_each_other() -> None:
    text = (FOLDER / "ygg.alloy").read_text()
    there = {f"{kind}.{name}" for kind, name in re.findall(r'^([\w.]+) "(\w+)" \{', text, re.MULTILINE)}  # fmt: skip
    asked = set(re.findall(r"(loki\.\w+\.\w+)\.(?:receiver|rules)\b", text))
    assert there == {"loki.relabel.ygg", "loki.source.journal.ygg", "loki.write.ygg"}
    assert asked == {"loki.relabel.ygg", "loki.write.ygg"}
    assert text.count("{") == text.count("}")
    assert 'sys.env("LOKI_URL")' in text
