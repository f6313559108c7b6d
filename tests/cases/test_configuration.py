"""Settings of hosts.yaml: what the check says, and what a daemon makes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Reply, scripted
from tests.system.rig import until

ANSWER = '{"message":{"content":"hello"},"done":false}\n{"message":{"content":""},"done":true,"done_reason":"stop"}'
HOST = "{{slots: 1, backend: ollama, url: '{url}', models: [m], telemetry: 'off'{more}}}"


def checked(folder: Path, text: str) -> tuple[int, str]:
    """Exit code of `ygg config check` and all that it says."""
    path = folder / "hosts.yaml"
    path.write_text(text)
    done = House(folder, path).ygg("config", "check")
    return done.returncode, done.stdout + done.stderr


def one_host(url: str = "http://surtr:11434", more: str = "") -> str:
    host = HOST.format(url=url, more=more)
    return f"hosts:\n  surtr: {host}\ntask_types:\n  general: {{route: [surtr]}}\n"


# --- a key that is none ---------------------------------------------------------------------------

KEYS = {
    "missing": (None, "which does not exist"),
    "empty": (b"", "which is empty"),
    "blank": (b" \n\n", "which is empty"),
    "mark": (b"\xef\xbb\xbf\n", "which is empty"),
    "lines": (b"one\ntwo\n", "does not hold one API key"),
    "letters": ("schlüssel".encode(), "does not hold one API key"),
    "bytes": (b"\xff\xfe\0\0", "which is no text"),
    "picture": (b"\x89PNG" + bytes(20_000), "longer than 16 KiB"),
}


def test_a_key_file_without_a_key_fails_the_check(tmp_path: Path) -> None:
    for name, (data, _) in KEYS.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    hosts = "".join(
        f"  {n}: {HOST.format(url=f'http://{n}', more=f', api_key_file: {n}')}\n" for n in KEYS
    )
    code, told = checked(tmp_path, f"hosts:\n{hosts}task_types:\n  general: {{route: [missing]}}\n")
    assert code == 78
    for name, (_, says) in KEYS.items():
        (line,) = [line for line in told.splitlines() if f"hosts.{name}.api_key_file" in line]
        assert ": expected a file that holds an API key, got" in line
        assert says in line


def test_a_byte_order_mark_and_blanks_around_a_key_are_no_part_of_it(tmp_path: Path) -> None:
    keys = {"plain": b"sesame", "marked": b"\xef\xbb\xbfsesame\r\n", "blanks": b"\n sesame \n"}
    with scripted(Reply(ANSWER)) as server:
        hosts = "".join(
            f"  {n}: {HOST.format(url=server.url, more=f', api_key_file: {n}')}\n" for n in keys
        )
        for name, data in keys.items():
            (tmp_path / name).write_bytes(data)
        text = f"hosts:\n{hosts}task_types:\n  general: {{route: [{', '.join(keys)}]}}\n"
        assert checked(tmp_path, text)[0] == 0
        with house(tmp_path, text) as home:
            for name in keys:
                assert home.end(home.submit("hello", "--host", name))["state"] == "completed"
        sent = {{k.lower(): v for k, v in a.headers.items()}["authorization"] for a in server.asked}
    assert sent == {"Bearer sesame"}


def test_a_bad_key_stops_its_host_and_no_other(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with scripted(Reply(ANSWER)) as one, scripted(Reply(ANSWER)) as two:
        hosts = "".join(
            f"  {name}: {HOST.format(url=server.url, more=f', api_key_file: {key}' if key else '')}\n"
            for name, server, key in (
                ("locked", one, "key"),
                ("piped", one, "pipe"),
                ("open", two, ""),
            )
        )
        text = f"hosts:\n{hosts}task_types:\n  general: {{route: [locked, piped, open]}}\npolicies: {{probe_max: 1s}}\n"
        with house(tmp_path, text) as home:
            assert home.end(home.submit("hello"))["host"] == "open"
            told = {h["name"]: h for h in status(home)["hosts"]}
            assert told["open"]["health"] == "up"
            for name, says in (("locked", "does not exist"), ("piped", "it is a pipe")):
                assert told[name]["health"] == "unauthorized"
                assert says in json.dumps(told[name])
            (tmp_path / "key").write_text("sesame")  # no reload is needed
            until(lambda: health(home, "locked") == "up", 20, "the mended key is read")


def status(home: House) -> dict[str, Any]:
    return dict(json.loads(home.ygg("status", "--json").stdout))


def health(home: House, name: str) -> str:
    return next(str(h["health"]) for h in status(home)["hosts"] if h["name"] == name)


def test_a_key_that_others_may_read_is_a_warning_of_doctor(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame")
    (tmp_path / "key").chmod(0o644)
    with scripted() as server:
        text = one_host(server.url, ", api_key_file: key")
        (tmp_path / "hosts.yaml").write_text(text)
        told = House(tmp_path, tmp_path / "hosts.yaml").ygg("doctor", "--json").stdout
    (check,) = [c for c in json.loads(told)["checks"] if c["name"] == "surtr key"]
    assert check["status"] == "warning"
    assert "mode 0644" in check["message"]


# --- one type that speaks for others --------------------------------------------------------------


def test_a_type_that_says_how_a_model_is_loaded_says_it_for_all(tmp_path: Path) -> None:
    text = one_host() + "  long: {route: [surtr], options: {num_ctx: 32768, temperature: 0}}\n"
    code, told = checked(tmp_path, text)
    assert code == 0
    assert (
        "hosts.yaml:5: task_types.long.options.num_ctx: 32768 holds for all tasks of its models, "
        "also for those of `general`" in told
    )
    assert "temperature" not in told


@pytest.mark.parametrize(
    ("more", "types", "says"),
    [
        ("", "  long: {route: [surtr], options: {top_p: 0.5}}\n", ""),
        (", options: {num_ctx: 8192}", "  long: {route: [surtr], options: {num_ctx: 4096}}\n", "has no effect"),
        ("", "  long: {route: [surtr], options: {num_ctx: 4096, num_gpu: 1}}\n", "num_gpu: 1 holds"),
    ],
)  # fmt: skip
def test_that_is_told_only_where_it_is_so(tmp_path: Path, more: str, types: str, says: str) -> None:
    code, told = checked(tmp_path, one_host(more=more) + types)
    assert code == 0
    assert says in told
    assert bool(says) == ("note:" in told)


# --- addresses ------------------------------------------------------------------------------------


URLS = {
    "metadata": "http://169.254.169.254", "beside": "http://169.254.1.1:1", "number": "http://2130706433",
    "hex": "http://0x7f.1", "dots": "http://a..b:1",
}  # fmt: skip


def test_addresses_that_no_model_server_can_have_fail_the_check(tmp_path: Path) -> None:
    hosts = "".join(f"  {n}: {HOST.format(url=url, more='')}\n" for n, url in URLS.items())
    code, told = checked(tmp_path, f"hosts:\n{hosts}task_types:\n  general: {{route: [dots]}}\n")
    assert code == 78
    for name in URLS:
        assert f"hosts.{name}.url: expected" in told


@pytest.mark.parametrize("unit", ["ygg.service", "ygg-user.service"])
def test_the_units_write_no_core_and_reach_no_link_local_address(unit: str) -> None:
    root = Path(__file__).resolve().parents[2]
    for text in ((root / "systemd" / unit).read_text(), (root / "ygg/ops/service/units" / unit).read_text()):  # fmt: skip
        assert "\nLimitCORE=0\n" in text
        assert "169.254" not in text


# --- expressions ----------------------------------------------------------------------------------


def test_expressions_that_take_unbounded_time_fail_the_check(tmp_path: Path) -> None:
    titles = "['(?=a)b', '(a)\\1', '(']"
    more = f"  x: {{route: [surtr], match: {{titles: {titles}}}}}\n"
    code, told = checked(tmp_path, one_host() + more)
    assert code == 78
    for n, says in enumerate(("look-around", "back-references", "missing )")):
        (line,) = [t for t in told.splitlines() if f"task_types.x.match.titles[{n}]: expected" in t]
        assert says in line
