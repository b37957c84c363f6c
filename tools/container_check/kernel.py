"""What the kernel tells of processes, in the words of proc(5). Pure."""

from __future__ import annotations

import ipaddress
import re
import signal
from dataclasses import dataclass

_LISTENS = "0A"
# A network that somebody made brings a name server of the engine's into each of its containers.
_OF_ENGINE = "127.0.0.11"
_MASK = re.compile(r"^(?P<name>Sig\w+):\s*(?P<mask>[0-9a-f]+)$", re.MULTILINE)
# rt_sigtimedwait on x86-64.
_WAITS_FOR_SIGNALS = "128"
_SIGTERM = 1 << (signal.SIGTERM - 1)


@dataclass(frozen=True)
class Listener:
    """A socket that listens."""

    address: str
    port: int

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens on every address."""
        return ipaddress.ip_address(self.address).is_unspecified

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def listeners(table: str) -> tuple[Listener, ...]:
    """The sockets that listen, of ``/proc/<pid>/net/tcp`` or ``tcp6``."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 3 and columns[3] == _LISTENS:
            address, _, port = columns[1].partition(":")
            listener = Listener(_address(address), int(port, 16))
            if listener.address != _OF_ENGINE:
                found.append(listener)
    return tuple(found)


def _address(written: str) -> str:
    """Words of four bytes, each as a little-endian machine writes it."""
    words = [bytes.fromhex(written[at : at + 8])[::-1] for at in range(0, len(written), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def hears_sigterm(status: str, syscall: str) -> bool:
    """Whether a process handles SIGTERM, or waits for signals.

    Process 1 of a container gets no signal that it does not handle: pid_namespaces(7). Who has it blocked
    takes it with sigwait, as tini does, or as a file. While it waits in the former, it is not blocked.

    Args:
        status: its ``/proc/<pid>/status``.
        syscall: its ``/proc/<pid>/syscall``.
    """
    if syscall.split(" ", 1)[0] == _WAITS_FOR_SIGNALS:
        return True
    masks = {found["name"]: int(found["mask"], 16) for found in _MASK.finditer(status)}
    return bool((masks.get("SigCgt", 0) | masks.get("SigBlk", 0)) & _SIGTERM)
