"""Layerscope shows you, and hands you, everything a transformer language model computes.

>>> import layerscope as ls
>>> model = ls.load()
>>> trace = model.run("Then I tried to find some way of embracing my mother's ghost.")
>>> trace.hidden_states.shape
(7, 17, 384)

The public names, in the order of the path. They are imported when first used: `import layerscope` alone
loads neither torch nor transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from layerscope import algebra as algebra
    from layerscope import samples as samples
    from layerscope.analysis.anatomy import anatomy as anatomy
    from layerscope.analysis.attention import attention as attention
    from layerscope.analysis.attention import heads as heads
    from layerscope.analysis.attention import partners as partners
    from layerscope.analysis.drift import drift as drift
    from layerscope.analysis.embedding_parts import embedding_parts as embedding_parts
    from layerscope.analysis.head_search import head_search as head_search
    from layerscope.analysis.lens import lens as lens
    from layerscope.analysis.look import look as look
    from layerscope.analysis.neighbors import neighbors as neighbors
    from layerscope.analysis.senses import senses as senses
    from layerscope.analysis.similarity import compare as compare
    from layerscope.analysis.similarity import similarity as similarity
    from layerscope.analysis.verify import verify as verify
    from layerscope.corpus.corpus import open_corpus as open_corpus
    from layerscope.errors import AlignmentError as AlignmentError
    from layerscope.errors import CheckpointError as CheckpointError
    from layerscope.errors import InputError as InputError
    from layerscope.errors import LayerscopeError as LayerscopeError
    from layerscope.errors import LeftOutHeadWarning as LeftOutHeadWarning
    from layerscope.errors import MissingExtraError as MissingExtraError
    from layerscope.errors import MissingRowsWarning as MissingRowsWarning
    from layerscope.errors import ModelError as ModelError
    from layerscope.errors import NewHeadWarning as NewHeadWarning
    from layerscope.errors import NotFoundError as NotFoundError
    from layerscope.errors import StorageError as StorageError
    from layerscope.errors import UntrustedError as UntrustedError
    from layerscope.extraction.extract import extract as extract
    from layerscope.extraction.plan import plan as plan
    from layerscope.loading.checkpoint import load as load
    from layerscope.loading.checkpoint import wrap as wrap
    from layerscope.model import Model as Model
    from layerscope.opened import open_trace as open_trace
    from layerscope.probing.export import export as export
    from layerscope.probing.feature_map import FeatureMap as FeatureMap
    from layerscope.probing.layer_features import LayerFeatures as LayerFeatures
    from layerscope.probing.sweep import sweep as sweep
    from layerscope.reduce.cosine import cosine as cosine
    from layerscope.reduce.feature import Feature as Feature
    from layerscope.reduce.pooling import pooling as pooling
    from layerscope.reduce.pooling import weighting as weighting
    from layerscope.store.features import open_features as open_features
    from layerscope.text.tokens import Span as Span
    from layerscope.text.tokens import Tokens as Tokens
    from layerscope.trace import Trace as Trace

# The public names and where they live.
_HOMES = {
    "load": "loading.checkpoint",
    "wrap": "loading.checkpoint",
    "Model": "model",
    "Tokens": "text.tokens",
    "Span": "text.tokens",
    "Trace": "trace",
    "open_trace": "opened",
    "cosine": "reduce.cosine",
    "pooling": "reduce.pooling",
    "weighting": "reduce.pooling",
    "Feature": "reduce.feature",
    "look": "analysis.look",
    "similarity": "analysis.similarity",
    "compare": "analysis.similarity",
    "drift": "analysis.drift",
    "senses": "analysis.senses",
    "neighbors": "analysis.neighbors",
    "embedding_parts": "analysis.embedding_parts",
    "lens": "analysis.lens",
    "anatomy": "analysis.anatomy",
    "partners": "analysis.attention",
    "attention": "analysis.attention",
    "heads": "analysis.attention",
    "head_search": "analysis.head_search",
    "verify": "analysis.verify",
    "open_corpus": "corpus.corpus",
    "extract": "extraction.extract",
    "open_features": "store.features",
    "FeatureMap": "probing.feature_map",
    "plan": "extraction.plan",
    "sweep": "probing.sweep",
    "export": "probing.export",
    "LayerFeatures": "probing.layer_features",
    "algebra": "algebra",
    "samples": "samples",
    "LayerscopeError": "errors",
    "AlignmentError": "errors",
    "CheckpointError": "errors",
    "InputError": "errors",
    "LeftOutHeadWarning": "errors",
    "MissingExtraError": "errors",
    "MissingRowsWarning": "errors",
    "ModelError": "errors",
    "NewHeadWarning": "errors",
    "NotFoundError": "errors",
    "StorageError": "errors",
    "UntrustedError": "errors",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'layerscope' has no attribute {name!r}")
    home = importlib.import_module(f"layerscope.{_HOMES[name]}")
    value = home if name == _HOMES[name] else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
