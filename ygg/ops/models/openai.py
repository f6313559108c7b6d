"""The models of a llama.cpp or vLLM server. Only llama.cpp's router can unload one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from ygg import __version__
from ygg.errors import YggError
from ygg.model import Endpoint, JsonDict
from ygg.ops.models import servers as base
from ygg.ops.models.servers import ASK_S, CONNECT_S, Model, ServerFailed, Step


class OpenAIModels:
    """One server of the OpenAI protocol. Use it as `model_servers.opened` gives it."""

    def __init__(self, host: str, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        self.host, self.url, self._endpoint = host, endpoint.url, endpoint
        self._client = httpx.AsyncClient(
            base_url=endpoint.url.rstrip("/").removesuffix("/v1"),
            headers={"User-Agent": f"ygg/{__version__}", **headers},
            trust_env=False,
            timeout=httpx.Timeout(ASK_S, connect=CONNECT_S),
            limits=httpx.Limits(
                max_keepalive_connections=0
            ),  # llama.cpp closes what it calls alive
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def models(self, limit_s: float) -> list[Model]:
        async with self._asking(limit_s):
            entries = await self._entries(limit_s)
            asleep = (await self._props({})).get("is_sleeping") is True
        found = [_model(entry) for entry in entries]
        return [replace(m, loaded=False) for m in found] if asleep else found

    async def _entries(self, limit_s: float) -> list[JsonDict]:
        async with self._asking(limit_s):
            data = (await self._send("GET", "/v1/models"))["data"]
            return [{**entry, "id": str(entry["id"])} for entry in data]

    async def facts(self, model: Model) -> JsonDict:
        entries = await self._entries(ASK_S)
        entry = next((e for e in entries if e["id"] == model.name), {})
        props = await self._props(entry) if model.loaded else {}
        meta, settings = _dict(entry.get("meta")), _dict(props.get("default_generation_settings"))
        template = props.get("chat_template")
        return base.known(
            size=model.size,
            loaded=model.loaded,
            parameters=model.parameters,
            context_length=_first(
                entry.get("max_model_len"), settings.get("n_ctx"), meta.get("n_ctx"),
                meta.get("n_ctx_train"),
            ),
            template_bytes=len(template.encode()) if isinstance(template, str) else None,
            slots=_first(props.get("total_slots")),
        )  # fmt: skip

    async def _props(self, entry: JsonDict) -> JsonDict:
        """What llama.cpp tells of itself; {} from other servers. A router must not load for it."""
        router = {"model": str(entry.get("id")), "autoload": "false"} if "status" in entry else {}
        try:
            async with self._asking(ASK_S):
                return await self._send("GET", "/props", params=router)
        except YggError:
            return {}

    async def unload(self, name: str) -> None:
        entry = await self._entry(name)
        if "status" not in entry:
            raise base.no_unload(self.host)
        async with self._asking(ASK_S, name):
            await self._send("POST", "/models/unload", json={"model": entry["id"]})

        async def loaded() -> bool:
            return _model(await self._entry(name)).loaded is True

        await base.gone(self.host, name, loaded)

    async def _entry(self, name: str) -> JsonDict:
        entries = await self._entries(ASK_S)
        found = next((e for e in entries if base.means(self._endpoint, e["id"], name)), None)
        if found is None:
            raise base.refused(self.host, 404, "", name)
        return found

    def pull(self, name: str) -> AsyncIterator[Step]:
        raise base.no_pull(self.host)

    async def _send(self, method: str, path: str, **more: Any) -> JsonDict:
        """The object of a small answer. ServerFailed for any other."""
        response = await self._client.request(method, path, **more)
        if response.status_code != 200:
            raise _Refused(response.status_code, _message(response.text))
        body = response.json()
        if not isinstance(body, dict):
            raise TypeError(f"{path}: no object")
        return body

    @asynccontextmanager
    async def _asking(self, limit_s: float, model: str = "") -> AsyncIterator[None]:
        """Bounds what is asked inside, and says what went wrong with it."""
        try:
            async with asyncio.timeout(limit_s):
                yield
        except _Refused as error:
            if error.status == 404 and not model:
                raise base.strange(self.host, self.url, "an OpenAI server") from error
            raise base.refused(self.host, error.status, error.message, model) from error
        except YggError:
            raise
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise base.unreachable(self.host, self.url) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise base.silent(self.host, limit_s) from error
        except (httpx.HTTPError, OSError) as error:
            raise base.broken_off(self.host, error) from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise base.strange(self.host, self.url, "an OpenAI server") from error


class _Refused(ServerFailed):
    """An answer other than 200, before it is known what it means."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _message(text: str) -> str:
    """The message of an error body, "" when it is none."""
    try:
        error = json.loads(text)["error"]
    except (ValueError, LookupError, TypeError):
        return ""
    return str(error.get("message", "")) if isinstance(error, dict) else str(error)


def _model(entry: JsonDict) -> Model:
    meta, status = _dict(entry.get("meta")), _dict(entry.get("status"))
    return Model(
        entry["id"],
        size=_first(meta.get("size")),
        loaded=status.get("value", "loaded") == "loaded",  # without a router it is loaded
        parameters=_short(_first(meta.get("n_params"))),
    )


def _short(count: int | None) -> str | None:
    """A number of parameters as model names have it: 8.0B, 494M."""
    if count is None:
        return None
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"


def _dict(value: object) -> JsonDict:
    return value if isinstance(value, dict) else {}


def _first(*values: object) -> int | None:
    return next((v for v in values if type(v) is int), None)
