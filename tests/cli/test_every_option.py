"""Every option of every verb has an effect, alone, with --json and with --png, or is refused."""

import hashlib
import json
import re
from functools import cache

import pytest
import typer

import layerscope as ls
import layerscope.loading.checkpoint
from layerscope.cli.app import app
from tiny import build

SENTENCE = "The ghost of my mother went home by night."
SCORE = "neg_max_error"
VERBS = typer.main.get_command(app).commands

# Those of every verb that loads a model, which other tests look at; and those that only say where to draw.
SHARED = {
    "--model",
    "--revision",
    "--task",
    "--trust-remote-code",
    "--device",
    "--allow-pickle",
    "--json",
    "--png",
    "--svg",
    "--csv",
}

# For each verb the words of a call, and of each option words that change what it gives.
CALLS = {
    "tokens": [([SENTENCE], {"--pair": ["A bank."]})],
    "describe": [([], {"--dtype": ["float16"], "--parameters": []})],
    "look": [
        ([SENTENCE, "-m", "gpt2"], {"--pair": ["A bank."], "--layer": ["1"], "-k": ["2"], "--dtype": ["float16"]})
    ],
    "lens": [
        ([SENTENCE, "-m", "gpt2"], {"--pair": ["A bank."], "--position": ["2"], "-k": ["2"], "--dtype": ["bfloat16"]}),
        ([SENTENCE, "-m", "t5", "--target", "A bank."], {"--target": ["My home."]}),
    ],
    "attention": [
        (
            [SENTENCE],
            {"--layer": ["1"], "--head": ["1"], "--unit": ["token"], "--specials": [], "--dtype": ["float16"]},
        ),
    ],
    "heads": [
        (
            ["two.csv", "--long", "cut"],
            {
                "--text": ["other"],
                "--layer": ["1"],
                "--measure": ["next"],
                "--long": ["error"],
                "--limit": ["3"],
                "--sample": ["3"],
                "--dtype": ["float16"],
            },
        ),
        (["poem.txt"], {"--segment": ["paragraph"]}),
    ],
    "head-search": [
        (["dev.conllu"], {"--relation": ["det"], "--minimum": ["40"], "--limit": ["25"]}),
    ],
    "search": [
        (
            ["stored", "the bank", "--column", "mean_1"],
            {"--column": ["max_1"], "-k": ["2"], "--dtype": ["float16"], "--pair": ["b"]},
        ),
        (["stored", "--like", "1", "--column", "mean_1"], {"--like": ["2"], "--word": ["bank"]}),
        (["stored", "the bank", "--word", "bank", "--column", "words_1"], {"--word": ["the"]}),
    ],
    "check": [(["stored"], {"--repair": []}), (["damaged"], {"--repair": []})],
    "export": [(["OUT"], {"--feature": ["max@1"], "--dtype": ["float16"]})],
    "compare": [(["a bank", "a ghost"], {"--layer": ["1"], "--pooling": ["max"], "--dtype": ["float16"]})],
    "anatomy": [([SENTENCE], {"--pair": ["A bank."], "--layer": ["1"], "--head": ["1"], "--dtype": ["float16"]})],
    "drift": [
        (
            ["two.csv"],
            {
                "--text": ["other"],
                "--id": ["nr"],
                "--pooling": ["max"],
                "--against": ["previous"],
                "--long": ["cut"],
                "--limit": ["3"],
                "--sample": ["3"],
                "--dtype": ["float16"],
            },
        ),
        (["poem.txt"], {"--segment": ["paragraph"]}),
    ],
    "senses": [
        (
            ["bank", "two.csv"],
            {
                "--text": ["other"],
                "--label": ["sense"],
                "--layer": ["1"],
                "--limit": ["3"],
                "--sample": ["3"],
                "--dtype": ["float16"],
            },
        ),
        (["bank", "poem.txt"], {"--segment": ["document"]}),
    ],
    "neighbors": [
        (["ghost"], {"-k": ["2"], "--metric": ["dot"], "--ids": ["7"], "--dtype": ["float16"]}),
        (["ghost", "-m", "bart"], {"--matrix": ["output"]}),
    ],
    "extract": [
        (
            ["two.csv", "-o", "OUT", "--part-rows", "8"],
            {
                "--out": ["other-folder"],
                "--feature": ["max@1"],
                "--text": ["other"],
                "--pair": ["other"],
                "--id": ["nr"],
                "--keep": ["nr"],
                "--dtype": ["float16"],
                "--column-dtype": ["float16"],
                "--long": ["cut"],
                "--on-error": ["raise"],
                "--part-rows": ["2"],
                "--batch-tokens": ["64"],
                "--address": ["auto"],
                "--limit": ["3"],
                "--sample": ["3"],
            },
        ),
        (["poem.txt", "-o", "OUT", "--part-rows", "8"], {"--segment": ["paragraph"]}),
    ],
    "plan": [
        (
            ["two.csv", "--rate", "1000"],
            {
                "--feature": ["max@all"],
                "--tokens": ["1e6"],
                "--rows": ["1e6"],
                "--rate": ["2000"],
                "--machines": ["2"],
                "--text": ["other"],
                "--pair": ["other"],
                "--dtype": ["float16"],
                "--column-dtype": ["float16"],
                "--long": ["cut"],
                "--limit": ["3"],
                "--sample": ["3"],
            },
        ),
        (["poem.txt", "--rate", "1000"], {"--segment": ["paragraph"]}),
    ],
    "sweep": [
        (
            ["two.csv", "--label", "share", "--task", "regress", "-f", "mean@1", "--cv", "2"],
            {
                "--label": ["sense"],
                "--text": ["other"],
                "--pair": ["other"],
                "--feature": ["max@1"],
                "--group": ["sense"],
                "--task": ["classify"],
                "--cv": ["3"],
                "--scoring": ["max_error"],
                "--probe": ["logistic"],
                "--long": ["error"],
                "--seed": ["7"],
                "--limit": ["10"],
                "--sample": ["10"],
                "--dtype": ["float16"],
            },
        ),
        (
            ["poem.txt", "--label", "line", "--task", "regress", "-f", "mean@1", "--cv", "2", "--scoring", SCORE],
            {"--segment": ["paragraph"]},
        ),
    ],
    "verify": [([], {"--text": ["A ghost."], "--dtype": ["float16"]})],
    "demo": [],
}  # fmt: skip

# What the same call gives otherwise at another time, or depends on how busy the machine is.
TIMES = re.compile(r'"?(seconds|speed|memory|pass|probing)"?:? .*')


def options_of(verb):
    return {max(one.opts, key=len) for one in VERBS[verb].params if one.opts[0].startswith("-")}


def told_of(manifest):
    return [
        manifest["features"],
        manifest["part_rows"],
        manifest["on_error"],
        manifest["about"]["batch_tokens"],
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with what the calls read; a model is loaded once."""
    monkeypatch.chdir(tmp_path)
    long = "the bank of the river and my mother " * 30
    rows = [
        f"{n},{'river' if n % 2 else 'money'},{n / 8},by the bank of night {n},a bank {n % 3}"
        for n in range(12)
    ]
    (tmp_path / "two.csv").write_text(
        "\n".join(["nr,sense,share,text,other", *rows, f"12,river,1.7,{long},home"]) + "\n"
    )
    (tmp_path / "poem.txt").write_text("the bank\nof night\n\nmy mother by the bank\n")
    words = [
        "1\tthe\t_\tDET\t_\t_\t2\tdet\t_\t_",
        "2\tghost\t_\tNOUN\t_\t_\t3\tnsubj\t_\t_",
        "3\twent\t_\tVERB\t_\t_\t0\troot\t_\t_",
    ]
    (tmp_path / "dev.conllu").write_text(("\n".join(words) + "\n\n") * 30)
    for family in ("bert", "gpt2", "t5", "bart"):
        build(family, tmp_path / family)
    texts = ["the bank of the river", "a bank", "my mother by night"]
    for name in ("stored", "damaged"):
        features = ls.extract(
            ls.load("bert"), texts, tmp_path / name, ["mean@1", "max@1", "words@1"], part_rows=2
        )
    (tmp_path / "damaged" / features.manifest.parts[0].file).write_bytes(b"")
    monkeypatch.setattr(layerscope.loading.checkpoint, "load", cache(layerscope.loading.checkpoint.load))
    return tmp_path


def test_every_option_is_walked_through():
    for verb in VERBS:
        options = options_of(verb)
        walked = {option for _, options in CALLS[verb] for option in options}
        assert options - SHARED - walked <= (
            {"demo": {"--out"}, "extract": {"--engine"}, "head-search": {"--dtype"}}.get(verb, set())
        ), verb


@pytest.mark.parametrize(
    ("verb", "mode"),
    [
        (verb, mode)
        for verb in CALLS
        for mode in ([], ["--json"], ["--png", "drawn.png"])
        if CALLS[verb] and (not mode or mode[0] in options_of(verb))
    ],
    ids=lambda one: one if isinstance(one, str) else (one or ["plain"])[0].strip("-"),
)
def test_an_option_has_an_effect_or_is_refused(verb, mode, command, folder):
    number = 0

    def outcome(words):
        """What a call gives, its folder's name aside: exit code, output, files."""
        nonlocal number
        number += 1
        out = f"out-{number}"
        words = [word.replace("OUT", out) for word in words]
        if not {"-m", "--model", "--like"} & set(words) and verb != "check":
            words += ["-m", "bert"]
        before = set(folder.rglob("*"))
        code, told, notes = command(verb, *words, *mode)
        files = {}
        for path in sorted(set(folder.rglob("*")) - before):
            if path.is_file() and path.suffix in (".png", ".parquet", ".safetensors"):
                files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            if path.name == "_manifest.json":
                files["settings"] = told_of(json.loads(path.read_text()))
            if path.name == "drawn.png":
                path.unlink()
        return code, TIMES.sub("", told).replace(out, "OUT"), notes.replace(out, "OUT"), files

    for base, options in CALLS[verb]:
        plain = outcome(base)
        assert plain == outcome(base), "the same call gives something else"
        for option, words in options.items():
            if option == "--dtype" and "--json" not in mode:
                continue  # what is printed and drawn is rounded
            changed = outcome([*base, option, *words])
            assert changed != plain, f"{verb} {' '.join(base)} {option}: no effect, and not refused"
            if changed[0] == 2:
                assert changed[2].count("\n") == 1, changed
                assert not changed[3], changed
