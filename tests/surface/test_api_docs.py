"""docs/api.md is what the API does, and covers all of it."""

from __future__ import annotations

from pathlib import Path

from fastapi.routing import APIRoute

from tests.shell.virtual import run_virtual
from tests.surface import api_doc
from tests.surface.world import api
from ygg.api.app import build_app

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_the_page_is_what_the_api_answers_today() -> None:
    assert DOCS.read_text(encoding="utf-8") == api_doc.written(), (
        "python -m tests.surface.api_doc > docs/api.md"
    )


def test_every_route_is_on_the_page() -> None:
    async def routes() -> set[str]:
        async with api() as found:
            app = build_app(found.handlers)
            return {
                f"{method} {route.path}"
                for route in app.routes
                if isinstance(route, APIRoute)
                for method in route.methods
            }

    page = DOCS.read_text(encoding="utf-8").replace("{id}", "{task_id}").replace("{name}", "{host}")
    verbs = {
        "/v1/queue/{verb}": ("pause", "resume"),
        "/v1/hosts/{host}/{verb}": ("drain", "resume"),
    }
    wanted = set()
    for route in run_virtual(routes()):
        named = next((v for path, v in verbs.items() if route.endswith(path)), ("",))
        wanted |= {route.replace("{verb}", verb) for verb in named}
    assert len(wanted) >= 26
    assert {route for route in wanted if f"### `{route}`" not in page} == set()
