"""layerscope describe [MODEL]."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.options import (
    AllowPickle,
    Device,
    Dtype,
    Json,
    ModelName,
    Revision,
    TrustRemoteCode,
    open_model,
)
from layerscope.cli.output import show, show_json
from layerscope.errors import InputError

NAME = "describe"
EXAMPLES = """Examples:\n
  layerscope describe\n
  layerscope describe google-bert/bert-base-uncased --json"""


def command(
    checkpoint: Annotated[str | None, typer.Argument(help="The same as --model.", show_default=False)] = None,
    model: ModelName = None,
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    allow_pickle: AllowPickle = False,
    trust_remote_code: TrustRemoteCode = False,
    as_json: Json = False,
) -> None:
    """What a model is: its modules, parameters by component, tied weights, limits, and where it came from."""
    if checkpoint is not None and model is not None:
        raise InputError("Name the model once, as MODEL or with --model.")
    loaded = open_model(checkpoint or model, revision, device, dtype, allow_pickle, trust_remote_code)
    description = loaded.describe()
    if as_json:
        show_json(description.to_dict())
        return
    from layerscope.view import terminal

    show(terminal.description(description))
