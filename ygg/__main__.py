"""`python -m ygg` and the `ygg` command: every error becomes one line, a hint and an exit code."""

from __future__ import annotations

import os
import sys

from ygg.errors import Interrupted, YggError


def main() -> None:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_is_gone()
    sys.exit(code)


def run(args: list[str]) -> int:
    """The exit code of one command line."""
    if args == ["--version"]:  # the one answer that needs no command tree
        from ygg import __version__

        sys.stdout.write(f"ygg {__version__}\n")
        return 0
    from ygg.cli.app import app

    if "_YGG_COMPLETE" in os.environ:  # a shell asks what could come next: ygg completion
        from ygg.cli.completion import prepare

        prepare()
    try:
        app(args, standalone_mode=True, prog_name="ygg")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    except YggError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return _tell(Interrupted("interrupted"))
    except BrokenPipeError:
        _reader_is_gone()
        return 0
    except Exception as bug:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        return _bug(bug)
    return 0


def _reader_is_gone() -> None:
    """`ygg list | head` is no error: let the interpreter flush into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
