"""What plain transformers computes, loaded and run as its own documentation does: nothing of ours is used."""

import numpy as np
import torch
import transformers
from transformers import AutoModel, AutoTokenizer

from tiny import FAMILIES, quiet


def plain(folder, family, text, pair=None, target=None):
    """Every output of one text as arrays without the batch axis; attention by the eager implementation."""
    auto = getattr(transformers, FAMILIES[family].head)
    with quiet(), torch.no_grad():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        bare = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        inputs = tokenizer(text, pair, return_tensors="pt")
        inputs.pop("offset_mapping", None)
        asked = {"output_hidden_states": True, "output_attentions": True}
        if target is not None:
            asked["labels"] = tokenizer(text_target=target, return_tensors="pt").input_ids
        if model.config.is_encoder_decoder and target is None:
            output = bare.get_encoder()(**inputs, **asked)
            return _arrays(output, ("hidden_states", "attentions"))
        output = model(**inputs, **asked)
        arrays = _arrays(output, tuple(output))
        if "encoder_hidden_states" in arrays:
            arrays["hidden_states"] = arrays.pop("encoder_hidden_states")
            arrays["attentions"] = arrays.pop("encoder_attentions")
        if "prediction_logits" in arrays:
            arrays["logits"] = arrays.pop("prediction_logits")
        if family in WITH_POOLER:
            arrays["pooler_output"] = bare(**inputs).pooler_output[0].numpy()
    return {name: array for name, array in arrays.items() if name in OUTPUTS}


OUTPUTS = {
    "hidden_states",
    "attentions",
    "logits",
    "pooler_output",
    "decoder_hidden_states",
    "decoder_attentions",
    "cross_attentions",
}

WITH_POOLER = {"bert", "albert"}


def _arrays(output, names):
    arrays = {}
    for name in names:
        value = output[name]
        if isinstance(value, tuple) and value and isinstance(value[0], torch.Tensor):
            arrays[name] = np.stack([one[0].numpy() for one in value])
        elif isinstance(value, torch.Tensor) and value.ndim > 1:
            arrays[name] = value[0].numpy()
    return arrays


def largest_difference(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float(np.abs(ours - theirs).max(initial=0))
