"""A web server on this machine that publishes small files, and misbehaves on request."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files by path, the faults still to be played on each, and the requests that came."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    ranges: bool = True
    tags: bool = True

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for asked, _ in self.requests)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, self.path.partition("?")[0]
        wanted = self.headers.get("Range", "")
        site.requests.append((path, wanted))
        faults = site.faults.get(path, [])
        fault = faults.pop(0) if faults else ""
        if fault[:3].isdigit():
            self.send_response(int(fault[:3]))
            self.send_header("Content-Length", "0")
            if ":" in fault:
                self.send_header("Retry-After", fault.partition(":")[2])
            self.end_headers()
            return
        if fault == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        body = site.files.get(path) or site.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        fresh = self.headers.get("If-Range") in (None, tag)
        if wanted and site.ranges and fresh and fault != "ignore range":
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if site.tags:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if fault == "cut":
            rest = rest[: len(rest) // 2]
        if fault == "garble":
            rest = rest[:-4] + b"oops"
        try:
            for at in range(0, len(rest), 4096):
                self.wfile.write(rest[at : at + 4096])
                if fault == "stall" and at >= len(rest) // 2:
                    self.wfile.flush()
                    time.sleep(1.0)
        except OSError:
            pass


@contextmanager
def serving() -> Iterator[Site]:
    """Serve on a free port of this machine."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
