"""Hub ids, against a real small Hub on this machine, in processes of their own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tiny
from hub_server import Hub, Repository, serving
from tampering import copied, pickled, sharded

pytestmark = pytest.mark.slow

# Loads what it is told to, one after the other, and writes what came of it; prints nothing.
SCRIPT = """
import json, sys, time
from layerscope.loading.checkpoint import load
from layerscope.errors import LayerscopeError
results = []
for name, options in json.loads(sys.argv[1]):
    started = time.monotonic()
    try:
        model = load(name, **options)
        weight = float(next(model.hf.parameters()).sum())
        result = {"kind": type(model.hf).__name__, "revision": model.source.revision, "weight": weight}
    except LayerscopeError as error:
        cause = type(error.__cause__).__name__
        result = {"error": type(error).__name__, "says": str(error), "cause": cause}
    results.append(result | {"seconds": time.monotonic() - started})
with open(sys.argv[2], "w") as file:
    json.dump(results, file)
"""

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class Machine:
    """A home of its own for what is downloaded, and the address of a Hub."""

    home: Path
    endpoint: str
    offline: bool = False

    def load(self, *loads: tuple[str, dict[str, Any]]) -> Results:
        """What came of each load, in one process at a terminal, to which it is not to write anything."""
        out = self.home.parent / f"{self.home.name}.json"
        own = {name: it for name, it in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
        places = {"HF_HOME": str(self.home), "HF_ENDPOINT": self.endpoint, "no_proxy": "127.0.0.1"}
        written, terminal = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(loads), str(out)],
            env={**own, **places, "HF_HUB_OFFLINE": "1" if self.offline else "0"},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        assert (_all(written), process.wait(timeout=60)) == ("", 0)
        return list(json.loads(out.read_text()))


def _all(terminal: int) -> str:
    """What was written to a terminal until it is closed."""
    read = b""
    try:
        while more := os.read(terminal, 4096):
            read += more
    except OSError:  # how Linux says that nobody has it open any more
        pass
    os.close(terminal)
    return read.decode()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("repositories")
    main = tiny.build("bert", root / "main")
    (main / "onnx").mkdir()
    for other in (
        "onnx/model.onnx",
        "onnx/config.json",
        "tf_model.h5",
        "pytorch_model.bin",
        "adapter_config.json",
        "README.md",
    ):
        (main / other).write_bytes(b"not to be downloaded")
    (root / "gguf").mkdir()
    (root / "gguf" / "tiny.Q4_1.gguf").write_bytes(b"GGUF")
    return {
        "main": main,
        "old": tiny.build("bert", root / "old", seed=1),
        "pickled": pickled(tiny.build("bert", root / "pickled")),
        "sharded": sharded(tiny.build("llama", root / "sharded")),
        "gguf": root / "gguf",
    }


@pytest.fixture(scope="module")
def hub(folders: dict[str, Path]) -> Iterator[Hub]:
    repositories = {
        "org/bert": Repository({"main": folders["main"], "old": folders["old"]}),
        "org/pickled": Repository({"main": folders["pickled"]}),
        "org/pickles": Repository({"main": folders["pickled"]}),
        "org/sharded": Repository({"main": folders["sharded"]}),
        "org/cut": Repository({"main": folders["old"]}, cut=True),
        "org/gguf": Repository({"main": folders["gguf"]}),
        "org/gated": Repository({"main": folders["main"]}, (403, "GatedRepo", ""), at="files"),
        "org/closed": Repository({"main": folders["main"]}, (403, "GatedRepo", "")),
        "org/private": Repository({"main": folders["main"]}, (401, "RepoNotFound", "Repository not found")),
        "org/forbidden": Repository({"main": folders["main"]}, (403, "", "Not from here")),
    }
    with serving(repositories) as running:
        yield running


@dataclass(frozen=True)
class Downloaded:
    home: Path
    elsewhere: Path
    results: Results


@pytest.fixture(scope="module")
def downloaded(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Downloaded:
    root = tmp_path_factory.mktemp("machine")
    home, elsewhere = root / "home", root / "elsewhere"
    results = Machine(home, hub.address).load(
        ("org/bert", {}),
        ("org/bert", {"revision": "old"}),
        ("org/bert", {"revision": hub.repositories["org/bert"].commit("old")}),
        ("org/sharded", {"cache_dir": str(elsewhere), "token": False}),
        ("org/pickles", {"allow_pickle": True}),
        ("org/bert", {}),
    )
    return Downloaded(home, elsewhere, results)


def refusing_address() -> str:
    """Of a port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_downloading_at_a_revision(downloaded: Downloaded, hub: Hub) -> None:
    newest, old, exact, parts, pickles, again = downloaded.results
    bert = hub.repositories["org/bert"]
    assert [newest["kind"], parts["kind"], pickles["kind"]] == [
        "BertForPreTraining",
        "LlamaForCausalLM",
        "BertForPreTraining",
    ]
    assert newest["revision"] == again["revision"] == bert.commit("main")
    assert old["revision"] == exact["revision"] == bert.commit("old")
    assert newest["weight"] == again["weight"] != old["weight"] == exact["weight"]


def test_only_what_is_read_is_downloaded_and_only_once(
    downloaded: Downloaded, hub: Hub, folders: dict[str, Path]
) -> None:
    fetched = [
        line.removeprefix("GET /") for line in hub.asked if line.startswith("GET") and "/resolve/" in line
    ]
    assert len(fetched) == len(set(fetched))
    of_bert = {line.rpartition("/")[2] for line in fetched if line.startswith("org/bert/")}
    assert of_bert == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    of_sharded = {line.rpartition("/")[2] for line in fetched if line.startswith("org/sharded/")}
    assert {path.name for path in folders["sharded"].glob("model*")} <= of_sharded


def test_a_cache_elsewhere(downloaded: Downloaded) -> None:
    assert (downloaded.elsewhere / "models--org--sharded").is_dir()
    assert not (downloaded.home / "hub" / "models--org--sharded").exists()


def test_what_is_not_there_or_not_allowed(hub: Hub, tmp_path: Path) -> None:
    missing, revision, gated, closed, private, forbidden, gguf, pickles, cut = Machine(
        tmp_path / "home", hub.address
    ).load(
        ("org/nothing", {}),
        ("org/bert", {"revision": "v9"}),
        ("org/gated", {}),
        ("org/closed", {}),
        ("org/private", {}),
        ("org/forbidden", {}),
        ("org/gguf", {}),
        ("org/pickled", {}),
        ("org/cut", {}),
    )
    nowhere = "There is no folder {0} here and no model {0} on the Hub. If it is private, log in with: hf auth login"
    assert missing["says"] == nowhere.format("org/nothing")
    assert missing["cause"] == "RepositoryNotFoundError"
    assert private["says"] == nowhere.format("org/private")
    assert revision["says"] == "The model org/bert on the Hub has no revision v9."
    assert revision["cause"] == "RevisionNotFoundError"
    for one in (gated, closed):
        assert "is gated: accept its terms" in one["says"]
        assert one["cause"] == "GatedRepoError"
    assert forbidden["says"] == "org/forbidden could not be fetched: the Hub answered 403 (Not from here)."
    assert gguf["says"].endswith("give the path of its file, such as tiny.Q4_1.gguf, on this machine.")
    for one in (missing, revision, gated, closed, private, forbidden, gguf, cut):
        assert one["error"] == "CheckpointError"
    assert cut["says"].startswith("The download of org/cut broke off: ")
    assert cut["says"].endswith(". Loading it again goes on from there.")
    assert pickles["error"] == "UntrustedError"
    assert "allow_pickle=True" in pickles["says"]
    assert not any("org/pickled/resolve/" in line for line in hub.asked)


def test_the_conversion_of_pickles_is_never_started(downloaded: Downloaded, hub: Hub) -> None:
    asked = {line.partition("org/pickles")[2].split("/")[1] for line in hub.asked if "org/pickles/" in line}
    assert asked <= {"revision", "tree", "resolve"}  # no commits or discussions, which is where it begins


def test_a_hub_that_cannot_be_reached(downloaded: Downloaded, hub: Hub) -> None:
    address = refusing_address()
    results = Machine(downloaded.home, address).load(*without_network(hub))
    check_without_network(
        results, downloaded.results, f"the Hub cannot be reached at {address}", "ConnectError"
    )


def test_offline(downloaded: Downloaded, hub: Hub, folders: dict[str, Path]) -> None:
    others, half = (downloaded.home / "hub" / f"models--org--{name}" for name in ("others", "half"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    for cached in (others, half):
        (cached / "refs").mkdir(parents=True)
        (cached / "refs" / "main").write_text(commit)
        copied(folders["old"], cached / "snapshots" / commit)
    (half / "snapshots" / commit / "model.safetensors").unlink()
    *results, by_others, local, without = Machine(downloaded.home, "http://127.0.0.1:1", offline=True).load(
        *without_network(hub),
        ("org/others", {}),
        ("org/others", {"local_files_only": True}),
        ("org/half", {}),
    )
    check_without_network(
        results, downloaded.results, "offline mode is on (HF_HUB_OFFLINE)", "OfflineModeIsEnabled"
    )
    assert by_others["revision"] == commit
    assert by_others["weight"] == local["weight"] == downloaded.results[1]["weight"]
    assert (
        without["says"]
        == "org/half has no weights that can be read: there is no model.safetensors, whole or in parts."
    )


def without_network(hub: Hub) -> list[tuple[str, dict[str, Any]]]:
    commit = hub.repositories["org/bert"].commit("old")
    revisions: list[dict[str, Any]] = [{}, {"revision": "old"}, {"revision": commit}, {"revision": "v9"}]
    return [*(("org/bert", revision) for revision in revisions), ("org/nothing", {})]


def check_without_network(results: Results, online: Results, why: str, cause: str) -> None:
    newest, old, exact, version, nothing = results
    assert [it["weight"] for it in (newest, old, exact)] == [it["weight"] for it in online[:3]]
    assert (
        nothing["says"]
        == f"org/nothing is neither a folder nor among the models downloaded before, and {why}."
    )
    assert version["says"].startswith("org/bert at revision v9 is neither")
    assert version["cause"] == nothing["cause"] == cause
    assert all(it["seconds"] < 10 for it in results)  # no long series of tries
