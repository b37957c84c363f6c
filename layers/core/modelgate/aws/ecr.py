"""The account's own images in Amazon ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.aws.errors import translated
from modelgate.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


class EcrImages:
    """A `modelgate.ports.Images`."""

    def __init__(self, client: ECRClient) -> None:
        self._client = client

    def digest(self, repository: str, tag: str) -> str | None:
        try:
            with translated("DescribeImages"):
                answer = self._client.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except NotFound:
            return None
        return answer["imageDetails"][0]["imageDigest"]
