"""The local cloud's CodeBuild with the machine's Docker Engine: images, and steps that fail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from docker import DockerClient

from localcloud import LocalCloud
from tests.docker.conftest import BASE_IMAGE
from tests.integration.test_local_cloud_builds import (
    TEMPLATE,
    built,
    failure,
    log_of,
    printed,
    source,
    spec,
    upload,
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    template = tmp_path_factory.mktemp("codebuild") / "template.yaml"
    template.write_text(TEMPLATE)
    with LocalCloud(template) as running:
        yield running


@pytest.fixture
def name(engine: DockerClient) -> Iterator[str]:
    """For an image, which is gone afterwards."""
    made = f"modelgate-test-codebuild:{uuid.uuid4().hex[:12]}"
    yield made
    for image in engine.images.list(name=made):
        engine.images.remove(str(image.id), force=True)


def test_a_privileged_build_makes_an_image_of_its_source(
    cloud: LocalCloud, engine: DockerClient, name: str
) -> None:
    dockerfile = (
        f"FROM {BASE_IMAGE}\nARG WORD\nCOPY greeting /\nRUN echo $WORD: $(cat /greeting)\nLABEL word=$WORD\n"
    )
    upload(cloud, source("hello", Dockerfile=dockerfile))
    build = built(
        cloud,
        spec(build=f'docker build --build-arg "WORD=$WORD" --tag {name} . && OUT=$(docker images -q {name})'),
        projectName="images",
        environmentVariablesOverride=[{"name": "WORD", "value": "planted"}],
    )
    assert build["buildStatus"] == "SUCCEEDED", log_of(cloud, build)
    assert "planted: hello" in printed(cloud, build)
    image = engine.images.get(name)
    assert image.labels["word"] == "planted"
    (handed_on,) = build["exportedEnvironmentVariables"]
    assert str(image.id).removeprefix("sha256:").startswith(handed_on["value"])


def test_a_step_that_fails_is_in_the_log_and_fails_the_build(cloud: LocalCloud, name: str) -> None:
    upload(
        cloud, source("hello", Dockerfile=f"FROM {BASE_IMAGE}\nRUN echo felling; exit 3\nRUN echo never\n")
    )
    build = built(cloud, spec(build=f"docker build --force-rm --tag {name} ."), projectName="images")
    assert build["buildStatus"] == "FAILED"
    phase, code, _ = failure(build)
    assert (phase, code) == ("BUILD", "COMMAND_EXECUTION_ERROR")
    lines = printed(cloud, build)
    assert "felling" in lines
    assert any("echo felling; exit 3" in line and "returned a non-zero code: 3" in line for line in lines)
    assert not any(line.startswith("Step 3/3") for line in lines)
