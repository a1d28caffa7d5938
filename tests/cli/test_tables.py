"""The table of every verb: as a CSV file, on a terminal of 80 columns, and plain in a pipe."""

import io

import pandas as pd
import pytest
import typer
from rich.console import Console

import layerscope as ls
from layerscope.cli.app import app
from layerscope.view import terminal
from tiny import build

VERBS = typer.main.get_command(app).commands

# What these print is no table of what they were asked.
WITHOUT = {"extract", "check", "export", "demo"}

TREE = "1\tthe\t_\tDET\t_\t_\t2\tdet\t_\t_\n2\tghost\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n"

CALLS = {
    "tokens": "tokens|a bank",
    "describe": "describe",
    "describe --parameters": "describe|--parameters",
    "look": "look|a bank",
    "lens": "lens|a bank|--model|gpt2",
    "attention": "attention|a bank of the river",
    "compare": "compare|a bank|the bank",
    "anatomy": "anatomy|a bank",
    "anatomy --head": "anatomy|a bank|--head|1",
    "neighbors": "neighbors|ghost",
    "neighbors of two": "neighbors|ghost|bank",
    "drift": "drift|two.csv|--text|text",
    "senses": "senses|bank|two.csv|--text|text|--label|sense",
    "senses --layer": "senses|bank|two.csv|--text|text|--layer|1",
    "heads": "heads|two.csv|--text|text",
    "head-search": "head-search|dev.conllu",
    "plan": "plan|two.csv|--text|text|--rate|1000",
    "sweep": "sweep|two.csv|--text|text|--label|sense|-f|mean@1|--cv|2",
    "search": "search|stored|a bank",
    "verify": "verify|--text|a bank",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the calls read."""
    folder = tmp_path_factory.mktemp("tables")
    rows = [f"{'river' if n % 2 else 'money'},a bank by the river {n}" for n in range(8)]
    (folder / "two.csv").write_text("\n".join(["sense,text", *rows]) + "\n")
    (folder / "dev.conllu").write_text(TREE * 30)
    build("gpt2", folder / "gpt2")
    ls.extract(ls.load(), ["a bank", "the river"], folder / "stored", ["mean@-1"])
    return folder


def test_every_verb_that_prints_a_table_writes_it_too():
    for verb, one in VERBS.items():
        options = {name for parameter in one.params for name in parameter.opts}
        assert ("--csv" in options) == (verb not in WITHOUT), verb
    assert {call.partition("|")[0] for call in CALLS.values()} == set(VERBS) - WITHOUT


@pytest.mark.parametrize("call", CALLS)
def test_the_table_as_csv_and_in_a_pipe(command, place, tmp_path, monkeypatch, call):
    monkeypatch.chdir(place)
    path = tmp_path / "table.csv"
    code, out, err = command(*CALLS[call].split("|"), "--csv", path)
    assert code == 0, err
    assert f"Written into {path}." in err
    table = pd.read_csv(path)
    assert len(table)
    assert not any("Unnamed" in name for name in table.columns[1:])
    assert out
    assert not {"\x1b", "─", "│"} & set(out)
    assert not any(line != line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("width", [40, 80])
def test_a_table_that_is_too_wide_goes_on_below(width):
    names = ["layer", "a name of many words", "short", *[f"number {n}" for n in range(9)]]
    rows = [
        [n, "words that are wrapped where there is room for some of them", "x", *range(9)] for n in range(3)
    ]
    table = pd.DataFrame(rows, columns=names).set_index("layer")
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(terminal.frame(table))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    shown = " ".join(" ".join(lines).split())
    for part in ("short", *(f"number {n}" for n in range(9))):
        assert part in shown
    assert shown.count("layer") > 1


def test_a_table_that_fits_is_one(model):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(terminal.frame(pd.DataFrame({"a": [1, 2], "b": [0.5, 0.25]}).rename_axis("row")))
    assert [line.split() for line in console.file.getvalue().splitlines() if line.strip(" ─")] == [
        ["row", "a", "b"],
        ["0", "1", "0.500"],
        ["1", "2", "0.250"],
    ]
