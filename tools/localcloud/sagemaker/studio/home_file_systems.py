"""The EFS file systems in which the users of domains have their homes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.moto_requests import MotoRequests

_TAG = "ManagedByAmazonSageMakerResource"
_PATH = "/2015-02-01/file-systems"


class HomeFileSystems:
    """Makes and deletes them."""

    def __init__(self, efs: MotoRequests) -> None:
        self._efs = efs

    def create(self, domain_arn: str, content: Mapping[str, Any]) -> str:
        """A new file system for a domain; its id."""
        key = content.get("KmsKeyId") or content.get("HomeEfsFileSystemKmsKeyId")
        answer = self._efs.send(
            "POST",
            _PATH,
            {
                "CreationToken": domain_arn.rpartition("/")[2],
                "Encrypted": True,
                "Tags": [{"Key": _TAG, "Value": domain_arn}],
                **({"KmsKeyId": key} if key else {}),
            },
        )
        return str(answer["FileSystemId"])

    def delete(self, file_system: str) -> None:
        """All homes in it are lost; one that somebody has deleted is no matter."""
        if file_system in self._ids():
            self._efs.send("DELETE", f"{_PATH}/{file_system}")

    def _ids(self) -> Iterator[str]:
        """All file systems, which moto tells in pages of ten."""
        more: str | None = ""
        while more is not None:
            page = self._efs.send("GET", f"{_PATH}{more}")
            yield from (each["FileSystemId"] for each in page["FileSystems"])
            more = f"?Marker={page['NextMarker']}" if page.get("NextMarker") else None
