"""A driver that is to be killed: python driver.py MODEL SOURCE FOLDER ADDRESS"""

import os
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

import layerscope as ls

ROWS = 20
FEATURES = ["mean@1:", "unhurried@-1"]


def unhurried(states, tokens, seconds=0.02):
    """The mean, and time for the driver to be killed in."""
    time.sleep(seconds)
    return states.mean(axis=0)


def main(checkpoint, source, folder, address):
    torch.set_num_threads(1)
    ls.pooling("unhurried")(unhurried)
    model = ls.load(Path(checkpoint), device="cpu")
    more = {"engine": "ray", "address": address}
    ls.extract(
        model, source, folder, FEATURES, text="text", keep=["number"], part_rows=ROWS, progress=False, **more
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
