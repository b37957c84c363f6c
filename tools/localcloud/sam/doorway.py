"""The way from a container to a server that listens on this machine's loopback only."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, Self

from localcloud.engine import Engine
from localcloud.errors import LocalCloudError

_CHUNK = 1 << 16


def bridge_gateway(engine: Engine) -> str:
    """The address of this machine in the network that containers are in, unless they are told another.

    Raises:
        NoEngineError: there is no engine.
    """
    told: Mapping[str, Any] = engine.client.networks.get("bridge").attrs
    configs = [each for each in told["IPAM"]["Config"] if ":" not in each["Subnet"]]
    # Engines before 23 tell no gateway that they have chosen themselves: it is the network's first address.
    chosen = configs[0].get("Gateway")
    return str(chosen or next(ipaddress.ip_network(configs[0]["Subnet"]).hosts()))


class Doorway:
    """Listens on the bridge's gateway, and passes every connection on to a port of 127.0.0.1.

    Args:
        port: of the server on loopback.

    Attributes:
        url: what containers call.

    Raises:
        NoEngineError: there is no engine.
        LocalCloudError: the gateway is no address of this machine.
    """

    def __init__(self, engine: Engine, port: int) -> None:
        gateway = bridge_gateway(engine)
        try:
            self._server = _Server((gateway, 0), port)
        except OSError as error:
            raise LocalCloudError(
                f"containers cannot reach this machine: {gateway}, the gateway of the engine's network "
                f"'bridge', cannot be listened on ({error.strerror}); use an engine that runs on this "
                "machine itself, and not in a virtual one"
            ) from error
        self.url = f"http://{gateway}:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="doorway", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let nobody in any more. Whoever is in stays until one side hangs up."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], port: int) -> None:
        self.port = port
        super().__init__(address, _Passing)


class _Passing(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.port)) as beyond:
            back = Thread(target=_pass, args=(beyond, self.request), daemon=True)
            back.start()
            _pass(self.request, beyond)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, and at its end the end; the other direction goes on."""
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
