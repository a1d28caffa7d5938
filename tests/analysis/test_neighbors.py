import json

import accelerate
import numpy as np
import peft
import pytest
import torch
import transformers
from sklearn.metrics.pairwise import cosine_similarity
from transformers import AutoModelForCausalLM, AutoTokenizer

import layerscope as ls
from layerscope.analysis import neighbors as module
from layerscope.errors import InputError, ModelError
from tiny import quiet, tokenizer


def rows_of(model, matrix="input"):
    """What the model's own module computes for each id, or makes of each dimension."""
    with torch.no_grad():
        if matrix == "input":
            module = model.hf.get_input_embeddings()
            return module(torch.arange(len(module.weight))).float().numpy()
        module = model.hf.get_output_embeddings()
        width = module.weight.shape[1]
        return (module(torch.eye(width)) - module(torch.zeros(1, width))).T.numpy()


@pytest.mark.parametrize("chunk", [1000, 8192])
def test_they_are_the_rows_with_the_largest_cosine(model, chunk, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    rows = rows_of(model)
    expected = cosine_similarity(rows[5745:5746], rows)[0]
    found = ls.neighbors(model, "ghost", k=12)
    np.testing.assert_array_equal(found.ids, np.argsort(-expected)[:12])
    np.testing.assert_allclose(found.similarities, np.sort(expected)[::-1][:12], atol=1e-6)
    assert found.tokens == tuple(model.tokenizer.convert_ids_to_tokens(found.ids.tolist()))
    assert (found.query, found.query_ids, found.tied) == ("the token 'ghost'", (5745,), None)
    assert (found.tokens[0], found.similarities[0]) == ("ghost", pytest.approx(1))


def test_the_seed_s_ten_nearest_to_a_token_by_dot_product(decoder):
    """logits = row @ matrix.T, as the notebook has it, of " to" and of a hidden state; the head is tied."""
    (to,) = decoder.tokenizer(" to", add_special_tokens=False)["input_ids"]
    for query, vector in ((" to", rows_of(decoder)[to]), (to, rows_of(decoder)[to])):
        expected = torch.topk(torch.tensor(rows_of(decoder, "output")) @ torch.tensor(vector), 10)
        found = ls.neighbors(decoder, query, matrix="output", metric="dot")
        assert found.ids.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(found.similarities, expected.values, rtol=1e-5)
        assert found.tied is True
        assert found.query == "the token ' to'"
    assert ls.neighbors(decoder, "embracing").query == "the token ' embracing'"
    assert ls.neighbors(decoder, "to").query == "the token 'to'"


def test_every_family(tiny, family):
    model = tiny(family)
    is_shared = model.hf.get_input_embeddings().weight is model.hf.get_output_embeddings().weight
    for matrix in ("input", "output"):
        for metric in ("cosine", "dot"):
            found = ls.neighbors(model, "to", 5, matrix, metric)
            rows = rows_of(model, matrix)
            (own,) = found.query_ids
            assert model.vocabulary.strings([own])[0].strip() == "to"
            scores = rows @ rows[own] if metric == "dot" else cosine_similarity(rows[own : own + 1], rows)[0]
            scores[[*set(range(len(rows))) - set(model.tokenizer.get_vocab().values())]] = -np.inf
            np.testing.assert_allclose(found.similarities, np.sort(scores)[::-1][:5], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(scores[found.ids], found.similarities, rtol=1e-4, atol=1e-5)
            assert found.tied is is_shared


def test_what_a_string_means(model, tiny):
    bytes_, pieces = tiny("gpt2"), tiny("llama")
    for one, given, meant in (
        (model, "##word", "the token '##word'"),
        (model, "Ghost", "the token 'ghost'"),
        (model, "subword", "the mean of the tokens 'sub', '##word'"),
        (model, "[CLS]", "the token '[CLS]'"),
        (model, "[UNK]", "the token '[UNK]'"),
        (bytes_, " to", "the token ' to'"),
        (bytes_, "to", "the token ' to'"),  # there is no "to" without a space
        (bytes_, "g", "the token 'g'"),
        (bytes_, " ghost", "the mean of the tokens ' g', 'ho', 's', 't'"),
        (pieces, "to", "the token ' to'"),
        (pieces, "s", "the token 's'"),  # not the byte <0x73>, which spells the same
    ):
        found = ls.neighbors(one, given, k=1)
        assert found.query == meant
        mean = rows_of(one)[list(found.query_ids)].mean(axis=0)
        expected = cosine_similarity(mean[None], rows_of(one))[0]
        assert found.similarities[0] == pytest.approx(expected.max(), abs=1e-5)
        by_dot = ls.neighbors(one, given, k=1, metric="dot")
        assert by_dot.similarities[0] == pytest.approx((rows_of(one) @ mean).max(), abs=1e-4)
    letter = ls.neighbors(pieces, "s", k=1).query_ids[0]
    assert pieces.tokenizer.convert_ids_to_tokens(letter) == "s"


def test_a_vector(model):
    vector = model.run("My mother's ghost.").vector("ghost", layer=0)
    for given in (vector, list(map(float, vector)), torch.tensor(vector)):
        found = ls.neighbors(model, given, k=2)
        assert (found.tokens[0], found.query, found.query_ids) == ("ghost", "a vector", ())
    assert found.similarities[0] == pytest.approx(
        cosine_similarity([vector], rows_of(model)[5745:5746])[0, 0]
    )


def test_as_wide_as_the_matrix(tiny):
    albert = tiny("albert")
    assert len(ls.neighbors(albert, np.ones(16), k=3).ids) == 3
    with pytest.raises(
        InputError, match="32 wide, and the input matrix .* is 16 wide; its hidden size is 32"
    ):
        ls.neighbors(albert, np.ones(32))


def test_rows_of_no_token_and_rows_of_zeros_are_left_out(tiny_folder, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 2)
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    tokens = len(model.tokenizer)
    model.hf.resize_token_embeddings(tokens + 13, mean_resizing=False)
    with torch.no_grad():
        weight = model.hf.get_input_embeddings().weight
        weight[tokens:] = weight[50]
        weight[7] = 0
    found = ls.neighbors(model, 50, k=10_000)
    assert len(found.ids) == tokens - 1
    assert found.ids.max() < tokens
    assert (found.rows_unused, found.rows_of_zeros) == (13, 1)
    assert ls.neighbors(model, 50, k=10_000, metric="dot").rows_of_zeros == 0
    with pytest.raises(InputError, match="nothing is near to zeros, which the token .* is: use metric='dot'"):
        ls.neighbors(model, 7)
    with pytest.raises(InputError, match=f"{tokens} is the id of no token"):
        ls.neighbors(model, tokens)
    with torch.no_grad():
        weight[3, 0] = float("nan")
    with pytest.raises(ModelError, match="Row 3 of the matrix holds NaN"):
        ls.neighbors(model, 50)


def test_in_bfloat16(tiny_folder):
    exact, short = (
        ls.load(tiny_folder("bert"), device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")
    )
    found = ls.neighbors(short, "ghost", k=4)
    np.testing.assert_allclose(found.similarities, ls.neighbors(exact, "ghost", k=4).similarities, atol=0.01)
    assert found.similarities[0] == pytest.approx(1)


def test_what_does_not_fit_is_said(model):
    for given, message in (
        ("👻", r"does not know '👻': it reads \[UNK\]"),
        ("ghost 鬼", r"does not know 'ghost 鬼': it reads ghost \[UNK\]"),
        ("", "'' has no tokens"),
        (-1, "-1 is the id of no token"),
        (30522, "30522 is the id of no token .* its 30,522 tokens have ids up to 30521"),
        (True, "not bool"),
        (None, "one vector of 384 numbers; not NoneType"),
        (np.ones((2, 384)), r"not ndarray of shape \[2, 384\]"),
        (["a", "b"], "not list"),
        ([1.0, 2.0], "The query is 2 wide"),
        (np.zeros(384), "near to zeros, which a vector is"),
        (np.full(384, np.nan), "NaN or infinity"),
    ):
        with pytest.raises(InputError, match=message):
            ls.neighbors(model, given)
    with pytest.raises(InputError, match="k is how many to find, 1 or more; not 0"):
        ls.neighbors(model, "ghost", k=0)
    with pytest.raises(
        InputError, match="Unknown matrix 'outputs'; known: input, output. Did you mean 'output'"
    ):
        ls.neighbors(model, "ghost", matrix="outputs")
    with pytest.raises(InputError, match="Unknown metric 'cosin'"):
        ls.neighbors(model, "ghost", metric="cosin")
    with pytest.raises(ModelError, match="has no language-model head"):
        ls.neighbors(model, "ghost", matrix="output")


def test_as_table_plain_values_and_figure(model):
    found = ls.neighbors(model, "ghost", k=3)
    table = found.table()
    assert (table.index.name, list(table.index), list(table.columns)) == (
        "rank",
        [1, 2, 3],
        ["token", "id", "similarity"],
    )
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["neighbors"][1] == {
        "rank": 2,
        "token": "ghosts",
        "id": 11277,
        "similarity": pytest.approx(0.655, abs=1e-3),
    }
    assert (plain["matrix"], plain["tied"], plain["query"]) == ("input", None, "the token 'ghost'")
    ax = found.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["'ghost'", "'ghosts'", "'ghostly'"]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], found.similarities)
    assert "nearest to the token 'ghost'" in " ".join(ax.get_title().split())


# --- Where the parameter is not what the module computes ---------------------------------------------


def nearest(rows, query, k=5):
    scores = cosine_similarity(rows[query : query + 1], rows)[0]
    return np.argsort(-scores, kind="stable")[:k]


def adapted(folder, **settings):
    """A tiny Llama with adapters from PEFT, whose weights are random and not small."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = AutoModelForCausalLM.from_pretrained(folder).eval()
        config = peft.LoraConfig(
            r=8, lora_alpha=64, init_lora_weights=False, task_type="CAUSAL_LM", **settings
        )
        return ls.wrap(peft.get_peft_model(hf, config).eval(), AutoTokenizer.from_pretrained(folder))


ADAPTERS = {
    "input": {"target_modules": ["embed_tokens"]},
    "output": {"target_modules": ["lm_head"]},
    "input of some tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [7, 9]},
    "input as a whole": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
}


@pytest.mark.parametrize("what", ADAPTERS)
def test_with_adapters_they_are_rows_of_what_the_model_computes(what, tiny_folder):
    model = adapted(tiny_folder("llama"), **ADAPTERS[what])
    matrix = what.partition(" ")[0]
    if what == "input of some tokens":
        for name, parameter in model.hf.named_parameters():
            if "trainable_tokens_delta" in name:
                parameter.data += 2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    if what == "input as a whole":
        held = model.hf.get_input_embeddings()
        held.weight.data += torch.randn(held.weight.shape, generator=torch.Generator().manual_seed(1))
    bare = ls.load(tiny_folder("llama"), device="cpu")
    expected, before = nearest(rows_of(model, matrix), 7), nearest(rows_of(bare, matrix), 7)
    assert expected.tolist() != before.tolist()
    found = ls.neighbors(model, 7, k=5, matrix=matrix)
    assert found.ids.tolist() == expected.tolist()
    assert found.tied is False
    assert found.computed_by.startswith("peft.")
    with model.hf.disable_adapter():
        if what != "input of some tokens":
            assert ls.neighbors(model, 7, k=5, matrix=matrix).ids.tolist() == before.tolist()


def test_once_merged_they_are_rows_of_the_parameter_again(tiny_folder):
    model = adapted(tiny_folder("llama"), target_modules=["embed_tokens", "lm_head"])
    expected = [nearest(rows_of(model, matrix), 7).tolist() for matrix in ("input", "output")]
    with quiet():
        merged = ls.wrap(model.hf.merge_and_unload(), model.tokenizer)
    for matrix, ids in zip(("input", "output"), expected, strict=True):
        found = ls.neighbors(merged, 7, k=5, matrix=matrix)
        assert (found.ids.tolist(), found.computed_by) == (ids, None)


def test_a_scale_within_the_embedding_counts(tiny):
    """Gemma's is the square root of the width."""
    found = ls.neighbors(tiny("gemma3"), "to", k=1, metric="dot")
    weight = tiny("gemma3").hf.get_input_embeddings().weight.detach().numpy()
    (own,) = found.query_ids
    assert found.similarities[0] == pytest.approx(32 * (weight @ weight[own]).max(), rel=1e-2)
    assert found.computed_by == "transformers.Gemma3TextScaledWordEmbedding"
    assert found.tied is True
    assert ls.neighbors(tiny("gemma3"), "to", matrix="output").computed_by is None


class Packed(torch.nn.Module):
    """An embedding, or a head, whose weight is held in whole numbers, as quantisation does."""

    def __init__(self, weight, bias=None):
        super().__init__()
        self.scale = weight.abs().max() / 127
        self.weight = torch.nn.Parameter((weight / self.scale).round().to(torch.int8), requires_grad=False)
        self.bias = bias

    def forward(self, given):
        weight = self.weight.float() * self.scale
        return weight[given] if given.dtype == torch.int64 else given @ weight.T + self.bias


@pytest.mark.parametrize("matrix", ["input", "output"])
def test_a_quantised_matrix(matrix, tiny_folder):
    model = ls.load(tiny_folder("llama"), device="cpu")
    expected = nearest(rows_of(model, matrix), 7)
    if matrix == "input":
        model.hf.set_input_embeddings(Packed(model.hf.get_input_embeddings().weight.detach()))
    else:
        weight = model.hf.lm_head.weight.detach()
        model.hf.lm_head = Packed(weight, bias=torch.randn(len(weight)))
    found = ls.neighbors(model, 7, k=5, matrix=matrix)
    assert found.ids.tolist() == expected.tolist()
    assert found.tied is False


def test_a_matrix_that_is_offloaded(tiny_folder, tmp_path):
    here, away = (ls.load(tiny_folder("llama"), device="cpu") for _ in range(2))
    with quiet():
        accelerate.disk_offload(away.hf, tmp_path, execution_device=torch.device("cpu"))
    assert away.hf.get_input_embeddings().weight.is_meta
    for matrix in ("input", "output"):
        found = ls.neighbors(away, 7, k=5, matrix=matrix)
        assert found.ids.tolist() == ls.neighbors(here, 7, k=5, matrix=matrix).ids.tolist()
        assert found.tied is False


def test_a_network_without_a_row_for_each_token_is_refused():
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    with quiet():
        hf = transformers.CanineModel(transformers.CanineConfig(**sizes))
    model = ls.wrap(hf, tokenizer("wordpiece"), "mine")
    assert "vocabulary 403" in repr(model)
    with pytest.raises(ModelError, match="mine has no input matrix: its embedding has no row for each token"):
        ls.neighbors(model, 7)


def test_what_is_no_matrix_is_refused(tiny_folder):
    model = ls.load(tiny_folder("llama"), device="cpu")

    def beside(module, args, output):
        return output + output.mean(dim=1, keepdim=True)

    hook = model.hf.get_input_embeddings().register_forward_hook(beside)
    with pytest.raises(ModelError, match="what it gives for one depends on those beside it"):
        ls.neighbors(model, 7)
    hook.remove()
    model.hf.lm_head.register_forward_hook(lambda module, args, output: torch.tanh(output))
    with pytest.raises(ModelError, match="does not only multiply states by one"):
        ls.neighbors(model, 7, matrix="output")
    model.hf.set_input_embeddings(torch.nn.Linear(4, 4))
    with pytest.raises(ModelError, match=r"\(torch\.Linear\) gives nothing for ids alone"):
        ls.neighbors(model, 7)


def test_a_token_without_a_row_is_said_to_have_none(tiny_folder):
    loaded = ls.load(tiny_folder("llama"), device="cpu")
    loaded.tokenizer.add_tokens(["<new>"])
    model = ls.wrap(loaded.hf, loaded.tokenizer, "mine")
    for query in ("<new>", 519):
        with pytest.raises(
            InputError,
            match=r"token '<new>' \(id 519\) has no row in the input matrix of mine, which has 519: it was added to "
            r"the tokenizer, and the model was not resized \(resize_token_embeddings\)\.$",
        ):
            ls.neighbors(model, query)
    with pytest.raises(
        InputError, match="520 is the id of no token of mine; its 520 tokens have ids up to 519"
    ):
        ls.neighbors(model, 520)
    with pytest.raises(InputError, match=r"has no row in the output matrix of mine"):
        ls.neighbors(model, "ghost<new>", matrix="output")
