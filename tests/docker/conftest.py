"""What holds for every test that needs a Docker Engine."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
from docker import DockerClient

from localcloud.engine import Engine, NoEngineError

BASE_IMAGE = "public.ecr.aws/docker/library/python:3.13-slim"

# Makes an image of a Dockerfile and the files beside it; its name.
BuildImage = Callable[[str, Mapping[str, str]], str]


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[DockerClient]:
    """The machine's Docker Engine."""
    found = Engine()
    try:
        client = found.client
    except NoEngineError as error:
        pytest.fail(f"the tests in tests/docker need one: {error}", pytrace=False)
    yield client
    found.close()


@pytest.fixture(scope="session")
def build_image(engine: DockerClient) -> Iterator[BuildImage]:
    """Builds images, which are gone after the last test."""
    made: list[str] = []

    def build(dockerfile: str, files: Mapping[str, str]) -> str:
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for name, content in {**files, "Dockerfile": dockerfile}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content.encode())
                tar.addfile(entry, io.BytesIO(content.encode()))
        context.seek(0)
        name = f"modelgate-test-{uuid.uuid4().hex[:12]}:latest"
        engine.images.build(fileobj=context, custom_context=True, tag=name, rm=True)
        made.append(name)
        return name

    yield build
    for name in made:
        engine.images.remove(name, force=True)
