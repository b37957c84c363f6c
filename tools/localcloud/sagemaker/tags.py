"""The tags of SageMaker's resources, by ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from localcloud.calls import Call, Operation, Reply
from localcloud.errors import invalid

_MOST = 50


class Tags:
    """AddTags, ListTags and DeleteTags, and what is given at creation.

    Args:
        exists: whether there is a resource with an ARN.
    """

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._lock = Lock()
        self._tags: dict[str, dict[str, str]] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"AddTags": self._add, "ListTags": self._list, "DeleteTags": self._delete}

    def of(self, arn: str) -> dict[str, str]:
        """The tags of a resource; none, if there is no such resource."""
        with self._lock:
            return dict(self._tags.get(arn, {}))

    def put(self, arn: str, tags: list[Mapping[str, str]] | None) -> None:
        """Add tags to a resource."""
        with self._lock:
            merged = self._tags.get(arn, {}) | {tag["Key"]: tag["Value"] for tag in tags or []}
            if len(merged) > _MOST:
                raise invalid(f"A resource may have at most {_MOST} tags.")
            self._tags[arn] = merged

    def forget(self, arn: str) -> None:
        """The resource is gone."""
        with self._lock:
            self._tags.pop(arn, None)

    def _add(self, call: Call) -> Reply:
        arn = self._existing(call)
        self.put(arn, call.params["Tags"])
        return Reply({"Tags": _listed(self.of(arn))})

    def _list(self, call: Call) -> Reply:
        return Reply({"Tags": _listed(self.of(self._existing(call)))})

    def _delete(self, call: Call) -> Reply:
        arn = self._existing(call)
        with self._lock:
            for key in call.params["TagKeys"]:
                self._tags.get(arn, {}).pop(key, None)
        return Reply()

    def _existing(self, call: Call) -> str:
        arn = str(call.params["ResourceArn"])
        if not self._exists(arn):
            raise invalid(f'Could not find resource "{arn}".')
        return arn


def _listed(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
