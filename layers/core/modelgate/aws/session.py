"""Where clients come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from boto3 import Session

    __all__ = ["Session", "of_this_process"]


class _CoreSession:
    """botocore's session with the one method of boto3's that is used here.

    boto3 makes the very same clients, and imports for them what only its resources and its transfers of
    files need: 8 % of a function's start.
    """

    def __init__(self) -> None:
        from botocore.session import Session

        self._core = Session()

    def client(self, service: str, **more: Any) -> Any:
        return self._core.create_client(service, **more)


def of_this_process() -> Session:
    """The session that the process's own environment describes: on Lambda, the function's role."""
    return cast("Session", _CoreSession())
