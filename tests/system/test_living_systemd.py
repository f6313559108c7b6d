"""The service under a living systemd: whenever a task is submitted, it goes to the service's queue."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system import nspawn
from tests.system.nspawn import Booted
from tests.system.rig import until

CONFIG = """\
hosts:
  surtr: {slots: 1, backend: ollama, url: "http://127.0.0.1:9", models: [m], telemetry: "off"}
task_types:
  general: {route: [surtr]}
"""
WHY_NOT = nspawn.missing()
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(WHY_NOT), reason=f"no living systemd: {WHY_NOT}"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A machine on which root has just said `ygg service install`."""
    files = {"/etc/ygg/hosts.yaml": CONFIG}
    with nspawn.booted(tmp_path_factory.mktemp("machine"), files) as found:
        found.ok("ygg", "service", "install")
        yield found


def shown(machine: Booted, key: str) -> str:
    return machine.ok("systemctl", "show", "--value", "-p", key, "ygg.service")


def test_the_service_runs_and_says_how_it_is(machine: Booted) -> None:
    assert machine.ok("systemctl", "is-active", "ygg.service", "ygg.socket").split() == [
        "active", "active",
    ]  # fmt: skip
    assert machine.ok("systemctl", "is-enabled", "ygg.service", "ygg.socket")
    until(lambda: shown(machine, "StatusText") == "0 running, 0 waiting, 0 of 1 host up")
    assert shown(machine, "User") == "ygg"


def test_whatever_the_service_does_a_task_is_stored_in_its_queue(machine: Booted) -> None:
    meanwhile = {
        "while it runs": (),
        "while it is stopped": ("stop", "ygg.service"),
        "after kill -9": ("kill", "--kill-whom=main", "--signal=KILL", "ygg.service"),
        "while it starts anew": ("--no-block", "restart", "ygg.service"),
    }
    submitted = {}
    for when, done in meanwhile.items():
        if done:
            machine.ok("systemctl", *done)
        submitted[when] = machine.ok("ygg", "submit", "--title", when, when)
    tasks = json.loads(machine.ok("ygg", "list", "--json"))["tasks"]
    assert {t["title"]: t["id"] for t in tasks} == submitted
    assert {t["state"] for t in tasks} == {"queued"}
    assert machine.ok("systemctl", "is-active", "ygg.service") == "active"
    until(lambda: shown(machine, "StatusText") == "0 running, 4 waiting, 0 of 1 host up")
    assert machine.run("ls", "-A", nspawn.HOME).stdout == "", "nothing is root's own"
    assert "Traceback" not in machine.ok("journalctl", "--unit=ygg", "--no-pager")


def test_a_broken_edit_keeps_it_running_and_it_says_so(machine: Booted) -> None:
    machine.ok("cp", "/etc/ygg/hosts.yaml", "/etc/ygg/right")
    machine.ok("sh", "-c", "echo 'hosts: [broken' > /etc/ygg/hosts.yaml")
    machine.ok("systemctl", "reload", "ygg.service")
    until(lambda: "hosts.yaml: broken" in shown(machine, "StatusText"))
    machine.ok("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "ygg.service")
    assert "the one of before is in force" in machine.run("ygg", "status").stdout
    machine.ok("mv", "/etc/ygg/right", "/etc/ygg/hosts.yaml")
    machine.ok("systemctl", "reload", "ygg.service")
    until(lambda: "broken" not in shown(machine, "StatusText"))


def test_uninstalled_it_leaves_its_tasks(machine: Booted) -> None:
    machine.ok("ygg", "service", "uninstall")
    assert machine.run("systemctl", "is-active", "ygg.service", "ygg.socket").returncode != 0
    assert machine.ok("ls", "/var/lib/ygg/ygg.db")
