"""Never lost: kills, interrupts, full disks, other settings, damage, two writers."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layerscope import samples
from layerscope.errors import InputError, StorageError
from layerscope.extraction.extract import extract
from layerscope.extraction.repair import forget_damaged

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def contents(folder):
    """The checksum of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def failing_after(texts, count):
    yield from texts[:count]
    raise ConnectionError("the source went away")


def test_killed_at_random_moments_the_folder_is_in_the_end_the_same(tiny_folder, tmp_path):
    result = subprocess.run(
        [sys.executable, HERE / "killed.py", tiny_folder("bert"), tmp_path, "24", "7"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["killed"] >= 24
    whole = contents(tmp_path / "whole")
    assert len([name for name in whole if name.startswith("part-")]) == 10
    for number in outcome["complete"]:
        assert contents(tmp_path / str(number)) == whole


def test_a_source_that_breaks_off_loses_only_the_open_part(tiny, tmp_path):
    model, texts = tiny("bert"), samples.texts() * 30
    with pytest.raises(ConnectionError, match="went away"):
        extract(model, failing_after(texts, 1490), tmp_path / "out", part_rows=200)
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert sorted(there) == [f"part-{number:06d}.parquet" for number in range(7)]
    extract(model, iter(texts), tmp_path / "out", part_rows=200)
    extract(model, texts, tmp_path / "whole", part_rows=200)
    ours, theirs = contents(tmp_path / "out"), contents(tmp_path / "whole")
    parts = {name for name in theirs if name.startswith("part-")}
    assert {name: ours[name] for name in parts} == {name: theirs[name] for name in parts}
    for name, made in there.items():
        assert (tmp_path / "out" / name).stat().st_mtime_ns == made, "it was made again"


def test_a_finished_folder_is_left_as_it_is(tiny, tmp_path):
    model, texts = tiny("bert"), samples.texts()
    extract(model, texts, tmp_path / "out", part_rows=20)
    before = contents(tmp_path / "out")
    again = extract(model, texts, tmp_path / "out")
    assert len(again) == len(texts)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": ["mean@0"]}, r'features is \["mean@0"\], and was \["mean@-1"\]'),
        ({"numbers": "float16"}, r'numbers.columns is "float16", and was "float32"'),
        ({"dtype": "bfloat16"}, r'numbers.network is "bfloat16", and was "float32"'),
        ({"long": "cut"}, r'long_texts.long is "cut", and was "window"'),
        ({"part_rows": 6}, "part_rows is 6, and was 5"),
        ({"on_error": "raise"}, r'on_error is "raise", and was "row"'),
    ],
)
def test_other_settings_are_refused_by_name(tiny, tmp_path, options, sentence):
    model, texts = tiny("bert"), samples.texts()[:12]
    extract(model, texts, tmp_path / "out", part_rows=5)
    before = contents(tmp_path / "out")
    with pytest.raises(StorageError, match=sentence):
        extract(model, texts, tmp_path / "out", **({"part_rows": 5} | options))
    assert contents(tmp_path / "out") == before


def test_another_model_is_refused_and_so_is_the_same_one_with_other_weights(tiny, tmp_path):
    texts = samples.texts()[:6]
    extract(tiny("bert"), texts, tmp_path / "out", ["mean@1"])
    with pytest.raises(StorageError, match=r"model\.\w+ is .*, and was"):
        extract(tiny("roberta"), texts, tmp_path / "out", ["mean@1"])
    model = tiny("bert")
    weight = model.hf.get_input_embeddings().weight
    value = float(weight[0, 0])
    weight.data[0, 0] += 1
    try:
        with pytest.raises(StorageError, match="model.parameters_sha256 is"):
            extract(model, texts, tmp_path / "out", ["mean@1"])
    finally:
        weight.data[0, 0] = value
    extract(model, texts, tmp_path / "out", ["mean@1"])


def test_another_corpus_is_refused_by_its_rows(tiny, tmp_path):
    model, texts = tiny("bert"), samples.texts()[:12]
    extract(model, texts, tmp_path / "out", part_rows=5)
    with pytest.raises(StorageError, match="its rows 5 to 9 differ from those of part-000001"):
        extract(model, [*texts[:6], "other", *texts[7:]], tmp_path / "out")
    with pytest.raises(
        StorageError, match=r"rows 10 to 12 differ from those of part-000002.parquet, which are 2"
    ):
        extract(model, [*texts, "one more"], tmp_path / "out")
    with pytest.raises(StorageError, match="it ends before row 5, which is in part-000001"):
        extract(model, texts[:5], tmp_path / "out")


def test_the_precision_that_was_chosen_stays_chosen(tiny, tmp_path):
    model, texts = tiny("bert"), samples.texts()[:12]
    extract(model, texts, tmp_path / "out", dtype="float32")
    extract(model, texts, tmp_path / "out", dtype="auto")


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_part_is_found_and_made_again(tiny, tmp_path, harm):
    model, texts, out = tiny("bert"), samples.texts(), tmp_path / "out"
    extract(model, texts, out, part_rows=9)
    before = contents(out)
    assert forget_damaged(out) == []
    part = out / "part-000002.parquet"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "flip": lambda: part.write_bytes(data),
        "cut": lambda: part.write_bytes(data[:-100]),
        "remove": part.unlink,
    }[harm]()
    assert forget_damaged(out) == ["part-000002.parquet"]
    assert not json.loads((out / "manifest.json").read_text())["complete"]
    extract(model, texts, out)
    assert contents(out) == before


def test_what_is_missing_is_seen_without_a_check(tiny, tmp_path):
    model, texts, out = tiny("bert"), samples.texts(), tmp_path / "out"
    extract(model, texts, out, part_rows=9)
    before = contents(out)
    (out / "part-000003.parquet").unlink()
    extract(model, texts, out)
    assert contents(out) == before


def test_a_folder_without_features_is_not_checked(tmp_path):
    with pytest.raises(StorageError, match="There is no folder"):
        forget_damaged(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="There are no features in"):
        forget_damaged(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "is no manifest of features"),
        ("not json", "is no manifest of features"),
        ('{"format": "layerscope features", "schema_version": 1}', "is no manifest of features"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tiny, tmp_path, text, sentence):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StorageError, match=sentence):
        extract(tiny("bert"), ["a"], tmp_path)


def test_a_later_schema_is_refused(tiny, tmp_path):
    extract(tiny("bert"), ["a"], tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(StorageError, match="schema version 2, and this Layerscope reads 1"):
        extract(tiny("bert"), ["a"], tmp_path)


ENDLESS = """
import os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import layerscope as ls
from layerscope.extraction.extract import extract

def texts():
    for number in range(10**9):
        if number == 40:
            print("going", flush=True)
        yield "seeing is believing " * (1 + number % 9)

model = ls.load(sys.argv[1], device="cpu")
try:
    extract(model, texts(), sys.argv[2], part_rows=10)
except KeyboardInterrupt:
    print("stopped", flush=True)
except Exception as error:
    print(type(error).__name__, error, flush=True)
"""


def going(tiny_folder, out, *before):
    """A process that extracts without end, and has begun."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", ENDLESS, tiny_folder("bert"), out],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout.readline() == "going\n"
    return process


def test_ctrl_c_writes_what_is_whole_and_a_second_writer_is_refused_meanwhile(tiny, tiny_folder, tmp_path):
    process = going(tiny_folder, tmp_path / "out")
    while not list((tmp_path / "out").glob("part-*")):
        time.sleep(0.01)
    with pytest.raises(StorageError, match="Another process writes to"):
        extract(tiny("bert"), ["a"], tmp_path / "out")
    with pytest.raises(StorageError, match="Another process writes to"):
        forget_damaged(tmp_path / "out")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert out == "stopped\n"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {part["file"] for part in manifest["parts"]} == {
        path.name for path in (tmp_path / "out").glob("part-*")
    }
    assert not list((tmp_path / "out").glob(".writing-*"))
    assert forget_damaged(tmp_path / "out") == []


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tiny_folder, tmp_path):
    # A file system of two megabytes, in a name space of its own.
    inside = (
        f"mount -t tmpfs -o size=2m tmpfs {tmp_path} && "
        f'"{sys.executable}" -c "$1" "$2" {tmp_path}/out; ls {tmp_path}/out; '
        f"mount -o remount,size=1g {tmp_path} && "
        f'timeout -s INT 8 "{sys.executable}" -c "$1" "$2" {tmp_path}/out; ls {tmp_path}/out | wc -l'
    )
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", inside, "sh", ENDLESS, tiny_folder("bert")],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    first, _, second = result.stdout.partition("going\nstopped")
    assert "StorageError The disk of" in first, result.stdout + result.stderr
    assert "is full. Make room and run the same again" in first
    assert "part-000000.parquet" in first
    parts = first.count("part-")
    assert int(second.split()[-1]) > parts + 2


def test_memory_that_is_not_enough_halves_the_batch_and_is_remembered(tiny_folder, tmp_path):
    code = (
        "import os, resource, sys\n"
        'os.environ["HF_HUB_OFFLINE"] = "1"\n'
        "import layerscope as ls, torch\n"
        "torch.set_num_threads(1)\n"
        "from layerscope.extraction.extract import extract\n"
        "model = ls.load(sys.argv[1], device='cpu')\n"
        "texts = ['seeing is believing ' * 9] * 4000\n"
        "model.run(texts[0])\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), used + (400 << 20)))\n"
        "made = extract(model, texts, sys.argv[2], ['mean@-1'], part_rows=4000, batch_tokens=1 << 20)\n"
        "print(made.manifest.about['batch_tokens'], made.manifest.errors, len(made))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tiny_folder("bert"), tmp_path / "out"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 0, result.stderr
    budget, errors, rows = map(int, result.stdout.split())
    assert budget < 1 << 18
    assert (errors, rows) == (0, 4000)


def test_a_run_from_another_thread_works_without_signals(tiny, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(extract, tiny("bert"), samples.texts()[:5], tmp_path / "out").result()
    assert len(made) == 5


def test_a_one_pass_source_that_was_used_is_refused(tiny, tmp_path):
    texts = iter(["a", "b"])
    assert len(extract(tiny("bert"), texts, tmp_path / "out")) == 2
    with pytest.raises((StorageError, InputError), match=r"ends before row 0|can be read only once"):
        extract(tiny("bert"), texts, tmp_path / "out")
