"""Features as a scikit-learn transformer: texts in, vectors out, in pipelines and searches."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from layerscope.arguments import check, check_count
from layerscope.corpus.rows import Rows
from layerscope.engine.stream import ROWS, stream
from layerscope.engine.supported import check_features
from layerscope.errors import InputError, ModelError, brief, unknown
from layerscope.loading.checkpoint import load
from layerscope.loading.recipe import Recipe
from layerscope.network.windows import LONG
from layerscope.reduce.feature import COMBINES, Feature
from layerscope.reduce.pooling import POOLER, UNPOOLED, Array
from layerscope.text.encode import Text, check_text, list_of_texts

if TYPE_CHECKING:
    from layerscope.model import Model

# Bytes of vectors that are remembered between calls.
_CACHE = 1 << 30


class LayerFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts to the vectors of a feature, as scikit-learn's transformers do.

    It learns nothing, and takes raw texts: a list, an array or a Series of strings. A grid over `feature` runs the
    network once: a pass keeps the vectors of all layers, and those of texts that it has seen are remembered, by all
    clones together, up to `cache` bytes. With `n_jobs` each process remembers for itself.

    Args:
        feature: one vector a text, such as "mean@8" or "mean@-4:/concat"; of several layers that are not combined
            ("mean@all"), their vectors stand side by side.
        model: a model, or what `layerscope.load` takes; None for the bundled one.
        long: what to do with texts longer than the context window: "window", "cut" or "error".
        cache: how many bytes of vectors to remember between calls; 0 for none: the pass is then only as deep as the
            feature needs, and holds no other layers.

    Raises:
        InputError: when fitted or used: a feature or texts that cannot be.
        ModelError: the model does not give the feature.

    >>> import layerscope as ls
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> texts = ["He sat on the river bank.", "The shore was muddy.", "The bank lends money.", "She paid in cash."]
    >>> classifier = make_pipeline(ls.LayerFeatures("mean@6"), LogisticRegression())
    >>> classifier.fit(texts, ["water", "water", "money", "money"]).predict(["a loan in dollars"])
    array(['money'], dtype='<U5')
    """

    def __init__(
        self,
        feature: str | Feature = "mean@-1",
        model: Model | str | Path | None = None,
        long: str = "window",
        cache: int = _CACHE,
    ) -> None:
        self.feature = feature
        self.model = model
        self.long = long
        self.cache = cache

    def fit(self, X: Iterable[str], y: Any = None) -> LayerFeatures:  # noqa: N803 (scikit-learn's name)
        """Load the model and check that it gives the feature; nothing is learnt from the texts.

        Raises:
            InputError: texts that can be read only once: they would be used up, and `transform` find none.
        """
        if isinstance(X, Iterator):
            raise InputError(
                f"X can be read only once, since it is {brief(X)}: give a list, or call fit_transform."
            )
        _texts(X)
        self._parsed()
        return self

    def fit_transform(self, X: Iterable[str], y: Any = None, **_: Any) -> Array:  # noqa: N803
        """float32 [text, width]; the texts are read once."""
        return self.transform(X)

    def transform(self, X: Iterable[str]) -> Array:  # noqa: N803
        """float32 [text, width]."""
        texts = _texts(X)
        model, feature = self._parsed()
        if not texts:
            return np.empty((0, len(self.get_feature_names_out())), dtype=np.float32)
        if self.cache:
            try:
                return np.concatenate(self._remembered(model, texts, feature), axis=1)
            except (InputError, ModelError):
                pass  # in a row of what was missing, at any layer: what is asked for says it of the caller's own
        return np.concatenate(_vectors(model, texts, feature, self.long), axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """One name a dimension: the column's and its number, as in mean_6_0."""
        model, feature = self._parsed()
        names = feature.columns(model.num_layers)
        times = len(feature.resolve(model.num_layers)) if feature.combine == "concat" else 1
        return np.array([f"{name}_{i}" for name in names for i in range(times * model.hidden_size)], object)

    def _remembered(self, model: Model, texts: list[Text], feature: Feature) -> list[Array]:
        """float32 [text, width] of each column, from the vectors of all layers; texts once seen do not pass again."""
        every = feature if feature.pooling == POOLER else Feature(feature.pooling, "all")

        def run(missing: list[Text]) -> Array:
            return np.stack(_vectors(model, missing, every, self.long), axis=1)

        layers = self._shared().of(texts, (id(model), every.pooling, self.long), run, self.cache)
        own = [0] if feature.pooling == POOLER else list(feature.resolve(model.num_layers))
        if feature.combine is None:
            return list(np.moveaxis(layers[:, own], 1, 0))
        combine = COMBINES[feature.combine]
        return [np.stack([combine(one) for one in layers[:, own]])]

    def _parsed(self) -> tuple[Model, Feature]:
        """The model, and the feature, which is one that it gives; the other parameters are looked at too."""
        check_count("cache", self.cache, least=0)
        check("long", self.long, "str")
        if self.long not in LONG:
            raise unknown("way with long texts", self.long, LONG)
        feature = self.feature if isinstance(self.feature, Feature) else Feature.parse(self.feature)
        if feature.pooling in UNPOOLED:
            raise InputError(f"LayerFeatures gives one vector a text, such as mean@-1; {feature} is many.")
        model = self._shared().model(self.model)
        check_features(model, [feature])
        return model, feature

    def _shared(self) -> Seen:
        """What this and all its clones have seen; not made before it is needed, since `__init__` only keeps."""
        if not hasattr(self, "_seen"):
            self._seen = Seen()
        return self._seen

    def __sklearn_clone__(self) -> LayerFeatures:
        cloned: LayerFeatures = super().__sklearn_clone__()
        cloned._seen = self._shared()
        return cloned

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in super().__getstate__().items() if name != "_seen"}
        if not isinstance(self.model, str | Path | None):
            state["model"] = Recipe.of(self.model)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(self.model, Recipe):
            self.model = self.model.load()


class Seen:
    """The models that were loaded, and the vectors of texts that were run, oldest first."""

    def __init__(self) -> None:
        self._models: dict[str | Path | None, Model] = {}
        self._vectors: OrderedDict[tuple[Any, Text], Array] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()

    def model(self, given: Model | str | Path | None) -> Model:
        """The model that is meant, loaded once; it is kept, so that its `id` stays its own."""
        with self._lock:
            if not isinstance(given, str | Path | None):
                check("model", given, "Model")
                return self._models.setdefault(f"id {id(given)}", given)
            if given not in self._models:
                self._models[given] = load(given)
            return self._models[given]

    def of(self, texts: list[Text], key: Any, run: Callable[[list[Text]], Array], most: int) -> Array:
        """[text, layer, width]: what was seen under a key, and the rest from one `run`; at most so many bytes stay."""
        with self._lock:
            wanted = dict.fromkeys(texts)
            missing = [text for text in wanted if (key, text) not in self._vectors]
            found = {text: self._vectors[key, text] for text in wanted if (key, text) in self._vectors}
            if missing:
                found |= dict(zip(missing, run(missing), strict=True))
            for text in missing:
                self._vectors[key, text] = found[text].copy()
                self._bytes += found[text].nbytes
            while self._bytes > most:
                _, oldest = self._vectors.popitem(last=False)
                self._bytes -= oldest.nbytes
            return np.stack([found[text] for text in texts])


def _texts(given: Iterable[str]) -> list[Text]:
    texts: list[Text] = list_of_texts(given, "X")
    if not texts and isinstance(given, Iterator):
        raise InputError(f"X gives no texts: {brief(given)} can be read only once, and may have been.")
    for number, text in enumerate(texts):
        check_text(text, f"Text {number}")
    return texts


def _vectors(model: Model, texts: list[Text], feature: Feature, long: str) -> list[Array]:
    """float32 [text, width] of each column of a feature, from one pass."""
    names = feature.columns(model.num_layers)
    rows = [Rows.of(texts[start : start + ROWS], start=start) for start in range(0, len(texts), ROWS)]
    parts = [[block.values(name) for name in names] for block in stream(model, rows, [feature], long=long)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
