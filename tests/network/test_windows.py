import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import InputError
from layerscope.network.windows import cut, fit, windows


@given(st.integers(0, 400), st.integers(3, 40), st.booleans())
def test_every_token_is_owned_once_and_by_the_window_with_most_context(count, size, causal):
    tokens = _plain_tokens(count)
    found = windows(tokens, size, causal)
    owned = np.concatenate([window.positions[window.owned] for window in found])
    assert sorted(owned.tolist()) == list(range(len(tokens)))
    assert all(len(window) <= size for window in found)
    assert all(window.positions[0] == 0 and window.positions[-1] == len(tokens) - 1 for window in found)
    if len(found) == 1:
        return
    for token in range(1, len(tokens) - 1):
        context = {
            n: _context(window, token, len(tokens), causal)
            for n, window in enumerate(found)
            if token in window.positions
        }
        owner = next(n for n, window in enumerate(found) if token in window.positions[window.owned])
        assert context[owner] == max(context.values())


def _context(window, token, count, causal):
    inner = window.positions[1:-1]
    before = np.inf if inner[0] == 1 else token - inner[0]
    behind = np.inf if inner[-1] == count - 2 else inner[-1] - token
    return before if causal else min(before, behind)


def _plain_tokens(count):
    """Tokens of [CLS] x … x [SEP], as far as windows look at them."""
    from layerscope.text.tokens import Tokens

    ids = np.arange(count + 2)
    special = np.zeros(count + 2, dtype=bool)
    special[[0, -1]] = True
    return Tokens("", None, None, ids, special, np.zeros_like(ids), np.where(special, -1, 0))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 40))
def test_a_pair_is_cut_at_its_longer_text_first(first, second, size):
    from layerscope.text.encode import encode
    from layerscope.text.vocabulary import Vocabulary
    from tiny import tokenizer

    (tokens,) = encode(Vocabulary(tokenizer("wordpiece")), [("a " * first, "b " * second)])
    kept = cut(tokens, size)
    lengths = [int((kept.sequence == number).sum()) for number in (0, 1)]
    if first + second + 3 <= size:
        assert lengths == [first, second]
        return
    assert len(kept) == size
    assert kept.special_mask.sum() == 3
    assert kept.num_cut == len(tokens) - size
    shorter, room = min(first, second), size - 3
    assert min(lengths) == min(shorter, room // 2)


def test_long_texts_ask_what_to_do(model):
    tokens = model.tokenize("a " * 600)
    assert fit(tokens, None, "error") is tokens
    assert fit(tokens, 602, "error") is tokens
    with pytest.raises(InputError, match="602 tokens.*window 512.*long='cut'"):
        fit(tokens, 512, "error")
    with pytest.raises(InputError, match="known: window, cut, error"):
        fit(tokens, 512, "truncate")
    with pytest.raises(InputError, match="pair cannot be read in windows"):
        fit(model.tokenize("a " * 600, "b"), 512, "window")


def test_windows_give_what_each_window_alone_gives(model):
    text = " ".join(f"word number {n}" for n in range(300))
    trace = model.run(text, layers=[0, 6])
    tokens = trace.tokens
    assert len(tokens) == trace.hidden_states.shape[1] == 902
    parts = windows(tokens, 512, causal=False)
    assert len(parts) == len(trace.windows) == 3
    for window, (first, stop) in zip(parts, trace.windows, strict=True):
        inner = window.positions[1:-1]
        start, end = tokens.offsets[inner[0], 0], tokens.offsets[inner[-1], 1]
        alone = model.run(text[start:end], layers=[0, 6])
        assert len(alone.tokens) == len(window)
        np.testing.assert_allclose(
            trace.hidden_states[:, window.positions[window.owned]],
            alone.hidden_states[:, window.owned],
            atol=1e-5,
        )
        assert first <= inner[0]
        assert stop > inner[-1]


def test_a_text_of_windows_has_no_cls_and_no_pooler_output(model):
    from layerscope.errors import ModelError

    trace = model.run("a " * 600)
    for ask in (lambda: trace.pooler_output, lambda: trace.pool("cls"), lambda: trace.pool("pooler")):
        with pytest.raises(ModelError, match="2 overlapping windows.*long='cut'"):
            ask()
    assert trace.pool("mean").shape == (384,)


def test_no_room_for_text(model):
    with pytest.raises(InputError, match="no room"):
        windows(model.tokenize("a b c"), 2, causal=False)
