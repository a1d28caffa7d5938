"""layerscope tokens TEXT."""

from __future__ import annotations

from layerscope.cli.options import (
    Json,
    Pair,
    TextArgument,
    TokenizerOptions,
    note_empty,
    read_text,
    with_model,
)
from layerscope.cli.output import show, show_json

NAME = "tokens"
EXAMPLES = """Examples:\n
  layerscope tokens "subword tokenization"\n
  layerscope tokens "What did I do?" --pair "I tried." --json\n
  layerscope tokens - < poem.txt"""


@with_model
def command(
    model: TokenizerOptions,
    text: TextArgument = None,
    pair: Pair = None,
    as_json: Json = False,
) -> None:
    """The tokens of a text, where each stands in it, and the word that it belongs to."""
    given = read_text(text)
    name, vocabulary = model.load_vocabulary()
    from layerscope.text.encode import with_words

    tokens = with_words(vocabulary, given, pair, words=None)
    note_empty(given, pair)
    if as_json:
        rows = tokens.table().reset_index()
        rows["text"] = tokens.sequence
        rows["word"] = [None if index < 0 else tokens.words[index].text for index in tokens.word_index]
        show_json(
            {
                "model": name,
                "text": tokens.text,
                "pair": tokens.pair,
                "tokens": rows.to_dict("records"),
            }
        )
        return
    from layerscope.view import terminal

    show(terminal.tokens(tokens))
