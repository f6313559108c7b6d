"""Small HTTP servers with fixed answers, in threads: what a model server tells about itself."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GB = 1_000_000_000


@contextmanager
def answering(
    pages: Mapping[str, Any], *, server: str = "", host: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """The port of a server that answers these paths with JSON (an int is a bare status), else 404."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = server, ""

        def do_GET(self) -> None:
            page = pages.get(self.path, 404)
            raw = b"{}" if isinstance(page, int) else json.dumps(page).encode()
            self.send_response(page if isinstance(page, int) else 200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((host, port), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield httpd.server_address[1]
        finally:
            httpd.shutdown()
            thread.join()


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ollama(*models: tuple[str, str, int]) -> dict[str, Any]:
    """Name, parameters such as `8.2B`, and bytes of each model."""
    tags = [
        {"name": n, "model": n, "size": size, "details": {"parameter_size": p}}
        for n, p, size in models
    ]
    return {
        "/api/version": {"version": "0.33.0"},
        "/api/tags": {"models": tags},
        "/api/ps": {"models": []},
    }


def llama_cpp(model: str, *, slots: int = 1, context: int = 8192) -> dict[str, Any]:
    meta = {"n_params": 7_600_000_000, "size": 5 * GB, "n_ctx": context}
    return {
        "/health": {"status": "ok"},
        "/props": {
            "total_slots": slots,
            "default_generation_settings": {"n_ctx": context},
            "build_info": "b6000-abc",
        },
        "/v1/models": {"data": [{"id": model, "owned_by": "llamacpp", "meta": meta}]},
    }


def vllm(model: str) -> dict[str, Any]:
    return {
        "/health": {},
        "/version": {"version": "0.32.0"},
        "/v1/models": {"data": [{"id": model, "owned_by": "vllm", "max_model_len": 32768}]},
    }
