"""ygg completion: the script that makes a shell complete commands and options."""

from __future__ import annotations

from typing import Annotated

import typer

from ygg.cli import output
from ygg.cli.app import app
from ygg.errors import InvalidInput

VARIABLE = "_YGG_COMPLETE"  #: set by the script when the shell asks
PLACES = {
    "bash": "ygg completion bash > ~/.local/share/bash-completion/completions/ygg",
    "zsh": "ygg completion zsh > ~/.zfunc/_ygg, with fpath+=~/.zfunc before compinit",
    "fish": "ygg completion fish > ~/.config/fish/completions/ygg.fish",
}


def prepare() -> None:
    """Teach the command tree to answer the scripts below."""
    from typer import completion as of_typer

    of_typer.completion_init()  # type: ignore[attr-defined]


@app.command()
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the completion script of a shell."""
    from typer._completion_shared import get_completion_script

    if shell not in PLACES:
        raise InvalidInput(f"no completion for {shell}", hint=f"there is: {', '.join(PLACES)}")
    output.data(get_completion_script(prog_name="ygg", complete_var=VARIABLE, shell=shell))
    output.hint(f"keep it: {PLACES[shell]}")
