"""Parts made by a Ray cluster, a real one of two nodes on this machine: the same folder, whatever happens."""

import importlib.util
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import layerscope as ls
from layerscope.engine.precision import cast, name_of
from layerscope.engine.reader import Reader
from layerscope.engine.replicas import Replicas
from layerscope.errors import CheckpointError, InputError, MissingExtraError, StorageError
from layerscope.extraction.extract import extract
from layerscope.extraction.extractor import Extractor, ExtractorRecipe
from layerscope.extraction.ray.actor import PartActor
from layerscope.extraction.ray.cluster import on_ray
from layerscope.extraction.table import Columns
from layerscope.loading.recipe import NEEDS, Recipe
from layerscope.network.memory import Budget
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import pooling
from manifests import parts_of, read_manifest
from tiny import build

ray = pytest.importorskip("ray")
cloudpickle = pytest.importorskip("ray.cloudpickle")

# Ray leaves sockets and pipes of the processes it started to the garbage collector, and tells of changes to come.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]

ROWS = 100
AHEAD = 1000  # of an iterator so many rows are looked at before anything is made
TEXTS = [f"Number {number} is {'very ' * (number % 9)}fine." for number in range(1640)] + ["", "The end."]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each; the name of the cluster's address."""
    from ray.cluster_utils import Cluster

    two = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 1 << 27},
    )
    two.add_node(num_cpus=1, object_store_memory=1 << 27)
    yield two
    two.shutdown()


@pytest.fixture(scope="module")
def connected(cluster):
    """The driver's connection, kept over the tests; so the user's own, which is left alone."""
    ray.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
    yield cluster
    assert ray.is_initialized()
    ray.shutdown()


@pytest.fixture(scope="module")
def bert(tiny_folder):
    return ls.load(tiny_folder("bert"), device="cpu")


@pytest.fixture(scope="module")
def expected(bert, tmp_path_factory):
    """The manifest and the files that the local engine makes."""
    return contents(run(bert, tmp_path_factory.mktemp("local") / "out", "local"))


def run(model, out, engine="ray", source=TEXTS, features=("mean@1:", "tokens@-1"), **more):
    extract(model, source, out, features, part_rows=ROWS, engine=engine, progress=False, **more)
    return out


def contents(out):
    manifest = read_manifest(out)
    # An iterator is called another name than a list; nothing else may differ.
    del manifest["about"]["corpus"]
    files = {
        path.name: path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in (".lock", "_manifest.json")
    }
    return manifest, files


def workers(cluster):
    """The processes of actors that are there now."""
    raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
    children = [child for pid in raylets for child in psutil.Process(pid).children(recursive=True)]
    return [child for child in children if PartActor.__name__ in title(child)]


def title(process):
    with suppress(psutil.Error):  # it may have ended by now
        return " ".join(process.cmdline())
    return ""


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def test_same_bytes_from_a_generator_that_only_the_driver_has(connected, bert, expected, tmp_path):
    places, waiting = set(), []

    def source():
        for number, text in enumerate(TEXTS):
            if number >= AHEAD and number % ROWS == 0:
                waiting.append(number // ROWS - len(parts_of(tmp_path / "out")))
                places.update(process.ppid() for process in workers(connected))
            yield text

    assert contents(run(bert, tmp_path / "out", source=source())) == expected
    assert len(places) == 2
    # Two actors have two each, and one part is ready; what is recorded just now is read late.
    assert max(waiting) <= 7
    until(lambda: not workers(connected))


def test_worker_killed_in_the_middle(connected, bert, expected, tmp_path):
    killed = []

    def source():
        for number, text in enumerate(TEXTS):
            if number == AHEAD + 2 * ROWS:
                victim = until(lambda: workers(connected))[0]
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)
            yield text

    assert contents(run(bert, tmp_path / "out", source=source())) == expected
    assert len(killed) == 1


class UnpluggedError(Exception):
    pass


def until_unplugged():
    yield from TEXTS[: AHEAD + ROWS + 2]
    raise UnpluggedError


@pytest.mark.parametrize(("first", "then"), [("local", "ray"), ("ray", "local")])
def test_begun_by_one_engine_and_finished_by_the_other(connected, bert, expected, tmp_path, first, then):
    with pytest.raises(UnpluggedError):
        run(bert, tmp_path / "out", first, until_unplugged())
    begun = parts_of(tmp_path / "out")
    assert len(begun) == 11
    touched = {part["file"]: (tmp_path / "out" / part["file"]).stat().st_mtime_ns for part in begun}
    assert contents(run(bert, tmp_path / "out", then)) == expected
    for file, when in touched.items():
        assert (tmp_path / "out" / file).stat().st_mtime_ns == when


def test_errors_of_rows_are_sentences(connected, bert, tmp_path):
    with pytest.raises(
        InputError, match="^Row 7 of the corpus: The text is int 7; a text is a string"
    ) as caught:
        run(bert, tmp_path / "out", source=[*TEXTS[:7], 7, *TEXTS[7:]], on_error="raise")
    assert type(caught.value) is InputError


def test_part_that_kills_every_worker(connected, bert, tmp_path):
    @pooling("deadly")
    def deadly(states, tokens):
        import os
        import signal

        if "Number 212 " in tokens.text:
            os.kill(os.getpid(), signal.SIGKILL)
        return states.mean(axis=0)

    made = ls.open_features(run(bert, tmp_path / "out", features=["deadly@1"]))
    failed = made.to_pandas(["error"]).error.dropna()
    assert failed.loc[212].startswith("a worker dies of it again and again")
    assert list(failed.index) == [212]
    with pytest.raises(InputError, match="^Row 212 of the corpus: a worker dies of it"):
        run(bert, tmp_path / "raised", features=["deadly@1"], on_error="raise")
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".writing")]


def test_stop(connected, bert, tmp_path, monkeypatch):
    def passed(self, texts, tokens):
        if len(parts_of(tmp_path / "out")) >= 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("layerscope.progress.Bar.passed", passed)
    with pytest.raises(KeyboardInterrupt):
        run(bert, tmp_path / "out", source=(f"Text {number}." for number in range(10_000)))
    there = parts_of(tmp_path / "out")
    assert 2 <= len(there) < 20
    assert all((tmp_path / "out" / part["file"]).exists() for part in there)
    until(lambda: not workers(connected))


def spec(model, dtype="float32"):
    """What an actor would be told."""
    columns = Columns.of(model, [Feature.parse("mean@1")], pa.schema([]), False, "float32")
    extractor = Extractor(Reader(model, "window", "row"), Replicas(cast(model, dtype)), columns, Budget(64))
    return ExtractorRecipe.of(extractor, Recipe.of(model))


def test_changed_model(connected, tiny_folder, tmp_path):
    changed = ls.load(tiny_folder("bert"), device="cpu")
    changed.hf.get_input_embeddings().weight.data[5] += 1
    with pytest.raises(
        InputError, match="is not the model here: parameters_sha256 is .* a path that all of them see"
    ):
        run(changed, tmp_path / "out")


def set_window(model):
    model.tokenizer.model_max_length = 20


def set_norm(model):
    model.hf.config.layer_norm_eps = 0.1


def set_activation(model):
    model.hf.bert.encoder.layer[0].intermediate.intermediate_act_fn = torch.nn.ReLU()


@pytest.mark.parametrize(
    ("change", "field"),
    [(set_window, "context_window"), (set_norm, "configuration"), (set_activation, "modules")],
)
def test_changes_that_no_weight_shows(tiny_folder, change, field):
    changed = ls.load(tiny_folder("bert"), device="cpu")
    change(changed)
    with pytest.raises(
        InputError, match=f"is not the model here: {field}.* is .*, and here .*{re.escape(NEEDS)}"
    ):
        spec(changed).recipe.load("cpu")


def gguf(tiny_folder, tmp_path):
    spec = importlib.util.spec_from_file_location(
        "gguf_files", Path(__file__).parents[2] / "loading/test_gguf.py"
    )
    files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(files)
    return ls.load(files.as_gguf(tmp_path / "tiny.gguf"), device="cpu")


def bfloat16(tiny_folder, tmp_path):
    return ls.load(tiny_folder("gpt2"), dtype="bfloat16", device="cpu")


def relative(tiny_folder, tmp_path):
    return ls.load(os.path.relpath(tiny_folder("gpt2")), device="cpu")


def bundled(tiny_folder, tmp_path):
    return ls.load(device="cpu")


@pytest.mark.parametrize("how", [gguf, bfloat16, relative, bundled])
def test_ways_of_loading(tiny_folder, tmp_path, monkeypatch, how):
    model = how(tiny_folder, tmp_path)
    sent = pickle.loads(cloudpickle.dumps(spec(model, name_of(model) if how is gguf else "float16")))
    monkeypatch.chdir(tmp_path)  # an actor is elsewhere
    made = sent.make("cpu")
    assert (made.model.name, name_of(made.model)) == (model.name, sent.dtype)


def test_task_head(tiny_folder):
    with pytest.warns(ls.errors.NewHeadWarning):
        model = ls.load(tiny_folder("bert"), task="text-classification", device="cpu")
    with pytest.raises(InputError, match=f"{re.escape(NEEDS)}$"):
        spec(model).make("cpu")


def test_folder_that_is_gone(tiny_folder, tmp_path):
    there = build("bert", tmp_path / "here")
    sent = spec(ls.load(there, device="cpu"))
    there.rename(tmp_path / "there")
    with pytest.raises(CheckpointError, match=f"^In another process: There is no folder .*{NEEDS}$"):
        sent.make("cpu")


def test_folder_that_is_not_shared(connected, bert, tmp_path, monkeypatch):
    """Another machine sees another folder at the same path: here one whose manifest is not the driver's."""
    monkeypatch.setattr("layerscope.store.folder.Folder.sum", lambda self, place: (0, "0" * 64))
    with pytest.raises(StorageError, match="needs a folder or an object store that all machines share"):
        run(bert, tmp_path / "out")


def test_another_cluster_than_the_connected_one(connected, bert, tmp_path):
    with pytest.raises(InputError, match="is connected to the Ray cluster at .*, not 10.9.8.7:1"):
        run(bert, tmp_path / "out", address="10.9.8.7:1")


def test_wrapped_model(bert):
    with pytest.raises(InputError, match="was not loaded by Layerscope. Other processes need a model"):
        on_ray(ls.wrap(bert.hf, bert.tokenizer), ls.open_corpus(TEXTS), None)


def test_without_ray(bert, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"This needs ray.*pip install ray$"):
        on_ray(bert, ls.open_corpus(TEXTS), None)


def test_client_address(bert):
    with pytest.raises(InputError, match="ray://head:10001 is a client's address; give host:port"):
        on_ray(bert, ls.open_corpus(TEXTS), "ray://head:10001")


SCRIPT = """
import logging, os, signal, sys
import layerscope as ls
from layerscope.extraction.extract import extract
from pathlib import Path

model, out = ls.load(Path(sys.argv[1]), device="cpu"), sys.argv[2]
extract(model, [], out + "-nothing", engine="ray", progress=False)
import ray
if len(sys.argv) > 3:
    try:
        extract(model, ["One."], out + "-other", engine="ray", address="127.0.0.1:9", progress=False)
    except ls.LayerscopeError as error:
        print(error)
extract(model, eval(sys.stdin.read()), out, ["mean@1:", "tokens@-1"], part_rows=100, engine="ray", progress=False,
        address=sys.argv[3] if len(sys.argv) > 3 else None)
assert not ray.is_initialized()
"""


def script(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["OMP_NUM_THREADS"] = "1"  # as many as here, for the same last bits
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        input=repr(TEXTS),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_cluster_of_its_own(tiny_folder, expected, tmp_path):
    """Started here and ended again, without a word on the terminal."""
    ended = script(tiny_folder("bert"), tmp_path / "out")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert contents(tmp_path / "out") == expected


def test_a_cluster_by_its_address(cluster, tiny_folder, expected, tmp_path):
    ended = script(tiny_folder("bert"), tmp_path / "out", cluster.address)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "No Ray cluster answers at 127.0.0.1:9: Connection refused.\n"
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("kind", ["documents", "parquet"])
def test_actors_read_the_corpus_themselves(connected, bert, tmp_path, kind):
    """Only references travel; what is there is compared with the corpus by the actors, too."""
    texts = TEXTS[:260]
    if kind == "documents":
        source = tmp_path / "texts"
        source.mkdir()
        for number, text in enumerate(texts):
            (source / f"{number:03d}.txt").write_text(text)
    else:
        source = tmp_path / "texts.parquet"
        pq.write_table(pa.table({"text": texts}), source, row_group_size=7)
    corpus = ls.open_corpus(source, segment="document" if kind == "documents" else "line")
    assert corpus.is_seekable
    local, out = (contents(run(bert, tmp_path / engine, engine, corpus)) for engine in ("local", "ray"))
    assert local == out
    (tmp_path / "ray" / "part-000001.parquet").unlink()
    assert contents(run(bert, tmp_path / "ray", "ray", corpus)) == local
    (tmp_path / "ray" / "part-000002.parquet").unlink()
    texts[150] = "Another text, but as many of them."
    if kind == "documents":
        (source / "150.txt").write_text(texts[150])
    else:
        pq.write_table(pa.table({"text": texts}), source, row_group_size=7)
    corpus = ls.open_corpus(source, segment="document" if kind == "documents" else "line")
    with pytest.raises(StorageError, match="its rows 100 to 199 differ from those of part-000001.parquet"):
        run(bert, tmp_path / "ray", "ray", corpus)
