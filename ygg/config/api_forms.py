"""The forms of hosts.yaml that say what proves who asks over TCP, and who answers; and where Prometheus asks."""

from __future__ import annotations

from pydantic import Field

from ygg.config import values as v
from ygg.config.host_forms import Form


class JwtForm(Form):
    """JWTs that another server gives out, beside the tokens of `ygg token create`. Their `sub` is the name of the caller, which
    it shares with a token of that name; the greatest of `read`, `submit` and `admin` in their `scope` is what it may do. `exp` must be
    there, `nbf` and `iat` count, all within 30 s. Both files are read again on SIGHUP."""

    secret_file: v.Text | None = Field(
        default=None,
        description="File that holds the secret of HS256, on one line of 32 characters or more: `ygg token secret FILE` makes one. "
        "Relative to hosts.yaml; `~/` is your home. Either this or `public_key_file`.",
    )
    public_key_file: v.Text | None = Field(
        default=None,
        description="File that holds the public key in PEM: an RSA key for RS256, an Ed25519 key for EdDSA. No other algorithm is taken.",
    )
    issuer: v.Text | None = Field(
        default=None, description="What `iss` must be. Default: anything."
    )
    audience: v.Text | None = Field(
        default=None, description="What must be in `aud`. Default: `aud` is not looked at."
    )


class TlsForm(Form):
    """HTTPS on the TCP addresses, with TLS 1.2 or newer; the unix socket stays as it is. Read again on SIGHUP: who connects then is
    shown the new certificate, who is connected goes on."""

    certificate: v.Text = Field(
        description="File of the certificate in PEM, those that signed it after it. Relative to hosts.yaml; `~/` is your home."
    )
    key: v.Text = Field(description="File of its private key in PEM, without a password.")


class MetricsForm(Form):
    """What Prometheus scrapes, `/metrics`: on every address of the API, where a token of scope `read` lets in, and where it is
    asked for on addresses of its own."""

    listen: v.Addresses = Field(
        default=[],
        description="Addresses that serve `/metrics` and `/healthz` alone: `0.0.0.0:9420`, or a list; on ports that `api.listen` does not "
        "use. Nobody needs a token there, other machines neither: numbers and the names of hosts and models are told, no task, "
        "prompt or caller. The names of `api.hosts` hold there too, and so does `api.tls`. Another list takes effect with the next start.",
    )
    legacy: bool = Field(
        default=True,
        description="Whether the mission's own names (`task_queue_depth` and the like) are there too, beside those that begin with `ygg_`.",
    )
