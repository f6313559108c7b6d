"""What an Ollama server does beside calls: it shows models, pulls and unloads them.

A pull has two layers. What came before the client left is kept, so that the next pull goes on there.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from ygg.model import JsonDict
from ygg.sim.dialects import JSON, OllamaDialect, dump
from ygg.sim.http import LAST_CHUNK, Connection, Request, chunk

if TYPE_CHECKING:
    from ygg.sim.servers import SimServer

STEPS = 20  #: progress lines of a layer
NO_MANIFEST = "pull model manifest: file does not exist"
NO_SPACE = "write /root/.ollama/models/blobs/sha256-partial: no space left on device"


async def keep(server: SimServer, request: Request, link: Connection) -> bool:
    """Answer a request that is about models; False for any other."""
    protocol = server.protocol
    if request.method != "POST" or not isinstance(protocol, OllamaDialect):
        return False
    unload = request.path == "/api/generate" and b'"keep_alive"' in request.body
    if not unload and request.path not in ("/api/show", "/api/pull"):
        return False
    try:
        body = json.loads(request.body)
    except ValueError:
        return False
    name = str(body.get("model") or body.get("name"))
    if unload and (body["keep_alive"] != 0 or body.get("prompt")):
        return False
    if request.path == "/api/pull":
        await _Pull(server, name, link).run()
    elif name not in server.models:
        link.reply(404, protocol.error(404, protocol.no_model(name)), JSON)
    elif unload:
        server.expire(name)
        link.reply(200, dump(protocol.unloaded(name)), JSON)
    else:
        link.reply(200, dump(protocol.about()), JSON)
    return True


class _Pull:
    """One download, as lines of progress."""

    def __init__(self, server: SimServer, name: str, link: Connection) -> None:
        self.server, self.name, self.link = server, name, link
        size = server.library.get(name, 0)
        self.layers = {"a" * 64: size - size // 100, "b" * 64: size // 100}

    async def run(self) -> None:
        self.link.write(self.link.begin("application/x-ndjson"))
        self._line({"status": "pulling manifest"})
        error = await self._download() if self.name in self.server.library else NO_MANIFEST
        if error:
            self._line({"error": error})
        else:
            for status in ("verifying sha256 digest", "writing manifest", "success"):
                self._line({"status": status})
            self.server.has(self.name)
        self.link.write(LAST_CHUNK)

    async def _download(self) -> str:
        """Every layer in turn, from where an earlier pull was cut; the error that ended it, or ""."""
        for digest, total in self.layers.items():
            done = self.server.partial.get((self.name, digest), 0)
            while done < total:
                step = min(total - done, max(1, total // STEPS))
                if self.server.disk is not None and step > self.server.disk:
                    return NO_SPACE
                await asyncio.sleep(self.server.pull_s / STEPS / len(self.layers))
                done += step
                self._took(digest, done, step)
                news = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}"}
                self._line({**news, "total": total, "completed": done})
        return ""

    def _took(self, digest: str, done: int, step: int) -> None:
        self.server.partial[self.name, digest] = done
        if self.server.disk is not None:
            self.server.disk -= step

    def _line(self, value: JsonDict) -> None:
        self.link.write(chunk(dump(value) + b"\n"))
