"""The registry's HTTP server: persistent connections, a thread for each, and bodies that are streamed."""

from __future__ import annotations

import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import Condition, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_PIECE = 1 << 18
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]+)[ \t]*(?:;.*)?\r?\n")


@dataclass(frozen=True)
class Request:
    """A request whose body has not been read.

    Attributes:
        headers: looked up in any case.
        body: its pieces, as they arrive. What is not read of it is thrown away.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: Iterator[bytes]

    @property
    def has_body(self) -> bool:
        """Whether there is anything to read."""
        return "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"


@dataclass(frozen=True)
class Extent:
    """A part of a file."""

    path: Path
    first: int
    length: int


@dataclass(frozen=True)
class Answer:
    """What is answered; a body in memory, or from disk."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Extent = b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = _PIECE

    server: _Server

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self._body()
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), self.headers, body)
        answer = self.server.answer(request)
        # A client that is still sending would take a closed connection for the answer.
        for _ in body:
            pass
        self._send(answer)

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815  the base's names
    do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's signature
        """Docker clients try TLS first, each time; it is answered as a bad request, and nobody need know."""

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        return self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.rfile.read1(min(length, _PIECE))
            if not piece:
                raise ConnectionAbortedError("the client hung up before the end of the body")
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = _CHUNK_SIZE.fullmatch(self.rfile.readline(1024))
            if size is None:
                raise ConnectionAbortedError("the client hung up, or sent what is no chunk")
            length = int(size[1], 16)
            if length == 0:
                break
            yield from self._exactly(length)
            self.rfile.readline(1024)
        while self.rfile.readline(_PIECE).strip():
            pass  # trailers say nothing here

    def _send(self, answer: Answer) -> None:
        body = answer.body
        length = body.length if isinstance(body, Extent) else len(body)
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD" or not length:
            return
        if isinstance(body, Extent):
            with body.path.open("rb") as file:
                self.connection.sendfile(file, body.first, body.length)
        else:
            self.wfile.write(body)


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[Request], Answer], broke: Callable[[BaseException], None]) -> None:
        self.answer = answer
        self._broke = broke
        self._changed = Condition()
        self._connections: set[Any] = set()
        self._stopping = False
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])

    def serve(self) -> None:
        while not self._stopping:
            self.handle_request()

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            if self._stopping:
                return
            self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._changed:
                self._connections.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  the base's signature
        """A fault of the registry's own: the client finds the connection closed, and somebody is told."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            traceback.print_exception(error)
            self._broke(error)

    def end(self) -> None:
        with self._changed:
            self._stopping = True
        # It waits for a connection, and looks up only when there is one.
        socket.create_connection(("127.0.0.1", self.port)).close()

    def hang_up(self) -> None:
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue
            self._changed.wait_for(lambda: not self._connections, 10)


class RegistryServer:
    """Serves ``answer`` on a free port of this machine's own address, from when it is made until ``stop``.

    Args:
        broke: called with what ``answer`` raises.
    """

    def __init__(self, answer: Callable[[Request], Answer], broke: Callable[[BaseException], None]) -> None:
        self._server = _Server(answer, broke)
        self.host = f"127.0.0.1:{self._server.port}"
        self._thread = Thread(target=self._server.serve, name="localcloud-ecr", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more, close every connection, and wait for what is being answered."""
        self._server.end()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
