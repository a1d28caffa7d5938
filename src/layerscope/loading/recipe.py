"""How another process gets the same model: it loads it itself, and proves that it is the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.engine.precision import name_of
from layerscope.errors import InputError, LayerscopeError, again
from layerscope.loading.bundled import NAME
from layerscope.loading.checkpoint import load
from layerscope.source import Source

if TYPE_CHECKING:
    from layerscope.model import Model

NEEDS = (
    "Other processes need a model that they can load themselves: a Hub id, or a path that all of them see."
)


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that is needed to load a model again; small, and the same for the same model.

    Attributes:
        source: of the model, its paths absolute.
        is_trusted: whether the user let code from the checkpoint run.
        dtype: the torch dtype that it was loaded in.
        proof: what the model must be.
    """

    source: Source
    is_trusted: bool
    dtype: Any
    proof: dict[str, Any]

    @classmethod
    def of(cls, model: Model) -> Recipe:
        """The recipe of a model; all its weights are read.

        Raises:
            InputError: nobody else could load it: it was wrapped.
        """
        source = model.source
        if source.folder is None:
            raise InputError(f"{model.name} was not loaded by Layerscope. {NEEDS}")
        code = (type(one).__module__ for one in (model.hf, model.tokenizer))
        return cls(
            source=replace(
                source,
                folder=source.folder.absolute(),
                weights=tuple(path.absolute() for path in source.weights),
            ),
            is_trusted=any(module.startswith("transformers_modules.") for module in code),
            dtype=model.hf.dtype,
            proof=_proof(model),
        )

    def load(self, device: str = "auto") -> Model:
        """The model, proven to be the same.

        Raises:
            LayerscopeError: it cannot be loaded here, or is another.
        """
        source = self.source
        options: dict[str, Any] = {
            "dtype": self.dtype,
            "device": device,
            "trust_remote_code": self.is_trusted,
        }
        suffixes = {path.suffix.lower() for path in source.weights}
        place: Path | str | None = source.folder
        if source.name == NAME and source.revision is None:
            place = None
        elif ".gguf" in suffixes:
            place = source.weights[0]
        elif source.revision is not None and not (
            source.folder and (source.folder / "config.json").is_file()
        ):
            place, options["revision"] = source.name, source.revision
        try:
            # Its weights are pickles only if the user allowed them.
            model = load(place, allow_pickle=".bin" in suffixes, **options)
        except LayerscopeError as error:
            raise again(type(error), f"In another process: {error} {NEEDS}") from error
        model = replace(model, source=source)
        found = _proof(model)
        other = [name for name, value in self.proof.items() if found[name] != value]
        if other:
            raise InputError(
                f"What another process loads as {source.name} is not the model here: {other[0]} is "
                f"{found[other[0]]}, and here {self.proof[other[0]]}. {NEEDS}"
            )
        return model


def _proof(model: Model) -> dict[str, Any]:
    """What must be equal for two models to give the same rows: more than what identifies them in a manifest."""
    config = {
        name: value
        for name, value in model.hf.config.to_dict().items()
        if name not in ("_name_or_path", "transformers_version")
    }
    return {
        **model.identity(),
        "context_window": model.context_window,
        "dtype": name_of(model),
        "attention": getattr(model.hf.config, "_attn_implementation", None),
        "configuration_sha256": _sha256(json.dumps(config, sort_keys=True, default=str)),
        "modules_sha256": _sha256(repr(model.hf)),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
