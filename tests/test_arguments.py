"""Every public function, each of its arguments in turn given something else: one sentence, or an answer."""

import inspect

import numpy as np
import pandas as pd
import pytest

import layerscope as ls
from layerscope.corpus.conllu import Sentence
from layerscope.errors import InputError, LayerscopeError

TEXT, TEXTS = "the bank", ["the bank of a river", "a bank", "the bank is new", "no bank here"]
SENTENCE = Sentence(
    "a bank", ((0, 1), (2, 6)), ("a", "bank"), ("DET", "NOUN"), ("_", "_"), (1, -1), ("det", "root")
)


@pytest.fixture(scope="module")
def things(tiny, tmp_path_factory):
    """What functions take, and what is tried in its place."""
    model = tiny("bert")
    folder = tmp_path_factory.mktemp("features")
    return {
        "model": model,
        "decoder": tiny("gpt2"),
        "trace": model.run(TEXT, attention=True),
        "tokens": model.tokenize(TEXT),
        "features": ls.extract(model, TEXTS, folder / "out", ["mean@1"]),
        "folder": folder,
        "senses": ls.senses(model, "bank", TEXTS),
        "drift": ls.drift(model, TEXTS),
        "lens": ls.lens(tiny("gpt2"), TEXT, k=2),
        "heads": ls.head_search(model, [SENTENCE], minimum=1),
        "sweep": ls.sweep(model, TEXTS, list("aabb"), "mean@1", cv=2),
    }


def wrong(things):
    yield from (
        None,
        True,
        5,
        -1,
        0,
        2.5,
        float("nan"),
        1 << 70,
        "foo",
        "",
        b"foo",
        [],
        [None],
        [b"x"],
        {},
        {"a": 1},
    )
    yield from (
        {1},
        object(),
        print,
        range(3),
        np.zeros((2, 3)),
        np.array(1.5),
        pd.DataFrame({"a": [1]}),
        "\ud800",
    )
    yield from (things[name] for name in ("model", "trace", "tokens", "features"))
    yield [things["model"], things["model"]]
    yield [things["trace"]]


CALLS = {
    "similarity": lambda t: (ls.similarity, {"model": t["model"], "a": TEXT, "b": TEXTS}),
    "compare": lambda t: (ls.compare, {"model": t["model"], "a": TEXT, "b": TEXT}),
    "look": lambda t: (ls.look, {"model": t["model"], "text": TEXT}),
    "drift": lambda t: (ls.drift, {"model": t["model"], "texts": TEXTS}),
    "senses": lambda t: (
        ls.senses,
        {"model": t["model"], "word": "bank", "texts": TEXTS, "labels": list("aabb")},
    ),
    "neighbors": lambda t: (ls.neighbors, {"model": t["model"], "query": 7}),
    "embedding_parts": lambda t: (ls.embedding_parts, {"model": t["model"], "text": TEXT}),
    "lens": lambda t: (ls.lens, {"model": t["decoder"], "text": TEXT, "k": 2}),
    "anatomy": lambda t: (ls.anatomy, {"model": t["model"], "text": TEXT}),
    "partners": lambda t: (ls.partners, {"trace": t["trace"]}),
    "attention": lambda t: (ls.attention, {"trace": t["trace"]}),
    "heads": lambda t: (ls.heads, {"model": t["model"], "texts": TEXTS}),
    "head_search": lambda t: (ls.head_search, {"model": t["model"], "source": [SENTENCE], "minimum": 1}),
    "verify": lambda t: (ls.verify, {"model": t["model"], "texts": [TEXT]}),
    "extract": lambda t: (ls.extract, {"model": t["model"], "source": TEXTS, "out": t["folder"] / "new"}),
    "plan": lambda t: (ls.plan, {"model": t["model"], "source": TEXTS, "rate": 1e3}),
    "open_features": lambda t: (ls.open_features, {"out": t["folder"] / "out"}),
    "search": lambda t: (t["features"].search, {"query": TEXT, "model": t["model"]}),
    "FeatureMap": lambda t: (ls.FeatureMap, {"model": t["model"]}),
    "FeatureMap()": lambda t: (ls.FeatureMap(t["model"]), {"batch": {"text": TEXTS}}),
    "LayerFeatures": lambda t: (
        lambda X, **options: ls.LayerFeatures(**options).fit_transform(X),  # noqa: N803
        {"X": TEXTS, "model": t["model"], "feature": "mean@1", "long": "cut", "cache": 0},
    ),
    "sweep": lambda t: (
        ls.sweep,
        {"model": t["model"], "texts": TEXTS, "labels": list("aabb"), "features": "mean@1", "cv": 2},
    ),
    "export": lambda t: (ls.export, {"model": t["model"], "out": t["folder"] / "exported"}),
    "load": lambda t: (ls.load, {"checkpoint": "./nowhere"}),
    "wrap": lambda t: (ls.wrap, {"hf": t["model"].hf, "tokenizer": t["model"].tokenizer}),
    "tokenize": lambda t: (t["model"].tokenize, {"text": TEXT}),
    "encode": lambda t: (t["model"].encode, {"texts": TEXTS}),
    "decode": lambda t: (t["model"].decode, {"ids": [7]}),
    "run": lambda t: (t["model"].run, {"text": TEXT}),
    "run_many": lambda t: (t["model"].run_many, {"texts": TEXTS}),
    "open_corpus": lambda t: (ls.open_corpus, {"source": TEXTS}),
    "Feature": lambda t: (ls.Feature, {"pooling": "mean"}),
    "Feature.parse": lambda t: (ls.Feature.parse, {"text": "mean@1"}),
    "pooling": lambda t: (ls.pooling, {"name": "mine"}),
    "weighting": lambda t: (ls.weighting, {"name": "mine"}),
    "Trace.hidden_state": lambda t: (t["trace"].hidden_state, {}),
    "Trace.attention": lambda t: (t["trace"].attention, {}),
    "Trace.pool": lambda t: (t["trace"].pool, {}),
    "Trace.feature": lambda t: (t["trace"].feature, {"feature": "mean@1"}),
    "Trace.save": lambda t: (t["trace"].save, {"path": t["folder"] / "trace.safetensors"}),
    "open_trace": lambda t: (ls.open_trace, {"path": t["trace"].save(t["folder"] / "t.safetensors")}),
    "plot_activations": lambda t: (ls.algebra.plot_activations, {}),
    "cosine": lambda t: (ls.cosine, {"a": [1.0, 2.0], "b": [[1.0, 2.0]]}),
    "Trace.vector": lambda t: (t["trace"].vector, {"what": "bank"}),
    "Trace.word_vectors": lambda t: (t["trace"].word_vectors, {}),
    "Tokens.find": lambda t: (t["tokens"].find, {"what": "bank"}),
    "Features.to_numpy": lambda t: (t["features"].to_numpy, {}),
    "Features.batches": lambda t: (
        lambda **given: list(t["features"].batches(**given)),
        {"size": 2, "columns": ["text"]},
    ),
    "Features.to_pandas": lambda t: (t["features"].to_pandas, {}),
    "Senses.similarity": lambda t: (t["senses"].similarity, {}),
    "Senses.heat": lambda t: (t["senses"].heat, {}),
    "Drift.summary": lambda t: (t["drift"].summary, {}),
    "Drift.plot": lambda t: (t["drift"].plot, {}),
    "LayerAttention.plot": lambda t: (ls.attention(t["trace"]).plot, {}),
    "Heads.plot": lambda t: (ls.heads(t["model"], TEXTS).plot, {}),
    "Lens.table": lambda t: (t["lens"].table, {}),
    "Lens.candidates": lambda t: (t["lens"].candidates, {"position": 0}),
    "Anatomy.step": lambda t: (ls.anatomy(t["model"], TEXT).step, {"name": "keys"}),
    "Anatomy.head": lambda t: (ls.anatomy(t["model"], TEXT).head, {"head": 0}),
    "Anatomy.plot_head": lambda t: (ls.anatomy(t["model"], TEXT).plot_head, {"head": 0}),
    "HeadSearch.head": lambda t: (t["heads"].head, {"layer": 1, "head": 0}),
    "HeadSearch.accuracies": lambda t: (
        t["heads"].accuracies,
        {"relation": "det", "direction": "from dependent"},
    ),
    "HeadSearch.best": lambda t: (t["heads"].best, {"relation": "det"}),
    "HeadSearch.plot": lambda t: (t["heads"].plot, {}),
    "Trace.plot": lambda t: (t["trace"].plot, {}),
    "Tokens.plot": lambda t: (t["tokens"].plot, {}),
    "Senses.plot": lambda t: (t["senses"].plot, {}),
    "Lens.plot": lambda t: (t["lens"].plot, {}),
    "Sweep.plot": lambda t: (t["sweep"].plot, {}),
    "Sweep.export": lambda t: (t["sweep"].export, {"out": t["folder"] / "swept"}),
}

# A name with half of a pair of surrogates is that of no file; what torch makes of a device or a dtype is its own.
LEFT_OUT = {
    ("extract", "out"),
    ("Trace.save", "path"),
    ("head_search", "source"),
    ("load", "dtype"),
    ("load", "device"),
}


@pytest.mark.parametrize("name", CALLS)
def test_something_else_gives_one_sentence(name, things, monkeypatch, tmp_path):
    function, given = CALLS[name](things)
    monkeypatch.chdir(tmp_path)
    signature = inspect.signature(function)
    names = [
        one.name
        for one in signature.parameters.values()
        if one.kind is not one.VAR_KEYWORD and one.name not in ("progress", "address", "ax")
    ]
    bad = []
    for argument in [*names, *(one for one in given if one not in names)]:
        for value in () if (name, argument) in LEFT_OUT else wrong(things):
            tried = given | {argument: value}
            if name == "extract":
                tried |= {"out": things["folder"] / f"{argument}{id(value)}"} if argument != "out" else {}
            try:
                function(**tried)
            except LayerscopeError as error:
                if "\n" in str(error) or len(str(error)) > 600:
                    bad.append(
                        (argument, type(value).__name__, repr(value)[:30], "MESSAGE", str(error)[:200])
                    )
            except Exception as error:
                bad.append(
                    (argument, type(value).__name__, repr(value)[:30], type(error).__name__, str(error)[:80])
                )
    assert not bad, "\n".join(map(str, bad))


def test_what_is_nearly_what_was_meant_is_said(things):
    model, trace = things["model"], things["trace"]
    for function, given, message in (
        (
            ls.partners,
            {"trace": model},
            "trace is a Trace, as model.run gives it; not a Model. Run a text first: model.run(text).",
        ),
        (
            ls.anatomy,
            {"model": trace, "text": TEXT},
            "not a Trace. A trace is of one text already; give the model that made it.",
        ),
        (ls.similarity, {"model": [model, model], "a": TEXT}, "not a list of 2. Give one model at a time."),
        (ls.drift, {"model": "bert", "texts": TEXTS}, "not 'bert'. Load it first: layerscope.load(name)."),
        (ls.heads, {"model": model.hf, "texts": TEXTS}, "Give layerscope.wrap(network, tokenizer)."),
        (
            ls.neighbors,
            {"model": None, "query": 7},
            "model is a Model, as layerscope.load gives it; not None.",
        ),
        (ls.similarity, {"model": model, "a": TEXT, "layer": "3"}, "layer is a whole number; not '3'."),
        (ls.similarity, {"model": model, "a": TEXT, "layer": True}, "layer is a whole number; not True."),
    ):
        with pytest.raises(InputError) as caught:
            function(**given)
        assert str(caught.value).endswith(message)
    assert ls.similarity(model, TEXT, layer=np.int64(1)).cosines.shape == (1, 1)
