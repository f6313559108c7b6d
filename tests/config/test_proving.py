"""Keys and certificates that hosts.yaml names: what they may be, and that what is wrong with one is told without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.cases.certificate import self_signed
from tests.config.test_addresses import loaded
from tests.test_config import GOOD, complaints
from ygg import config
from ygg.api.credentials import read
from ygg.config import keys
from ygg.config.addresses import refuse_open
from ygg.errors import ConfigError
from ygg.model import Api, Jwt, Tls

SECRET = "0123456789abcdef" * 2
ED = ed25519.Ed25519PrivateKey.generate()


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> bytes:
    kind = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kind)


def public(key: object) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def problems(folder: Path, api: str) -> list[str]:
    """What the check says of `api`, without the folder."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, api)
    return caught.value.message.replace(f"{folder}/", "").splitlines()


# --- the settings ---------------------------------------------------------------------------------


def test_files_are_named_relative_to_the_configuration_and_shown_by_their_path(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "tls.pem").write_bytes(self_signed("ygg.lan"))
    found = loaded(
        tmp_path,
        "{jwt: {secret_file: secret, issuer: i, audience: a}, tls: {certificate: tls.pem, key: tls.pem}}",
    )
    assert found.api.jwt == Jwt(f"{tmp_path}/secret", None, "i", "a")
    assert found.api.tls == Tls(f"{tmp_path}/tls.pem", f"{tmp_path}/tls.pem")
    shown = config.describe(found)
    assert shown["api"]["jwt"]["secret_file"] == f"{tmp_path}/secret"
    assert shown["api"]["tls"] == {"certificate": f"{tmp_path}/tls.pem", "key": f"{tmp_path}/tls.pem"}  # fmt: skip
    assert SECRET not in json.dumps(shown)
    again = {k: v for k, v in shown.items() if k not in ("schema", "source", "fingerprint")}
    assert config.from_dict(again, str(found.source)).api == found.api


def test_a_reload_says_which_of_them_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    before, after = loaded(tmp_path, "{}"), loaded(tmp_path, "{jwt: {secret_file: secret}}")
    assert before.fingerprint != after.fingerprint
    told = config.differences(before, after)
    assert [line.partition(" -> ")[0] for line in told] == ["api: jwt.secret_file not set"]


@pytest.mark.parametrize(("api", "got"), [("{}", "none"), ("{secret_file: a, public_key_file: b}", "both"), ("{issuer: x}", "none")])  # fmt: skip
def test_one_of_the_two_files_says_who_signs(tmp_path: Path, api: str, got: str) -> None:
    (told,) = complaints(tmp_path, f"{GOOD}api: {{jwt: {api}}}\n")
    expected = "api.jwt: expected one of `secret_file` and `public_key_file`"
    assert f"{expected}, got {got}" in told


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("{jwt: secret}", "api.jwt: expected a mapping"),
        ("{jwt: {secret: x}}", "api.jwt.secret: expected a known key"),
        ("{jwt: {secret_file: 3}}", "api.jwt.secret_file: expected text"),
        ("{jwt: {secret_file: x, issuer: []}}", "api.jwt.issuer: expected text"),
        ("{tls: {}}", "api.tls: expected the key `certificate`, got none"),
        ("{tls: {certificate: x}}", "api.tls: expected the key `key`, got none"),
        ("{tls: true}", "api.tls: expected a mapping"),
    ],
)
def test_another_shape_names_its_key(tmp_path: Path, api: str, path: str) -> None:
    assert path in complaints(tmp_path, f"{GOOD}api: {api}\n")[0]


def test_an_address_open_to_others_may_let_in_by_jwt_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    found = loaded(tmp_path, "{listen: '0.0.0.0:8420', jwt: {secret_file: secret}}").api
    refuse_open(found, lambda: False)
    with pytest.raises(ConfigError, match="open to other machines"):
        refuse_open(replace(found, jwt=None), lambda: False)


def test_a_lenient_look_reads_no_file_and_a_start_does(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    for part in ("jwt: {secret_file: gone}", "tls: {certificate: gone, key: gone}"):
        path.write_text(f"{GOOD}api: {{{part}}}\n")
        api = config.load(path).api
        with pytest.raises(ConfigError, match="gone, which does not exist"):
            read(api)


# --- secrets and keys -----------------------------------------------------------------------------

SHORT = "which has 31 bytes, 32 are the least; `ygg token secret FILE` makes a strong one"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"x" * 31, SHORT),
        (b" \n" + b"x" * 31 + b"\n \n", SHORT),
        (b"", "which is empty"),
        (b"\n\n", "which is empty"),
        (b"\xff" * 40, "which is no text"),
        (f"{SECRET}\n{SECRET}".encode(), "which does not hold one secret"),
        ("ä".encode() * 40, "which does not hold one secret"),
        (public(ED), "which does not hold one secret"),
    ],
)
def test_a_secret_is_one_long_line(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "secret").write_bytes(raw)
    (told,) = problems(tmp_path, "{jwt: {secret_file: secret}}")
    place = "hosts.yaml:18: api.jwt.secret_file: expected a file that holds a secret, got secret, "
    assert told.startswith(f"{place}{said}")
    with pytest.raises(ConfigError):
        read(Api(jwt=Jwt(secret_file=str(tmp_path / "secret"))))


@pytest.mark.parametrize("raw", [SECRET.encode(), f"  {SECRET}\r\n".encode(), b"\xef\xbb\xbf" + SECRET.encode()])  # fmt: skip
def test_white_space_around_it_is_no_part_of_it(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "secret").write_bytes(raw)
    found = keys.verifying(Jwt(secret_file=str(tmp_path / "secret")))
    assert found == ("HS256", SECRET)


KINDS: list[tuple[str, Callable[[], object]]] = [
    ("RS256", lambda: rsa.generate_private_key(65537, 2048)),
    ("EdDSA", lambda: ED),
    ("EdDSA", ed448.Ed448PrivateKey.generate),
]


@pytest.mark.parametrize(("algorithm", "make"), KINDS)
def test_the_kind_of_a_public_key_says_the_algorithm(
    tmp_path: Path, algorithm: str, make: Callable[[], object]
) -> None:
    (tmp_path / "key").write_bytes(public(make()))
    found = loaded(tmp_path, "{jwt: {public_key_file: key}}").api.jwt
    assert found is not None
    assert keys.verifying(found).algorithm == algorithm


def test_a_public_key_is_one_of_these_kinds_in_pem(tmp_path: Path) -> None:
    wrong = {
        pem(ED): "which holds a private key; `openssl pkey -in PRIVATE -pubout`",
        pem(ED, b"password"): "which holds a private key",
        b"": "which holds no public key in PEM",
        SECRET.encode(): "which holds no public key in PEM",
        self_signed("x").partition(b"-----BEGIN CERT")[2]: "which holds no public key in PEM",
        public(rsa.generate_private_key(65537, 1024)): "an RSA key of 1024 bits, 2048 are the least",
        public(ec.generate_private_key(ec.SECP256R1())): "a key of another kind; RSA (RS256)",
        public(x25519.X25519PrivateKey.generate()): "a key of another kind",
        public(dsa.generate_private_key(1024)): "a key of another kind",
    }  # fmt: skip
    for raw, said in wrong.items():
        (tmp_path / "key").write_bytes(raw)
        (told,) = problems(tmp_path, "{jwt: {public_key_file: key}}")
        place = (
            "hosts.yaml:18: api.jwt.public_key_file: expected a file that holds a key, got key, "
        )
        assert told.startswith(f"{place}{said}"), told


# --- certificates ---------------------------------------------------------------------------------


def test_a_certificate_and_its_key_belong_together_and_are_there(tmp_path: Path) -> None:
    one, two = self_signed("one"), self_signed("two")
    locked = pem(ED, b"password")
    whole = {"whole.pem": one, "other.pem": two, "locked.pem": locked, "text": b"x" * 99, "empty": b""}  # fmt: skip
    for name, raw in whole.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "folder").mkdir()
    said = {
        ("whole.pem", "other.pem"): "whole.pem with the key other.pem: they do not belong together",
        ("whole.pem", "locked.pem"): "locked.pem, which takes a password",
        ("whole.pem", "text"): "whole.pem with the key text: ",
        ("empty", "whole.pem"): "empty with the key whole.pem: ",
        ("text", "whole.pem"): "text with the key whole.pem: ",
        ("gone", "whole.pem"): "gone, which does not exist",
        ("whole.pem", "gone"): "gone, which does not exist",
        ("folder", "whole.pem"): "the directory folder; name a file in it",
    }
    for (certificate, key), text in said.items():
        (told,) = problems(tmp_path, f"{{tls: {{certificate: {certificate}, key: {key}}}}}")
        place = "hosts.yaml:18: api.tls: expected a certificate and its private key, got "
        assert told.startswith(f"{place}{text}"), told
        assert "BEGIN" not in told
        assert "both in PEM" in told or "; " in told
    loaded(tmp_path, "{tls: {certificate: whole.pem, key: whole.pem}}")


def test_each_wrong_file_is_told_at_once(tmp_path: Path) -> None:
    told = problems(tmp_path, "{jwt: {secret_file: a}, tls: {certificate: b, key: c}}")
    assert ["api.jwt.secret_file" in told[0], "api.tls" in told[1]] == [True, True]
