"""Names that were put right before the first release are left nowhere."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

OLD = {
    "neighbors": r"[Nn]eighbour",
    "embedding_parts": r"\bls\.embeddings\b|analysis\.embeddings\b",
    "weighted_mean": r"\"weighted\"|\bweighted@",
    "cv": r"\bfolds=|--folds\b",
    "segment": r"\bunit=\"(line|paragraph|document)\"|--unit (line|paragraph|document)",
    "column_dtype": r"\bnumbers=|--numbers\b",
    "lens(model, text)": r"\blens\(trace\b",
    "_manifest.json": r"(?<![_\w])manifest\.json",
    "layerscope heads": r"layerscope attention [^\n]*--heads",
    "layerscope head-search": r"--treebank\b",
    "layerscope check": r"extract --(check|repair)\b",
    "layerscope export": r"layerscope sweep [^\n]*--export\b",
    "--layer": r"--layers\b",
    "num_parameters": r"describe\(\)\.parameters\b(?!\()",
}


def test_no_old_name_is_left():
    found = []
    for folder in ("src", "tests", "docs", "benchmarks", "README.md"):
        for path in [ROOT / folder] if (ROOT / folder).is_file() else sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md") and path != Path(__file__):
                text = path.read_text(encoding="utf-8")
                for new, old in OLD.items():
                    found += [f"{path.relative_to(ROOT)}: {hit[0]} ({new})" for hit in re.finditer(old, text)]
    assert not found
