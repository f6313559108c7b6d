"""JWTs: which are let in, as whom, with what scope; and that nothing a JWT says of itself makes it hold."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.shell.virtual import run_virtual, until
from tests.surface.test_tokens import LAN, bearer, last_event, submitted
from tests.surface.world import Api, api, bordered
from ygg import model
from ygg.api.callers import LOCAL
from ygg.api.credentials import Credentials, read
from ygg.errors import YggError
from ygg.model.tokens import Scope

SECRET = "s3cret-" * 8
RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
ED, ED448 = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()
Private = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def public(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(**more: Any) -> dict[str, Any]:
    """Those of `anna`, who may submit for an hour; without those that are None."""
    all_ = {"sub": "anna", "scope": "submit", "exp": time.time() + 3600, **more}
    return {k: v for k, v in all_.items() if v is not None}


def signed(key: Any = SECRET, algorithm: str | None = "HS256", /, **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm)


def by_hand(head: Any, body: Any, secret: bytes | None = None) -> str:
    """One that no library would write; signed by HS256 with a secret, else not at all."""
    parts = [_part(p if isinstance(p, bytes) else json.dumps(p).encode()) for p in (head, body)]
    sign = b""
    if secret is not None:
        sign = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _part(sign)])


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Keys:
    """A folder with the files of keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settings(self, key: str | Private = SECRET, **more: Any) -> model.Jwt:
        text = key.encode() if isinstance(key, str) else public(key)
        path = self.folder / f"key-{hashlib.sha256(text).hexdigest()[:8]}"
        path.write_bytes(text + b"\n")
        name = "secret_file" if isinstance(key, str) else "public_key_file"
        return model.Jwt(**{name: str(path)}, **more)

    def credentials(self, key: str | Private = SECRET, **more: Any) -> Credentials:
        return read(model.Api(jwt=self.settings(key, **more)))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def who(credentials: Credentials, text: str) -> tuple[str, str] | str:
    """Name and scope of whom it lets in; else what is said to him."""
    judge = credentials.jwt
    assert judge is not None
    assert judge.is_one(text), "it is looked at"
    try:
        found = judge.bearer(text)
    except YggError as error:
        return f"{error.http_status}: {error.message}"
    return found.name, str(found.scope)


NOBODY = "401: the JWT is not one that lets anybody in"

# --- what it is signed with -----------------------------------------------------------------------

SIGNING: list[tuple[Any, Any, str]] = [
    (SECRET, SECRET, "HS256"), (RSA, RSA, "RS256"), (ED, ED, "EdDSA"), (ED448, ED448, "EdDSA"),
]  # fmt: skip


@pytest.mark.parametrize(("known", "key", "algorithm"), SIGNING)
def test_each_kind_of_key_lets_in_what_is_signed_with_it(
    keys: Keys, known: Any, key: Any, algorithm: str
) -> None:
    found = keys.credentials(known)
    assert who(found, signed(key, algorithm)) == ("anna", "submit")
    text = signed(key, algorithm, scope="read")
    head, body, sign = text.split(".")
    admin = _part(json.dumps(claims(scope="admin")).encode())
    assert who(found, f"{head}.{admin}.{sign}") == NOBODY
    assert who(found, f"{head}.{body}.") == NOBODY
    assert who(found, f"{head}.{body}.{sign[:-8]}AAAAAAAA") == NOBODY


@pytest.mark.parametrize(
    ("known", "key", "algorithm"),
    [
        (SECRET, "another-" * 8, "HS256"),
        (SECRET, SECRET, "HS384"),
        (SECRET, SECRET, "HS512"),
        (SECRET, RSA, "RS256"),
        (RSA, OTHER_RSA, "RS256"),
        (RSA, RSA, "RS384"),
        (RSA, RSA, "PS256"),
        (RSA, ED, "EdDSA"),
        (RSA, SECRET, "HS256"),
        (ED, ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        (ED, RSA, "RS256"),
        (ED, SECRET, "HS256"),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_key_and_another_algorithm_let_nobody_in(
    keys: Keys, known: Any, key: Any, algorithm: str
) -> None:
    assert who(keys.credentials(known), signed(key, algorithm)) == NOBODY


@pytest.mark.parametrize("known", [RSA, ED])
def test_a_public_key_is_no_secret_to_sign_with(keys: Keys, known: Private) -> None:
    found = keys.credentials(known)
    for secret in (public(known), public(known) + b"\n", public(known).strip()):
        assert who(found, by_hand({"alg": "HS256", "typ": "JWT"}, claims(), secret)) == NOBODY


@pytest.mark.parametrize("known", [SECRET, RSA, ED])
@pytest.mark.parametrize("word", ["none", "None", "NONE", "nOnE", "", None, 0, [], {}, ["HS256"]])
def test_one_that_is_not_signed_lets_nobody_in(keys: Keys, known: Any, word: Any) -> None:
    found = keys.credentials(known)
    for secret in (None, b"", SECRET.encode() + b"x"):
        assert who(found, by_hand({"alg": word}, claims(scope="admin"), secret)) == NOBODY


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "oct", "k": _part(b"mine" * 10)}},
        {"jku": "https://evil.example/keys"},
        {"kid": "../../dev/null"},
        {"kid": 3},
        {"x5u": "https://evil.example"},
        {"crit": ["exp"]},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_a_key_that_it_brings_itself_is_not_used(keys: Keys, more: dict[str, Any]) -> None:
    head = {"alg": "HS256", **more}
    for secret in (b"mine" * 10, b""):
        assert who(keys.credentials(), by_hand(head, claims(), secret)) == NOBODY


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000, b"{" * 99, b'"x"'])  # fmt: skip
def test_a_body_that_is_none_lets_nobody_in(keys: Keys, body: bytes) -> None:
    assert who(keys.credentials(), by_hand({"alg": "HS256"}, body, SECRET.encode())) == NOBODY


# --- when, whose, for whom ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"exp": None}, "401: the JWT has no exp"),
        ({"exp": -3600}, "401: the JWT has expired"),
        ({"exp": -40}, "401: the JWT has expired"),
        ({"exp": -20}, ""),
        ({"nbf": 40}, "401: the JWT does not hold yet"),
        ({"nbf": 20}, ""),
        ({"iat": 40}, "401: the JWT does not hold yet"),
        ({"iat": 20}, ""),
        ({"iat": -99, "nbf": -99}, ""),
    ],
)
def test_it_holds_from_its_begin_to_its_end_within_half_a_minute(
    keys: Keys, more: dict[str, float | None], said: str
) -> None:
    now = time.time()
    at = {k: None if v is None else now + v for k, v in more.items()}
    found = who(keys.credentials(), signed(**at))
    assert found == ("anna", "submit") if not said else str(found).startswith(said)


@pytest.mark.parametrize("key", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("odd", ["soon", [], {}, True, float("nan"), float("inf"), "9" * 5000])
def test_an_odd_time_is_none(keys: Keys, key: str, odd: Any) -> None:
    text = by_hand({"alg": "HS256"}, claims(**{key: odd}), SECRET.encode())
    found = who(keys.credentials(), text)
    assert str(found).startswith("401: the JWT ") or (found == ("anna", "submit") and odd is True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"iss": "https://id.lan", "aud": "ygg"}, ""),
        ({"iss": "https://id.lan", "aud": ["other", "ygg"]}, ""),
        ({"iss": "https://evil.lan", "aud": "ygg"}, "401: the JWT is of another issuer"),
        ({"iss": "https://id.lan", "aud": "other"}, "401: the JWT is for another audience"),
        ({"iss": "https://id.lan", "aud": []}, "401: the JWT has no aud"),
        ({"iss": "https://id.lan", "aud": [3]}, "401: the JWT is for another audience"),
        ({"iss": "https://id.lan"}, "401: the JWT has no aud"),
        ({"aud": "ygg"}, "401: the JWT has no iss"),
    ],
)
def test_issuer_and_audience_are_those_of_the_configuration(
    keys: Keys, more: dict[str, Any], said: str
) -> None:
    found = keys.credentials(issuer="https://id.lan", audience="ygg")
    assert who(found, signed(**more)) == (said or ("anna", "submit"))
    assert who(keys.credentials(), signed(**more)) == ("anna", "submit"), "where neither is named"


# --- who it is, and what he may -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("read", "read"),
        ("submit", "submit"),
        ("admin", "admin"),
        ("read submit", "submit"),
        ("admin read", "admin"),
        ("openid  profile submit", "submit"),
    ],
)
def test_the_greatest_scope_in_it_counts(keys: Keys, scope: str, found: str) -> None:
    assert who(keys.credentials(), signed(scope=scope)) == ("anna", found)


@pytest.mark.parametrize("scope", [None, "", "openid", "Admin", "admins", "read,admin", ["admin"], {"admin": 1}, 7])  # fmt: skip
def test_without_one_it_lets_nobody_in(keys: Keys, scope: Any) -> None:
    assert who(keys.credentials(), signed(scope=scope)) == "403: the JWT of anna has no scope"


@pytest.mark.parametrize("sub", [None, "", "local", "a b", "a\n", "../x", "x" * 65, 7, ["anna"], "ännä"])  # fmt: skip
def test_who_brings_it_has_a_name(keys: Keys, sub: Any) -> None:
    text = by_hand({"alg": "HS256"}, claims(sub=sub), SECRET.encode())
    found = str(who(keys.credentials(), text))
    assert found.startswith("401: "), found
    assert LOCAL.name == "local"


# --- what is one ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "sk-dummy", "a.b", "a.b.c", "a.b.c.d", "e30.e30.e30", "W10.e30.e30", "//.e30.e30", "e30=.e30.e30",
        f"{_part(b'[' * 20_000)}.e30.e30", f"{_part(b'{}')}.e30.", f"{_part(b'nan')}.e30.x", "..", "é.é.é",
        f"{_part(b'3')}.e30.e30", f"{_part(bytes([255]))}.e30.e30", "a" * 50_000, f"{_part(b'9' * 6000)}.e30.x",
    ],
)  # fmt: skip
def test_what_has_no_head_with_an_algorithm_is_a_dummy(keys: Keys, text: str) -> None:
    judge = keys.credentials().jwt
    assert judge is not None
    assert not judge.is_one(text)


# --- over HTTP ------------------------------------------------------------------------------------


@asynccontextmanager
async def house(
    credentials: Credentials, base: str = LAN, **settings: Any
) -> AsyncIterator[tuple[Api, httpx.AsyncClient]]:
    async with api() as found:
        found.handlers.callers.credentials.become(credentials)
        transport = httpx.ASGITransport(bordered(found, model.Api(**settings)))
        async with httpx.AsyncClient(transport=transport, base_url=base) as outside:
            yield found, outside


def scene(
    act: Callable[[Api, httpx.AsyncClient], Coroutine[Any, Any, None]],
    credentials: Credentials,
    base: str = LAN,
    **settings: Any,
) -> None:
    async def main() -> None:
        async with house(credentials, base, **settings) as (found, outside):
            await act(found, outside)

    run_virtual(main())


def as_(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_its_scope_is_what_it_may_from_everywhere(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        for scope, statuses in {"read": (200, 403, 403), "submit": (200, 202, 403), "admin": (200, 202, 200)}.items():  # fmt: skip
            with_ = as_(signed(scope=scope))
            doc = {"agent_type": "general", "messages": [{"role": "user", "content": "x"}]}
            answers = [
                await outside.get("/v1/queue", headers=with_),
                await outside.post("/v1/async/submit", json=doc, headers=with_),
                await outside.post("/v1/queue/pause", headers=with_),
            ]
            assert tuple(a.status_code for a in answers) == statuses, scope

    for base in (LAN, "http://127.0.0.1:8420"):
        scene(act, keys.credentials(), base)


def test_a_wrong_one_is_refused_even_where_none_is_needed(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        for path in ("/v1/queue", "/healthz"):
            answer = await outside.get(path, headers=as_(signed("wrong-" * 8)))
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (await outside.get(path, headers=as_("sk-dummy"))).status_code == 200
            assert (await outside.get(path)).status_code == 200

    scene(act, keys.credentials(), "http://127.0.0.1:8420")


def test_where_none_is_known_each_counts_as_none() -> None:
    async def near(found: Api, outside: httpx.AsyncClient) -> None:
        for text in (signed(), signed("wrong-" * 8), by_hand({"alg": "none"}, claims())):
            assert (await outside.get("/v1/queue", headers=as_(text))).status_code == 200

    async def far(found: Api, outside: httpx.AsyncClient) -> None:
        for text in (signed(), by_hand({"alg": "none"}, claims(scope="admin"))):
            assert (await outside.get("/v1/queue", headers=as_(text))).status_code == 401
            assert (await outside.get("/healthz", headers=as_(text))).status_code == 200

    scene(near, Credentials(), "http://127.0.0.1:8420")
    scene(far, Credentials())


def test_a_caller_sees_its_own_tasks_by_whichever_proof_it_comes(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        anna, bob = as_(signed()), as_(signed(sub="bob"))
        token = await bearer(found, "anna")
        mine, yours = await submitted(outside, anna), await submitted(outside, bob)
        for proof in (anna, token):
            tasks = (await outside.get("/v1/tasks", headers=proof)).json()["tasks"]
            assert [(t["id"], t["caller"]) for t in tasks] == [(mine, "anna")]
            answer = await outside.post(f"/v1/tasks/{yours}/cancel", headers=proof)
            assert answer.status_code == 404
        every = (await outside.get("/v1/tasks", headers=as_(signed(scope="admin")))).json()
        assert len(every["tasks"]) == 2

    scene(act, keys.credentials())


def test_a_new_key_counts_from_the_next_request_on_and_ends_open_streams(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1000
        known = found.handlers.callers.credentials
        task = await submitted(outside, as_(signed()))
        await found.running(task)
        before = known.jwt
        known.become(keys.credentials())
        assert known.jwt is before, "the same key, read again, changes nothing"
        assert before is not None
        assert not before.over.is_set()
        known.become(keys.credentials("another-" * 8))
        await until(before.over.is_set)
        assert (await outside.get("/v1/queue", headers=as_(signed()))).status_code == 401
        assert (await outside.get("/v1/queue", headers=as_(signed("another-" * 8)))).status_code == 200  # fmt: skip
        known.become(Credentials())
        assert known.jwt is None

    scene(act, keys.credentials())


@pytest.mark.parametrize("removed", [True, False])
def test_a_stream_that_a_reload_cuts_says_what_the_reload_did(keys: Keys, removed: bool) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        task = await submitted(outside, as_(signed()))
        path = f"/v1/async/stream/{task}"
        stream = asyncio.create_task(outside.get(path, headers=as_(signed())))
        streams = found.house.dispatcher.loop.streams
        await until(lambda: bool(streams.followed(task)))
        fresh = Credentials() if removed else keys.credentials("another-" * 8)
        found.handlers.callers.credentials.become(fresh)
        told = last_event((await stream).text)["error"]
        what = "no api.jwt" if removed else "another key, issuer or audience in api.jwt"
        why = f"the JWT of anna is not let in any more: since a reload hosts.yaml has {what}"
        assert (told["code"], told["message"]) == ("unauthorized", why)

    scene(act, keys.credentials())


def test_a_stream_ends_once_a_request_with_its_jwt_would_be_refused(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        loop, judge = asyncio.get_running_loop(), found.handlers.callers.credentials.jwt
        began_s, real_s = loop.time(), time.time()
        assert judge is not None
        judge.now_s = lambda: real_s + loop.time() - began_s
        with_ = as_(signed(exp=int(real_s) + 100))
        task = await submitted(outside, with_)
        answer = await outside.get(f"/v1/async/stream/{task}", headers=with_)
        assert last_event(answer.text)["error"]["message"] == "the JWT of anna has expired"
        assert loop.time() - began_s == pytest.approx(130, abs=1), "the leeway counts here too"

    scene(act, keys.credentials())


@pytest.mark.parametrize("exp", [10**400, 1e300])
def test_one_that_ends_ages_from_now_is_let_in(keys: Keys, exp: float) -> None:
    judge = keys.credentials().jwt
    assert judge is not None
    assert judge.bearer(signed(exp=exp)).proof.left_s() > 1e9


def test_another_issuer_or_audience_is_another_rule(keys: Keys) -> None:
    base = keys.credentials(issuer="a", audience="b").jwt
    assert base is not None
    for issuer, audience, same in (("a", "b", True), ("x", "b", False), ("a", None, False)):
        assert base.judges_as(keys.credentials(issuer=issuer, audience=audience).jwt) is same
    assert not base.judges_as(None)
    old, new = keys.credentials(RSA), keys.credentials(RSA)
    assert old.jwt is not None
    assert old.jwt.judges_as(new.jwt), "a public key that was read again"
    assert not old.jwt.judges_as(keys.credentials(OTHER_RSA).jwt)


def test_the_caller_of_one_ends_with_its_key(keys: Keys) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        credentials = found.handlers.callers.credentials
        caller = found.handlers.callers.of(f"Bearer {signed()}", trusted=False)
        assert (caller.name, caller.scope, caller.limit) == ("anna", Scope.SUBMIT, None)
        assert caller.proof is not None
        credentials.become(Credentials())
        assert caller.proof.over.is_set()

    scene(act, keys.credentials())


def test_neither_secret_nor_jwt_is_told_anywhere(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [signed(), signed("wrong-" * 8), signed(exp=1), by_hand({"alg": "none"}, claims())]
    seen: list[str] = []

    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        seen.extend([(await outside.get("/v1/status", headers=as_(t))).text for t in texts])

    credentials = keys.credentials()
    scene(act, credentials)
    assert len(seen) == 4
    told = " ".join([*seen, caplog.text, repr(credentials), repr(credentials.jwt)])
    assert not any(part in told for text in (SECRET, *texts) for part in (text, text[-20:]))


def test_a_private_key_is_refused_where_the_public_one_is_meant(keys: Keys) -> None:
    raw = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = keys.folder / "private"
    path.write_bytes(raw)
    with pytest.raises(YggError, match="which holds a private key"):
        read(model.Api(jwt=model.Jwt(public_key_file=str(path))))
