"""layerscope describe [MODEL]."""

from __future__ import annotations

from layerscope.cli.options import Checkpoint, Json, ModelOptions, with_model
from layerscope.cli.output import show, show_json

NAME = "describe"
EXAMPLES = """Examples:\n
  layerscope describe\n
  layerscope describe google-bert/bert-base-uncased --json"""


@with_model
def command(
    model: ModelOptions,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
) -> None:
    """What a model is: its modules, parameters by component, tied weights, limits, and where it came from."""
    loaded = model.load(checkpoint)
    description = loaded.describe()
    if as_json:
        show_json(description.to_dict())
        return
    from layerscope.view import terminal

    show(terminal.description(description))
