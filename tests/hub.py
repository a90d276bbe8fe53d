"""A server on this machine that stands for the Hugging Face hub, for tests of downloads: what a client asks, and what it is told."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "0123456789abcdef0123456789abcdef01234567"
PLACE = re.compile(r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
API = re.compile(r"/api/(?P<repo>datasets/[^/]+/[^/]+)/(?P<what>revision|tree)/(?P<revision>[^/?]+)(?:/(?P<folder>[^?]*))?(?:\?.*)?")
REFUSALS = {"GatedRepo": 403, "RepoNotFound": 401, "EntryNotFound": 404, "RevisionNotFound": 404}


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    range: str
    token: str


@dataclass
class Hub:
    """What the server has, how it fails, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)  # by "owner/name/file", "datasets/owner/name/file"; any other path as it is
    refuse: str = ""  # one of REFUSALS: to everybody
    token: str = ""  # without it nobody gets anything
    break_after: int = 0  # bytes of the next answer, whose connection is then closed; 0: whole
    licence: str = ""  # that the cards of data sets state
    gated: bool = False  # what its data sets are
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""

    def gets(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "GET" and "/api/" not in asked.path]


def told(hub: Hub, asked: re.Match[str]) -> bytes | None:
    """What the hub's interface says of a data set: its commit and files, or those of a folder with their sizes."""
    start = f"{asked['repo']}/"
    files = {name.removeprefix(start): content for name, content in hub.files.items() if name.startswith(start)}
    if not files:
        return None
    if asked["what"] == "revision":
        answer = {"id": start, "sha": REVISION, "siblings": [{"rfilename": name} for name in files], "gated": hub.gated}
        answer |= {"cardData": {"license": hub.licence}} if hub.licence else {}
    else:
        folder = f"{asked['folder']}/" if asked["folder"] else ""
        inside = {name: content for name, content in files.items() if name.startswith(folder) and "/" not in name[len(folder) :]}
        answer = [{"type": "file", "path": name, "size": len(content), "oid": "0" * 40} for name, content in inside.items()]
    return json.dumps(answer).encode()


@contextmanager
def serve() -> Iterator[Hub]:
    """The server runs as long as the context."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            token = self.headers.get("Authorization", "")
            hub.asked.append(Asked(self.command, self.path, self.headers.get("Range", ""), token))
            found, api = PLACE.fullmatch(self.path), API.fullmatch(self.path)
            content = hub.files.get(f"{found['repo']}/{found['file']}" if found else self.path)
            content = told(hub, api) if api else content
            refusal = hub.refuse or ("RepoNotFound" if hub.token and token != f"Bearer {hub.token}" else "")
            refusal = refusal or ("EntryNotFound" if content is None else "")
            if refusal or content is None:
                self.send_response(REFUSALS[refusal])
                self.send_header("X-Error-Code", refusal)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = (int(asked[1]), int(asked[2] or len(content) - 1) + 1) if asked else (0, len(content))
            if asked and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if asked else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{min(end, len(content)) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content[start:end])))
            self.end_headers()
            if body:
                self.send(content[start:end])

        def send(self, content: bytes) -> None:
            cut, hub.break_after = hub.break_after, 0
            self.wfile.write(content[: cut or None])
            if cut:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()
