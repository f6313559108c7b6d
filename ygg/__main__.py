"""`python -m ygg` and the `ygg` command: every error becomes one line, a hint and an exit code."""

from __future__ import annotations

import os
import sys

from ygg import signalled, streams
from ygg.errors import Interrupted, YggError


def main() -> None:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:])
    trouble = streams.trouble(sys.stdout)
    if trouble and code == 0:
        code = _tell(YggError(f"the output cannot be written: {trouble}"))
    streams.trouble(sys.stderr)
    sys.exit(code)


def run(args: list[str]) -> int:
    """The exit code of one command line."""
    streams.ready()
    if args == ["--version"]:  # the one answer that needs no command tree
        from ygg import __version__

        streams.put(sys.stdout, f"ygg {__version__}")
        return 0
    if _verb(args) == "loop":
        signalled.keep()
    from ygg.cli.app import app

    if "_YGG_COMPLETE" in os.environ:  # a shell asks what could come next: ygg completion
        from ygg.cli.completion import prepare

        prepare()
    try:
        app(args, standalone_mode=True, prog_name="ygg")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer makes an exit of it
            return _unread()
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    except YggError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return _tell(Interrupted("interrupted"))
    except BrokenPipeError:
        return _unread()
    except Exception as bug:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        return _bug(bug)
    return 0


def _verb(args: list[str]) -> str:
    """The command, found before the command tree is loaded."""
    words = iter(args)
    for word in words:
        if word in ("--config", "--socket"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _unread() -> int:
    """`ygg list | head` is no error."""
    sys.stdout, sys.stderr = sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr
    streams.nobody(sys.stdout)
    return 0


def _tell(error: YggError) -> int:
    from ygg.cli.output import say_error

    say_error(error)
    return error.exit_code


def _bug(bug: Exception) -> int:
    from ygg.cli.app import debugging

    if debugging():
        raise bug
    text = f"unexpected error: {type(bug).__name__}: {bug}"
    return _tell(YggError(text, hint="run it again with --debug for the traceback, and report it"))


if __name__ == "__main__":
    main()
