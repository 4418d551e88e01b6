"""The commands together, and what all of them fail with."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import get_completion_class

from .. import FailoverError, __version__
from .check import check
from .explain import explain
from .ledger import ledger
from .output import INTERRUPTED, NO_ATTEMPT
from .override import override
from .urls import urls
from .watch import watch

PROGRAM = "d365-failover"
_COMPLETE = "_D365_FAILOVER_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")


@click.group(context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
def commands() -> None:
    """Looks at the two endpoints of a Dynamics 365 organization, and says what this library does about them.

    Data goes to standard output, all else to standard error. --json gives JSON; NO_COLOR takes the colours off.
    """


@commands.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Prints what makes a shell complete these commands.

    For bash: eval "$(d365-failover completion bash)"
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(commands, {}, PROGRAM, _COMPLETE).source())


for command in (urls, check, watch, explain, ledger, override):
    commands.add_command(command)


def run(arguments: Sequence[str] | None) -> int:
    _stand_in()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What it cannot hold is no reason to say nothing.
            stream.reconfigure(errors="backslashreplace")
    try:
        # With its own mode click would exit with 2 for what it cannot read, which says something else here.
        code = commands.main(
            None if arguments is None else list(arguments),
            prog_name=PROGRAM,
            complete_var=_COMPLETE,
            standalone_mode=False,
        )
        # Here a failure can be told.
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return NO_ATTEMPT
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit:
        # So do click and rich end a program of which nobody reads any more, with a code that says something else here.
        if _COMPLETE in os.environ:
            raise
        return _unread()
    except BrokenPipeError:
        return _unread()
    except FailoverError as error:
        click.echo(f"{PROGRAM}: {error}", err=True)
        return NO_ATTEMPT
    except OSError as error:
        click.echo(f"{PROGRAM}: {error.strerror or error}", err=True)
        _unread()
        return NO_ATTEMPT
    return code if isinstance(code, int) else 0


def _stand_in() -> None:
    """Stands in for a standard stream that was closed before this began, lest a file of the library's come to be it.
    Input has ended then, and output cannot be written, which is to be said."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            stream = open(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _unread() -> int:
    """Whoever read has enough. What is still to be written would fail at exit again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
