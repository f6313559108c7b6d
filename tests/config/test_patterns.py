"""Regular expressions of hosts.yaml: linear in time, and a sentence for what cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ygg import config
from ygg.config.patterns import compiled

TEXT = """
hosts: {{surtr: {{slots: 1, backend: ollama, url: 'http://surtr:11434', models: [m]}}}}
task_types:
  general: {{route: [surtr]}}
  report: {{route: [surtr], match: {{titles: ['{}']}}}}
"""
#: Each takes a backtracking engine longer than anybody waits.
HEAVY = [r"^(\w+\s?)+$", r"(a+)+$", r"^(a|a)*$", r"(.*)*b", r"(\s*,?\s*\w+)*!$", "(x+x+)+y"]


TITLES = (
    ("summary of the quarterly report " * 20)[:498] + "a!",
    "a" * 499 + "!",
    "x" * 500,
    " " * 499 + "?",
)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", HEAVY)
def test_no_title_takes_long(pattern: str) -> None:
    began = time.thread_time()
    for title in TITLES:
        compiled(pattern).search(title)
    assert time.thread_time() - began < 0.05


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", HEAVY)
def test_no_title_takes_long_to_tell_its_type(tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(TEXT.format(pattern))
    settings = config.load(path)
    for title in TITLES:
        assert settings.detect_type((), title) in settings.types


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        *((p, "look-around") for p in ("a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b")),
        *((p, "back-references") for p in (r"(a)\1", r"(?P<x>a)(?P=x)", r"(a)\g<1>")),
        (r"end\Z", r"the end of the title is \z or $"),
        ("(", "missing )"),
        ("a{1001}", "invalid repetition size"),
    ],
)
def test_what_cannot_be_matched_is_said_in_words(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        compiled(pattern)


@pytest.mark.parametrize("title", ["Übung", "übung macht", "DIE ÜBUNG"])
def test_upper_and_lower_case_are_alike(title: str) -> None:
    assert compiled("übung").search(title) is not None


def test_a_configuration_without_patterns_does_not_load_the_engine() -> None:
    code = "import sys, ygg.config.records, ygg.config.values; sys.exit('re2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
