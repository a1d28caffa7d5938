"""layerscope tokens TEXT."""

from __future__ import annotations

from layerscope.cli.files import Files
from layerscope.cli.options import (
    Json,
    Pair,
    TextArgument,
    TokenizerOptions,
    note_empty,
    read_text,
    with_options,
)
from layerscope.cli.output import show, show_json

NAME = "tokens"
EXAMPLES = """Examples:\n
  layerscope tokens "subword tokenization"\n
  layerscope tokens "What did I do?" --pair "I tried." --json\n
  layerscope tokens - < poem.txt"""


@with_options
def command(
    model: TokenizerOptions,
    files: Files,
    text: TextArgument = None,
    pair: Pair = None,
    as_json: Json = False,
) -> None:
    """The tokens of a text, where each stands in it, and the word that it belongs to."""
    files.check()
    given = read_text(text)
    name, vocabulary = model.load_vocabulary()
    from layerscope.text.encode import with_words

    tokens = with_words(vocabulary, given, pair, words=None)
    files.figure(tokens.plot)
    files.table(tokens.table)
    note_empty(given, pair)
    if as_json:
        show_json({"model": name} | tokens.to_dict())
        return
    from layerscope.view import terminal

    show(terminal.tokens(tokens))
