"""`modelgate build` against a local cloud that builds with the machine's Docker Engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from localcloud import LocalCloud

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "public.ecr.aws/docker/library/python:3.13-slim"
NAME = "modelgate-test-cli"


@dataclass(frozen=True)
class Shell:
    """Somebody at a terminal, with nothing of Docker's."""

    cloud: LocalCloud
    folder: Path

    def write(self, **files: str) -> None:
        """By their names, with ``__`` for a slash."""
        for name, text in files.items():
            file = self.folder / name.replace("__", "/")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelgate_cli.main", "build", str(self.folder), *options]
        told = {name: value for name, value in os.environ.items() if not name.startswith("MODELGATE_")}
        environment = told | dict(self.cloud.environment()) | {"DOCKER_HOST": "tcp://127.0.0.1:9"}
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )

    def json(self, *options: str) -> dict[str, Any]:
        done = self.build("--json", *options)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    @property
    def builds(self) -> list[str]:
        codebuild = self.cloud.client("codebuild")
        return list(codebuild.list_builds_for_project(projectName=self.cloud.outputs["Builder"])["ids"])


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as running:
        yield running


@pytest.fixture
def shell(cloud: LocalCloud, tmp_path: Path, request: pytest.FixtureRequest) -> Shell:
    folder = tmp_path / f"{NAME}-{len(request.node.name)}"
    folder.mkdir()
    return Shell(cloud, folder)


def test_a_folder_becomes_a_digest_and_the_second_time_at_once(shell: Shell) -> None:
    shell.write(Dockerfile="FROM scratch\nCOPY said.txt /\n", **{"said.txt": "the trees are planted"})
    first = shell.build()
    assert first.returncode == 0, first.stderr
    uri = first.stdout.removesuffix("\n")
    assert uri.partition("@")[2].startswith("sha256:")
    shown = first.stderr.splitlines()
    (step,) = (number for number, line in enumerate(shown) if "COPY said.txt /" in line)
    assert shown.index("phase BUILD") < step < shown.index("phase POST_BUILD")
    started = shell.builds

    second = shell.build()
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "uploaded" not in second.stderr
    assert shell.builds == started


def test_a_step_that_fails_is_told_and_nothing_is_on_stdout(shell: Shell) -> None:
    shell.write(Dockerfile=f"FROM {BASE_IMAGE}\nRUN echo felling && exit 3\n")
    failed = shell.build()
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "felling" in failed.stderr
    assert "error: the build of image" in failed.stderr
    assert "failed in phase BUILD" in failed.stderr
    assert "exit 3" in failed.stderr


def test_arguments_target_and_file_reach_the_build(shell: Shell, engine: DockerClient) -> None:
    lines = 'FROM scratch AS wanted\nARG WORD\nLABEL said="$WORD"\nCOPY said.txt /\nFROM nowhere/at-all\n'
    shell.write(docker__Dockerfile=lines, **{"said.txt": "nothing"})
    word = 'a "b" $HOME `c`; d'
    built = shell.json(
        *("--file", "docker/Dockerfile", "--target", "wanted", "--build-arg", f"WORD={word}"),
        *("--repository", f"{NAME}-options:1.0", "--no-logs"),
    )
    assert built["image"] == f"{NAME}-options"
    home = built["uri"].partition("@")[0]
    (told,) = shell.cloud.client("ecr").describe_images(repositoryName=built["image"])["imageDetails"]
    assert sorted(told["imageTags"]) == ["1.0", built["tag"]]
    assert engine.images.get(f"{home}:1.0").labels["said"] == word
