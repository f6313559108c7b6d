"""hosts.yaml: what is read from a good file, and what is said of a bad one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from ygg import config
from ygg.errors import ConfigError
from ygg.model import Candidate

ROOT = Path(__file__).resolve().parents[1]
GOOD = """\
hosts:
  surtr:
    slots: 2
    backend: ollama
    url: http://surtr:11434
    models: [big, small]
  loki:
    slots: 1
    endpoints:
      one: {backend: openai, url: "http://loki:8080/v1/"}
      two: {backend: ollama, url: "http://loki:11434", models: [tiny]}
task_types:
  code:
    route: [surtr]
    match: {labels: [dev], titles: ['\\bfix\\b']}
  general:
    route: [surtr]
"""


def read(tmp_path: Path, text: str | bytes) -> config.Config:
    path = tmp_path / "hosts.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return config.load(path)


def complaints(tmp_path: Path, text: str | bytes) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.exit_code == 78
    return caught.value.message.replace(f"{tmp_path}/", "").splitlines()


def edited(*edits: tuple[str, str]) -> str:
    """GOOD with each edit made exactly once."""
    text = GOOD
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


# --- a good file ----------------------------------------------------------------------------------


def test_the_shipped_file_is_the_home_of_the_design() -> None:
    home = config.load(ROOT / "hosts.yaml")
    assert {h.name: h.slots for h in home.hosts.values()} == {
        "surtr-reasoning": 2,
        "fenrir-chat": 3,
        "skadi-code": 2,
    }
    assert {t.name: [c.host for c in t.route] for t in home.types.values()} == {
        "code-generation": ["skadi-code"],
        "text-processing": ["fenrir-chat"],
        "reasoning": ["surtr-reasoning"],
        "general": ["surtr-reasoning"],
    }
    assert config.load(ROOT / "hosts.yaml", strict=True) == home


def test_the_numbers_of_the_shipped_file_are_the_defaults(tmp_path: Path) -> None:
    assert config.load(ROOT / "hosts.yaml").policy == read(tmp_path, GOOD).policy


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("surtr", Candidate("surtr", "ollama", "big")),
        ("surtr/small", Candidate("surtr", "ollama", "small")),
        ("loki", Candidate("loki", "one", "")),
        ("loki/tiny", Candidate("loki", "two", "tiny")),
        ("loki/hf.co/some/model", Candidate("loki", "one", "hf.co/some/model")),
        ("{host: loki, endpoint: two}", Candidate("loki", "two", "tiny")),
        ("{host: loki, endpoint: one, model: x}", Candidate("loki", "one", "x")),
    ],
)
def test_a_candidate_is_resolved_to_host_endpoint_and_model(
    tmp_path: Path, candidate: str, expected: Candidate
) -> None:
    text = GOOD.replace("general:\n    route: [surtr]", f"general:\n    route: [{candidate}]")
    assert read(tmp_path, text).types["general"].route == (expected,)


def test_v1_at_the_end_of_an_openai_url_is_dropped(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).hosts["loki"].endpoints[0].url == "http://loki:8080"


def test_a_server_without_models_does_not_inherit_those_of_its_neighbour(tmp_path: Path) -> None:
    good = read(tmp_path, GOOD)
    assert good.hosts["loki"].models == ()
    assert good.hosts["surtr"].models == ("big", "small")


def test_an_unknown_type_runs_by_the_rules_of_general_under_its_own_name(tmp_path: Path) -> None:
    good = read(tmp_path, GOOD)
    unknown = good.type_of("poetry")
    assert unknown.name == "poetry"
    assert unknown.route == good.types["general"].route
    assert good.type_of("code") is good.types["code"]


@pytest.mark.parametrize(
    ("labels", "title", "expected"),
    [
        (["code"], "", "code"),
        (["x", "dev"], "", "code"),
        (["dev", "general"], "", "general"),  # a type's own name before any match
        ([], "Please FIX it", "code"),
        ([], "prefixes", "general"),
        (["Code"], "", "general"),
        ([], "", "general"),
    ],
)
def test_the_type_is_found_by_label_then_title(
    tmp_path: Path, labels: list[str], title: str, expected: str
) -> None:
    assert read(tmp_path, GOOD).detect_type(labels, title) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60s", 60), ("10m", 600), ("2h", 7200), ("7d", 604800), ("1h30m", 5400), ("1.5", 1.5)],
)
def test_durations_are_seconds_or_have_a_unit(tmp_path: Path, text: str, expected: float) -> None:
    good = read(tmp_path, f"{GOOD}policies: {{timeout: {text}, poll: 250ms}}\n")
    assert good.policy.timeout_s == expected
    assert good.policy.poll_s == 0.25
    assert good.types["code"].timeout_s == expected  # a type's default is the policy's


def test_a_type_sets_its_own_timeout_and_retries(tmp_path: Path) -> None:
    good = read(tmp_path, edited(("  code:\n", "  code:\n    timeout: 90\n    retries: 0\n")))
    assert good.types["code"].timeout_s == 90.0
    assert good.types["code"].retries == 0
    assert good.types["general"].retries is None


@pytest.mark.parametrize(("text", "expected"), [("off", None), ("", None), ("10m", 600.0)])
def test_ageing_can_be_off(tmp_path: Path, text: str, expected: float | None) -> None:
    assert read(tmp_path, f"{GOOD}policies: {{ageing: {text}}}\n").policy.ageing_s == expected


def test_a_section_without_content_counts_as_not_set(tmp_path: Path) -> None:
    assert read(tmp_path, f"{GOOD}policies:\napi:\n") == read(tmp_path, GOOD)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = edited(
        ("  surtr:\n", "  surtr: &box\n"),
        ("task_types:", "  odin: {<<: *box, slots: 9}\ntask_types:"),
    )
    odin = read(tmp_path, text).hosts["odin"]
    assert (odin.slots, odin.models) == (9, ("big", "small"))


def test_files_are_named_relative_to_the_configuration(tmp_path: Path) -> None:
    text = edited(("    slots: 2\n", "    slots: 2\n    api_key_file: keys/surtr\n"))
    good = read(tmp_path, text)
    assert good.hosts["surtr"].endpoints[0].api_key_file == str(tmp_path / "keys/surtr")


def test_a_config_cannot_be_changed(tmp_path: Path) -> None:
    good = read(tmp_path, GOOD)
    with pytest.raises(TypeError):
        good.hosts["new"] = good.hosts["loki"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        good.policy = good.policy  # type: ignore[misc]


def test_importing_the_package_loads_neither_yaml_nor_pydantic() -> None:
    code = "import sys, ygg.config, ygg.paths; print([m for m in ('yaml', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- a bad file -----------------------------------------------------------------------------------

TYPES_LINE = "task_types:\n"
URL = "http://HOST:PORT or https://HOST:PORT without user, query and fragment"
EDITS: dict[str, tuple[tuple[str, str], str]] = {
    "unknown key": (
        ("    slots: 2", "    slots: 2\n    slot: 3"),
        "hosts.yaml:4: hosts.surtr.slot: expected a known key, got `slot`; did you mean `slots`?",
    ),
    "unknown key of a section": (
        (TYPES_LINE, "policy: {}\ntask_types:\n"),
        "hosts.yaml:12: policy: expected a known key, got `policy`; did you mean `policies`?",
    ),
    "unknown key far from any": (
        ("one: {", "one: {zzz: 1, "),
        (
            "hosts.yaml:10: hosts.loki.endpoints.one.zzz: expected a known key, got `zzz`; "
            "known: `backend`, `url`, `models`, `dialect`, `api_key_file`, `options`, `slots`, `kind` or `serves`"
        ),
    ),
    "wrong type": (
        ("slots: 2", "slots: two"),
        "hosts.yaml:3: hosts.surtr.slots: expected a whole number from 1 to 256, got 'two'",
    ),
    "a boolean is no number": (
        ("slots: 2", "slots: yes"),
        "hosts.yaml:3: hosts.surtr.slots: expected a whole number from 1 to 256, got true",
    ),
    "no slot": (
        ("slots: 2", "slots: 0"),
        "hosts.yaml:3: hosts.surtr.slots: expected a whole number from 1 to 256, got 0",
    ),
    "too many slots": (
        ("slots: 2", "slots: 257"),
        "hosts.yaml:3: hosts.surtr.slots: expected a whole number from 1 to 256, got 257",
    ),
    "missing key": (
        ("    slots: 2\n", ""),
        "hosts.yaml:2: hosts.surtr: expected the key `slots`, got none",
    ),
    "host without a server": (
        ("    backend: ollama\n    url: http://surtr:11434\n", ""),
        "hosts.yaml:2: hosts.surtr: expected `url` and `backend`, or `endpoints`, got none",
    ),
    "host without a backend": (
        ("    backend: ollama\n", ""),
        "hosts.yaml:2: hosts.surtr: expected the key `backend`, got none",
    ),
    "unknown backend": (
        ("    backend: ollama", "    backend: olama"),
        "hosts.yaml:4: hosts.surtr.backend: expected `ollama` or `openai`, got 'olama'",
    ),
    "both forms at once": (
        ("    slots: 1\n", "    slots: 1\n    url: http://x\n"),
        (
            "hosts.yaml:9: hosts.loki.url: expected `url` below one of the endpoints, "
            "got `url` beside `endpoints`"
        ),
    ),
    "ollama without models": (
        ("    models: [big, small]\n", ""),
        "hosts.yaml:2: hosts.surtr: expected `models` with at least one model, got none",
    ),
    "a model twice": (
        ("[big, small]", "[big, big]"),
        "hosts.yaml:6: hosts.surtr.models[1]: expected each entry once, got `big` a second time",
    ),
    "dialect of ollama": (
        ("models: [tiny]", "models: [tiny], dialect: vllm"),
        "hosts.yaml:11: hosts.loki.endpoints.two.dialect: expected `dialect` only with openai, got ollama",
    ),
    "wrong scheme": (
        ("http://surtr:11434", "ftp://surtr"),
        f"hosts.yaml:5: hosts.surtr.url: expected {URL}, got 'ftp://surtr'",
    ),
    "no scheme": (
        ("http://surtr:11434", "surtr:11434"),
        f"hosts.yaml:5: hosts.surtr.url: expected {URL}, got 'surtr:11434'",
    ),
    "bad port": (
        ("http://surtr:11434", "http://surtr:114340"),
        f"hosts.yaml:5: hosts.surtr.url: expected {URL}, got 'http://surtr:114340'",
    ),
    "password in a url": (
        ("http://surtr:11434", "http://me:hunter2@surtr"),
        f"hosts.yaml:5: hosts.surtr.url: expected {URL}, got 'http://***@surtr'",
    ),
    "bad host name": (
        ("  surtr:\n", "  a/b:\n"),
        "hosts.yaml:2: hosts.'a/b': expected a name of 1 to 64 letters, digits, `.`, `_` and `-`, got 'a/b'",
    ),
    "host twice": (
        ("  loki:\n", "  surtr:\n"),
        (
            "hosts.yaml:7: hosts.surtr: expected each key once, got `surtr` a second time; "
            "the first is in line 2"
        ),
    ),
    "route to an unknown host": (
        ("  code:\n    route: [surtr]", "  code:\n    route:\n      - loki\n      - sutr"),
        (
            "hosts.yaml:16: task_types.code.route[1]: expected a host of this file, got `sutr`; "
            "did you mean `surtr`?"
        ),
    ),
    "route to an unknown model": (
        ("  code:\n    route: [surtr]", "  code:\n    route: [surtr/smal]"),
        (
            "hosts.yaml:14: task_types.code.route[0]: expected a model of surtr, got `smal`; "
            "did you mean `small`?"
        ),
    ),
    "two ways to load a model": (
        (
            "  general:\n    route: [surtr]",
            "  general:\n    route: [surtr]\n    options: {num_ctx: 4096}\n"
            "  x:\n    route: [surtr]\n    options: {num_ctx: 8192}",
        ),
        (
            "hosts.yaml:21: task_types.x.options.num_ctx: expected 4096, as task type `general` has it "
            "for surtr/big, got 8192; another value would load the model anew for every change of type"
        ),
    ),
    "a source without an address": (
        ("slots: 2", "slots: 2\n    telemetry: ssh"),
        "hosts.yaml:4: hosts.surtr.telemetry: expected the key `ssh`: where to log in, got none",
    ),
    "an unknown source": (
        ("slots: 2", "slots: 2\n    telemetry: nvidia"),
        "hosts.yaml:4: hosts.surtr.telemetry: expected `auto`, `nvml`, `ssh`, `ollama_ps`, `static` or `off`, "
        "got 'nvidia'",
    ),
    "limits that do not rise": (
        ("slots: 2", "slots: 2\n    heat: {stop: 60}"),
        "hosts.yaml:4: hosts.surtr.heat.stop: expected a number above `throttle` (80), got 60",
    ),
    "memory in no unit": (
        ("models: [big, small]", "models: [big, {name: small, memory: 6 apples}]"),
        "hosts.yaml:6: hosts.surtr.models[1].memory: expected an amount of memory such as 8GB, 6.5GB or "
        "900MB, got '6 apples'",
    ),
    "route to an unknown endpoint": (
        ("  code:\n    route: [surtr]", "  code:\n    route: [{host: loki, endpoint: six}]"),
        (
            "hosts.yaml:14: task_types.code.route[0]: expected an endpoint of loki, got `six`; "
            "known: `one` or `two`"
        ),
    ),
    "candidate twice": (
        ("  code:\n    route: [surtr]", "  code:\n    route: [surtr, surtr/big]"),
        (
            "hosts.yaml:14: task_types.code.route[1]: expected each entry once, "
            "got `surtr/ollama/big` a second time"
        ),
    ),
    "a kind of host its route lacks": (
        ("  code:\n    route: [surtr]", "  code:\n    gpu: never\n    route: [surtr]"),
        (
            "hosts.yaml:14: task_types.code.gpu: expected `preferred`, or a host with `kind: cpu` in the "
            "route, got `never`"
        ),
    ),
    "empty route": (
        ("  code:\n    route: [surtr]", "  code:\n    route: []"),
        "hosts.yaml:14: task_types.code.route: expected at least one entry, got an empty list",
    ),
    "no general": (
        ("  general:", "  generel:"),
        (
            "hosts.yaml:12: task_types: expected a type named `general`, got `code` or `generel`; "
            "tasks of unknown types run on its route"
        ),
    ),
    "bad regular expression": (
        ("['\\bfix\\b']", "['(']"),
        (
            "hosts.yaml:15: task_types.code.match.titles[0]: expected a valid regular expression, "
            "got '('; it is not: missing ): ("
        ),
    ),
    "look-around": (
        ("['\\bfix\\b']", "['^(?!draft)']"),
        (
            "hosts.yaml:15: task_types.code.match.titles[0]: expected a valid regular expression, "
            "got '^(?!draft)'; it is not: look-around takes unbounded time: match without it "
            "(invalid perl operator: (?!)"
        ),
    ),
    "back-reference": (
        ("['\\bfix\\b']", "['(fix).*\\1']"),
        (
            "hosts.yaml:15: task_types.code.match.titles[0]: expected a valid regular expression, "
            "got '(fix).*\\\\1'; it is not: back-references take unbounded time: match without them "
            "(invalid escape sequence: \\1)"
        ),
    ),
    "bad duration": (
        (TYPES_LINE, "policies:\n  drain: 5 minutes\ntask_types:\n"),
        (
            "hosts.yaml:13: policies.drain: expected a duration above 0 such as 60s, 10m, 2h or 7d, "
            "or seconds, got '5 minutes'"
        ),
    ),
    "no duration at all": (
        (TYPES_LINE, "policies:\n  drain: 0\ntask_types:\n"),
        (
            "hosts.yaml:13: policies.drain: expected a duration above 0 such as 60s, 10m, 2h or 7d, "
            "or seconds, got 0"
        ),
    ),
    "a list for a mapping": (
        (TYPES_LINE, "policies: [1]\ntask_types:\n"),
        "hosts.yaml:12: policies: expected a mapping, got a list",
    ),
    "not a number": (
        ("  code:\n", "  code:\n    options: {a: {b: [.nan]}}\n"),
        (
            "hosts.yaml:14: task_types.code.options: expected values that JSON can hold, "
            "got a mapping; a.b.0 is nan"
        ),
    ),
    "lone surrogate": (
        ("[big, small]", '["\\ud800"]'),
        (
            "hosts.yaml:6: hosts.surtr.models[0]: expected text without NUL and lone surrogates, "
            "got '\\ud800'"
        ),
    ),
    "a number that is none": (
        ("slots: 2", "slots: !!int x"),
        "hosts.yaml:3: hosts.surtr.slots: expected a value of kind int, got 'x'",
    ),
    "more digits than Python reads": (
        ("slots: 2", f"slots: {'9' * 5000}"),
        f"hosts.yaml:3: hosts.surtr.slots: expected a value of kind int, got '{'9' * 55}...'",
    ),
    "a huge number": (
        ("slots: 2", f"slots: {'9' * 4000}"),
        "hosts.yaml:3: hosts.surtr.slots: expected a whole number from 1 to 256, got a huge number",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_one_mistake_is_told_once_with_line_path_and_suggestion(tmp_path: Path, name: str) -> None:
    edit, expected = EDITS[name]
    told = complaints(tmp_path, edited(edit))
    assert expected in told
    routes = 2 if name == "bad host name" else 0  # both routes name the host that is gone
    assert len(told) == 1 + routes, told


BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "hosts.yaml:1: top level: expected a mapping, got nothing"),
    "only comments": (b"# nothing\n", "hosts.yaml:1: top level: expected a mapping, got nothing"),
    "a list": (b"\n- 1\n", "hosts.yaml:2: top level: expected a mapping, got a list"),
    "tabs": (
        b"hosts:\n\tsurtr: 1\n",
        (
            "hosts.yaml:2: top level: expected valid YAML, got found character '\\t' that cannot start "
            "any token; indent with spaces, not tabs"
        ),
    ),
    "syntax": (
        b"hosts: {a: 1\ntask_types: 2\n",
        (
            "hosts.yaml:2: top level: expected valid YAML, got expected ',' or '}', but got ':'; "
            "while parsing a flow mapping"
        ),
    ),
    "not UTF-8": (
        b"# k\xf6nig\nhosts: 1\n",
        "hosts.yaml:1: top level: expected UTF-8 text, got byte 0xf6",
    ),
    "UTF-16": (
        "\nhosts: 1\n".encode("utf-16"),
        "hosts.yaml:1: top level: expected UTF-8 text, got byte 0xff",
    ),
    "a control character": (
        b"hosts:\n  a\x07: 1\n",
        "hosts.yaml:2: top level: expected printable text, got the character 0x0007; remove it",
    ),
    "two documents": (
        b"hosts: 1\n---\nhosts: 2\n",
        "hosts.yaml:2: top level: expected a single YAML document, got another one",
    ),
    "an object": (
        b"hosts: !!python/object/apply:os.system [true]\n",
        (
            "hosts.yaml:1: hosts: expected a plain mapping or list, "
            "got the tag 'tag:yaml.org,2002:python/object/apply:os.system'"
        ),
    ),
    "a mapping as a key": (
        b"hosts:\n  ? {a: 1}\n  : 2\n",
        "hosts.yaml:2: hosts: expected text as a key, got a mapping or list",
    ),
    "an alias in itself": (
        b"hosts: &a\n  b: *a\n",
        "hosts.yaml:1: top level: expected at most 32 levels, got more",
    ),
    "an alias bomb": (
        b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 10)) for c in b"bcdefgh"
        ),
        "hosts.yaml:1: top level: expected at most 20000 values, aliases unfolded, got more",
    ),
    "deep nesting": (
        b"[" * 5000,
        "hosts.yaml:1: top level: expected at most 32 levels, got far more",
    ),
    "a huge file": (
        b"#" * 300_000,
        "hosts.yaml:1: top level: expected at most 256 KiB, got 292 KiB",
    ),
}


@pytest.mark.parametrize("name", BYTES)
def test_a_file_that_is_no_configuration_is_told_as_such(tmp_path: Path, name: str) -> None:
    raw, expected = BYTES[name]
    told = complaints(tmp_path, raw)
    assert expected in told


def test_all_problems_of_a_file_are_told_at_once_in_its_order(tmp_path: Path) -> None:
    text = edited(
        ("slots: 2", "slots: two"),
        ("slots: 1", "slot: 1"),
        ("  code:\n    route: [surtr]", "  code:\n    route: [fenrir]"),
        ("  general:", "  generel:"),
    )
    lines = [line.split(":")[1] for line in complaints(tmp_path, f"{text}policies: {{poll: x}}\n")]
    assert lines == ["3", "8", "12", "14", "18"]


def test_a_route_to_a_host_with_a_mistake_is_no_second_mistake(tmp_path: Path) -> None:
    told = complaints(tmp_path, edited(("slots: 2", "slots: two")))
    assert len(told) == 1


def test_at_most_twenty_problems_are_told(tmp_path: Path) -> None:
    text = GOOD + "policies:\n" + "".join(f"  zz{n}: 1\n" for n in range(25))
    told = complaints(tmp_path, text)
    assert len(told) == 21
    assert told[-1] == "hosts.yaml: 5 more problems not shown"


def test_the_hint_says_what_to_do_next(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "")
    assert caught.value.hint == f"edit {tmp_path}/hosts.yaml, then run `ygg config check`"


def test_plain_data_is_checked_by_the_same_rules_without_lines() -> None:
    host = {"slots": 1, "backend": "openai", "url": "http://x", "model": ["m"]}
    data = {"hosts": {"a": host}, "task_types": {"general": {"route": ["a"]}}}
    with pytest.raises(ConfigError) as caught:
        config.from_dict(data, "the demo")
    assert caught.value.message == (
        "the demo: hosts.a.model: expected a known key, got `model`; did you mean `models`?"
    )


# --- slots and kinds of endpoints -----------------------------------------------------------------

BOX = """\
hosts:
  box:
    endpoints:
      - {backend: ollama, url: "http://box:11434", models: [m], slots: 1}
      - {backend: ollama, url: "http://box:11435", models: [m], slots: 2}
      - {name: tiny, backend: openai, url: "http://box:8080", slots: 3, kind: cpu}
task_types: {general: {route: [box]}}
"""


def test_a_list_of_endpoints_is_a_mapping_by_name_and_the_host_has_the_sum_of_their_slots(
    tmp_path: Path,
) -> None:
    box = read(tmp_path, BOX).hosts["box"]
    assert [(e.name, e.slots) for e in box.endpoints] == [
        ("ollama", 1),
        ("ollama-2", 2),
        ("tiny", 3),
    ]
    assert box.slots == 6
    assert [box.kind_of(e.name) for e in box.endpoints] == ["gpu", "gpu", "cpu"]


def test_the_host_s_own_slots_hold_over_its_endpoints(tmp_path: Path) -> None:
    text = BOX.replace("    endpoints:", "    slots: 4\n    endpoints:").replace(", slots: 2", "")
    box = read(tmp_path, text).hosts["box"]
    assert (box.slots, [e.slots for e in box.endpoints]) == (4, [1, None, 3])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (", slots: 2", "", "hosts.box: expected the key `slots`, or `slots` of each endpoint, got none"),
        ("name: tiny", "name: ollama", "expected endpoints of different names"),
        ("slots: 1}", "slots: 0}", "hosts.box.endpoints.ollama.slots: expected a whole number from 1 to 256"),
        ("name: tiny, backend: openai", "name: 'a b', backend: openai", "hosts.box.endpoints"),
        ("kind: cpu", "kind: tpu", "hosts.box.endpoints.tiny.kind: expected `gpu` or `cpu`"),
        ("- {name: tiny", "- tiny\n      - {name: other", "expected a mapping of endpoints by name, or a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_such_a_list_is_told(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert BOX.count(old) == 1
    told = complaints(tmp_path, BOX.replace(old, new))
    assert any(says in line for line in told), told
