"""layerscope tokens TEXT."""

from __future__ import annotations

from layerscope.cli.options import (
    AllowPickle,
    Device,
    Dtype,
    Json,
    ModelName,
    Pair,
    Revision,
    TextArgument,
    TrustRemoteCode,
    open_model,
    read_text,
)
from layerscope.cli.output import show, show_json

NAME = "tokens"
EXAMPLES = """Examples:\n
  layerscope tokens "subword tokenization"\n
  layerscope tokens "What did I do?" --pair "I tried." --json\n
  layerscope tokens - < poem.txt"""


def command(
    text: TextArgument = None,
    pair: Pair = None,
    model: ModelName = None,
    revision: Revision = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    allow_pickle: AllowPickle = False,
    trust_remote_code: TrustRemoteCode = False,
    as_json: Json = False,
) -> None:
    """The tokens of a text, where each stands in it, and the word that it belongs to."""
    given = read_text(text)
    loaded = open_model(model, revision, device, dtype, allow_pickle, trust_remote_code)
    tokens = loaded.tokenize(given, pair)
    if as_json:
        rows = tokens.table().reset_index()
        rows["text"] = tokens.sequence
        rows["word"] = [None if index < 0 else tokens.words[index].text for index in tokens.word_index]
        show_json(
            {
                "model": loaded.name,
                "text": tokens.text,
                "pair": tokens.pair,
                "tokens": rows.to_dict("records"),
            }
        )
        return
    from layerscope.view import terminal

    show(terminal.tokens(tokens))
