"""What proves who asks over TCP, and who answers there: from the forms to records, and with `strict` to the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ygg.config import keys
from ygg.config.api_forms import JwtForm, TlsForm
from ygg.config.problems import KeyPath, Problems
from ygg.model import Jwt, Tls

ONE = "one of `secret_file` and `public_key_file`"


@dataclass(frozen=True, slots=True)
class Proving:
    """Over one file: `source`."""

    problems: Problems
    source: Path
    strict: bool

    def jwt(self, form: JwtForm | None) -> Jwt | None:
        if form is None:
            return None
        secret, public = self._place(form.secret_file), self._place(form.public_key_file)
        found = Jwt(secret, public, form.issuer, form.audience)
        path: KeyPath = ("api", "jwt")
        if (secret is None) is (public is None):
            self.problems.add(path, ONE, "none" if secret is None else "both")
        elif self.strict:
            key, what = ("secret_file", "a secret") if secret else ("public_key_file", "a key")
            with self.problems.told((*path, key), f"a file that holds {what}"):
                keys.verifying(found)
        return found

    def tls(self, form: TlsForm | None) -> Tls | None:
        if form is None:
            return None
        found = Tls(str(keys.place(self.source, form.certificate)), str(keys.place(self.source, form.key)))  # fmt: skip
        if self.strict:
            with self.problems.told(("api", "tls"), "a certificate and its private key"):
                keys.server_context(found)
        return found

    def _place(self, name: str | None) -> str | None:
        return None if name is None else str(keys.place(self.source, name))
