"""The account's own images in the local cloud's ECR."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING, call
from tests.integration.test_local_cloud_small_stack import small_stack

ECR = "arn:aws:ecr:eu-central-1:123456789012:repository"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def manifest(config: str) -> str:
    """An image's manifest, with nothing but its config to tell it from others."""
    described = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": config}
    return json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described, "layers": []}, sort_keys=True
    )


def digest(text: str) -> str:
    """The digest of a text, as registries write it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_an_image_is_found_by_its_tag_and_its_digest_is_that_of_its_manifest(tmp_path: Path) -> None:
    first, second = manifest(digest("1")), manifest(digest("2"))
    with small_stack(tmp_path) as cloud:
        ecr = cloud.client("ecr")
        ecr.create_repository(repositoryName="trees/iris")

        def put(content: str, tag: str) -> None:
            ecr.put_image(repositoryName="trees/iris", imageManifest=content, imageTag=tag)

        def found(**image: str) -> tuple[str, list[str]]:
            (told,) = ecr.describe_images(repositoryName="trees/iris", imageIds=[image])["imageDetails"]
            return told["imageDigest"], told.get("imageTags", [])

        put(first, "1.0")
        put(second, "2.0")
        put(second, "latest")
        assert found(imageTag="1.0") == (digest(first), ["1.0"])
        assert (
            found(imageTag="latest")
            == found(imageDigest=digest(second))
            == (digest(second), ["2.0", "latest"])
        )
        put(first, "latest")
        assert found(imageTag="latest")[0] == digest(first)
        (image,) = ecr.batch_get_image(repositoryName="trees/iris", imageIds=[{"imageTag": "2.0"}])["images"]
        assert image["imageManifest"] == second
        with pytest.raises(ecr.exceptions.ImageNotFoundException):
            found(imageTag="3.0")
        with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
            ecr.describe_images(repositoryName="none")
        with pytest.raises(ClientError, match="failed to satisfy constraint"):
            ecr.describe_images(repositoryName="Trees")


def test_a_function_needs_permission_for_the_repository_whose_images_it_looks_at(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        ecr = cloud.client("ecr")
        for name in ("trees", "nets"):
            ecr.create_repository(repositoryName=name)
            ecr.put_image(repositoryName=name, imageManifest=manifest(digest("1")), imageTag="1.0")
        asked = {"repositoryName": "trees", "imageIds": [{"imageTag": "1.0"}]}
        denied = call(cloud, "ecr", "describe_images", **asked)
        assert f"perform: ecr:DescribeImages on resource: {ECR}/trees because" in denied["message"]

        statement = {"Effect": "Allow", "Action": "ecr:DescribeImages", "Resource": f"{ECR}/trees"}
        cloud.client("iam").put_role_policy(
            RoleName=cloud.function("Worker").role,
            PolicyName="images",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        assert call(cloud, "ecr", "describe_images", **asked)["code"] == "ok"
        other = call(cloud, "ecr", "describe_images", **{**asked, "repositoryName": "nets"})
        assert other["code"] == "AccessDeniedException"
        elsewhere = call(cloud, "ecr", "describe_images", **asked, registryId="111122223333")
        assert "ecr:eu-central-1:111122223333:repository/trees" in elsewhere["message"]
