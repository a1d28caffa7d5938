import threading

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from layerscope.network import kernels
from layerscope.network.kernels import FASTER, _FastKernels, fast_kernels

SIZES = st.integers(1, 9)
FLOATS = st.sampled_from([torch.float32, torch.bfloat16])
FAR = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(autouse=True)
def suited(monkeypatch):
    """Where the routine exists the mode is on, whatever the processor: the results must be right on all."""
    if hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkldnn.is_available():
        monkeypatch.setattr(kernels, "_suited", lambda: True)
    elif not kernels._suited():
        pytest.skip("this PyTorch has no oneDNN")


@pytest.fixture
def taken(monkeypatch):
    """Which of the faster functions did the work, in order."""
    names = []

    def noting(faster):
        def call(*args, **kwargs):
            result = faster(*args, **kwargs)
            if result is not None:
                names.append(faster.__name__)
            return result

        return call

    for function, faster in list(FASTER.items()):
        monkeypatch.setitem(FASTER, function, noting(faster))
    return names


def both(function):
    """What is computed without, and within."""
    with torch.no_grad():
        plain = function()
        with fast_kernels():
            return plain, function()


def same(plain, fast, exact):
    """As near to the exact result as its type allows, and of the same form."""
    assert (fast.shape, fast.dtype) == (plain.shape, plain.dtype)
    torch.testing.assert_close(fast.double(), exact, atol=FAR[fast.dtype], rtol=FAR[fast.dtype])


def laid_out(tensor, how):
    """The same numbers, differently in memory."""
    if how == "transposed":
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if how == "strided":
        return torch.stack([tensor, tensor], -1)[..., 0]
    return tensor


LAYOUTS = st.sampled_from(["dense", "transposed", "strided"])


@given(
    st.lists(SIZES, min_size=1, max_size=3),
    SIZES,
    SIZES,
    st.booleans(),
    FLOATS,
    st.tuples(LAYOUTS, LAYOUTS, LAYOUTS),
)
def test_linear(rows, width, out, biased, dtype, layouts):
    torch.manual_seed(0)
    given = torch.randn(*rows, width), torch.randn(out, width), torch.randn(out)
    x, weight, bias = (laid_out(t.to(dtype), how) for t, how in zip(given, layouts, strict=True))
    bias = bias if biased else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    same(*both(lambda: F.linear(x, weight, bias)), exact)


@given(SIZES, SIZES, SIZES, FLOATS, LAYOUTS, st.sampled_from([{}, {"beta": 0.5}, {"alpha": 2}]))
def test_addmm(rows, width, out, dtype, layout, scales):
    torch.manual_seed(0)
    bias, x, weight = torch.randn(out).to(dtype), torch.randn(rows, width).to(dtype), torch.randn(width, out)
    weight = laid_out(weight.to(dtype), layout)
    exact = torch.addmm(bias.double(), x.double(), weight.double(), **scales)
    same(*both(lambda: torch.addmm(bias, x, weight, **scales)), exact)


def test_linear_of_a_whole_layer_is_taken(taken):
    layer, x = torch.nn.Linear(64, 32), torch.randn(3, 5, 64)
    both(lambda: layer(x))
    both(lambda: torch.addmm(layer.bias, x[0], layer.weight.t()))
    assert taken == ["_linear", "_addmm"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_call_gives_the_same_bits(dtype):
    layer, x = torch.nn.Linear(384, 96).to(dtype), torch.randn(7, 20, 384).to(dtype)
    assert torch.equal(both(lambda: layer(x))[1], both(lambda: layer(x))[1])


MASKS = [
    "none",
    "causal",
    "keys",
    "queries",
    "heads",
    "one",
    "float",
    "float32",
    "least",
    "infinite",
    "blind",
]


def mask_of(kind, texts, heads, queries, keys):
    seen = torch.rand(texts, 1, 1, keys) > 0.3
    seen[..., 0] = True
    far = torch.zeros(texts, 1, 1, keys)
    return {
        "keys": seen.expand(texts, 1, queries, keys),
        "queries": seen & (torch.rand(texts, 1, queries, keys) > 0.1),
        "heads": torch.rand(texts, heads, queries, keys) > 0.2,
        "one": torch.rand(queries, keys) > 0.2,
        "float": torch.randn(texts, heads, queries, keys).bfloat16(),
        "float32": torch.randn(1, heads, queries, keys),
        "least": far.masked_fill(~seen, torch.finfo(torch.bfloat16).min).bfloat16(),
        "infinite": far.masked_fill(~seen, -torch.inf).bfloat16(),
        "blind": torch.zeros(texts, 1, queries, keys, dtype=torch.bool),
    }.get(kind)


@given(
    st.sampled_from(MASKS),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from([1, 8, 16]),
    st.sampled_from([None, 0.3, 1.0]),
    st.booleans(),
)
def test_attention(kind, shape, size, scale, crossed):
    texts, heads, queries, keys = shape
    torch.manual_seed(0)

    def states(length):
        if crossed:  # as a model's: heads after positions in memory
            return torch.randn(texts, length, heads, size).bfloat16().transpose(1, 2)
        return torch.randn(texts, heads, length, size).bfloat16()

    query, key, value = states(queries), states(keys), states(keys)
    mask = mask_of(kind, *shape)
    options = {"scale": scale, "is_causal": kind == "causal"}
    wide = mask.double() if mask is not None and mask.is_floating_point() else mask
    exact = F.scaled_dot_product_attention(query.double(), key.double(), value.double(), wide, **options)
    same(*both(lambda: F.scaled_dot_product_attention(query, key, value, mask, **options)), exact)


@pytest.mark.parametrize("loud", [1, 3])
@pytest.mark.parametrize(("texts", "length", "size"), [(40, 52, 32), (8, 128, 64), (2, 300, 64)])
def test_attention_is_about_as_near_to_the_exact_result(taken, texts, length, size, loud):
    torch.manual_seed(0)
    query, key, value = (torch.randn(texts, 12, length, size).bfloat16() * loud for _ in range(3))
    mask = torch.ones(texts, 1, 1, length, dtype=torch.bool)
    mask[: texts // 2, ..., -5:] = False
    wide = [t.double() for t in (query, key, value)]
    exact = F.scaled_dot_product_attention(*wide, mask)
    plain, fast = both(lambda: F.scaled_dot_product_attention(query, key, value, mask))
    assert taken == ["_attention"]

    def wrong(t):
        return (t.double() - exact).square().mean().sqrt()

    # Scores in bfloat16 would be wrong by two to four times as much.
    assert wrong(fast) < 1.4 * wrong(plain)


def test_what_each_text_gets_depends_on_no_other(monkeypatch):
    torch.manual_seed(0)
    states = torch.randn(5, 3, 7, 8).bfloat16()
    _, at_once = both(lambda: F.scaled_dot_product_attention(states, states, states))
    monkeypatch.setattr(kernels, "AT_A_TIME", 1)
    _, one_by_one = both(lambda: F.scaled_dot_product_attention(states, states, states))
    assert torch.equal(one_by_one, at_once)


def states(*shape, **kinds):
    return torch.ones(*shape, **kinds)


NOT_OURS = {
    "float32 attention": lambda: F.scaled_dot_product_attention(*[states(1, 2, 3, 4)] * 3),
    "three dimensions": lambda: F.scaled_dot_product_attention(*[states(2, 3, 4, dtype=torch.bfloat16)] * 3),
    "grouped heads": lambda: F.scaled_dot_product_attention(
        states(1, 4, 3, 4, dtype=torch.bfloat16),
        *[states(1, 2, 3, 4, dtype=torch.bfloat16)] * 2,
        enable_gqa=True,
    ),
    "long": lambda: F.scaled_dot_product_attention(*[states(1, 65, 256, 1, dtype=torch.bfloat16)] * 3),
    "double": lambda: F.linear(states(2, 3, dtype=torch.float64), states(4, 3, dtype=torch.float64)),
    "half": lambda: F.linear(states(2, 3, dtype=torch.float16), states(4, 3, dtype=torch.float16)),
    "meta": lambda: F.linear(states(2, 3, device="meta"), states(4, 3, device="meta")),
    "vector": lambda: F.linear(states(3), states(4, 3)),
    "nothing": lambda: F.linear(states(0, 3), states(4, 3)),
    "matrix added": lambda: torch.addmm(states(2, 4), states(2, 3), states(3, 4)),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_left_alone(what, taken):
    plain, fast = both(NOT_OURS[what])
    assert not taken
    assert (fast.device, fast.dtype) == (plain.device, plain.dtype)
    if plain.device.type != "meta":
        assert torch.equal(fast, plain)


def test_subclasses_are_left_alone(taken):
    class Packed(torch.Tensor):
        pass

    weight = torch.ones(4, 3).as_subclass(Packed)
    _, fast = both(lambda: F.linear(states(2, 3), weight))
    assert isinstance(fast, Packed)
    assert not taken


def test_gradients_and_autocasting_are_left_alone(taken):
    layer, x = torch.nn.Linear(3, 4), torch.ones(2, 3, requires_grad=True)
    with fast_kernels():
        layer(x).sum().backward()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
    assert torch.equal(x.grad, layer.weight.sum(0).expand(2, 3))
    assert not taken


def test_a_weight_changed_in_place_is_seen():
    layer, x = torch.nn.Linear(3, 4), torch.ones(2, 3)
    both(lambda: layer(x))
    with torch.no_grad():
        layer.weight.zero_()
    _, fast = both(lambda: layer(x))
    assert torch.equal(fast, layer.bias.expand(2, 4))


def test_errors_are_pytorchs():
    with torch.no_grad(), fast_kernels(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        F.linear(states(2, 3), states(4, 5))


def test_torch_is_as_before_afterwards(taken):
    before = torch.overrides._get_current_function_mode_stack()
    layer, x = torch.nn.Linear(3, 4), torch.ones(2, 3)
    with pytest.raises(KeyError), fast_kernels(), fast_kernels():
        raise KeyError
    assert torch.overrides._get_current_function_mode_stack() == before
    with torch.no_grad():
        with fast_kernels():
            with fast_kernels():
                layer(x)
            layer(x)
        layer(x)
    assert taken == ["_linear"] * 2


def test_it_holds_for_its_own_thread(taken):
    layer, x = torch.nn.Linear(3, 4), torch.ones(2, 3)

    def work():
        with torch.no_grad():
            layer(x)

    with fast_kernels():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not taken


def test_where_the_processor_does_not_suit_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(kernels, "_suited", lambda: False)
    with fast_kernels() as entered:
        assert not isinstance(entered, _FastKernels)


@pytest.mark.parametrize("missing", ["sse4a", "avx512_bf16"])
def test_the_processor_decides(monkeypatch, missing):
    monkeypatch.undo()
    capabilities = {"sse4a": True, "avx512_bf16": True, missing: False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert kernels._suited.__wrapped__() is False


@pytest.mark.parametrize("fault", [AttributeError, RuntimeError, TypeError])
def test_a_pytorch_without_the_routine_is_left_alone(monkeypatch, fault):
    monkeypatch.undo()
    capabilities = {"sse4a": True, "avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")

    def product(*_):
        raise fault

    monkeypatch.setattr(kernels, "_product", product)
    assert kernels._suited.__wrapped__() is False


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "t5", "modernbert", "deberta-v2", "falcon"])
def test_hidden_states_of_a_family(tiny, family, taken):
    hf = tiny(family).hf
    ids = torch.arange(3, 23).view(2, 10)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["attention_mask"][1, 7:] = 0
    if hf.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids

    def passing():
        output = hf(**inputs, output_hidden_states=True)
        return (
            getattr(output, "hidden_states", None)
            or output.encoder_hidden_states + output.decoder_hidden_states
        )

    plain, fast = both(passing)
    assert "_linear" in taken or "_addmm" in taken
    for one, other in zip(plain, fast, strict=True):
        torch.testing.assert_close(other[0], one[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other[1, :7], one[1, :7], atol=1e-5, rtol=1e-5)
