"""JWTs that another server gave out: who brings one is the caller that it names, where it is signed as hosts.yaml says.

Which algorithm it may be signed with follows from the kind of key alone, whatever it says of itself. What is not signed so
is told no more than that.
"""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt

from ygg.api.documents import Claims
from ygg.api.holding import Over, Proof
from ygg.config.keys import Verifying
from ygg.errors import Forbidden, InvalidInput, Unauthorized
from ygg.intake import rates
from ygg.intake.checking import parse
from ygg.model import Jwt, Priority
from ygg.model.tokens import LOCAL, NAME, Rate, Scope

LEEWAY_S = 30.0  #: by which the clocks of two machines may differ
FAR_S = 1e12  #: since the Unix epoch; what ends later is as good as without an end
HOW = "ask whoever gives the JWTs out for a new one; or ygg token create NAME on the machine of the daemon"
_PARTS = re.compile(r"([\w-]+)\.[\w-]*\.[\w-]*", re.ASCII)
_TOLD: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "the JWT has expired"),
    (jwt.ImmatureSignatureError, "the JWT does not hold yet: nbf or iat is ahead of the clock"),
    (jwt.InvalidIssuerError, "the JWT is of another issuer"),
    (jwt.InvalidAudienceError, "the JWT is for another audience"),
)


class Bearer(NamedTuple):
    """Whom a JWT names, and what it is as a proof."""

    name: str
    scope: Scope
    max_priority: Priority
    rate: Rate | None
    proof: Proof


class Judge:
    """Of JWTs that `settings` speak of. `over` is set once those that it let in are not any more. `now_s`: since the Unix
    epoch, by the clock of the machine, as JWTs say it."""

    def __init__(
        self, settings: Jwt, verifying: Verifying, now_s: Callable[[], float] = time.time
    ) -> None:
        self.settings, self._verifying, self.now_s = settings, verifying, now_s
        self.over = Over()

    def judges_as(self, other: Judge | None) -> bool:
        """Whether both let the same in."""
        return other is not None and self._rule == other._rule

    @property
    def _rule(self) -> tuple[object, ...]:
        return self.settings.issuer, self.settings.audience, self._verifying

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a bearer says of itself that it is a JWT: its first part of three is a JSON object that has `alg`."""
        found = _PARTS.fullmatch(text)
        try:
            head = found and json.loads(urlsafe_b64decode(f"{found[1]}=="))
        except (ValueError, RecursionError):  # no base64, no UTF-8, no JSON
            return False
        return isinstance(head, dict) and "alg" in head

    def bearer(self, text: str) -> Bearer:
        """Whom it names, and what that one may do. Raises Unauthorized for one that does not hold, Forbidden for one that allows nothing."""
        claims = self._claims(text)
        name = claims["sub"]
        if re.fullmatch(NAME, name) is None or name == LOCAL:
            raise Unauthorized("sub of the JWT is no name of a caller", hint=SUBJECT)
        words = claims.get("scope")
        given = words.split() if isinstance(words, str) else ()
        scopes = [scope for scope in Scope if scope in given]
        if not scopes:
            raise Forbidden(
                f"the JWT of {name} has no scope", hint="read, submit or admin in scope"
            )
        best, rate = _limits(name, claims)
        return Bearer(name, scopes[-1], best, rate, self._proof(name, claims["exp"]))

    def _proof(self, name: str, exp: Any) -> Proof:
        """As long as a request with it would be let in."""
        end_s = min(int(exp), FAR_S) + LEEWAY_S  # PyJWT has made a whole number of it too
        return Proof(f"the JWT of {name}", HOW, self.over, lambda: end_s - self.now_s())

    def _claims(self, text: str) -> dict[str, Any]:
        """`exp` and `sub` are among them. Raises Unauthorized."""
        issuer, audience = self.settings.issuer, self.settings.audience
        try:
            claims: dict[str, Any] = jwt.decode(
                text, self._verifying.key, [self._verifying.algorithm], leeway=LEEWAY_S,
                issuer=issuer, audience=audience,
                options={"require": ["exp", "sub"], "verify_aud": audience is not None},
            )  # fmt: skip
        except jwt.MissingRequiredClaimError as error:
            raise Unauthorized(f"the JWT has no {error.claim}", hint=HOW) from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            other = "the JWT is not one that lets anybody in"
            why = next((told for kind, told in _TOLD if isinstance(error, kind)), other)
            raise Unauthorized(why, hint=HOW) from None
        return claims


def _limits(name: str, claims: Mapping[str, Any]) -> tuple[Priority, Rate | None]:
    """The best priority and the rate of submits. Raises Unauthorized: whoever meant to set one may not let in without."""
    try:
        given = parse(Claims, {k: claims[k] for k in Claims.model_fields if k in claims})
        return Priority(given.max_priority), rates.rate(given.rate)
    except InvalidInput as error:
        raise Unauthorized(f"the JWT of {name} has an odd {error.message}", hint=HOW) from None


SUBJECT = "1 to 64 letters, digits, `.`, `_` and `-`, and not `local`"
