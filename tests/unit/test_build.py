"""`make build` finds a Python of the runtime that really works, or says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import build as module
from build import BuildError, build, interpreter, runtime


def program(path: Path, exit_code: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only python3.13 on PATH is a shim that does not start."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    return program(tmp_path / "shims" / "python3.13", 127)


def test_the_runtime_is_read_from_the_template() -> None:
    assert runtime() == "python3.13"


def test_one_on_the_path_that_works_is_taken(shim: Path) -> None:
    works = program(shim, 0)
    assert interpreter("python3.13") == works


def test_behind_a_shim_that_does_not_start_one_of_pyenvs_is_found(shim: Path, tmp_path: Path) -> None:
    program(tmp_path / ".pyenv/versions/3.13.0/bin/python3.13", 1)
    works = program(tmp_path / ".pyenv/versions/3.13.9/bin/python3.13", 0)
    assert shim.exists()
    assert interpreter("python3.13") == works


def test_without_any_and_without_uv_the_error_says_what_would_help(
    shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shim.exists()
    assert interpreter("python3.13") is None
    (tmp_path / "layers").mkdir()
    layer = {"ContentUri": "layers/"}
    built = {"BuildMethod": "python3.13", "BuildArchitecture": "x86_64"}
    core = {"Type": "AWS::Serverless::LayerVersion", "Properties": layer, "Metadata": built}
    runtime = {"Globals": {"Function": {"Runtime": "python3.13"}}, "Resources": {"Core": core}}
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(runtime))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUILT", tmp_path / "built")
    with pytest.raises(BuildError, match=r"neither a working python3\.13 with pip.* nor uv"):
        build()
