"""The layer as `make build` makes it, really built."""

from __future__ import annotations

from pathlib import Path

import pytest

from build import layer_for, runtimes_or_own

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same layer, built twice."""
    python, _ = runtimes_or_own()
    built = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("again")
    for folder in built:
        layer_for(python, folder)
    return built


def test_two_builds_are_the_same_in_every_byte_and_time(layers: tuple[Path, Path]) -> None:
    once, again = (
        {
            file.relative_to(folder): (file.stat().st_mode, file.stat().st_mtime, file.read_bytes())
            for file in folder.rglob("*")
            if file.is_file()
        }
        for folder in layers
    )
    assert once == again


def test_nothing_is_left_to_compile(layers: tuple[Path, Path]) -> None:
    for source in layers[0].rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_it_has_nothing_for_installers_and_nothing_of_other_services(layers: tuple[Path, Path]) -> None:
    names = {each.name for each in layers[0].iterdir()}
    assert not {name for name in names if name.endswith(".dist-info") or name in {"bin", "boto3", "certifi"}}
    services = {each.name for each in (layers[0] / "botocore" / "data").iterdir() if each.is_dir()}
    assert {"sagemaker", "s3"} <= services
    assert "ec2" not in services
