"""`modelgate build` against a local cloud of the real template, on a machine without a Docker Engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terminal import CLOUD, Terminal, client, cloud_beside
from tests.unit.sources import DOCKERFILE

DOCKER = "application/vnd.docker"
CONFIG = {"mediaType": f"{DOCKER}.container.image.v1+json", "size": 2, "digest": f"sha256:{'0' * 64}"}
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": f"{DOCKER}.distribution.manifest.v2+json",
        "config": CONFIG,
        "layers": [],
    }
)
DIGEST = f"sha256:{hashlib.sha256(IMAGE.encode()).hexdigest()}"
NO_ENGINE = f"import os\nos.environ['DOCKER_HOST'] = 'tcp://127.0.0.1:9'\n{CLOUD}"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Mapping[str, Any]]:
    with cloud_beside(NO_ENGINE) as told:
        yield told


def test_without_an_engine_a_build_fails_with_a_clear_word_and_what_was_built_is_found_at_once(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "trees"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)

    failed = terminal.json("build", str(folder), code=1)
    assert "PROVISIONING" in failed["error"]
    assert "no Docker Engine answers" in failed["error"]

    # Somebody else's machine had one.
    client(cloud, "ecr").put_image(repositoryName="trees", imageManifest=IMAGE, imageTag=failed["tag"])
    found = terminal.json("build", str(folder), "--role", "Scientist")
    assert (found["status"], found["digest"], found["already_built"]) == ("published", DIGEST, True)

    again = terminal.run("build", str(folder))
    assert again.stdout == f"{found['uri']}\n"
    assert "uploaded" not in again.stderr
