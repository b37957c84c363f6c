"""Docker's own clients against the local cloud's ECR: what the machine's engine pushes, it gets back."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker import DockerClient
from docker.errors import APIError, NotFound

from localcloud import LocalCloud
from localcloud.calls import Caller
from tests.integration.test_local_cloud_small_stack import small_stack

BASE_IMAGE = "public.ecr.aws/docker/library/python:3.13-slim"
CLIENT = shutil.which("docker") or "docker"
NAME = "modelgate-test/registry"


@dataclass(frozen=True)
class Built:
    """An image that nobody else has.

    Attributes:
        id: of its config, which stays the same wherever it goes.
        secret: what stands in its last layer, and nowhere else in the engine.
    """

    id: str
    secret: bytes


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with small_stack(tmp_path_factory.mktemp("registry")) as running:
        running.client("ecr").create_repository(
            repositoryName=NAME,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
        yield running


@pytest.fixture(scope="module")
def uri(cloud: LocalCloud) -> str:
    (told,) = cloud.client("ecr").describe_repositories(repositoryNames=[NAME])["repositories"]
    return str(told["repositoryUri"])


@pytest.fixture(scope="module")
def configuration(cloud: LocalCloud, uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of Docker's command line that is logged in to the registry."""
    folder = tmp_path_factory.mktemp("docker")
    (granted,) = cloud.client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
    login = ["login", "--username", user, "--password-stdin", uri.partition("/")[0]]
    done = run(folder, *login, given=password)
    assert "Login Succeeded" in done.stdout, done.stderr
    return folder


def run(configuration: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Docker's command line; its exit code is for the test to judge."""
    command = [CLIENT, "--config", str(configuration), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


def build(engine: DockerClient, *, base: str) -> Built:
    """An image with a file of its own: random bytes, so that its layer is nowhere else."""
    secret = os.urandom(1 << 20)
    container = engine.api.create_container(base, command="true")["Id"]
    try:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("secret")
            entry.size = len(secret)
            tar.addfile(entry, io.BytesIO(secret))
        engine.api.put_archive(container, "/", archive.getvalue())
        return Built(engine.api.commit(container)["Id"], secret)
    finally:
        engine.api.remove_container(container)


def secret_in(engine: DockerClient, image: str) -> bytes:
    """The file of its own in an image."""
    container = engine.api.create_container(image, command="true")["Id"]
    try:
        pieces, _ = engine.api.get_archive(container, "/secret")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            file = tar.extractfile("secret")
            assert file is not None
            return file.read()
    finally:
        engine.api.remove_container(container)


@pytest.fixture
def built(engine: DockerClient) -> Iterator[Built]:
    made = build(engine, base=BASE_IMAGE)
    yield made
    try:
        engine.images.remove(made.id, force=True)
    except NotFound:
        return


def test_what_the_command_line_pushed_is_pulled_by_its_digest(
    cloud: LocalCloud, engine: DockerClient, configuration: Path, uri: str, built: Built
) -> None:
    engine.api.tag(built.id, uri, "command-line")
    pushed = run(configuration, "push", f"{uri}:command-line")
    assert pushed.returncode == 0, pushed.stderr
    cloud.settle()
    (told,) = cloud.client("ecr").describe_images(
        repositoryName=NAME, imageIds=[{"imageTag": "command-line"}]
    )["imageDetails"]
    assert f"digest: {told['imageDigest']}" in pushed.stdout
    assert told["imageSizeInBytes"] > len(built.secret)
    assert told["imageScanStatus"]["status"] == "COMPLETE"

    engine.images.remove(built.id, force=True)
    pulled = run(configuration, "pull", f"{uri}@{told['imageDigest']}")
    assert pulled.returncode == 0, pulled.stderr
    assert engine.images.get(f"{uri}@{told['imageDigest']}").id == built.id
    assert secret_in(engine, built.id) == built.secret


def test_what_docker_py_pushed_is_pulled_by_its_digest(
    cloud: LocalCloud, engine: DockerClient, uri: str, built: Built
) -> None:
    user = cloud._started.ecr.auth_config(Caller("arn:aws:iam::123456789012:root"))
    engine.api.tag(built.id, uri, "docker-py")
    lines = list(engine.api.push(uri, "docker-py", stream=True, decode=True, auth_config=user))
    (digest,) = [line["aux"]["Digest"] for line in lines if "aux" in line]

    engine.images.remove(built.id, force=True)
    assert engine.images.pull(uri, tag=digest, auth_config=user).id == built.id
    assert secret_in(engine, built.id) == built.secret


def test_an_immutable_tag_is_refused_in_the_words_of_ecr(
    engine: DockerClient, configuration: Path, uri: str, built: Built
) -> None:
    engine.api.tag(built.id, uri, "once")
    assert run(configuration, "push", f"{uri}:once").returncode == 0
    assert run(configuration, "push", f"{uri}:once").returncode == 0

    other = build(engine, base=built.id)
    try:
        engine.api.tag(other.id, uri, "once", force=True)
        refused = run(configuration, "push", f"{uri}:once")
    finally:
        engine.images.remove(other.id, force=True)
    assert refused.returncode == 1
    assert "tag invalid: The image tag 'once' already exists in the" in refused.stderr


def test_who_may_not_is_told_which_permission_is_missing(
    cloud: LocalCloud, engine: DockerClient, uri: str, built: Built
) -> None:
    role = cloud.outputs["ServingRole"].rpartition("/")[2]
    serving = cloud._started.ecr.auth_config(Caller(f"arn:aws:sts::123456789012:assumed-role/{role}/x", role))
    engine.api.tag(built.id, uri, "denied")
    lines = list(engine.api.push(uri, "denied", stream=True, decode=True, auth_config=serving))
    assert any("is not authorized to perform: ecr:" in line.get("error", "") for line in lines), lines
    with pytest.raises(APIError, match="is not authorized to perform: ecr:BatchGetImage"):
        engine.images.pull(uri, tag="denied", auth_config=serving)


def test_a_repository_that_does_not_exist_is_named(
    engine: DockerClient, configuration: Path, uri: str, built: Built
) -> None:
    elsewhere = f"{uri}/none"
    engine.api.tag(built.id, elsewhere, "1.0")
    refused = run(configuration, "push", f"{elsewhere}:1.0")
    assert refused.returncode == 1
    assert f"The repository with name '{NAME}/none' does not exist in the registry with id" in refused.stderr
