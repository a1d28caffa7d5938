"""The manifest of a folder of features as one value, the parts that are listed beside it included."""

import json
from pathlib import Path


def read_manifest(folder):
    """What stands in `_manifest.json`, and under "parts" what the lists hold."""
    values = json.loads((Path(folder) / "_manifest.json").read_text())
    return values | {"parts": parts_of(folder)}


def parts_of(folder):
    """The parts that are listed, in order."""
    lists = sorted((Path(folder) / "_parts").glob("*.jsonl"))
    return [json.loads(line) for one in lists for line in one.read_text().splitlines()]


def write_manifest(folder, values):
    """Put back what `read_manifest` gave, whatever became of it; fewer than a thousand parts."""
    values = dict(values)
    lines = [json.dumps(part) + "\n" for part in values.pop("parts")]
    (Path(folder) / "_manifest.json").write_text(json.dumps(values))
    (Path(folder) / "_parts" / "000000.jsonl").write_text("".join(lines))
