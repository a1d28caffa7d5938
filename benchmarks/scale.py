"""What many parts and many machines cost the one process that deals and records them.

    python benchmarks/scale.py [--only NAME] [--texts N] [--workers N]

record: 50,000 parts are listed one by one, and opened. driver: a real cluster of two nodes on this machine; what the
driver does for a part of 64 texts of 100, 1,000 and 10,000 characters, which actors read themselves, or are sent.
ways: the same parts made by the local engine, by the scheduler, and by an actor pool of Ray Data. billion: simulated,
the real scheduler, record and folder over a cluster by discrete events (`simulated_ray.py`), driver's doings included.
Results are printed and written to benchmarks/results/scale.json with a description of the machine.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

import layerscope as ls
from core import machine
from layerscope.extraction.ray.scheduler import Scheduler
from layerscope.extraction.tasks import references
from layerscope.progress import Bar
from layerscope.store.folder import Folder
from layerscope.store.manifest import Manifest
from layerscope.store.part import Part, part_file
from layerscope.store.record import Record
from simulated_ray import SHA256, TOKENS, Cluster

RESULTS = Path(__file__).parent / "results" / "scale.json"
PART_ROWS = 4096
PARTS = 50_000

# What ray.wait took for a reference here, measured with 16,000 calls under way (Ray 2.60).
A_REFERENCE = 0.6e-6


def manifest():
    settings = {
        "model": {},
        "features": ["mean@-1"],
        "columns": {"mean_6": {"feature": "mean@-1", "width": 384}},
        "dtype": "float32",
        "column_dtype": "float32",
        "long_texts": {},
        "corpus": {"id": None},
        "schema": {"text": "large_string", "mean_6": "fixed_size_list<item: float>[384]"},
        "on_error": "row",
        "part_rows": PART_ROWS,
    }
    return Manifest(settings, {"model": {"name": "simulated"}, "precision_check": None})


def part(number):
    return Part(part_file(number), number * PART_ROWS, PART_ROWS, PART_ROWS * TOKENS, 0, 0, SHA256, SHA256)


def record():
    """Listing parts one by one: the first thousand, the last, and opening them all."""
    with tempfile.TemporaryDirectory() as out:
        folder = Folder.at(out)
        record, seconds = Record(folder, manifest()), []
        for number in range(PARTS):
            start = time.perf_counter()
            record.add([part(number)])
            seconds.append(time.perf_counter() - start)
        record.complete()
        start = time.perf_counter()
        features = ls.open_features(out)
        opening = time.perf_counter() - start
        assert len(features.manifest.parts) == PARTS
        first, last = (statistics.mean(some) * 1000 for some in (seconds[:1000], seconds[-1000:]))
        return {
            "parts": PARTS,
            "ms_a_part_first_1000": round(first, 2),
            "ms_a_part_last_1000": round(last, 2),
            "ratio": round(last / first, 2),
            "opening_seconds": round(opening, 2),
        }


def billion(texts, workers):
    """The schedule, lists and folder of so many texts by so many workers: simulated, in a process of its own."""
    command = [sys.executable, __file__, "--child", "--texts", str(texts), "--workers", str(workers)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def simulate(texts, workers, seconds=10.0, deaths=5000):
    """Half of it, then, as after a kill, opened and taken up again, to the end."""
    out = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
    folder, count = Folder.at(out), -(-texts // PART_ROWS)
    begun, found = manifest(), {"texts": texts, "workers": workers, "parts": count, "seconds_a_part": seconds}
    found["memory_mb_before"] = peak()

    def run(todo, most, record):
        ray = Cluster(workers, seconds, deaths, out, A_REFERENCE)
        spec = SimpleNamespace(
            extractor=SimpleNamespace(recipe=SimpleNamespace(source=SimpleNamespace(name="")))
        )
        writes = 0

        def made(parts):
            nonlocal writes
            writes += 1
            record.add(parts)
            if record.totals["parts"] >= most:
                raise KeyboardInterrupt

        scheduler = Scheduler(ray, spec, {}, workers, made, lambda rows, tokens: None)
        ray.since = time.perf_counter()
        with contextlib.suppress(KeyboardInterrupt):
            scheduler.make(todo, count)
        return ray, writes

    ray, writes = run(references(texts, PART_ROWS, []), count // 2, Record(folder, begun))
    made = ray.made
    found |= {
        "driver_ms_a_part": round(1000 * ray.busy / made, 2),
        "driver_busy": round(ray.busy / ray.clock, 3),
        "parts_a_second": round(made / ray.clock, 1),
        "parts_a_write": round(made / writes, 2),
        "deaths": ray.died,
        "hours": round(ray.clock / 3600, 2),
        "memory_mb_half": peak(),
    }
    start = time.perf_counter()
    before = folder.read_manifest()
    found["opening_seconds_half"] = round(time.perf_counter() - start, 2)
    again = Record(folder, before)
    todo = references(texts, PART_ROWS, again.before.parts)
    first = next(todo)
    found["resuming_seconds"] = round(time.perf_counter() - start, 2)
    assert first.before is not None
    rest = (task for task in todo if task.before is None)  # comparing is the workers' work
    ray, _ = run(rest, texts, again)
    again.complete()
    found["driver_ms_a_part_second_half"] = round(1000 * ray.busy / ray.made, 2)
    found["memory_mb"] = peak()
    start = time.perf_counter()
    features = ls.open_features(out)
    found["opening_seconds"] = round(time.perf_counter() - start, 2)
    assert len(features) == texts
    start = time.perf_counter()
    assert not folder.lost(features.manifest.parts)
    found["listing_seconds"] = round(time.perf_counter() - start, 2)
    shutil.rmtree(out)
    return found


def peak():
    """The most memory of this process so far, in MB; that of getrusage is also its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


class Cluster2:
    """A real cluster of two nodes of one CPU each."""

    def __enter__(self):
        import ray
        from ray.cluster_utils import Cluster as Real

        node = {"num_cpus": 1, "object_store_memory": 1 << 28}
        self.cluster = Real(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        self.cluster.add_node(**node)
        ray.init(self.cluster.address, log_to_driver=False, logging_level="CRITICAL")
        return self

    def __exit__(self, *_):
        import ray

        ray.shutdown()
        self.cluster.shutdown()


def texts_of(model, characters, count):
    words = [word for word in model.tokenizer.get_vocab() if word.isascii() and word.isalpha()]
    line = " ".join(words)
    return [line[(at := 37 * number % 10_000) : at + characters] for number in range(count)]


def driver(model, rows=64, parts=24):
    """CPU milliseconds of the driver for a part, by the length of texts; read by actors, or sent to them."""
    found = {}
    with Cluster2(), tempfile.TemporaryDirectory() as folder:
        for characters in (100, 1000, 10_000):
            texts = texts_of(model, characters, rows * parts)
            path = Path(folder, f"{characters}.parquet")
            pq.write_table(pa.table({"text": texts}), path, row_group_size=rows)
            for how, source in (("read", path), ("sent", texts)):
                spent = []
                out = Path(folder, f"{how}-{characters}")
                more = {"part_rows": rows, "long": "cut", "engine": "ray", "progress": False}
                with at_each_part(
                    lambda spent=spent: spent.append((time.process_time(), time.perf_counter()))
                ):
                    ls.extract(model, source, out, ["mean@0"], **more)
                # From the first part that is recorded to the last: no starting of actors.
                cpu, wall = (
                    1000 * (last - first) / (parts - 1)
                    for first, last in zip(spent[0], spent[-1], strict=True)
                )
                found[f"{how}_{characters}"] = {"driver_cpu_ms": round(cpu, 1), "wall_ms": round(wall)}
    return found


def ways(model, rows=128, parts=60):
    """Seconds from the first part to the last: the scheduler, and an actor pool of Ray Data with the same actors."""
    texts = texts_of(model, 400, rows * parts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.parquet")
        pq.write_table(pa.table({"text": texts}), path, row_group_size=rows)
        found = {"parts": parts}
        with Cluster2():
            for name, make in (("scheduler", by_scheduler), ("ray_data", by_ray_data)):
                found[name] = round(make(model, path, Path(folder, name), rows), 1)
        return found


def by_scheduler(model, path, out, rows):
    times = []
    with at_each_part(lambda: times.append(time.perf_counter())):
        ls.extract(model, path, out, ["mean@-1"], part_rows=rows, engine="ray", progress=False)
    return times[-1] - times[0]


@contextlib.contextmanager
def at_each_part(call):
    """Call something whenever parts were recorded."""
    was = Bar.made

    def made(self, rows):
        call()
        was(self, rows)

    Bar.made = made
    try:
        yield
    finally:
        Bar.made = was


def by_ray_data(model, path, out, rows):
    import ray.data

    from layerscope.extraction.extract import open_corpus
    from layerscope.extraction.extractor import ExtractorRecipe
    from layerscope.extraction.job import settle
    from layerscope.extraction.ray.actor import PartActor, Spec
    from layerscope.extraction.settings import Settings
    from layerscope.loading.recipe import Recipe
    from layerscope.store.manifest import NAME

    corpus = open_corpus(path)
    settings = Settings.of(["mean@-1"], corpus.asked, part_rows=rows)
    job = settle(model, corpus, next(corpus.chunks(rows)), settings, None)
    folder = Folder.at(out)
    folder.make()
    record = Record(folder, job.manifest)
    spec = Spec(
        extractor=ExtractorRecipe.of(job.extractor, Recipe.of(model)),
        device="cpu",
        threads=1,
        corpus=corpus,
        folder=folder,
        manifest_sha256=folder.sum(folder.path(NAME))[1],
    )

    class Maker(PartActor):
        def __init__(self):
            self.begin(spec)

        def __call__(self, batch):
            return {"part": [self.make(task, {}, None).to_line() for task in batch["item"]]}

    todo = list(references(corpus.count, rows, []))
    made = ray.data.from_items(todo, override_num_blocks=len(todo)).map_batches(
        Maker, batch_size=1, concurrency=2, num_cpus=1
    )
    times = []
    for row in made.iter_rows():
        record.add([Part.from_line(row["part"])])
        times.append(time.perf_counter())
    record.complete()
    return times[-1] - times[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("record", "driver", "ways", "billion"))
    parser.add_argument("--texts", type=int, default=1_000_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(simulate(asked.texts, asked.workers)))
        return
    model = ls.load(device="cpu")
    measures = {
        "record": record,
        "driver": lambda: driver(model),
        "ways": lambda: ways(model),
        "billion": lambda: billion(asked.texts, asked.workers),
    }
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results = {**before, "machine": machine()}
    for name, measure in measures.items():
        if asked.only in (None, name):
            results[name] = measure()
            print(name, json.dumps(results[name], indent=2))
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
