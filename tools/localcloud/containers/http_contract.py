"""The HTTP side of the hosting contract: ``GET /ping`` and ``POST /invocations``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """An invocation. Header values are None where the header is missing."""

    body: bytes
    content_type: str
    accept: str | None


@dataclass(frozen=True)
class Response:
    """What is answered to it."""

    body: bytes
    content_type: str
    status: int = 200


class Refusal(Exception):
    """The container answers with an error of its own choice."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Invocation = Callable[[Request], Response]


class _Server(ThreadingHTTPServer):
    # What has been asked when SIGTERM comes is still answered.
    daemon_threads = False
    invoke: Invocation
    workers: ThreadPoolExecutor


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._send(Response(b"", "text/plain", 200 if self.path == "/ping" else 404))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/invocations":
            self._send(Response(b"", "text/plain", 404))
            return
        request = Request(body, self.headers.get("Content-Type", ""), self.headers.get("Accept"))
        self._send(_outcome(self.server.workers.submit(self.server.invoke, request)))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's signature
        if self.path != "/ping":
            print(f"{self.address_string()} {format % args}", flush=True)


def _outcome(future: Future[Response]) -> Response:
    """The answer, or what was raised instead of it as an answer: the server lives on."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Refusal):
        return Response(str(error).encode(), "text/plain", error.status)
    traceback.print_exception(error)
    sys.stderr.flush()
    return Response(str(error).encode(), "text/plain", 500)


def _end_with_stdin() -> None:
    """Whoever started this process holds its standard input open for as long as he lives."""
    # Not through sys.stdin: its buffer's lock would hold up the interpreter's end for a second.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def serve(load: Callable[[], Invocation]) -> None:
    """Load the model, then answer until SIGTERM. What ``load`` raises ends the process."""
    if os.environ.get("LOCALCLOUD_ENDS_WITH_STDIN"):
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    invoke = load()
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = _Server(("127.0.0.1", port), _Handler, bind_and_activate=False)
    if bound := os.environ.get("LOCALCLOUD_BOUND_SOCKET"):
        server.socket.close()
        server.socket = socket.socket(fileno=int(bound))
    else:
        server.server_bind()
    server.server_activate()
    server.invoke = invoke
    server.workers = ThreadPoolExecutor(4)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"serving on port {port}", flush=True)
    server.serve_forever(0.05)
    server.server_close()
