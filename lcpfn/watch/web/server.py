"""Serves the page of the watched runs, to those who ask for it by the right name.

Only GET and HEAD of `/` and `/data.json` are answered, and only if the request names
the host that is served: a page of somebody else's that a browser has been lured to
cannot read the runs, not even by a name that it lets point here (DNS rebinding).
"""

import hashlib
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from lcpfn.watch.web.page import live_page, policy

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": policy(live=True) + "; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
JSON, HTML, TEXT = "application/json", "text/html; charset=utf-8", "text/plain"


class Server(ThreadingHTTPServer):
    """Answers with the page and with the newest snapshot.

    Args:
        host: address or name to listen at.
        port: 0 for any free one.
        every: seconds between two questions of the page.

    Raises:
        ValueError: if the port is taken, or nobody may listen there.
    """

    daemon_threads = True
    # Many pages may ask at the same moment.
    request_queue_size = 128

    def __init__(self, host: str, port: int, every: float) -> None:
        self.host = host
        self.page = live_page(every).encode()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"cannot listen at {host}, port {port}: {error}; give another port, "
                "or 0 for any free one"
            ) from None
        self.publish({"runs": []})

    def server_bind(self) -> None:
        """Binds without asking the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of those who went away in the middle."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Where the page is."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.server_port}/"

    def publish(self, snapshot: dict[str, Any]) -> None:
        """From now on this is what there is to see."""
        body = json.dumps(snapshot, allow_nan=False, separators=(",", ":")).encode()
        known = {name: part for name, part in snapshot.items() if name != "time"}
        tag = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        self.data = body, f'"{tag}"'

    def serves(self, host: str) -> bool:
        """Whether a Host header names this server.

        Its own name and those of the loopback; if it listens at all addresses, any
        address, which unlike a name nobody else can point here.
        """
        try:
            asked = urlsplit(f"//{host}")
            name, port = asked.hostname or "", asked.port or 80
        except ValueError:
            return False
        if port != self.server_port or asked.username is not None:
            return False
        if name in (*LOOPBACK, self.host.lower()):
            return True
        return self.host in ("0.0.0.0", "::", "") and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "lcpfn", ""
    # An older one is answered without headers.
    default_request_version = "HTTP/1.0"
    timeout = 20

    def do_GET(self) -> None:
        """The page or the data, or why not."""
        refused = self._refusal()
        path = urlsplit(self.path).path
        if refused:
            self._send(HTTPStatus.FORBIDDEN, refused.encode(), TEXT)
        elif path == "/":
            self._send(HTTPStatus.OK, self.server.page, HTML)
        elif path == "/data.json":
            body, tag = self.server.data
            if self.headers.get("If-None-Match") == tag:
                self._send(HTTPStatus.NOT_MODIFIED, b"", JSON, tag)
            else:
                self._send(HTTPStatus.OK, body, JSON, tag)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"there is only / and /data.json", TEXT)

    do_HEAD = do_GET

    def _not_allowed(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD", TEXT)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_allowed

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Refuses what is no request, with the headers of every other answer."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._send(status, status.phrase.encode(), TEXT)

    def _refusal(self) -> str | None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.serves(hosts[0]):
            return f"this server is {self.server.address}"
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            return "only its own page may ask this server"
        return None

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str, tag: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if tag:
            self.send_header("ETag", tag)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Says nothing: the terminal belongs to the watcher."""


@contextmanager
def serving(host: str, port: int, every: float) -> Iterator[Server]:
    """A server that answers in the background until the end of the block."""
    with Server(host, port, every) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
