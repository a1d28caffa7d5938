"""The options that every verb shares, and the model that they name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.output import waiting
from layerscope.errors import InputError

if TYPE_CHECKING:
    from layerscope.model import Model
    from layerscope.reduce.layers import Layers

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A Hub id, a folder, or a .gguf file. The bundled model if left out.",
        metavar="MODEL",
    ),
]
Revision = Annotated[str | None, typer.Option(help="Of a Hub id, a branch, tag or commit.")]
Device = Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")]
Dtype = Annotated[str, typer.Option(help="float32, float16, bfloat16, or auto for the checkpoint's own.")]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Accept pickled weights, which can run any code.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run model code that comes with the checkpoint.")
]
Json = Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")]
Pair = Annotated[str | None, typer.Option(help="A second text, put in by the tokenizer's template.")]
TextArgument = Annotated[
    str | None, typer.Argument(help="The text; - or nothing reads it from stdin.", show_default=False)
]


def open_model(
    name: str | None,
    revision: str | None,
    device: str,
    dtype: str,
    allow_pickle: bool,
    trust_remote_code: bool,
) -> Model:
    """The model that the shared options name."""
    with waiting(f"Loading {name or 'the bundled model'} …"):
        from layerscope.loading.checkpoint import load

        return load(
            name,
            revision=revision,
            device=device,
            dtype=dtype,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )


def read_text(text: str | None) -> str:
    """The text as given, or stdin's for - and for none; one newline at its end is not part of it.

    Raises:
        InputError: nothing is given and stdin is a terminal, or it is not UTF-8.
    """
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise InputError("Give a text, or pipe one in: echo 'Seeing is believing.' | layerscope look")
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The text on stdin is not UTF-8 (at byte {error.start}); convert it first."
        ) from error


def read_layers(written: str | None) -> Layers | None:
    """Layers as written on the command line: all, 8, -4:, or 1,6,12."""
    if written is None or "," not in written:
        return written
    try:
        return [int(part) for part in written.split(",")]
    except ValueError as error:
        raise InputError(f"Layers are written all, 8, -4: or 1,6,12; not {written!r}.") from error
