"""The EFS file systems in which the users of domains have their homes."""

from __future__ import annotations

from collections.abc import Mapping
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
        found = self._efs.send("GET", _PATH)["FileSystems"]
        if any(each["FileSystemId"] == file_system for each in found):
            self._efs.send("DELETE", f"{_PATH}/{file_system}")
