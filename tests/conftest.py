"""What holds for the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.sizes import FULL

#: How long an example takes says something of the machine, not of ygg.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
settings.register_profile(FULL, parent=settings.get_profile("patient"))
#: For planted bugs: that an example fails is all that is asked, not which one is the simplest; and what is caught
#: once is caught again.
settings.register_profile(
    "planted", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None
)

#: Files whose tests take long, started first: processes share a run by its files, and the short ones fill its end.
LONG = ("cases", "real", "system", "soak", "surface", "probes", "tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def byte_code(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """One folder for the byte code of all processes that tests start, of this run and of later ones, also where the
    machine forbids it beside the sources: otherwise each of them spends half a second on compiling."""
    cache = getattr(request.config, "cache", None)  # none with `-p no:cacheprovider`
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONDONTWRITEBYTECODE", "")
        if not os.environ.get("PYTHONPYCACHEPREFIX"):
            shared = cache.mkdir("byte-code") if cache else tmp_path_factory.mktemp("byte-code")
            patch.setenv("PYTHONPYCACHEPREFIX", str(shared))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Before the list of them: how many were left out."""
    skipped = len(terminalreporter.stats.get("skipped", ()))
    if skipped:
        told = (
            f"{skipped} tests were left out for the reasons below; how to have them run: make tools"
        )
        terminalreporter.write_line(told)
