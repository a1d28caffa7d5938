"""The command's frame: which verbs there are, and how it ends."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from layerscope import __version__
from layerscope.cli import (
    anatomy,
    attention,
    check,
    compare,
    demo,
    describe,
    drift,
    export,
    extract,
    head_search,
    heads,
    lens,
    look,
    neighbors,
    plan,
    search,
    senses,
    sweep,
    tokens,
    verify,
)
from layerscope.cli.output import note
from layerscope.errors import LayerscopeError

# What typer raises for words that it does not know, whichever click it carries.
_UsageError: Any = typer.BadParameter.__base__

# What typer makes of Ctrl-C.
_INTERRUPTED = 130

app = typer.Typer(
    name="layerscope",
    help="See and use everything that a transformer language model computes.",
    epilog="Without --model it is the bundled all-MiniLM-L6-v2, which needs no network. "
    "Data goes to stdout, notes to stderr; a mistake is one line and exit code 2.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for verb in (
    tokens,
    describe,
    look,
    lens,
    attention,
    compare,
    anatomy,
    neighbors,
    drift,
    senses,
    heads,
    head_search,
    plan,
    extract,
    search,
    check,
    sweep,
    export,
    verify,
    demo,
):
    app.command(verb.NAME, epilog=verb.EXAMPLES)(verb.command)


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """See and use everything that a transformer language model computes."""
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command: 0 if all went well, 1 if a check did not pass, 2 for a mistake, 130 for Ctrl-C."""
    warnings.showwarning = _as_note
    _open_closed_streams()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        if code == _INTERRUPTED:
            note("layerscope: stopped.")
        sys.exit(code)
    except LayerscopeError as error:
        note(f"layerscope: {error}")
        sys.exit(2)
    except _UsageError as error:
        verb = error.ctx.command_path if error.ctx else "layerscope"
        said = error.format_message().rstrip(". ")
        note(f"layerscope: {said}{'' if said.endswith('?') else '.'} See {verb} --help.")
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe, such as head, has what it wanted
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        note(f"layerscope: What was found cannot be printed: {error.strerror or error}.")
        sys.exit(2)


def _open_closed_streams() -> None:
    """Let what goes to a stream that was closed before the start go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _forget_stdout() -> None:
    """Let what is still to be written go nowhere, so that Python does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings as a note; those of libraries are not for a user of the command."""
    if category.__module__.startswith("layerscope"):
        note(f"note: {message}")
