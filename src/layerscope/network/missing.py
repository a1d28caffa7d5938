"""Why a trace lacks an output, and what to do."""

from __future__ import annotations

from layerscope.network.heads import HEAD_OUTPUTS
from layerscope.network.network import Network
from layerscope.network.projections import PROJECTIONS
from layerscope.network.wanted import Wanted
from layerscope.reduce.layers import listed
from layerscope.trace import OF_WINDOWS


def why_missing(model: Network, wanted: Wanted, has_target: bool, windows: int) -> dict[str, str]:
    """For each output that a trace may lack, the sentence that says why and what to do."""
    name = model.name
    attention = "Attention was not kept: run with attention=True and a layer from 1 on."
    if wanted.attention and max(wanted.layers, default=0) > 0:
        having = [index + 1 for index in model.sites(attention=True).layers("attentions")]
        attention = (
            f"None of the layers that were kept has attention; in {name} these have: {listed(having)}."
        )
    decoder = (
        f"{name} is {'an' if model.kind == 'encoder' else 'a'} {model.kind}: it has no separate decoder."
    )
    if model.is_encoder_decoder:
        decoder = "Give the decoder something to read: run with target=."
        if has_target:
            decoder = f"None of the decoder's layers, 0 to {model.num_decoder_layers}, was kept: name one in layers=."
    projections = "Queries, keys and values were not kept: run with projections=True and a layer from 1 on."
    if wanted.projections and max(wanted.layers, default=0) > 0:
        having = sorted({index + 1 for _, index in model.projections()})
        projections = f"None of the layers that were kept has any; in {name} these have: {listed(having)}."
    pooler = f"{name} has no trained pooler."
    if model.untrained_pooler:
        pooler = f"The checkpoint of {name} has no weights for its pooler: its output would be noise. Use mean or cls."
    elif windows > 1:
        pooler = OF_WINDOWS.format(windows, "pooler output")
    elif model.num_layers not in wanted.layers:
        pooler = (
            f"The pooler reads the last layer, {model.num_layers}, which was not kept: add it to layers=."
        )
    sites = model.sites(attention=wanted.attention)
    left_out = {one: f"{name} has no {one} to show: {why}" for one, why in sites.missing.items()}
    return {
        "hidden_states": "No layer was kept: name one in layers=.",
        "attentions": attention,
        "decoder_attentions": attention if has_target else decoder,
        "cross_attentions": attention if has_target else decoder,
        "decoder_hidden_states": decoder,
        **dict.fromkeys(PROJECTIONS, projections),
        **{one: _why_no_logits(one, model, wanted, windows) for one in HEAD_OUTPUTS},
        "pooler_output": pooler,
    } | left_out


def _why_no_logits(output: str, model: Network, wanted: Wanted, windows: int) -> str:
    """Why a trace lacks what a head gives."""
    head = next((head for head in model.heads if output in head.axes), None)
    if head is None:
        kinds = " and ".join(head.kind for head in model.heads)
        return f"{model.name} gives no {output}: {f'its head is for {kinds}' if kinds else 'it has no head'}."
    if head.is_untrained:
        return f"The head of {model.name} is not in the checkpoint: its {output} would be noise."
    if not wanted.logits:
        return "The logits were not kept: run with logits=True."
    return (
        f"The text passed in {windows} overlapping windows, each with {output} of its own, so there are none of the "
        "whole text: run with long='cut', or shorten it."
    )
