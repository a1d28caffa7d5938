"""Loading: from a Hub id, a folder or a .gguf file to a `Model`; what is refused, and why.

Every source becomes files on this machine first (`location`), so that there is one way to read configuration, weights
and tokenizer.
"""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

from layerscope.arguments import checked
from layerscope.errors import InputError, LeftOutHeadWarning, NewHeadWarning, unknown
from layerscope.loading.gguf import read_once
from layerscope.loading.heads import TASKS
from layerscope.loading.location import a_type, locate
from layerscope.loading.modality import refuse_without_text
from layerscope.loading.placement import as_device, as_dtype, moved
from layerscope.loading.pretrained import load_network, load_tokenizer
from layerscope.model import Model
from layerscope.quiet import quiet
from layerscope.source import Source
from layerscope.text.vocabulary import Vocabulary

# Keywords of from_pretrained that are ours to set, and what to do instead.
_OURS = {
    "config": "give its values as keywords, such as num_labels=3",
    "gguf_file": "give the path of the .gguf file as the checkpoint",
    "output_loading_info": "look at the model's untrained",
    "state_dict": "load the network yourself and give it to wrap()",
    "subfolder": "give the path of that folder as the checkpoint",
    "torch_dtype": "use dtype",
    "use_safetensors": "use allow_pickle",
    "variant": "load the network yourself and give it to wrap()",
    "weights_only": "load the network yourself and give it to wrap()",
}

# Those that say where and how a Hub id is fetched.
_HUB_OPTIONS = ("token", "cache_dir", "local_files_only")

# transformers makes a network by switching parts of torch off and on again: one at a time in a process.
_LOADING = threading.Lock()


@checked
def load(
    checkpoint: str | Path | None = None,
    *,
    revision: str | None = None,
    task: str | None = None,
    dtype: Any = "float32",
    device: Any = "auto",
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    **options: Any,
) -> Model:
    """Load a pretrained model and its tokenizer, ready to be looked into.

    A checkpoint with a language-model head is loaded with it, so that there are logits (also of networks that
    take images or sound beside text); one without is loaded bare; a task's head only when asked for.

    Args:
        checkpoint: a Hub id ("google-bert/bert-base-uncased"), a folder, or a .gguf file; None for the
            bundled sentence-transformers/all-MiniLM-L6-v2, which needs no network.
        revision: of a Hub id, a branch, tag or commit.
        task: to load another head, what it is for, as transformers names it: "text-classification",
            "token-classification", "question-answering", "next-sentence-prediction", "multiple-choice", "fill-mask",
            "text-generation" or "text2text-generation".
        dtype: "float32", "float16", "bfloat16", "auto" for the checkpoint's own, or a torch dtype.
        device: "auto" (cuda, then mps, then cpu), or a torch device.
        allow_pickle: accept weights in pickle files, which can run any code when opened.
        trust_remote_code: accept model code that comes with the checkpoint, and run it.
        options: further keywords of transformers' from_pretrained: device_map, quantization_config, token,
            values of the configuration such as num_labels.

    Raises:
        InputError: arguments that name nothing, or do not go together.
        CheckpointError: it cannot be loaded; the sentence says why, the cause is chained.
        UntrustedError: it would need code or pickles from the checkpoint to be run.
        ModelError: the network reads no text, or none without images or sound beside it.

    Warns:
        NewHeadWarning: the checkpoint has no weights for the task's head.
        LeftOutHeadWarning: the checkpoint was saved with a task's head, and is loaded without it.

    >>> import layerscope as ls
    >>> model = ls.load()
    >>> model.kind, model.num_layers, model.hidden_size
    ('encoder', 6, 384)
    """
    _check(task, device, options)
    kind, place = as_dtype(dtype), as_device(device)
    fetching = {name: options.pop(name) for name in _HUB_OPTIONS if name in options}
    source = locate(checkpoint, revision, allow_pickle=allow_pickle, **fetching)
    with quiet(), _LOADING, read_once(source.weights[0]):
        fitted = load_network(source, task, kind, trust_remote_code, options)
        tokenizer = load_tokenizer(source, trust_remote_code)
        hf = fitted.hf if "device_map" in options else moved(fitted.hf, place, source.name)
    hf.eval().requires_grad_(False)
    if fitted.new_heads:
        warnings.warn(
            f"{source.name} has no weights for the head of the task {task!r} ({', '.join(fitted.new_heads)}), "
            "so it was made new, and gives noise until it is fine-tuned.",
            NewHeadWarning,
            stacklevel=3,
        )
    if fitted.left_out is not None:
        warnings.warn(
            f"{source.name} was saved with a head for {fitted.left_out}, which was left out: "
            f"load it with task={fitted.left_out!r}.",
            LeftOutHeadWarning,
            stacklevel=3,
        )
    model = Model(hf, tokenizer, source, fitted.untrained)
    refuse_without_text(model)
    return model


def load_vocabulary(
    checkpoint: str | Path | None = None, *, revision: str | None = None, trust_remote_code: bool = False
) -> tuple[str, Vocabulary]:
    """The name of a model and what its tokenizer's ids spell, without its network; weights need not be there.

    Raises:
        InputError, CheckpointError, UntrustedError: as `load`.
    """
    source = locate(checkpoint, revision, weights=False)
    with quiet(), _LOADING:
        return source.name, Vocabulary(load_tokenizer(source, trust_remote_code))


@checked
def wrap(hf: Any, tokenizer: Any, name: str | None = None) -> Model:
    """A `Model` of a transformers model and tokenizer that you loaded yourself (quantised, sharded, adapted).

    Nothing about them is changed. `name` is what errors and tables call it. Which of its weights were in the
    checkpoint is not known here: a head or pooler that from_pretrained made new is shown like any other.

    Raises:
        InputError: these are not a transformers model and a tokenizer.
        ModelError: the network reads no text, or none without images or sound beside it.
    """
    takes = "wrap takes a transformers model and its tokenizer"
    if not hasattr(hf, "config") or not hasattr(hf, "named_modules"):
        raise InputError(f"{takes}; the first is {a_type(hf)}.")
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise InputError(f"{takes}; the second is {a_type(tokenizer)}.")
    source = Source(name or getattr(hf.config, "name_or_path", "") or type(hf).__name__)
    model = Model(hf, tokenizer, source)
    refuse_without_text(model)
    return model


def _check(task: str | None, device: Any, options: dict[str, Any]) -> None:
    if task is not None and task not in list(TASKS):
        raise unknown("task", task, TASKS)
    for option in options.keys() & _OURS.keys():
        raise InputError(f"load does not take {option}: {_OURS[option]}.")
    if device != "auto" and "device_map" in options:
        raise InputError(
            f"device={device!r} and device_map={options['device_map']!r} both say where to load: give one."
        )
