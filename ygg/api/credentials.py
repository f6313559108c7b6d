"""What the files that hosts.yaml names prove: whose JWTs let in, and which certificate is shown. Each reload reads them
again, also where hosts.yaml itself is the same."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ygg.config import keys
from ygg.model import Api

if TYPE_CHECKING:
    from ygg.api.jwt import Judge

#: What a JWT that was let in is told when it is not any more.
NONE = "is not let in any more: since a reload hosts.yaml has no api.jwt"
OTHER = "is not let in any more: since a reload hosts.yaml has another key, issuer or audience in api.jwt"


@dataclass(slots=True)
class Credentials:
    """In force now; who uses them asks anew each time."""

    jwt: Judge | None = None
    tls: ssl.SSLContext | None = None

    def become(self, fresh: Credentials) -> None:
        """From the next request and the next connection on. Open streams of JWTs that are let in no more end."""
        if self.jwt is None or not self.jwt.judges_as(fresh.jwt):
            if self.jwt is not None:
                self.jwt.over.set(NONE if fresh.jwt is None else OTHER)
            self.jwt = fresh.jwt
        self.tls = fresh.tls


def read(api: Api) -> Credentials:
    """As the files are now. Reads for seconds at worst. Raises ConfigError."""
    return Credentials(
        None if api.jwt is None else _judge(api),
        None if api.tls is None else keys.server_context(api.tls),
    )


def _judge(api: Api) -> Judge:
    from ygg.api.jwt import Judge  # here, since who needs none does not load it

    assert api.jwt is not None
    return Judge(api.jwt, keys.verifying(api.jwt))
