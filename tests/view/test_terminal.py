import io

import numpy as np
import pandas as pd
from rich.console import Console

from layerscope.analysis.look import look
from layerscope.view import terminal


def printed(renderable, width=100):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()


def test_what_looks_like_markup_is_text(model):
    out = printed(terminal.tokens(model.tokenize("[bold] [/red] [link=x]")))
    assert "bold" in out
    out = printed(terminal.look(look(model, "[/red] a [bold]")))
    assert "[SEP]" in out


def test_the_tokens_of_a_pair(model):
    out = printed(terminal.tokens(model.tokenize("a b", "c")))
    assert "text" in out
    assert "[CLS]" in out


def test_a_table_of_numbers():
    table = pd.DataFrame([[1.0, np.nan], [-0.5, 2.0]], index=["x" * 60, "y"], columns=["[a]", "b"])
    out = printed(terminal.heat(table))
    for part in ("1.00", "–", "-0.50", "2.00", "[a]", "x…"):
        assert part in out


def test_a_narrow_terminal_loses_no_token(model):
    out = printed(terminal.look(look(model, "Seeing is believing.")), width=50)
    for part in ("seeing", "believing", "Length"):
        assert part in out


def test_the_real_decoder(decoder):
    out = printed(terminal.look(look(decoder, "The capital of France is")))
    assert "·Paris" in out
    assert printed(terminal.description(decoder.describe())).count("LlamaDecoderLayer") == 1
