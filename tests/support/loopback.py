"""A hub on 127.0.0.1, as far as `huggingface_hub` and `datasets` ask for one, and plain files."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Files = dict[str, bytes]


class Hub(BaseHTTPRequestHandler):
    """Models and data sets by `owner/name`, files by their path; takes uploads of a model.

    The server has `models`, `datasets` and `plain`, notes what is `asked`, `created` and
    `uploaded`, and answers the first requests of a path in `failing` with status 503.
    """

    def do_HEAD(self):
        self.respond(head=True)

    def do_GET(self):
        self.respond()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server, parts = self.server, self.path.split("/")
        if self.path == "/api/repos/create":
            server.created.append(json.loads(body)["name"])
            self.send_json({"url": f"{server.address}/owner/pushed"})
        elif self.path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            plain = {"uploadMode": "regular", "shouldIgnore": False}
            self.send_json({"files": [{"path": file["path"], **plain} for file in files]})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    server.uploaded[entry["value"]["path"]] = content
            url = f"{server.address}/owner/pushed/commit/{COMMIT}"
            self.send_json({"commitUrl": url, "commitOid": COMMIT})
        elif parts[1] == "api" and "/paths-info/" in self.path:
            files = self.repository(parts[2], "/".join(parts[3:5]))
            wanted = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
            wanted = [wanted] if isinstance(wanted, str) else wanted
            self.send_json([_entry(name, files[name]) for name in wanted if name in files])
        else:
            self.send_json({"error": "not here"}, 404)

    def repository(self, kind: str, name: str) -> Files | None:
        """The files of a model or data set, if it is there."""
        return getattr(self.server, kind).get(name) if kind in ("models", "datasets") else None

    def commit(self) -> str:
        """The commit that the path names, or the one that any branch is at."""
        found = re.search(r"/([0-9a-f]{40})(/|$)", self.path)
        return found[1] if found else COMMIT

    def respond(self, head: bool = False) -> None:
        server = self.server
        server.asked.append(self.path)
        path = unquote(urlsplit(self.path).path)
        if server.failing.get(path, 0) > 0:
            server.failing[path] -= 1
            self.send_json({"error": "busy"}, 503)
            return
        if path in server.plain:
            self.send_file(server.plain[path], head)
            return
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) >= 4:
            files = self.repository(parts[1], "/".join(parts[2:4]))
            if files is None:
                self.send_missing("RepoNotFound")
            elif "tree" in parts:
                self.send_json([_entry(name, content) for name, content in files.items()])
            else:
                name = "/".join(parts[2:4])
                siblings = [{"rfilename": file} for file in files]
                self.send_json({"id": name, "sha": self.commit(), "siblings": siblings})
            return
        kind = "datasets" if parts[0] == "datasets" else "models"
        parts = parts[1:] if kind == "datasets" else parts
        files = self.repository(kind, "/".join(parts[:2]))
        file = "/".join(parts[4:])  # owner/name/resolve/revision/file
        if files is None:
            self.send_missing("RepoNotFound")
        elif file in files:
            self.send_file(files[file], head)
        else:
            self.send_missing("EntryNotFound")

    def send_file(self, content: bytes, head: bool) -> None:
        begin, status = 0, 200
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            first, last = wanted.removeprefix("bytes=").split("-")
            begin, end = int(first), int(last or len(content) - 1) + 1
            status, whole, content = 206, len(content), content[begin:end]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{begin + len(content) - 1}/{whole}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.commit())
        self.end_headers()
        if not head:
            self.wfile.write(content)

    def send_missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_json(self, content, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""


def _entry(name: str, content: bytes) -> dict:
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}


@contextlib.contextmanager
def serve(
    models: dict[str, Files] | None = None,
    datasets: dict[str, Files] | None = None,
    plain: Files | None = None,
) -> Iterator[ThreadingHTTPServer]:
    """A server of these until the block ends; `address` says where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.models, server.datasets, server.plain = models or {}, datasets or {}, plain or {}
    server.asked, server.created, server.uploaded, server.failing = [], [], {}, {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
