"""Queries, keys and values as outputs of a run, held against anatomy and against plain attention."""

import numpy as np
import pytest

import layerscope as ls
from layerscope.algebra import scaled_dot_product_attention
from layerscope.errors import ModelError

TEXT = "Then I tried to find some way of embracing my mother's ghost."
NAMES = ("queries", "keys", "values")


def test_they_are_those_that_anatomy_proves_in_every_family_that_it_knows(family, tiny):
    model = tiny(family)
    try:
        blocks = [ls.anatomy(model, TEXT, layer) for layer in range(1, model.num_layers + 1)]
    except ModelError:
        blocks = []
    if not model.projections():
        assert not blocks
        with pytest.raises(
            ModelError, match="cannot be read: its blocks are built in a way that is not known here"
        ):
            model.run(TEXT, projections=True)
        return
    trace = model.run(TEXT, projections=True)
    assert trace.queries.shape[:3] == (model.num_layers, model.num_heads, len(trace.tokens))
    for layer, block in enumerate(blocks):
        for name in NAMES:
            shown = getattr(trace, name)[layer]
            np.testing.assert_allclose(
                shown, block.step(name).array, atol=1e-4 * max(1, block.step(name).scale)
            )


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_they_give_the_models_own_attention(tiny, family):
    model = tiny(family)
    trace = model.run(TEXT, attention=True, projections=True)
    mask = ls.algebra.causal_mask(*[len(trace.tokens)] * 2) if family == "gpt2" else None
    for layer, attention in enumerate(trace.attentions):
        found = scaled_dot_product_attention(
            trace.queries[layer], trace.keys[layer], trace.values[layer], mask
        )
        np.testing.assert_allclose(found.probabilities, attention, atol=1e-5)


def test_batched_is_single_and_layers_are_chosen(model):
    texts = [TEXT, "A ghost.", ""]
    for trace, text in zip(model.run_many(texts, projections=True, layers=[0, 2, 5]), texts, strict=True):
        alone = model.run(text, projections=True)
        assert trace.attention_layers["queries"] == (2, 5)
        for name in NAMES:
            np.testing.assert_allclose(getattr(trace, name), getattr(alone, name)[[1, 4]], atol=1e-5)


def test_of_a_text_in_windows_each_token_is_from_the_one_that_owns_it(model):
    trace = model.run("the bank of a river " * 150, projections=True)
    assert len(trace.windows) > 1
    assert trace.queries.shape == (6, 12, len(trace.tokens), 32)
    cut = model.run("the bank of a river " * 150, projections=True, long="cut")
    np.testing.assert_allclose(trace.keys[:, :, :200], cut.keys[:, :, :200], atol=1e-4)


def test_what_was_not_kept_says_how_to_get_it(model, tmp_path):
    with pytest.raises(ModelError, match="run with projections=True and a layer from 1 on"):
        _ = model.run("a").queries
    with pytest.raises(ModelError, match="projections=True and a layer from 1 on"):
        _ = model.run("a", projections=True, layers=0).keys
    trace = model.run("a bank", projections=True)
    assert trace.table().loc["queries", "axes"] == "layer, head, token, width"
    opened = ls.open_trace(trace.save(tmp_path / "trace.safetensors"))
    np.testing.assert_array_equal(opened.values, trace.values)


def test_groups_of_queries_share_keys(tiny):
    trace = tiny("llama").run(TEXT, projections=True)
    assert trace.keys.shape[1] < trace.queries.shape[1]
    assert trace.keys.shape[-1] == trace.queries.shape[-1]
