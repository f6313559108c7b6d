"""A daemon with keys and a certificate: what it starts with, and that SIGHUP renews them under open connections."""

from __future__ import annotations

import http.client
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.cases.certificate import self_signed
from tests.surface.test_tcp import free_port
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers, until

SLOTS = {"a": 2}
TLS = "tls: {certificate: tls.pem, key: tls.pem}"


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 0.02, SLOTS) as found:
        yield found


def listening(folder: Path, urls: dict[str, str], api: str) -> Path:
    return hosts_yaml(folder / "hosts.yaml", urls, SLOTS, f"api: {{{api}}}\n")


def certificate(folder: Path) -> ssl.SSLContext:
    """A new one in `tls.pem`, and who trusts that one alone."""
    (folder / "tls.pem").write_bytes(self_signed("127.0.0.1"))
    return ssl.create_default_context(cafile=str(folder / "tls.pem"))


def reloaded(target: Daemon, word: str = "hosts.yaml reloaded") -> None:
    before = target.text().count(word)
    target.signal(signal.SIGHUP)
    until(lambda: target.text().count(word) > before, what=word)


def test_a_reload_renews_the_certificate_and_an_open_connection_goes_on(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    port = free_port()
    old = certificate(tmp_path)
    with daemon(
        tmp_path, listening(tmp_path, urls, f"listen: '127.0.0.1:{port}', {TLS}")
    ) as target:
        assert f"https://127.0.0.1:{port}" in target.text()
        held = http.client.HTTPSConnection("127.0.0.1", port, context=old, timeout=30)

        def asked() -> int:
            held.request("GET", "/v1/queue")
            answer = held.getresponse()
            answer.read()
            return answer.status

        assert asked() == 200
        mine = held.sock
        new = certificate(tmp_path)
        url = f"https://127.0.0.1:{port}/v1/queue"
        assert httpx.get(url, verify=old).status_code == 200, "not read before it is said"
        reloaded(target)
        assert httpx.get(url, verify=new).status_code == 200
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            httpx.get(url, verify=old)
        assert (asked(), held.sock is mine) == (200, True)
        (tmp_path / "tls.pem").write_text("-----BEGIN CERTIFICATE-----\nbroken")
        reloaded(target, "hosts.yaml not reloaded")
        assert "expected a certificate and its private key" in target.text()
        assert httpx.get(url, verify=new).status_code == 200, "the one of before stays"
        assert target.ygg("status").returncode == 0, "the unix socket is plain"
        certificate(tmp_path)
        listening(tmp_path, urls, f"listen: '127.0.0.1:{port}'")
        gone = target.ygg("reload")
        assert (gone.returncode, "api.tls came or went, which takes a new start" in gone.stderr) == (78, True)  # fmt: skip
        assert asked() == 200
        held.close()


def test_a_jwt_lets_another_machine_in_and_a_new_secret_counts_from_the_reload_on(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    port = free_port()
    config = listening(
        tmp_path, urls, f"listen: '0.0.0.0:{port}', require_token: true, jwt: {{secret_file: secret}}"
    )  # fmt: skip
    target = Daemon(tmp_path, config, "--no-view")
    secret = tmp_path / "secret"
    assert target.ygg("token", "secret", str(secret)).returncode == 0
    first = secret.read_text().strip()
    assert target.ygg("config", "check").returncode == 0, "nobody needs a token of ygg's own"
    with daemon(tmp_path, config) as target:

        def asked(key: str, path: str = "/v1/queue") -> int:
            claims = {"sub": "anna", "scope": "submit", "exp": time.time() + 60}
            bearer = {"Authorization": f"Bearer {jwt.encode(claims, key, 'HS256')}"}
            return httpx.get(f"http://127.0.0.1:{port}{path}", headers=bearer).status_code

        assert (asked(first), asked(first, "/v1/snapshot"), asked("x" * 64)) == (200, 403, 401)
        secret.write_text("another-" * 8)
        assert asked("another-" * 8) == 401
        reloaded(target)
        assert (asked(first), asked("another-" * 8)) == (401, 200)
        secret.write_text("short")
        reloaded(target, "hosts.yaml not reloaded")
        assert asked("another-" * 8) == 200, "the one of before stays"
        for text in (first, "another-" * 8):
            assert text not in target.text()
            assert text not in target.ygg("config", "show").stdout


@pytest.mark.parametrize(
    ("api", "said"),
    [
        ("jwt: {secret_file: short}", "short, which has 5 bytes, 32 are the least"),
        ("jwt: {secret_file: gone}", "gone, which does not exist"),
        ("jwt: {public_key_file: short}", "short, which holds no public key in PEM"),
        ("tls: {certificate: gone, key: gone}", "gone, which does not exist"),
        ("tls: {certificate: short, key: short}", "short with the key"),
    ],
)
def test_a_file_that_proves_nothing_is_no_start(
    tmp_path: Path, urls: dict[str, str], api: str, said: str
) -> None:
    (tmp_path / "short").write_text("short")
    target = Daemon(tmp_path, listening(tmp_path, urls, api), "--no-view")
    target.spawn()
    assert target.wait(20) == 78
    assert said in target.text()
    assert "Traceback" not in target.text()
    assert not target.database.exists()
    checked = target.ygg("config", "check")
    assert (checked.returncode, said in checked.stderr) == (78, True)
