"""A daemon that listens on TCP too: who reaches it, what it refuses to start with, what it warns of."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.surface.test_tcp import free_port
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers, until

SLOTS = {"a": 2}
ASKED = {"agent_type": "general", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 0.02, SLOTS) as found:
        yield found


def listening(folder: Path, urls: dict[str, str], api: str) -> Path:
    return hosts_yaml(folder / "hosts.yaml", urls, SLOTS, f"api: {{{api}}}\n")


def test_what_the_mission_asks_by_curl_works_over_tcp(tmp_path: Path, urls: dict[str, str]) -> None:
    where = f"127.0.0.1:{free_port()}"
    with daemon(tmp_path, listening(tmp_path, urls, f"listen: '{where}'")) as target:
        with httpx.Client(base_url=f"http://{where}", timeout=30) as http:
            told = http.post("/v1/async/submit", json=ASKED).json()
            ended = http.get(f"/v1/tasks/{told['task_id']}/wait").json()
            assert ended["state"] == "completed"
            result = http.get(f"/v1/async/result/{told['task_id']}").json()
            assert result["result"]["content"]
            assert http.get("/v1/queue", headers={"Host": "evil"}).status_code == 403
        assert f"http://{where}" in target.text()
        status = json.loads(target.ygg("status", "--json").stdout)["daemon"]
        assert (status["listen"], status["exposed"]) == ([where], None)


@pytest.mark.parametrize("where", ["0.0.0.0", "[::]"])
def test_an_address_open_to_others_is_no_start_and_takes_nothing(
    tmp_path: Path, urls: dict[str, str], where: str
) -> None:
    config = listening(tmp_path, urls, f"listen: ['127.0.0.1:{free_port()}', '{where}:8420']")
    target = Daemon(tmp_path, config, "--no-view")
    target.spawn()
    assert target.wait(10) == 78
    assert f"{where}:8420 is open to other machines" in target.text()
    assert "ygg token create NAME" in target.text()
    assert not target.database.exists()
    checked = target.ygg("config", "check")
    assert (checked.returncode, "open to other machines" in checked.stderr) == (78, True)


def test_an_insecure_one_is_told_loudly_wherever_one_looks(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    port = free_port()
    config = listening(tmp_path, urls, f"listen: '0.0.0.0:{port}', insecure: true")
    told = f"anybody in the network may do everything at 0.0.0.0:{port}"
    with daemon(tmp_path, config) as target:
        assert httpx.get(f"http://127.0.0.1:{port}/v1/queue").status_code == 200
        assert told in target.text()
        assert told in target.ygg("status").stdout
        with closing(target.remote()) as desk:
            assert desk.snapshot()["snapshot"]["exposed"] == told


def test_an_address_that_is_taken_is_no_start_and_says_who_may_have_it(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    where = f"127.0.0.1:{free_port()}"
    config = listening(tmp_path, urls, f"listen: '{where}'")
    other = tmp_path / "other"
    other.mkdir()
    with daemon(tmp_path, config):
        second = Daemon(other, config)
        second.spawn()
        assert second.wait() == 69
        assert f"cannot listen on {where}: somebody listens there already" in second.text()
        assert "Traceback" not in second.text()


def test_another_list_takes_a_new_start_and_a_reload_says_so(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with daemon(tmp_path, listening(tmp_path, urls, f"listen: '{first}'")) as target:
        listening(tmp_path, urls, f"listen: '{second}'")
        done = target.ygg("reload")
        assert done.returncode == 78
        assert "api.listen is another one, which takes a new start" in done.stderr
        assert httpx.get(f"http://{first}/v1/queue").status_code == 200
        listening(tmp_path, urls, f"listen: '{first}', hosts: [gpu.lan]")
        target.signal(signal.SIGHUP)
        until(lambda: "api: hosts [] -> [gpu.lan]" in target.text())
        named = httpx.get(f"http://{first}/v1/queue", headers={"Host": "gpu.lan"})
        assert named.status_code == 200


def test_a_token_lets_another_machine_in_and_outlives_the_daemon(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    port = free_port()
    where = f"0.0.0.0:{port}"
    config = listening(tmp_path, urls, f"listen: '{where}', hosts: [ygg.lan], require_token: true")
    target = Daemon(tmp_path, config, "--no-view")
    made = target.ygg("token", "create", "anna", "--expires", "90d")
    token = made.stdout.strip()
    assert (made.returncode, token[:4], made.stderr) == (0, "ygg_", "")
    base, as_ = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}
    for _ in range(2):
        with daemon(tmp_path, config) as target:
            assert httpx.get(f"{base}/v1/queue").status_code == 401
            assert httpx.post(f"{base}/v1/async/submit", json=ASKED, headers=as_).status_code == 202
            assert httpx.get(f"{base}/v1/snapshot", headers=as_).status_code == 403
            assert httpx.get(f"{base}/readyz").status_code == 200
            assert target.ygg("token", "list", "--json").returncode == 0
            assert token not in target.text()
    with daemon(tmp_path, config) as target:
        assert target.ygg("token", "revoke", "anna").stdout == "anna revoked\n"
        assert httpx.get(f"{base}/v1/queue", headers=as_).status_code == 401
    last = Daemon(tmp_path, config, "--no-view")
    last.spawn()
    assert last.wait(10) == 78
    assert all(token.encode() not in f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
