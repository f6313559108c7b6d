"""docs/cli.md is what the commands print, and covers all of them."""

from __future__ import annotations

from pathlib import Path

from tests.surface import cli_doc

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_commands_print_today() -> None:
    assert cli_doc.masked(PAGE) == cli_doc.masked(cli_doc.written()), (
        "python -m tests.surface.cli_doc > docs/cli.md"
    )


def test_every_command_and_option_is_on_the_page_and_explained() -> None:
    found = dict(cli_doc.commands())
    assert len(found) >= 16
    for name, command in found.items():
        _, _, rest = PAGE.partition(f"## ygg {name}\n")
        section = rest.split("\n## ")[0]
        assert command.help in section
        for param in command.params:
            assert param.help, (name, param.name)
            if param.param_type_name == "option":
                assert all(opt in section for opt in param.opts)
