"""The names of a job's hosts, for a host that is a process: Python imports this module when it starts.

A container has a network of its own, in which ``algo-1`` is a name. Processes of one machine share theirs. So
the hosts have the addresses 127.0.x.1, 127.0.x.2 and so on, all of which are this machine, and this module
puts the address in the place of the name wherever Python's socket module is given one. Whoever listens on
every address listens on his host's own, or two hosts could not listen on the same port.

Nothing of it reaches libraries that open sockets without Python.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

_ADDRESSES: dict[str, str] = json.loads(os.environ.get("LOCALCLOUD_HOSTS", "{}"))
_OWN_NAME = os.environ.get("LOCALCLOUD_HOST", "")
_EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - to replace it


def _address(host: Any) -> Any:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return _ADDRESSES.get(name, host) if isinstance(name, str) else host


def _resolved(address: Any) -> Any:
    """The address of a socket with the host's address in it, if it is one of the network."""
    return (_address(address[0]), *address[1:]) if isinstance(address, tuple) and address else address


def _install_names() -> None:
    resolve, by_name, by_name_ex = socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex
    changes: dict[str, Any] = {
        "getaddrinfo": lambda host, *args, **kwargs: resolve(_address(host), *args, **kwargs),
        "gethostbyname": lambda hostname: by_name(_address(hostname)),
        "gethostbyname_ex": lambda hostname: by_name_ex(_address(hostname)),
        "gethostname": lambda: _OWN_NAME,
    }
    for name, function in changes.items():
        setattr(socket, name, function)


def _install_addresses() -> None:
    bind, connect, connect_ex = socket.socket.bind, socket.socket.connect, socket.socket.connect_ex
    own = _ADDRESSES[_OWN_NAME]

    def bound(self: socket.socket, address: Any, /) -> None:
        found = _resolved(address)
        if self.family == socket.AF_INET and isinstance(found, tuple) and found[0] in _EVERY_ADDRESS:
            found = (own, *found[1:])
        bind(self, found)

    changes: dict[str, Any] = {
        "bind": bound,
        "connect": lambda self, address: connect(self, _resolved(address)),
        "connect_ex": lambda self, address: connect_ex(self, _resolved(address)),
    }
    for name, method in changes.items():
        setattr(socket.socket, name, method)


if _OWN_NAME in _ADDRESSES:
    _install_names()
    _install_addresses()
