"""The names of what an attempt makes. They carry its number and are never used again."""

from __future__ import annotations

import hashlib

MAX_NAME = 63


def name_of(group: str, version: int, attempt: int) -> str:
    """The name of the attempt's model and of its endpoint config: ``<group>-v<version>-<attempt>``.

    A group's name that leaves no room is cut, and what was cut off is told apart by a digest.
    """
    suffix = f"-v{version}-{attempt}"
    room = MAX_NAME - len(suffix)
    if len(group) > room:
        digest = hashlib.sha256(group.encode()).hexdigest()[:6]
        group = f"{group[: room - 7].rstrip('-')}-{digest}"
    return f"{group}{suffix}"
