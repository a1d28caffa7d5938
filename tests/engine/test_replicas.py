import numpy as np
import pytest
import torch

from layerscope import samples
from layerscope.engine.column_values import column_values
from layerscope.engine.replicas import Replicas
from layerscope.errors import ModelError
from layerscope.network.memory import Budget
from layerscope.reduce.feature import Feature
from layerscope.text.encode import encode

FEATURES = [Feature.parse(one) for one in ("mean@all", "max@-1", "tokens@-1")]


def made(workers, texts, budget=200):
    tokens = encode(workers.model.vocabulary, texts)
    return column_values(workers, tokens, FEATURES, Budget(budget))


def test_any_number_of_workers_gives_the_same_bits(tiny):
    model = tiny("bert")
    texts = [*samples.texts(), "seeing is believing " * 70]  # the last one in windows, over several batches
    ones, threes = (made(Replicas(model, count), texts) for count in (1, 3))
    for name, cell in ones.items():
        for a, b in zip(cell.values, threes[name].values, strict=True):
            np.testing.assert_array_equal(a, b)


def test_copies_share_the_weights_and_nothing_else(tiny):
    model = tiny("gpt2")
    workers = Replicas(model, 3)
    models = [workers._models().get() for _ in range(3)]
    assert models[0] is model
    for other in models[1:]:
        assert other.hf is not model.hf
        pairs = zip(other.hf.parameters(), model.hf.parameters(), strict=True)
        assert all(a is b for a, b in pairs)
        assert not {id(one) for one in other.hf.modules()} & {id(one) for one in model.hf.modules()}
        assert other.lock is not model.lock


def test_threads_are_as_before(tiny):
    before = torch.get_num_threads()
    made(Replicas(tiny("bert"), 2), samples.texts()[:8])
    assert torch.get_num_threads() == before


def test_batches_come_in_order_whoever_is_first(tiny):
    import time

    model = tiny("bert")
    workers = Replicas(model, 3)
    from layerscope.network.batching import Item
    from layerscope.network.windows import windows

    tokens = encode(model.vocabulary, samples.texts()[:9])
    items = [Item(number, one, windows(one, None, False)[0]) for number, one in enumerate(tokens)]
    started = []

    def slow_at_first(model, batch):
        started.append(len(started))
        time.sleep(0.2 if len(started) == 1 else 0)
        return batch[0].text

    found = [(batch[0].text, text) for batch, text in workers.passes(items, Budget(1), slow_at_first)]
    assert [a for a, _ in found] == [b for _, b in found]
    assert [len(tokens[a]) for a, _ in found] == sorted((len(one) for one in tokens), reverse=True)


def test_what_does_not_fit_is_divided_and_all_of_it_comes(tiny):
    model = tiny("bert")
    texts = samples.texts()[:20]
    budget = Budget(400)
    tokens = encode(model.vocabulary, texts)

    class Small(Replicas):
        """Replicas on a device that has no room for more than 64 tokens at once."""

        def passes(self, items, budget, one):
            def limited(model, batch):
                if batch[0].size * len(batch) > 64:
                    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
                return one(model, batch)

            return super().passes(items, budget, limited)

    limited = column_values(Small(model, 2), tokens, FEATURES, budget)
    for a, b in zip(limited["mean_1"].values, made(Replicas(model, 1), texts)["mean_1"].values, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert budget.tokens <= 64


def test_one_text_that_does_not_fit_is_said(tiny):
    class Full(Replicas):
        def passes(self, items, budget, one):
            def never(model, batch):
                raise torch.OutOfMemoryError("CUDA out of memory")

            return super().passes(items, budget, never)

    with pytest.raises(ModelError, match=r"One text of \d+ tokens does not fit the memory of cpu"):
        made(Full(tiny("bert"), 2), ["seeing is believing"])


def test_an_error_of_a_pass_is_its_own(tiny):
    class Broken(Replicas):
        def passes(self, items, budget, one):
            def broken(model, batch):
                raise RuntimeError("shapes cannot be multiplied")

            return super().passes(items, budget, broken)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        made(Broken(tiny("bert"), 2), samples.texts())
