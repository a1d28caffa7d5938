"""A small Hub on 127.0.0.1: the few addresses that huggingface_hub asks for when it downloads a model.

`serving({"org/name": Repository({"main": folder})})` gives a `Hub` with its address and a list of what was
asked of it; give the address as HF_ENDPOINT to the process that is to use it.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Repository:
    """A model: a folder for each branch. `refuses` is a status, the Hub's code and its words; `at` where it is said.

    `cut` closes the connection in the middle of every file of weights.
    """

    branches: dict[str, Path]
    refuses: tuple[int, str, str] | None = None
    at: str = "api"
    cut: bool = False

    def commit(self, revision: str) -> str | None:
        known = {
            branch: hashlib.sha1(str(folder).encode()).hexdigest() for branch, folder in self.branches.items()
        }
        return known.get(revision, revision if revision in known.values() else None)

    def folder(self, commit: str) -> Path:
        return next(self.branches[branch] for branch in self.branches if self.commit(branch) == commit)


@dataclass
class Hub:
    repositories: dict[str, Repository]
    address: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(repositories: dict[str, Repository]) -> Iterator[Hub]:
    hub = Hub(repositories)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        for pattern, answer in (
            (r"/api/models/([\w.-]+/[\w.-]+)(?:/revision/([^/]+))?", self.info),
            (r"/api/models/([\w.-]+/[\w.-]+)/tree/([^/]+)", self.tree),
            (r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", self.file),
        ):
            if match := re.fullmatch(pattern, path):
                return answer(*match.groups())
        return self.refuse(404, "EntryNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def info(self, name: str, revision: str | None) -> None:
        if found := self.found(name, revision or "main", "api"):
            commit, folder = found
            files = [{"rfilename": file} for file in _files(folder)]
            self.answer_json({"id": name, "sha": commit, "private": False, "tags": [], "siblings": files})

    def tree(self, name: str, revision: str) -> None:
        if found := self.found(name, revision, "api"):
            _, folder = found
            listed = [
                {
                    "type": "file",
                    "path": file,
                    "size": (folder / file).stat().st_size,
                    "oid": _oid(folder / file),
                }
                for file in _files(folder)
            ]
            self.answer_json(listed)

    def file(self, name: str, revision: str, file: str) -> None:
        if found := self.found(name, revision, "files"):
            commit, folder = found
            if not (folder / file).is_file():
                return self.refuse(404, "EntryNotFound")
            headers = {"ETag": f'"{_oid(folder / file)}"', "X-Repo-Commit": commit}
            cut = self.hub.repositories[name].cut and file.startswith("model")
            self.answer((folder / file).read_bytes(), headers, cut=cut)
        return None

    def found(self, name: str, revision: str, at: str) -> tuple[str, Path] | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self.refuse(404, "RepoNotFound")
        elif repository.refuses is not None and repository.at == at:
            self.refuse(*repository.refuses)
        elif (commit := repository.commit(revision)) is None:
            self.refuse(404, "RevisionNotFound")
        else:
            return commit, repository.folder(commit)
        return None

    def refuse(self, status: int, code: str, words: str = "") -> None:
        said = {"X-Error-Code": code, "X-Error-Message": words}
        self.answer(b"", {name: value for name, value in said.items() if value}, status)

    def answer_json(self, value: object) -> None:
        # A warning as the Hub sends to those who are not logged in: it is to reach nobody's terminal.
        headers = {"Content-Type": "application/json", "X-HF-Warning": "auth; You are not logged in."}
        self.answer(json.dumps(value).encode(), headers)

    def answer(self, body: bytes, headers: dict[str, str], status: int = 200, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut

    def log_message(self, *args: object) -> None:
        """Nothing: what was asked is in `Hub.asked`."""


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
