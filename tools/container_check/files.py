"""What a container leaves in its file system. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What programs leave behind that nobody misses: caches, logs, pid files.
_HARMLESS = re.compile(
    r"^/(tmp|var/tmp|run|var/run|var/log|var/cache|dev|proc|sys)(/|$)"
    r"|^/var/lib/(nginx|apt)(/|$)"
    r"|/(__pycache__|\.cache|\.config|\.keras|\.nv|\.triton)(/|$)"
    r"|\.pyc$"
    # The inference toolkit's: its server's settings, the model as its server takes it, and its logs.
    r"|^/(\.sagemaker|logs)(/|$)|^/etc/sagemaker-mms\.properties$"
)
_MARKS_OF_SHELLS = re.compile(r"^/root/\.\w+_history$")
_OPT_ML = re.compile(r"^/opt/ml(/|$)")


def written_outside(changes: Sequence[str]) -> tuple[str, ...]:
    """What of `docker diff` lies where it is lost, and where nobody expects it.

    Args:
        changes: the paths. A folder is among them if anything in it is.
    """
    folders = {folder for path in changes for folder in _above(path)}
    return tuple(
        sorted(
            path
            for path in changes
            if path not in folders
            and not any(rule.search(path) for rule in (_HARMLESS, _MARKS_OF_SHELLS, _OPT_ML))
        )
    )


def _above(path: str) -> list[str]:
    """The folders that a path lies in."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


def some(paths: Sequence[str], most: int = 5) -> str:
    """Paths in words."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
