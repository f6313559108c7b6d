"""The models of an Ollama server, through the `ollama` package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import ollama

from ygg import __version__
from ygg.errors import YggError
from ygg.model import Endpoint, JsonDict
from ygg.ops.models import servers as base
from ygg.ops.models.servers import ASK_S, CONNECT_S, QUIET_S, Model, ServerFailed, Step

PS_S = 1.5  #: /api/ps blocks while a model loads: longer than this means that


class OllamaModels:
    """One Ollama server. Use it as `model_servers.opened` gives it."""

    def __init__(self, host: str, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        self.host, self.url, self._endpoint = host, endpoint.url, endpoint

        def stamp(request: httpx.Request) -> httpx.Request:
            """Only the endpoint's own key: the package would send $OLLAMA_API_KEY to every host."""
            request.headers.pop("Authorization", None)
            request.headers.update({"User-Agent": f"ygg/{__version__}", **headers})
            return request

        self._client = ollama.AsyncClient(
            endpoint.url,
            auth=stamp,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(QUIET_S, connect=CONNECT_S),
        )

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def models(self, limit_s: float) -> list[Model]:
        async with self._asking(limit_s):
            found = await self._client.list()
            loaded = await self._loaded(min(PS_S, limit_s))
            return [_model(m, loaded) for m in found.models if m.model]

    async def _loaded(self, limit_s: float) -> set[str] | None:
        """The names in memory, None when the server is too busy to tell."""
        try:
            async with asyncio.timeout(limit_s):
                return {m.model for m in (await self._client.ps()).models if m.model}
        except TimeoutError:
            return None

    async def facts(self, model: Model) -> JsonDict:
        async with self._asking(ASK_S, model.name):
            told = await self._client.show(model.name)
        details = told.details
        return base.known(
            size=model.size,
            loaded=model.loaded,
            parameters=details.parameter_size if details else model.parameters,
            quantization=details.quantization_level if details else model.quantization,
            family=details.family if details else None,
            context_length=_context(told.modelinfo or {}),
            template_bytes=len((told.template or "").encode()),
            capabilities=told.capabilities,
            settings=(told.parameters or "").strip() or None,
        )

    async def unload(self, name: str) -> None:
        async with self._asking(ASK_S, name):
            await self._client.generate(name, keep_alive=0)

        async def loaded() -> bool:
            async with self._asking(ASK_S):
                names = await self._loaded(PS_S)
                return names is None or any(base.means(self._endpoint, name, n) for n in names)

        await base.gone(self.host, name, loaded)

    async def pull(self, name: str) -> AsyncIterator[Step]:
        last = ""
        async with self._asking(None, name):
            async for news in await self._client.pull(name, stream=True):
                last = news.status or ""
                yield Step(last, news.digest or "", news.completed or 0, news.total or 0)
        if last != "success":
            raise ServerFailed(
                f"{self.host}: the pull of {name} ended before it was whole",
                hint="pulling again resumes",
            )

    @asynccontextmanager
    async def _asking(self, limit_s: float | None, model: str = "") -> AsyncIterator[None]:
        """Bounds what is asked inside, and says what went wrong with it."""
        try:
            async with asyncio.timeout(limit_s):
                yield
        except YggError:
            raise
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise base.unreachable(self.host, self.url) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise base.silent(self.host, limit_s or QUIET_S) from error
        except ollama.ResponseError as error:
            raise self._refused(error, model) from error
        except (httpx.HTTPError, OSError) as error:
            raise base.broken_off(self.host, error) from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise base.strange(self.host, self.url, "Ollama") from error

    def _refused(self, error: ollama.ResponseError, model: str) -> YggError:
        if error.status_code in (404, 405) and not model:
            return base.strange(self.host, self.url, "Ollama")
        return base.refused(self.host, error.status_code, str(error.error), model)


def _model(told: Any, loaded: set[str] | None) -> Model:
    details = told.details
    return Model(
        told.model,
        size=None if told.size is None else int(told.size),
        loaded=None if loaded is None else told.model in loaded,
        parameters=details.parameter_size if details else None,
        quantization=details.quantization_level if details else None,
    )


def _context(info: Mapping[str, Any]) -> int | None:
    """`<architecture>.context_length`, the longest context the model was trained for."""
    found = info.get(f"{info.get('general.architecture')}.context_length")
    return found if isinstance(found, int) else None
