"""The account's own images in Amazon ECR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelgate.aws.errors import translated
from modelgate.builds.findings import Scan
from modelgate.errors import AlreadyExists, NotFound, Problem, Refused
from modelgate.names import STACK_TAG
from modelgate.ports import Image

if TYPE_CHECKING:
    from typing import Any, Literal

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import EncryptionConfigurationTypeDef, ImageDetailTypeDef

_CACHES = "modelgate-cache/"
# ScanStatus in the Amazon ECR API Reference. ACTIVE is Amazon Inspector's, which scans on and on.
_PENDING = {"PENDING", "IN_PROGRESS"}
_COMPLETE = {"COMPLETE", "ACTIVE"}
# What lost its tag is no image that anybody was told of, and of a cache the layers of yesterday.
_UNTAGGED_IMAGE_DAYS = 30
_UNTAGGED_LAYERS_DAYS = 1


class EcrImages:
    """A `modelgate.ports.Images`.

    Args:
        client: the ECR client.
        stack: the value of the stack's tag on what is made.
        kms_key_arn: the key for repositories that are made; empty for ECR's own.
    """

    def __init__(self, client: ECRClient, stack: str, kms_key_arn: str = "") -> None:
        self._client = client
        self._stack = stack
        self._encryption: EncryptionConfigurationTypeDef = {"encryptionType": "AES256"}
        if kms_key_arn:
            self._encryption = {"encryptionType": "KMS", "kmsKey": kms_key_arn}

    def find(self, repository: str, which: str) -> Image | None:
        named: Any = {"imageDigest" if which.startswith("sha256:") else "imageTag": which}
        try:
            with translated("DescribeImages"):
                answer = self._client.describe_images(repositoryName=repository, imageIds=[named])
        except NotFound:
            return None
        return _image(repository, answer["imageDetails"][0])

    def newest(self, repository: str) -> Image | None:
        found: list[ImageDetailTypeDef] = []
        try:
            with translated("DescribeImages"):
                pages = self._client.get_paginator("describe_images").paginate(
                    repositoryName=repository, filter={"tagStatus": "TAGGED"}
                )
                for page in pages:
                    found += page["imageDetails"]
        except NotFound:
            return None
        last = max(found, key=lambda each: each["imagePushedAt"], default=None)
        return _image(repository, last) if last else None

    def home(self, repository: str) -> str | None:
        found = self._repository(repository)
        return found[0] if found else None

    def make_home(self, repository: str) -> str:
        return self._make(repository, "IMMUTABLE", _UNTAGGED_IMAGE_DAYS)

    def make_cache(self, repository: str) -> str:
        return self._make(_CACHES + repository, "MUTABLE", _UNTAGGED_LAYERS_DAYS)

    def _make(self, name: str, mutability: Literal["MUTABLE", "IMMUTABLE"], days: int) -> str:
        found = self._repository(name) or self._create(name, mutability)
        uri, arn = found
        with translated("ListTagsForResource"):
            tags = self._client.list_tags_for_resource(resourceArn=arn)["tags"]
        if {"Key": STACK_TAG, "Value": self._stack} not in tags:
            what = "is a repository that somebody else made, and builds may push to the stack's own only"
            mend = f"choose another name, or give the repository the tag {STACK_TAG}={self._stack}"
            raise Refused(Problem(f"ECR: {name}", what, mend))
        # Each time: who made the repository may have died before this.
        with translated("PutLifecyclePolicy"):
            self._client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=_expiring(days))
        return uri

    def _repository(self, name: str) -> tuple[str, str] | None:
        """Its URI and its ARN."""
        try:
            with translated("DescribeRepositories"):
                answer = self._client.describe_repositories(repositoryNames=[name])
        except NotFound:
            return None
        found = answer["repositories"][0]
        return found["repositoryUri"], found["repositoryArn"]

    def _create(self, name: str, mutability: Literal["MUTABLE", "IMMUTABLE"]) -> tuple[str, str]:
        try:
            with translated("CreateRepository"):
                made = self._client.create_repository(
                    repositoryName=name,
                    imageTagMutability=mutability,
                    imageScanningConfiguration={"scanOnPush": mutability == "IMMUTABLE"},
                    encryptionConfiguration=self._encryption,
                    tags=[{"Key": STACK_TAG, "Value": self._stack}],
                )["repository"]
        except AlreadyExists:
            found = self._repository(name)
            if found is None:
                raise
            return found
        return made["repositoryUri"], made["repositoryArn"]


def _image(repository: str, found: ImageDetailTypeDef) -> Image:
    return Image(
        repository=repository,
        digest=found["imageDigest"],
        tags=tuple(found.get("imageTags", ())),
        size=found.get("imageSizeInBytes", 0),
        pushed_at=found["imagePushedAt"],
        scan=_scan(found),
    )


def _scan(found: ImageDetailTypeDef) -> Scan | None:
    status = found.get("imageScanStatus", {})
    word: str = status.get("status", "")
    if not word:
        return None
    if word in _PENDING:
        return Scan("pending", {})
    counts = found.get("imageScanFindingsSummary", {}).get("findingSeverityCounts", {})
    if word in _COMPLETE:
        return Scan("complete", {str(severity): count for severity, count in counts.items()})
    return Scan("failed", {}, " ".join(filter(None, (word, status.get("description", "")))))


def _expiring(days: int) -> str:
    """Amazon ECR User Guide, "Lifecycle policies". What has a tag may serve, and is never deleted."""
    rule = {
        "rulePriority": 1,
        "description": "What has no tag any more",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": days,
        },
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})
