"""Where clients come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boto3 import Session

    __all__ = ["Session", "of_this_process"]


def of_this_process() -> Session:
    """The session that the process's own environment describes: on Lambda, the function's role."""
    import boto3

    return boto3.Session()
