"""The files that hosts.yaml names, as `ygg config check` and whoever uses them read them.

What is wrong with one is a ConfigError, with a hint, that says nothing of what the file holds.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ygg import files
from ygg.errors import ConfigError
from ygg.model import Jwt, Tls

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | Ed25519PublicKey | Ed448PublicKey

KEY_MAX = 16 * 1024  #: bytes of a file that holds a key
CHAIN_MAX = 256 * 1024  #: bytes of one that holds certificates
SECRET_MIN = 32  #: bytes of a secret that signs: as many as an HS256 signature has
RSA_MIN = 2048  #: bits


class Verifying(NamedTuple):
    """What proves who signed a JWT: a key, and the one algorithm that it is for."""

    algorithm: str
    key: str | PublicKey


def place(source: Path, name: str) -> Path:
    """Where a file is that `source` names: relative to that, `~` is the home of the process."""
    return (source.absolute().parent / Path(name).expanduser()).absolute()


def api_key(path: Path) -> str:
    """The key that the file holds, a byte order mark left out. ConfigError, with a hint, when it holds none."""
    return _line(path, "one API key")


def _line(path: Path, what: str) -> str:
    try:
        text = _read(path, KEY_MAX).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _wrong(f"{path}, which is no text", ONE_LINE) from None
    if not text:
        raise _wrong(f"{path}, which is empty", ONE_LINE)
    if not (text.isascii() and text.isprintable()):
        raise _wrong(f"{path}, which does not hold {what}", ONE_LINE)
    return text


def _read(path: Path, most: int) -> bytes:
    try:
        return files.read(path, most)
    except FileNotFoundError:
        raise _wrong(f"{path}, which does not exist", "create it, or remove the key") from None
    except IsADirectoryError:
        raise _wrong(f"the directory {path}", "name a file in it") from None
    except PermissionError:
        who = f"user id {os.geteuid()}"
        hint = "check as the user that runs ygg, or change its mode"
        raise _wrong(f"{path}, which {who} may not read", hint) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise _wrong(f"{path}: {why}", "name another file") from None


ONE_LINE = "put the key into it, on one line"


def verifying(jwt: Jwt) -> Verifying:
    """What its file holds: a secret for HS256, else a public key for RS256 or EdDSA. Raises ConfigError."""
    if jwt.secret_file is not None:
        return Verifying("HS256", _secret(Path(jwt.secret_file)))
    key = _public(Path(jwt.public_key_file or ""))
    return Verifying("RS256" if hasattr(key, "key_size") else "EdDSA", key)


def _secret(path: Path) -> str:
    text = _line(path, "one secret")
    if len(text) < SECRET_MIN:
        short = f"{path}, which has {len(text)} bytes, {SECRET_MIN} are the least"
        raise _wrong(short, "`ygg token secret FILE` makes a strong one")
    return text


def _public(path: Path) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    raw = _read(path, KEY_MAX)
    if re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----", raw):
        raise _wrong(f"{path}, which holds a private key", PUBLIC)
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong(f"{path}, which holds no public key in PEM", PUBLIC) from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_MIN:
        short = f"{path}, an RSA key of {key.key_size} bits, {RSA_MIN} are the least"
        raise _wrong(short, "make a longer one")
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise _wrong(f"{path}, a key of another kind", "RSA (RS256) or Ed25519 (EdDSA)")
    return key


PUBLIC = "`openssl pkey -in PRIVATE -pubout` writes the public key that belongs to a private one"


def server_context(tls: Tls) -> ssl.SSLContext:
    """What a server shows who connects: TLS 1.2 or newer. Raises ConfigError."""
    certificate, key = Path(tls.certificate), Path(tls.key)
    for path in (certificate, key):
        _read(path, CHAIN_MAX)  # ssl says of none which one it is
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _Locked:
        raise _wrong(f"{key}, which takes a password", "write the key without one") from None
    except ssl.SSLError as error:
        raise _wrong(f"{certificate} with the key {key}: {_why(error)}", PAIR) from None
    except OSError as error:  # it went away, or came, just now
        raise _wrong(f"{certificate} with the key {key}: {error.strerror}", PAIR) from None
    return context


PAIR = "both in PEM: the certificate first, then those that signed it; the private key that belongs to it"


class _Locked(Exception):
    """The key takes a password, which nobody is there to type."""


def _no_password() -> str:
    raise _Locked


def _why(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "they do not belong together"
    return (error.reason or "no certificate or key in it").lower().replace("_", " ")


def _wrong(got: str, hint: str) -> ConfigError:
    return ConfigError(got, hint=hint)
