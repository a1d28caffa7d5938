"""The figures of `extract`: against the ways that people use, against the processor, and against itself.

    python benchmarks/extract.py [--rounds N] [--picture]

2,000 texts of log-normal length (median 40 words, at most 256 tokens, fixed seed) through the bundled model, in
one run, one way after the other, several rounds; tokenising and writing are in every figure of `extract`.
Results are printed and written to benchmarks/results/extract.json with a description of the machine; --picture
draws them into docs/extract.png.
"""

import argparse
import functools
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import layerscope as ls
from core import machine

RESULTS = Path(__file__).parent / "results" / "extract.json"
PICTURE = Path(__file__).parent.parent / "docs" / "extract.png"
MOST = 256

# What the others are given of the texts: they are slow, and their speed is the same on any sample.
SLOW = 400


def corpus(model, count, seed=0):
    """Texts of whole words of the vocabulary, drawn as words are (Zipf), of log-normal length."""
    words = [word for word, number in sorted(model.tokenizer.get_vocab().items(), key=lambda one: one[1])]
    words = [word for word in words if word.isascii() and word.isalpha() and len(word) > 1][:8000]
    chance = np.random.default_rng(seed)
    weights = 1 / np.arange(10, len(words) + 10)
    lengths = np.exp(chance.normal(np.log(40), 0.6, count)).astype(int).clip(1, MOST - 2)
    drawn = chance.choice(words, size=int(lengths.sum()), p=weights / weights.sum())
    return [" ".join(part) for part in np.split(drawn, np.cumsum(lengths)[:-1])]


def count_tokens(model, texts):
    return sum(len(ids) for ids in model.tokenizer(texts)["input_ids"])


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def notebook(hf, tokenizer, texts):
    """What notebooks do: batches as they come, padded to the longest allowed, all hidden states, mean by mask."""
    for start in range(0, len(texts), 32):
        batch = tokenizer(
            texts[start : start + 32],
            padding="max_length",
            truncation=True,
            max_length=MOST,
            return_tensors="pt",
        )
        with torch.no_grad():
            states = hf(**batch, output_hidden_states=True).hidden_states
        mask = batch["attention_mask"].unsqueeze(-1)
        torch.stack([(one * mask).sum(1) / mask.sum(1) for one in states], 1).numpy()


def extracted(model, texts, features=("mean@all",), **options):
    with tempfile.TemporaryDirectory() as folder:
        return ls.extract(model, texts, folder, features, progress=False, **options)


def against_others(model, texts, rounds):
    """Tokens a second of every way, medians over the rounds, and the ratios to ours."""
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer, pipeline

    folder = str(model.source.folder)
    hf, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    pipe = pipeline("feature-extraction", model=hf, tokenizer=tokenizer, device="cpu")
    encoders = {}
    for dtype in ("float32", "bfloat16"):
        encoders[dtype] = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": dtype})
        encoders[dtype].max_seq_length = MOST
    few = texts[:SLOW]
    ways = {
        "notebook, 7 layers": (few, lambda: notebook(hf, tokenizer, few)),
        "pipeline, last layer": (
            few,
            lambda: [np.mean(one, axis=1) for one in pipe(few, truncation=True, max_length=MOST)],
        ),
        "pipeline in batches of 32, last layer": (
            few,
            lambda: [
                np.mean(one, axis=1) for one in pipe(few, batch_size=32, truncation=True, max_length=MOST)
            ],
        ),
        "sentence-transformers float32, last layer": (
            texts,
            lambda: encoders["float32"].encode(texts, show_progress_bar=False),
        ),
        "sentence-transformers bfloat16, last layer": (
            texts,
            lambda: encoders["bfloat16"].encode(texts, show_progress_bar=False),
        ),
        "extract float32, 7 layers": (texts, lambda: extracted(model, texts)),
        "extract auto, 7 layers": (texts, lambda: extracted(model, texts, dtype="auto")),
        "extract bfloat16, 7 layers": (texts, lambda: extracted(model, texts, dtype="bfloat16")),
    }
    for _, call in ways.values():
        call() if len(texts) <= SLOW else None
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (_, call) in ways.items():
            times[name].append(seconds(call))
    rates = {
        name: round(count_tokens(model, given) / statistics.median(times[name]))
        for name, (given, _) in ways.items()
    }
    ours, exact = rates["extract auto, 7 layers"], rates["extract float32, 7 layers"]
    half = rates["extract bfloat16, 7 layers"]
    ratios = {
        "auto / notebook": (ours / rates["notebook, 7 layers"], 12),
        "auto / pipeline": (ours / rates["pipeline, last layer"], 15),
        "auto / pipeline in batches": (ours / rates["pipeline in batches of 32, last layer"], 15),
        "float32 / sentence-transformers": (exact / rates["sentence-transformers float32, last layer"], 1.25),
        "bfloat16 / sentence-transformers": (half / rates["sentence-transformers bfloat16, last layer"], 1.7),
    }
    return {
        "tokens": count_tokens(model, texts),
        "tokens_a_second": rates,
        "ratios": {
            name: {"ratio": round(value, 2), "at_least": least} for name, (value, least) in ratios.items()
        },
    }


def product_rate(dtype):
    """Multiplications and additions a second of `torch.nn.functional.linear` at the widest shape of bert-base."""
    rows, inner, outer = 2048, 768, 3072
    x, weight = torch.randn(rows, inner).to(dtype), torch.randn(outer, inner).to(dtype)
    with torch.no_grad():
        call = functools.partial(torch.nn.functional.linear, x, weight)
        call()
        return 2 * rows * inner * outer / statistics.median(seconds(call) for _ in range(15))


def share_of_products(tokenizer, texts, rounds):
    """Which share of the rate of a matrix product `extract` reaches with the shape of bert-base."""
    from transformers import BertConfig, BertModel

    model = ls.wrap(BertModel(BertConfig()).eval().requires_grad_(False), tokenizer, "bert-base shape")
    blocks = sum(one.numel() for name, one in model.hf.encoder.named_parameters() if one.ndim == 2)
    lengths = np.array([len(ids) for ids in tokenizer(texts)["input_ids"]])
    attention = 4 * 768 * 12 * float((lengths.astype(float) ** 2).sum())
    work = 2 * blocks * float(lengths.sum()) + attention
    figures = {}
    for dtype, least in (("float32", 0.75), ("bfloat16", 0.60)):
        shares, speeds = [], []
        for _ in range(rounds):
            before = product_rate(getattr(torch, dtype))
            took = seconds(lambda dtype=dtype: extracted(model, texts, dtype=dtype, batch_tokens=2048))
            rate = (before + product_rate(getattr(torch, dtype))) / 2
            shares.append(work / took / rate)
            speeds.append(lengths.sum() / took)
        figures[dtype] = {
            "share": round(statistics.median(shares), 3),
            "at_least": least,
            "tokens_a_second": round(statistics.median(speeds)),
        }
    return figures


def growth():
    """Peak memory and time of 20,000 texts against 2,000, each in a process of its own."""

    def process(count):
        command = [sys.executable, __file__, "--alone", str(count)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    pairs = [(process(2000), process(20_000)) for _ in range(2)]
    memory = statistics.median(large["peak"] / small["peak"] for small, large in pairs)
    took = statistics.median(large["seconds"] / small["seconds"] for small, large in pairs)
    return {
        "peak memory, 20,000 / 2,000 texts": {"ratio": round(memory, 3), "at_most": 1.05},
        "time, 20,000 / 2,000 texts": {"ratio": round(took, 2), "at_most": 11.0},
        "peak_megabytes": round(pairs[0][0]["peak"] / 1024),
    }


def alone(count):
    """One extraction in this process: the texts come from a generator, so that they are not in memory."""
    model = ls.load(device="cpu")
    once = corpus(model, 2000)
    extracted(model, once[:200], dtype="bfloat16", part_rows=500)
    took = seconds(
        lambda: extracted(
            model, (once[number % 2000] for number in range(count)), dtype="bfloat16", part_rows=500
        )
    )
    print(json.dumps({"seconds": took, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def taking_up_again(model, texts):
    """What an interruption costs: both runs together against an uninterrupted one, in parts."""
    rows = len(texts) // 8
    parts = {"features": ["mean@all"], "part_rows": rows, "dtype": "bfloat16", "progress": False}

    def broken():
        yield from texts[: len(texts) * 9 // 16]
        raise ConnectionError

    folder = Path(tempfile.mkdtemp())
    whole = seconds(lambda: ls.extract(model, iter(texts), folder / "whole", **parts))

    def first():
        try:
            ls.extract(model, broken(), folder / "again", **parts)
        except ConnectionError:
            return

    both = seconds(first) + seconds(lambda: ls.extract(model, iter(texts), folder / "again", **parts))
    shutil.rmtree(folder)
    return {"parts lost": {"ratio": round((both - whole) / (whole / 8), 2), "at_most": 1.0}}


def stopping(model, texts):
    pairs = [
        (
            seconds(lambda: extracted(model, texts, ["mean@3"])),
            seconds(lambda: extracted(model, texts, ["mean@6"])),
        )
        for _ in range(3)
    ]
    ratio = statistics.median(a / b for a, b in pairs)
    return {"mean@3 / mean@6": {"ratio": round(ratio, 2), "at_most": 0.6}}


def draw(results):
    """Bars of tokens a second."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rates = dict(sorted(results["against_others"]["tokens_a_second"].items(), key=lambda one: one[1]))
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    colours = ["#2171b5" if name.startswith("extract") else "#c6c6c6" for name in rates]
    bars = axes.barh(list(rates), list(rates.values()), color=colours)
    axes.bar_label(bars, labels=[f"{rate:,}" for rate in rates.values()], padding=3)
    axes.set(xlabel=f"tokens a second, all-MiniLM-L6-v2 on {results['machine']['cores']} cores")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(PICTURE, dpi=150)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", action="store_true", help="draw docs/extract.png")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone)
        return
    model = ls.load(device="cpu")
    texts = corpus(model, 2000)
    results = {
        "machine": machine(),
        "against_others": against_others(model, texts, arguments.rounds),
        "bert_base_share_of_products": share_of_products(model.tokenizer, texts[:600], arguments.rounds),
        **stopping(model, texts[:1000]),
        **taking_up_again(model, texts),
        **growth(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    if arguments.picture:
        draw(results)


if __name__ == "__main__":
    main()
