"""Machines and drivers come and go, on file systems and object stores: in the end the same folder as of a local run."""

import functools
import os
import queue
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import driver
import fsspec
import pandas as pd
import pytest
from driver import FEATURES, ROWS, unhurried

import layerscope as ls
from layerscope.store.manifest import NAME

ray = pytest.importorskip("ray")

# Ray leaves sockets and pipes of the processes it started to the garbage collector, and tells of changes to come.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TIMES = 10
TABLE = pd.DataFrame(
    {"text": [f"Number {number} is {'very ' * (number % 9)}fine." for number in range(2010)]}
).assign(number=range(2010))


@pytest.fixture(scope="module")
def cluster(object_store):
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    two = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": False,
            "object_store_memory": 1 << 27,
            # A machine that does not answer is given up after two seconds, not after half a minute.
            "_system_config": {"health_check_period_ms": 1000, "health_check_failure_threshold": 2},
        },
    )
    two.machines = [add(two)]
    yield two
    two.shutdown()


def add(cluster):
    return cluster.add_node(num_cpus=1, object_store_memory=1 << 27)


def contents(out):
    """What is in a folder, by name; who reads which corpus is not part of it."""
    files, root = fsspec.url_to_fs(str(out))
    files.invalidate_cache()
    found = {path.removeprefix(root): files.cat_file(path) for path in files.find(root)}
    return {
        name: b"".join(line for line in content.splitlines(True) if b'"name": ' not in line)
        if name.endswith(NAME)
        else content
        for name, content in found.items()
        if not name.endswith(".lock")
    }


@pytest.fixture(scope="module")
def expected(bert, tmp_path_factory):
    """The folder that a local run makes, without the waits."""
    from layerscope.reduce.pooling import POOLINGS

    ls.pooling("unhurried")(functools.partial(unhurried, seconds=0))
    out = tmp_path_factory.mktemp("local") / "out"
    ls.extract(bert, TABLE, out, FEATURES, text="text", keep=["number"], part_rows=ROWS, progress=False)
    del POOLINGS["unhurried"]
    return contents(out)


def test_nodes_leave_and_join(cluster, bert, expected, tmp_path):
    """Of four nodes one is killed with all its processes and a new one joins, ten times in a run, at random moments."""
    cluster.machines += [add(cluster), add(cluster)]
    chance, turns = random.Random(7), queue.Queue()

    def source():
        for row in TABLE.to_dict("records"):
            if row["number"] % 180 == 179 and row["number"] < 180 * TIMES:
                turns.put(row["number"])
                turns.join()  # until the last change is made
            yield row

    def run():
        more = {"text": "text", "keep": ["number"], "part_rows": ROWS, "progress": False}
        ls.extract(bert, source(), tmp_path / "out", FEATURES, engine="ray", **more)

    ls.pooling("unhurried")(unhurried)
    ray.cloudpickle.register_pickle_by_value(driver)
    ray.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
    try:
        with ThreadPoolExecutor(1) as pool:  # since a node can only be started by the main thread
            running = pool.submit(run)
            for _ in range(TIMES):
                turns.get()
                turns.task_done()
                time.sleep(chance.uniform(0, 2))
                left = cluster.machines.pop(chance.randrange(len(cluster.machines)))
                cluster.remove_node(left, allow_graceful=False)
                time.sleep(chance.uniform(0, 2))
                cluster.machines.append(add(cluster))
            running.result()
    finally:
        ray.shutdown()
        while len(cluster.machines) > 1:
            cluster.remove_node(cluster.machines.pop())
    assert contents(tmp_path / "out") == expected


def killed(out, arguments, environment, chance):
    """Whether a driver was killed some time after it had recorded a part more."""
    files, root = fsspec.url_to_fs(str(out))
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("driver.py"), *map(str, arguments)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with process:

        def lists():
            files.invalidate_cache()
            found = files.glob(f"{root}/_parts/*.jsonl")
            return files.cat(found) if found else {}

        before = lists()
        while process.poll() is None and lists() == before:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        errors = process.stderr.read().decode()
        assert process.wait() in (0, -signal.SIGKILL), errors
    return process.returncode != 0


@pytest.mark.parametrize("where", ["a file system", "an object store"])
def test_driver_killed(cluster, bert, expected, tiny_folder, tmp_path, object_store, where):
    """Ten times, at a random moment each; the actors read the corpus themselves."""
    if where == "a file system":
        source, out = tmp_path / "corpus.parquet", tmp_path / "out"
    else:
        source, out = "s3://corpora/corpus.parquet", "s3://corpora/out"
    TABLE.to_parquet(str(source), row_group_size=150)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [tiny_folder("bert"), source, out, cluster.address]
    kills, chance = 0, random.Random(3)
    while kills < TIMES:
        assert killed(out, arguments, environment, chance), f"it ended after {kills} kills"
        kills += 1
    command = [sys.executable, Path(__file__).with_name("driver.py"), *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    assert contents(out) == expected
