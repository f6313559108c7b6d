"""`ygg notify test`, and what status, doctor and the API say of targets that cannot be told."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.notify.places import smtp
from tests.ops.doctor.house import found
from tests.surface.cli import HOSTS, Cli
from tests.surface.world import Api

NOTE = "import json, sys; json.dump(json.load(sys.stdin), open(sys.argv[1], 'w'))"


@contextmanager
def hook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server in a thread, and the objects that it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        job = threading.Thread(target=server.serve_forever, daemon=True)
        job.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", got
        finally:
            server.shutdown()
            job.join()


def configured(cli: Cli, *entries: str) -> None:
    cli.config.write_text(f"{HOSTS}notify:\n" + "".join(f"  - {{{e}}}\n" for e in entries))


def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_each_target_gets_a_message_and_is_told_as_reached(offline: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with hook() as (url, got), smtp() as (box, server):
        command = json.dumps([sys.executable, "-c", NOTE, str(out)])
        mail = f"email: me@example.org, server: '{server}', sender: ygg@example.org, tls: 'off'"
        night = "quiet: '00:00-23:59', events: [hot], limit: 1"
        configured(offline, f"webhook: '{url}', {night}", f"command: {command}, timeout: 30s", mail)
        ran = offline.ok("notify", "test")
    rows = [line.split()[:3] for line in ran.lines[1:]]
    assert rows == [["webhook", "webhook", "reached"], ["command", "command", "reached"], ["email", "email", "reached"]]  # fmt: skip
    assert [n["event"] for n in got[0]["notices"]] == ["test"]
    assert json.loads(out.read_text())["title"] == got[0]["title"] == "a test of ygg"
    assert box.mails[0]["subject"] == "ygg: a test of ygg"


def test_one_that_is_not_reached_is_told_with_the_reason_and_makes_it_fail(offline: Cli) -> None:
    with hook(404) as (url, _), hook() as (other, got):
        configured(offline, f"name: bad, webhook: '{url}'", f"name: good, webhook: '{other}'")
        ran = offline("notify", "test")
        assert ran.code == 1
        assert ran.lines[1].split(maxsplit=2) == ["bad", "webhook", "not reached: HTTP 404"]  # fmt: skip
        assert offline("notify", "test", "good").code == 0
        body = offline("notify", "test", "bad", "--json").json
    assert len(got) == 2
    (target,) = body["targets"]
    assert (body["schema"], target["reached"], target["error"]) == ("ygg.notify-test/1", False, "HTTP 404")  # fmt: skip


def test_a_target_that_is_not_there_is_told_with_those_that_are(offline: Cli) -> None:
    configured(offline, "name: phone, ntfy: 'http://127.0.0.1:9/t'")
    ran = offline("notify", "test", "fone")
    assert (ran.code, ran.out) == (3, "")
    assert "no target 'fone'" in ran.err
    assert "phone" in ran.err
    offline.config.write_text(HOSTS)
    assert offline("notify", "test").code == 3


def test_a_wrong_configuration_is_told(offline: Cli) -> None:
    configured(offline, "ntfy: nowhere")
    assert offline("notify", "test").code == 78


def test_no_secret_is_printed_whatever_fails(offline: Cli, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sesame-open")
    with hook(401) as (url, _):
        files = f"token_file: '{tmp_path}/secret', secret_file: '{tmp_path}/secret'"
        configured(offline, f"webhook: '{url}', {files}")
        for args in (("notify", "test"), ("--debug", "notify", "test"), ("config", "show"), ("config", "check"), ("doctor", "-v")):  # fmt: skip
            ran = offline(*args)
            assert "sesame" not in ran.out + ran.err, args


# --- status and doctor ----------------------------------------------------------------------------


def test_status_and_doctor_say_who_cannot_be_told(cli: Cli, home: Api) -> None:
    assert cli("status", "--json").json["daemon"]["notify_error"] is None
    home.house.dispatcher.notify_error = "phone: HTTP 404, 1 message lost"
    home.house.dispatcher._snapshot = None
    assert (
        cli("status", "--json").json["daemon"]["notify_error"] == "phone: HTTP 404, 1 message lost"
    )
    assert "notify: phone: HTTP 404, 1 message lost" in cli("status").out
    (check,) = [c for c in found(cli) if c["name"] == "daemon"]
    assert check["status"] == "warning"
    assert "phone: HTTP 404" in check["message"]


def notes(cli: Cli) -> dict[str, list[str]]:
    """What doctor says of each target."""
    told: dict[str, list[str]] = {}
    for check in found(cli):
        if check["category"] == "notify":
            told.setdefault(check["name"], []).append(f"{check['status']}: {check['message']}")
    return told


def test_doctor_looks_at_what_targets_name_and_sends_nothing(offline: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sesame")
    secret.chmod(0o600)
    with hook() as (url, got):
        configured(
            offline, f"name: good, webhook: '{url}', secret_file: '{secret}'", "name: none, command: [no-such-program]",
            f"name: file, ntfy: '{url}', token_file: '{tmp_path}/none'", f"name: run, command: ['{sys.executable}']",
            "name: lost, email: a@example.org, sender: a@example.org, server: 'no-such-machine.invalid:25'",
        )  # fmt: skip
        told = notes(offline)
    assert got == []
    assert told["good"] == ["ok: webhook: ygg notify test good sends a message"]
    assert told["run"] == ["ok: command: ygg notify test run sends a message"]
    assert told["none"] == ["error: no program no-such-program that can be run"]
    assert told["file"] == [f"error: no secret: got {tmp_path}/none, which does not exist"]
    assert told["lost"] == ["error: there is no machine called no-such-machine.invalid"]


@pytest.mark.parametrize(("mode", "told"), [(0o644, True), (0o640, False), (0o602, True)])
def test_a_secret_that_everybody_may_read_is_a_warning(
    offline: Cli, tmp_path: Path, mode: int, told: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sesame")
    secret.chmod(mode)
    configured(offline, f"ntfy: 'http://{nobody()}/t', token_file: '{secret}'")
    assert (f"warning: {secret} is open to every user of this machine, mode {mode:04o}" in notes(offline)["ntfy"]) is told  # fmt: skip
