from contextlib import suppress

import pytest
import torch

from layerscope.errors import ModelError
from layerscope.network.capture import Site, capture, evaluation, observe, recording_attention, tensors, watch


class Twice(torch.nn.Module):
    """A network whose one block is called twice, with a keyword, and returns a nest."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.last = torch.nn.Linear(3, 3)
        self.config = type("Config", (), {})()

    def forward(self, x):
        for _ in range(2):
            x = self.block(state=x)["states"][1]
        return self.last(x)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.entered = 0

    def forward(self, state):
        self.entered += 1
        return {"states": ("label", state + 1)}


def keep(key, tensor):
    return tensor


def hooks(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_the_wanted_call_is_caught_and_the_pass_stops_there():
    network, x = Twice(), torch.zeros(1, 3)
    second = Site("block", 1, "out", ("states", 1))
    caught, output = capture(network, {"x": x}, {("s", 2): second}, keep, whole=False)
    assert output is None
    torch.testing.assert_close(caught["s", 2], x + 2)
    into = Site("block", 1, "in", (1, "state"))
    caught, output = capture(network, {"x": x}, {("s", 1): into, ("s", 2): second}, keep, whole=True)
    torch.testing.assert_close(output, network.last(x + 2))
    torch.testing.assert_close(caught["s", 1], x + 1)
    assert hooks(network) == 0


def test_where_no_tensor_passes_nothing_is_caught():
    sites = {
        ("s", 1): Site("block", 0, "out", ("states", 7)),
        ("s", 2): Site("block", 0, "out", ("states", 0)),
    }
    caught, _ = capture(Twice(), {"x": torch.zeros(1, 3)}, sites, keep, whole=True)
    assert caught == {}


def test_nothing_wanted_still_runs_a_whole_pass():
    network = Twice()
    caught, output = capture(network, {"x": torch.zeros(1, 3)}, {}, keep, whole=True)
    assert caught == {}
    assert output is not None


def test_hooks_are_gone_after_an_error_too():
    network = Twice()
    with pytest.raises(ModelError, match="raised RuntimeError when it was run on x"):
        capture(network, {"x": torch.zeros(1, 4)}, {("s", 0): Site("last", 0, "out")}, keep, whole=False)
    assert hooks(network) == 0


def test_a_network_can_be_observed_up_to_a_place():
    seen = []
    network = Twice()
    observe(
        network,
        {"x": torch.zeros(1, 3)},
        lambda *event: seen.append(event[:3]),
        until=Site("block", 0, "out"),
    )
    assert seen == [("", 0, "in"), ("block", 0, "in"), ("block", 0, "out")]
    assert network.block.entered == 1


def test_tensors_of_a_nest():
    nest = {"a": (torch.ones(1), [torch.zeros(2), None]), "b": 3}
    assert [(path, tensor.numel()) for path, tensor in tensors(nest)] == [(("a", 0), 1), (("a", 1, 0), 2)]


def test_evaluation_leaves_mixed_training_modes_as_they_were():
    network = Twice().train()
    network.last.eval()
    with evaluation(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
    assert network.training
    assert network.block.training
    assert not network.last.training


def test_recording_attention_switches_back_even_after_an_error(tiny):
    for family in ("bert", "falcon", "llama"):
        hf = tiny(family).hf
        assert hf.config._attn_implementation == "sdpa"
        seen = []
        with suppress(ZeroDivisionError), recording_attention(hf):
            seen.append(hf.config._attn_implementation)
            seen.append(1 / 0)
        assert seen == ["eager"]
        assert hf.config._attn_implementation == "sdpa"


def test_watch_names_modules_by_their_place():
    network, seen = Twice(), []
    with watch(network, ["last"], lambda *event: seen.append(event[:3])):
        network(torch.zeros(1, 3))
    assert seen == [("last", 0, "in"), ("last", 0, "out")]
