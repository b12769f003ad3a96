"""A model hub on this machine: as much of Hugging Face's API as its client needs to fetch a model."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(kw_only=True)
class Hub:
    """A running hub.

    Args:
        models: name -> folder with its files.
        gated: names of the models that it refuses to give.
        broken: whether it answers 503 to everything.
    """

    models: Mapping[str, Path]
    gated: frozenset[str] = frozenset()
    broken: bool = False
    url: str = ""
    #: Files that were sent, as NAME/FILE.
    sent: list[str] = field(default_factory=list)


@contextmanager
def hub(
    models: Mapping[str, Path], *, gated: frozenset[str] = frozenset(), broken: bool = False
) -> Iterator[Hub]:
    """A hub with the revision `main` of these models."""
    made = Hub(models=models, gated=gated, broken=broken)

    class Handler(_Handler):
        hub = made

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.hub.broken:
            self._send(503, b"{}")
            return
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith("api/models/"):
            self._describe(path.removeprefix("api/models/"))
        else:
            self._give(path)

    do_HEAD = do_GET

    def _describe(self, path: str) -> None:
        """`/api/models/NAME/revision/REVISION` and `/api/models/NAME/tree/COMMIT`."""
        what = "/tree/" if "/tree/" in path else "/revision/"
        name, _, revision = path.partition(what)
        if name not in self.hub.models:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif what == "/revision/":
            self._send(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())
        else:
            files = [
                {
                    "type": "file",
                    "path": str(file.relative_to(self.hub.models[name])),
                    "size": file.stat().st_size,
                    "oid": _digest(file),
                }
                for file in sorted(self.hub.models[name].rglob("*"))
                if file.is_file()
            ]
            self._send(200, json.dumps(files).encode())

    def _give(self, path: str) -> None:
        """`/NAME/resolve/COMMIT/FILE`."""
        name, _, rest = path.partition("/resolve/")
        if name not in self.hub.models:
            self._send(404, b"{}")
            return
        file = self.hub.models[name] / rest.partition("/")[2]
        if name in self.hub.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        if self.command == "GET":
            self.hub.sent.append(f"{name}/{file.name}")
        self._send(200, file.read_bytes(), {"ETag": f'"{_digest(file)}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
