import numpy as np
import pytest
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

import layerscope as ls
from layerscope.errors import ModelError
from tiny import build, tokenizer


class OddConfig(PretrainedConfig):
    model_type = "odd"

    def __init__(self, num_hidden_layers=2, **rest):
        self.num_hidden_layers, self.num_attention_heads, self.hidden_size, self.vocab_size = (
            num_hidden_layers,
            1,
            8,
            600,
        )
        super().__init__(**rest)


class Odd(PreTrainedModel):
    """A family that no table could know; `report` is how it reports its hidden states."""

    config_class = OddConfig

    def __init__(self, config, report=lambda states: states):
        super().__init__(config)
        self.items = nn.Embedding(600, 8)
        self.steps = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.report = report
        self.post_init()

    def get_input_embeddings(self):
        return self.items

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False, **_):
        states = [self.items(input_ids)]
        for step in self.steps:
            states.append(states[-1] + step(states[-1]).tanh())  # the sum is made outside of any module
        reported = self.report(tuple(states)) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=reported)


class Normed(Odd):
    """The same with a last module, so that the last sum goes into a module at least."""

    def __init__(self, config):
        super().__init__(config)
        self.last = nn.Identity()

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        self.last(output.last_hidden_state)
        return output


def test_an_unknown_family_is_read_by_where_its_tensors_pass():
    model = ls.wrap(Normed(OddConfig()).eval(), tokenizer("wordpiece"), "odd")
    trace = model.run("Seeing is believing.")
    with torch.no_grad():
        plain = model.hf(torch.from_numpy(trace.tokens.ids)[None], output_hidden_states=True)
    for layer in range(3):
        torch.testing.assert_close(
            torch.from_numpy(trace.hidden_states[layer]), plain.hidden_states[layer][0]
        )
    assert model.sites()["hidden_states", 1].side == "in"
    with pytest.raises(ModelError, match="returns no attention"):
        model.run("x", attention=True)
    with pytest.raises(ModelError, match="no trained pooler"):
        _ = trace.pooler_output


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (lambda states: None, "does not report its hidden states"),
        (
            lambda states: tuple(state.mT for state in states),
            r"shape \[1, 8, \d+\] .* not \[text, token, hidden\]",
        ),
        (lambda states: states[:2], "has 2 layers and reports 2 hidden states"),
    ],
)
def test_what_cannot_be_found_is_refused_and_not_guessed(report, says):
    model = ls.wrap(Odd(OddConfig(), report).eval(), tokenizer("wordpiece"), "odd")
    for _ in range(2):  # the second time too
        with pytest.raises(ModelError, match=says):
            model.run("Seeing is believing.")


def test_sites_are_found_once(tiny):
    model = tiny("bert")
    model.run("a", attention=True)
    passes = []
    handle = model.hf.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        model.run("b", attention=True)
    finally:
        handle.remove()
    assert len(passes) == 1


def test_a_model_that_computes_something_else_when_asked_for_attention_is_refused(tiny_folder, monkeypatch):
    """As Falcon does where its implementation is not really switched: its tokens then see what follows them."""
    from contextlib import nullcontext

    model = ls.load(tiny_folder("falcon"), device="cpu")
    monkeypatch.setattr("layerscope.network.sites.recording_attention", lambda hf: nullcontext())
    with pytest.raises(ModelError, match="computes something else when it is asked for its attention"):
        model.run("The first pass that asks for attention.", attention=True)


def test_a_block_that_changes_nothing_is_looked_for_again(tiny_folder):
    """Blocks put in for expansion start as the identity, and are trained later."""
    model = ls.load(tiny_folder("llama"), device="cpu")
    block = model.hf.model.layers[1]
    for weights in (block.self_attn.o_proj.weight, block.mlp.down_proj.weight):
        weights.data.zero_()
    trace = model.run("Seeing is believing.")
    np.testing.assert_array_equal(trace.hidden_states[1], trace.hidden_states[2])
    block.self_attn.o_proj.weight.data.normal_()
    assert ls.verify(model, ["Seeing is believing.", "a b"]).passed


def test_a_place_that_holds_for_the_short_text_only_is_no_site(tmp_path, tiny_folder):
    length = len(ls.load(tiny_folder("bert"), device="cpu").tokenize("Seeing is believing."))
    folder = build("bert", tmp_path, chunk_size_feed_forward=length)
    model = ls.load(folder, device="cpu")
    assert ls.verify(model, ["Seeing is believing.", "a " * (2 * length - 2)]).passed


@pytest.mark.parametrize(
    "report", [lambda states: states, lambda states: tuple(state * 2 for state in states)]
)
def test_what_passes_through_no_module_is_read_from_the_report(report):
    model = ls.wrap(Odd(OddConfig(), report).eval(), tokenizer("wordpiece"), "odd")
    assert model.sites()["hidden_states", 2].is_reported
    trace = model.run("Seeing is believing.")
    with torch.no_grad():
        plain = model.hf(torch.from_numpy(trace.tokens.ids)[None], output_hidden_states=True)
    np.testing.assert_array_equal(trace.hidden_states, torch.cat(plain.hidden_states).numpy())
    np.testing.assert_array_equal(
        model.run("Seeing is believing.", layers=1).hidden_states, trace.hidden_states[1:2]
    )
    assert ls.verify(model, ["Seeing is believing.", "a b"]).passed


def test_a_network_that_was_changed_since_is_refused(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.run("a b")
    del model.hf.bert.encoder.layer[2]
    with pytest.raises(ModelError, match="load or wrap it anew"):
        model.run("a b")


def test_whatever_the_configuration_says_of_its_outputs(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.hf.config.return_dict = False
    assert model.run("a b", logits=True).logits.shape[0] == len(model.tokenize("a b"))
