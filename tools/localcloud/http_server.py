"""An HTTP/1.1 server with persistent connections, a thread for each, for one WSGI application."""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Lock, Thread
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.datastructures import Headers
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.test import run_wsgi_app

from localcloud.errors import LocalCloudError

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _Handler(MotoRequestHandler):
    """Keeps the connection open between requests, which is most of what a call costs otherwise.

    werkzeug closes it after each, because it cannot know how much of a body was read; here each body
    is read whole before the application sees it.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower().strip() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self._body(environ))
        environ["wsgi.input_terminated"] = True
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
            self._send(b"".join(chunks), status, headers)
        except ConnectionError:  # the client hung up, or the answer is to be lost
            self.close_connection = True

    def _body(self, environ: dict[str, Any]) -> bytes:
        stream = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH")
        if length:
            return bytes(stream.read(int(length)))
        if not environ.get("wsgi.input_terminated"):
            return b""
        body = bytes(stream.read())
        environ["CONTENT_LENGTH"] = str(len(body))
        return body

    def _send(self, body: bytes, status: str, headers: Headers) -> None:
        self.send_response_only(int(status.split(" ", 1)[0]))
        told_length = headers.get("Content-Length") if self.command == "HEAD" else None
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date"}:
                self.send_header(name, value)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", told_length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, app: WsgiApp, broke: Callable[[BaseException], None]) -> None:
        self._broke = broke
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(host, port, app, handler=_Handler)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  the base's signature
        """A fault of the application's own: the client finds the connection closed, and somebody is told."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            traceback.print_exception(error)
            self._broke(error)

    def hang_up(self) -> None:
        """Close what clients keep open; their threads end with it."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                continue


def _refuse_taken(port: int) -> None:
    """werkzeug ends the process over a port that is taken; it is told here instead."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise LocalCloudError(f"the port {port} cannot be had: {error.strerror}") from error


class HttpServer:
    """Serves ``app`` on a port of this machine's own address, from when it is made until ``stop``.

    Args:
        broke: called with what the application raises.

    Raises:
        LocalCloudError: the port is taken.
    """

    def __init__(self, app: WsgiApp, port: int, broke: Callable[[BaseException], None]) -> None:
        if port:
            _refuse_taken(port)
        self._server = _Server("127.0.0.1", port, app, broke)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.02,), name="localcloud-http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Serve no more, and close every connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
