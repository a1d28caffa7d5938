"""The network goes on from states of ours as it does from its last block's, and is afterwards as before."""

import numpy as np
import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

import layerscope as ls
import tiny_tokenizers
from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.capture import substituted
from layerscope.network.unembedding import passed
from layerscope.network.windows import Window

TEXT, TARGET = "Then I tried to find some way.", "My mother's ghost."


def item_of(model, text=TEXT, size=None):
    """One window over a text, or over as many of its first positions."""
    tokens = model.tokenize(text)
    if model.kind == "encoder-decoder":
        target = model.run(text, target=TARGET, layers=0).target
        window = Window(np.arange(len(tokens)), np.ones(len(tokens), dtype=bool))
        return Item(0, tokens, window, target if size is None else target.keep(np.arange(size)))
    count = size or len(tokens)
    return Item(0, tokens, Window(np.arange(count), np.ones(count, dtype=bool)))


def forwards(network):
    """The modules whose forward was replaced."""
    return [name for name, module in network.named_modules() if "forward" in vars(module)]


def hooks(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_from_the_last_block_on_every_family_gives_its_own_logits(family, tiny):
    model = tiny(family)
    model.sites()  # transformers leaves hooks of its own behind when it is first asked for hidden states
    before = hooks(model.hf)
    head = passed(model, item_of(model, size=3)).unembedding
    _, block, last, own = passed(model, item_of(model))
    for start in range(len(own) - 2):
        rows = slice(start, start + 3)
        torch.testing.assert_close(head(block[rows]), own[rows], rtol=0, atol=1e-5)
    trace = model.run(TEXT, target=TARGET if model.kind == "encoder-decoder" else None)
    states = trace.decoder_hidden_states if trace.target is not None else trace.hidden_states
    np.testing.assert_allclose(last, states[-1], atol=1e-5)
    assert not forwards(model.hf)
    assert hooks(model.hf) == before


def test_the_text_that_it_was_found_with_has_no_part(tiny):
    model = tiny("gpt2")
    one, other = (
        passed(model, item_of(model, text, size=2)).unembedding for text in ("a ghost", "My mother")
    )
    states = torch.randn(2, model.hidden_size)
    torch.testing.assert_close(one(states), other(states), rtol=0, atol=0)


@pytest.mark.parametrize("family", ["gpt2", "bert", "albert", "bart"])
def test_no_block_runs_again(family, tiny):
    model, entered = tiny(family), []
    head = passed(model, item_of(model, size=2)).unembedding
    attention = [m for name, m in model.hf.named_modules() if name.endswith(("attn", "attention"))]
    assert attention
    handles = [m.register_forward_hook(lambda *_: entered.append(1)) for m in attention]
    try:
        head(torch.zeros(2, model.hidden_size))
        assert not entered
        passed(model, item_of(model))
        assert entered
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize(
    ("error", "raised"), [(RuntimeError("no"), ModelError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_all_is_as_before_when_a_pass_breaks_off(error, raised, tiny):
    model = tiny("llama")
    model.hf.train()
    head = passed(model, item_of(model, size=2)).unembedding
    before = head(torch.ones(2, model.hidden_size))

    def fail(*_):
        raise error

    handle = model.hf.lm_head.register_forward_pre_hook(fail)
    try:
        with pytest.raises(raised):
            head(torch.ones(2, model.hidden_size))
    finally:
        handle.remove()
    assert not forwards(model.hf)
    assert all(module.training for module in model.hf.modules())
    torch.testing.assert_close(head(torch.ones(2, model.hidden_size)), before, rtol=0, atol=0)
    model.hf.eval()


def test_outputs_are_given_in_turn_and_then_modules_run_again():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    x, mine = torch.ones(1, 2), torch.full((1, 2), -5.0)
    expected = network[0](x)
    with substituted(network, {"0": [mine, x]}):
        assert network[0](x) is mine
        assert network[0](x) is x
        torch.testing.assert_close(network[0](x), expected)
        torch.testing.assert_close(network(x), expected.relu())
    assert not forwards(network)


def test_a_forward_that_was_put_on_before_is_there_again():
    """As accelerate does for modules that are spread over devices."""
    network = torch.nn.Sequential(torch.nn.ReLU())
    network[0].forward = own = lambda x: x + 1
    with substituted(network, {"0": [torch.zeros(1)]}):
        assert network(torch.ones(1)) == 0
    assert network[0].forward is own
    assert network(torch.ones(1)) == 2


def test_what_has_no_block_is_refused():
    tokenizer = tiny_tokenizers.tokenizer("bytelevel")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    model = ls.wrap(MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer), **sizes)), tokenizer)
    with pytest.raises(ModelError, match="cannot be read by the lens: its last block is not found"):
        passed(model, item_of(model, size=2))
