"""Which module is block k, held against plain hooks on the modules that are named."""

from collections import defaultdict

import numpy as np
import torch

import layerscope as ls

TEXT, TARGET = "Then I tried to find some way.", "My mother's ghost."


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for one in value.values() for tensor in tensors(one)]
    return [tensor for one in value for tensor in tensors(one)] if isinstance(value, tuple | list) else []


def entering(model, modules, run):
    """What went into each call of these modules, by plain hooks."""
    given, handles = defaultdict(list), []
    for name in modules:
        hook = lambda _module, args, options, name=name: given[name].append(tensors((args, options)))  # noqa: E731
        handles.append(model.hf.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return given


def test_the_states_of_the_layer_before_go_into_each_block_of_every_family(family, tiny):
    model = tiny(family)
    target = TARGET if model.is_encoder_decoder else None
    trace = model.run(TEXT, target=target)
    sides = {"encoder": trace.hidden_states}
    if target is not None:
        sides["decoder"] = trace.decoder_hidden_states
    for side, states in sides.items():
        blocks = model.blocks(side)
        assert len(blocks) == len(states) - 1
        assert None not in blocks
        given = entering(model, {block.module for block in blocks}, lambda: model.run(TEXT, target=target))
        for layer, block in enumerate(blocks):
            shown = [one[0].float().numpy() for one in given[block.module][block.call] if one.ndim == 3]
            assert any(np.array_equal(one, states[layer]) for one in shown), (side, layer)


def test_names(tiny, model):
    assert [block.module for block in model.blocks()] == [f"encoder.layer.{number}" for number in range(6)]
    shared = tiny("albert").blocks()
    assert len({block.module for block in shared}) == 1
    assert [block.call for block in shared] == list(range(len(shared)))
    assert model.describe().blocks == tuple(block.module for block in model.blocks())
    assert tiny("albert").describe().blocks == (shared[0].module,)


def test_they_are_looked_for_once(tiny_folder):
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    model.blocks()
    passes = []
    handle = model.hf.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        model.blocks()
    finally:
        handle.remove()
    assert not passes


def test_a_block_that_changes_nothing_is_found_and_looked_for_anew(tiny_folder):
    """What goes into it and what comes out are the same for now, as other weights would tell apart."""
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    parts = [model.hf.get_submodule(f"transformer.h.1.{name}") for name in ("attn.c_proj", "mlp.c_proj")]
    kept = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    with torch.no_grad():
        for part in parts:
            part.weight.zero_()
            part.bias.zero_()
    expected = [f"transformer.h.{number}" for number in range(3)]
    assert not model.sites().certain
    assert [block.module for block in model.blocks()] == expected
    assert model._found.blocks is None
    for part, before in zip(parts, kept, strict=True):
        part.load_state_dict(before)
    assert [block.module for block in model.blocks()] == expected
    assert model._found.blocks is not None
