"""Models and endpoints of images of one's own, as far as they need no Docker Engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.integration.test_local_cloud_sagemaker import Hosting, plain_artifact, refusal
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

# As the small stack, but that the execution role pulls images.
PULLS = TEMPLATE.replace(
    "Action: s3:GetObject, Resource: !Sub", "Action: [s3:GetObject, ecr:BatchGetImage], Resource: !Sub"
).replace('"${Inbox.Arn}/*"}]', '"*"}]')
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"digest": f"sha256:{'0' * 64}", "size": 1},
    "layers": [],
}


@pytest.fixture(scope="module")
def hosting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosting]:
    with (
        pytest.MonkeyPatch.context() as environment,
        small_stack(tmp_path_factory.mktemp("own-images"), template=PULLS) as cloud,
    ):
        # Nobody listens there, whatever engine this machine has.
        environment.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        yield Hosting(cloud)


@pytest.fixture(scope="module")
def image(hosting: Hosting) -> str:
    """An image in the local cloud's own ECR, by its tag. Nothing could run it."""
    ecr = hosting.cloud.client("ecr")
    uri = ecr.create_repository(repositoryName="own")["repository"]["repositoryUri"]
    ecr.put_image(repositoryName="own", imageTag="1", imageManifest=json.dumps(MANIFEST))
    return f"{uri}:1"


def test_without_an_engine_an_endpoint_fails_and_says_what_is_missing(hosting: Hosting, image: str) -> None:
    reasons = {
        image: "own@sha256:",
        "registry.example/mine:1": "The local cloud has no stand-in for the image registry.example/mine:1",
    }
    for number, name in enumerate(reasons):
        config = hosting.config(f"e-{number}", hosting.model(f"m-{number}", plain_artifact(), image=name))
        hosting.client.create_endpoint(EndpointName=config, EndpointConfigName=config)
    hosting.cloud.settle(60)
    for number, reason in enumerate(reasons.values()):
        told = hosting.client.describe_endpoint(EndpointName=f"e-{number}")
        assert told["EndpointStatus"] == "Failed"
        assert reason in told["FailureReason"]
        assert "no Docker Engine answers" in told["FailureReason"]
        assert "set DOCKER_HOST" in told["FailureReason"]


def test_a_model_needs_an_image_that_is_there(hosting: Hosting, image: str) -> None:
    missing = [image.replace(":1", ":2"), image.replace("own:1", "own"), image.replace("/own", "/none")]
    for name in [*missing, image.replace("own:1", f"own@sha256:{'1' * 64}")]:
        with pytest.raises(ClientError) as refused:
            hosting.model("missing", plain_artifact(), image=name)
        assert refusal(refused) == ("ValidationException", f"Requested image {name} not found.")


def test_a_model_needs_a_role_that_may_pull_its_image(hosting: Hosting, image: str) -> None:
    role = hosting.cloud.outputs["ServingRole"]
    hosting.cloud.client("iam").delete_role_policy(RoleName=role.rpartition("/")[2], PolicyName="serve")
    with pytest.raises(ClientError) as refused:
        hosting.model("secret", plain_artifact(), image=image)
    assert refusal(refused) == (
        "ValidationException",
        f"The role '{role}' does not have BatchGetImage permission for the image: '{image}'.",
    )
