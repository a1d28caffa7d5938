import numpy as np

import layerscope as ls


def test_a_trace_keeps_nothing_of_its_batch(model):
    traces = model.run_many(ls.samples.texts()[:8])
    for trace in traces:
        assert trace.hidden_states.base is None or trace.hidden_states.base.size == trace.hidden_states.size
        assert trace.hidden_states.flags.c_contiguous


def test_layers_may_be_none_at_all(tiny):
    trace = tiny("gpt2").run("a b", layers=(), logits=True)
    np.testing.assert_allclose(trace.logits, tiny("gpt2").run("a b", logits=True).logits, atol=1e-6)
