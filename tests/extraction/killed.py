"""Kills extractions at random moments, each a process of its own, and takes them up again.

    python killed.py MODEL FOLDER KILLS SEED

The model is loaded once and the processes are forked from here, so that most of their life is extraction. Each
is killed by SIGKILL after a random part of the time that a whole run takes; when one lives to its end, a new
folder is begun. Prints the folders that are complete, and how many processes were killed.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch

import layerscope as ls
from layerscope.extraction.extract import extract

torch.set_num_threads(1)


def corpus():
    """400 texts of many lengths, some of them too long for the model, some of them none."""
    words = ("seeing is believing and a ghost by the bank of a river " * 40).split()
    return [7 if number % 97 == 5 else " ".join(words[: 1 + number * 7 % 90]) for number in range(400)]


def run(model, folder):
    extract(model, corpus(), folder, ["mean@all", "words@-1"], part_rows=40, progress=False)


def in_a_process(model, folder, delay):
    """Whether a process that extracts was killed before it ended."""
    child = os.fork()
    if child == 0:
        run(model, folder)
        os._exit(0)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the extraction failed by itself"
    return os.WIFSIGNALED(status)


def main(checkpoint, folder, kills, seed):
    model, chance, folder = ls.load(checkpoint, device="cpu"), random.Random(seed), Path(folder)
    start = time.monotonic()
    assert not in_a_process_to_its_end(model, folder / "whole")
    whole = time.monotonic() - start
    killed, number, complete = 0, 0, []
    while killed < kills or number not in complete:
        if number in complete:
            number += 1
        if in_a_process(model, folder / str(number), chance.uniform(0, 0.7 * whole)):
            killed += 1
        else:
            complete.append(number)
    print(json.dumps({"killed": killed, "complete": complete}))


def in_a_process_to_its_end(model, folder):
    child = os.fork()
    if child == 0:
        run(model, folder)
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
