"""moto's image, with what ECR tells of one and moto does not. Importing this imports moto's ECR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ecr.models import Image

from localcloud.calls import ACCOUNT


class StoredImage(Image):
    """An image in a repository, still without a tag. DescribeImages tells its attributes by their names.

    Attributes:
        image_scan_status, image_scan_findings_summary: None as long as there is nothing to tell.
    """

    def __init__(self, repository: str, manifest: str, media_type: str, digest: str, size: int) -> None:
        no_tag: Any = None
        super().__init__(ACCOUNT, no_tag, manifest, repository, media_type, digest)
        self._size = size
        self.image_scan_status: Mapping[str, str] | None = None
        self.image_scan_findings_summary: Mapping[str, Any] | None = None

    def get_image_size_in_bytes(self) -> int:
        """In place of moto's, which takes the size of the config for that of the image."""
        return self._size
