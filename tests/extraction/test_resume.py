"""Never lost: kills, interrupts, full disks, other settings, damage, two writers."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import layerscope as ls
from layerscope import samples
from layerscope.errors import InputError, StorageError
from layerscope.extraction.extract import extract
from layerscope.store.check import check, repair
from manifests import parts_of, read_manifest, write_manifest

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


@pytest.mark.slow
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
        ({"column_dtype": "float16"}, r'column_dtype is "float16", and was "float32"'),
        ({"dtype": "bfloat16"}, r'dtype is "bfloat16", and was "float32"'),
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
    assert check(out).passed
    part = out / "part-000002.parquet"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "flip": lambda: part.write_bytes(data),
        "cut": lambda: part.write_bytes(data[:-100]),
        "remove": part.unlink,
    }[harm]()
    harmed = contents(out)
    for _ in range(2):  # a check changes nothing
        found = check(out)
        assert found.damaged == {"part-000002.parquet": (18, 26)}
        assert not found.passed
        assert contents(out) == harmed
    assert repair(out).damaged == found.damaged
    for _ in range(2):  # what is missing is said every time
        found = check(out)
        assert (found.damaged, found.missing, found.complete) == ({}, ((18, 26),), False)
    extract(model, texts, out)
    assert contents(out) == before
    assert check(out).passed


@pytest.mark.slow
def test_a_part_of_a_slow_model_has_few_rows_and_the_number_is_kept(tiny_folder, tmp_path):
    model, texts = ls.load(tiny_folder("bert"), device="cpu"), ["seeing is believing"] * 14

    def slow(_module, _args, kwargs):
        time.sleep(0.01 * kwargs["input_ids"].numel())

    handle = model.hf.register_forward_pre_hook(slow, with_kwargs=True)
    rows = extract(model, texts, tmp_path / "slow").manifest.settings["part_rows"]
    handle.remove()
    assert rows * len(model.tokenize(texts[0])) * 0.01 <= 20  # seconds a part, of sleep alone
    assert extract(model, texts, tmp_path / "slow").manifest.settings["part_rows"] == rows
    assert extract(model, texts, tmp_path / "quick").manifest.settings["part_rows"] > rows


def test_what_is_missing_is_seen_without_a_check(tiny, tmp_path):
    model, texts, out = tiny("bert"), samples.texts(), tmp_path / "out"
    extract(model, texts, out, part_rows=9)
    before = contents(out)
    (out / "part-000003.parquet").unlink()
    extract(model, texts, out)
    assert contents(out) == before


def test_a_folder_without_features_is_not_checked(tmp_path):
    for look in (check, repair):
        with pytest.raises(StorageError, match="There is no folder"):
            look(tmp_path / "nowhere")
        with pytest.raises(StorageError, match="There are no features in"):
            look(tmp_path)
    (tmp_path / "note.txt").write_text("a file of somebody else's")
    with pytest.raises(StorageError, match=r"holds other files \(note.txt\)"):
        check(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_unfinished_folder_is_said_to_be_so(tiny, tmp_path):
    with pytest.raises(ConnectionError):
        extract(tiny("bert"), failing_after(["a b", "c"] * 700, 1390), tmp_path, part_rows=200)
    for _ in range(2):
        found = check(tmp_path)
        assert (found.damaged, found.missing, found.complete, found.passed) == ({}, (), False, False)


def test_a_folder_can_be_checked_where_nothing_can_be_written(tiny, tmp_path):
    """On storage that is read-only, mounted in a name space of its own."""
    extract(tiny("bert"), samples.texts()[:9], tmp_path / "out", part_rows=4)
    (tmp_path / "out" / ".lock").unlink()
    code = (
        f"mount --bind {tmp_path}/out {tmp_path}/out && mount -o remount,bind,ro {tmp_path}/out && "
        f"! touch {tmp_path}/out/x 2> /dev/null && {sys.executable} -c "
        f"'from layerscope.store.check import check; print(check(\"{tmp_path}/out\").passed)'"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", code], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout == "True\n", done.stderr


def test_a_folder_without_a_part_begins_anew(tiny, tmp_path):
    """So that a mistake in the first command does not bar the corrected one."""
    rows = [{"text": "a", "x": 1}, {"text": 3, "x": 1}]
    with pytest.raises(InputError, match="Row 1 of the corpus"):
        extract(tiny("bert"), rows, tmp_path / "out", text="text", on_error="raise")
    assert extract(tiny("bert"), rows, tmp_path / "out", text="text", keep=["x"]).num_errors == 1


MANIFESTS = {
    "another file": lambda one: one["parts"][0].update(file="../precious.txt"),
    "a file elsewhere": lambda one: one["parts"][0].update(file="/etc/passwd"),
    "a file in a folder": lambda one: one["parts"][0].update(file="x/part-000000.parquet"),
    "another number": lambda one: one["parts"][1].update(file="part-000007.parquet"),
    "the same part twice": lambda one: one["parts"].append(one["parts"][1]),
    "another order": lambda one: one["parts"].reverse(),
    "a hole": lambda one: one["parts"].pop(1),
    "no first part": lambda one: one["parts"].pop(0),
    "a short part": lambda one: one["parts"][0].update(rows=3),
    "too many rows": lambda one: one["parts"][-1].update(rows=5),
    "more errors than rows": lambda one: one["parts"][0].update(errors=5),
    "rows below 0": lambda one: one["parts"][0].update(rows=-4),
    "a start that is none": lambda one: one["parts"][0].update(start=True),
    "a size in words": lambda one: one["parts"][0].update(bytes="many"),
    "no checksum": lambda one: one["parts"][0].update(sha256="00"),
    "a field more": lambda one: one["parts"][0].update(note=1),
    "no part": lambda one: one.update(parts=[]),
    "a part that is none": lambda one: one.update(parts=[None]),
    "other totals": lambda one: one["totals"].update(rows=26),
    "totals in words": lambda one: one["totals"].update(rows="many"),
    "complete in words": lambda one: one.update(complete="yes"),
    "part_rows of 0": lambda one: one.update(part_rows=0),
    "a column of no width": lambda one: one["columns"]["mean_3"].update(width=0),
    "a column of no type": lambda one: one["schema"].pop("mean_3"),
    "about nobody": lambda one: one.update(about={}),
    **{
        f"no {name}": lambda one, name=name: one.pop(name)
        for name in ("columns", "schema", "dtype", "column_dtype", "about", "model")
    },
    **{
        f"{name} is null": lambda one, name=name: one.update({name: None})
        for name in ("columns", "schema", "dtype", "column_dtype")
    },
}


@pytest.fixture(scope="module")
def small(tiny_folder, tmp_path_factory):
    """A folder of three parts of four rows, but for the last."""
    out = tmp_path_factory.mktemp("small") / "out"
    extract(ls.load(tiny_folder("bert"), device="cpu"), samples.texts()[:11], out, ["mean@-1"], part_rows=4)
    return out


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_manifest_that_cannot_be_is_refused_and_nothing_is_touched(change, small, tmp_path, tiny):
    out = tmp_path / "out"
    shutil.copytree(small, out)
    (tmp_path / "precious.txt").write_text("precious")
    values = read_manifest(out)
    MANIFESTS[change](values)
    write_manifest(out, values)
    before = contents(tmp_path)
    for use in (
        check,
        repair,
        ls.open_features,
        lambda out: extract(tiny("bert"), samples.texts()[:11], out, part_rows=4),
    ):
        with pytest.raises(
            StorageError, match=r"/(_manifest.json|_parts/0+.jsonl) is damaged, or was changed: .+\.$"
        ):
            use(out)
    assert contents(tmp_path) == before


def test_a_link_in_place_of_the_lock_is_not_followed(small, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(small, out)
    (tmp_path / "precious.txt").write_text("precious")
    (out / ".lock").unlink(missing_ok=True)
    (out / ".lock").symlink_to(tmp_path / "precious.txt")
    with suppress(StorageError):
        repair(out)
    assert (tmp_path / "precious.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "is no manifest of features"),
        ("not json", "is no manifest of features"),
        ("[" * 100_000, "is no manifest of features"),
        ("[]", "is no manifest of features"),
        (
            '{"format": "layerscope features", "schema_version": 2}',
            "is damaged, or was changed: its fields are not",
        ),
        ('{"format": "layerscope features"}', "schema version None"),
        (
            '{"format": "layerscope features", "schema_version": 3, "about": 3}',
            "use the one that wrote it .unknown.",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused(tiny, tmp_path, text, sentence):
    (tmp_path / "_manifest.json").write_text(text)
    with pytest.raises(StorageError, match=sentence):
        extract(tiny("bert"), ["a"], tmp_path)


def test_a_later_schema_is_refused(tiny, tmp_path):
    extract(tiny("bert"), ["a"], tmp_path)
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(StorageError, match="schema version 3, and this Layerscope reads 2"):
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


@pytest.mark.slow
def test_ctrl_c_writes_what_is_whole_and_a_second_writer_is_refused_meanwhile(tiny, tiny_folder, tmp_path):
    process = going(tiny_folder, tmp_path / "out")
    while not list((tmp_path / "out").glob("part-*")):
        time.sleep(0.01)
    with pytest.raises(StorageError, match="Another process writes to"):
        extract(tiny("bert"), ["a"], tmp_path / "out")
    with pytest.raises(StorageError, match="Another process writes to"):
        repair(tmp_path / "out")
    assert not check(tmp_path / "out").complete
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert out == "stopped\n"
    assert {part["file"] for part in parts_of(tmp_path / "out")} == {
        path.name for path in (tmp_path / "out").glob("part-*")
    }
    assert not list((tmp_path / "out").glob(".writing-*"))
    assert not check(tmp_path / "out").damaged


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tiny_folder, tmp_path):
    # A file system of two megabytes, in a name space of its own.
    inside = (
        f"mount -t tmpfs -o size=2m tmpfs {tmp_path} && "
        f'"{sys.executable}" -c "$1" "$2" {tmp_path}/out; cd {tmp_path}/out; ls; before=$(ls | wc -l); '
        f"mount -o remount,size=1g {tmp_path} && "
        f'{{ "{sys.executable}" -c "$1" "$2" {tmp_path}/out & }}; '
        "while [ $(ls | wc -l) -lt $((before + 3)) ] && kill -0 $!; do sleep 0.1; done; kill -KILL $!; ls | wc -l"
    )
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", inside, "sh", ENDLESS, tiny_folder("bert")],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    first, _, second = result.stdout.partition("going\n")[2].partition("going\n")
    assert "StorageError The disk of" in first, result.stdout + result.stderr
    assert "is full. Make room and run the same again" in first
    assert "part-000000.parquet" in first
    parts = first.count("part-")
    assert int(second.split()[-1]) > parts + 2


@pytest.mark.slow
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
        env=ENVIRONMENT | {"MALLOC_ARENA_MAX": "1"},  # each arena would reserve some of what is limited
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
