"""The stand-ins for prebuilt containers keep their contracts; and what of real ones needs no engine."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import Pace
from localcloud.container_engine import lines
from localcloud.containers import arrays, sklearn
from localcloud.containers.http_contract import Invocation, Refusal, Request
from localcloud.instance_types import Instance, instance
from localcloud.serving import ContainerError, ContainerSpec, ServingContainer

WHOLE = """
def model_fn(folder):
    return folder

def transform_fn(model, body, content_type, accept):
    return f"{body}|{content_type}|{accept}", "text/plain"
"""


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None, **variables: str) -> Invocation:
    """The sklearn container over a script."""
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": str(folder), **variables}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SM_MODEL_DIR", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    if script is not None:
        (folder / "serve.py").write_text(script)
    return sklearn.load()


def test_a_transform_fn_answers_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    invoke = loaded(monkeypatch, tmp_path, WHOLE)
    response = invoke(Request(b"1,2", "text/csv", None))
    assert (response.body, response.content_type) == (b"1,2|text/csv|application/json", "text/plain")


@pytest.mark.parametrize("name", ["input_fn", "predict_fn", "output_fn"])
def test_a_transform_fn_excludes_the_three(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RuntimeError, match=name):
        loaded(monkeypatch, tmp_path, f"{WHOLE}\ndef {name}(*args): pass\n")


def test_a_script_needs_a_model_fn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="model_fn"):
        loaded(monkeypatch, tmp_path, "x = 1\n")


@pytest.mark.parametrize("variable", ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"])
def test_both_variables_must_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    with pytest.raises(RuntimeError, match=variable):
        loaded(monkeypatch, tmp_path, WHOLE, **{variable: ""})


def test_a_script_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no script serve\.py"):
        loaded(monkeypatch, tmp_path, None)


def test_the_three_functions_take_the_place_of_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = """
def model_fn(folder): return 10
def input_fn(body, content_type): return len(body)
def predict_fn(data, model): return data * model
def output_fn(prediction, accept): return str(prediction)
"""
    response = loaded(monkeypatch, tmp_path, script)(Request(b"abc", "text/csv", "text/csv"))
    assert (response.body, response.content_type) == (b"30", "text/csv")


def test_arrays_are_read_and_written_in_every_type() -> None:
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    buffer = io.BytesIO()
    np.save(buffer, table)
    for body, kind in [
        (b"1,2\n3,4", "text/csv; charset=utf-8"),
        (json.dumps(table.tolist()).encode(), "application/json"),
        (buffer.getvalue(), "application/x-npy"),
    ]:
        assert (arrays.decode(body, kind) == table).all()
    assert arrays.encode([0, 1], "text/csv").body == b"0\n1\n"
    assert arrays.encode([0, 1], None).body == b"[0, 1]"


def test_types_that_are_not_known_are_refused() -> None:
    with pytest.raises(Refusal) as sent:
        arrays.decode(b"", "image/png")
    with pytest.raises(Refusal) as wanted:
        arrays.encode([1], "image/png")
    assert (sent.value.status, wanted.value.status) == (415, 406)


def test_xgboost_takes_exactly_one_file(tmp_path: Path) -> None:
    from localcloud.containers import xgboost

    with pytest.raises(RuntimeError, match="found: none"):
        xgboost.booster(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    with pytest.raises(RuntimeError, match="found: a, b"):
        xgboost.booster(tmp_path)


def test_a_container_ends_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(WHOLE)
    environment = {
        **os.environ,
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SM_MODEL_DIR": str(tmp_path),
        "LOCALCLOUD_ENDS_WITH_STDIN": "1",
    }
    command = [sys.executable, "-m", "localcloud.containers.sklearn", "serve"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"serving on port")
        process.stdin.close()
        assert process.wait(20) == 0


# ── images of one's own ───────────────────────────────────────────────────────────────────────────


class Nobody:
    """What was started, and answers nothing."""

    address = ("127.0.0.1", 0)

    def __init__(self) -> None:
        self.up = True

    def is_up(self) -> bool:
        return self.up

    def stop(self, grace: float) -> None:
        self.up = False


def test_who_is_stopped_while_it_starts_does_not_stay() -> None:
    started = Nobody()
    folders: list[Path] = []

    def run(_spec: ContainerSpec, root: Path, _write: object) -> Nobody:
        folders.append(root)
        container.stop()
        return started

    spec = ContainerSpec("image", None, {}, None, "iris", "AllTraffic", 1.0)
    container = ServingContainer(
        spec,
        run=run,
        pace=Pace(),
        lay_down=lambda _data, _folder: None,
        write_log=lambda _stream, _line: None,
        instance="i-1",
    )
    with pytest.raises(ContainerError, match="stopped before the container had started"):
        container.start()
    assert not started.up
    assert not any(folder.exists() for folder in folders)
    assert not container.comes_to_serve()


@given(
    st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=4), max_size=4),
    st.data(),
)
def test_lines_are_the_same_however_their_bytes_are_cut(written: list[str], data: st.DataObject) -> None:
    content = "".join(f"{line}\n" for line in written).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)))))
    edges = [0, *cuts, len(content)]
    pieces = [content[first:last] for first, last in pairwise(edges)]
    assert list(lines(pieces)) == written
    assert list(lines([*pieces, b"no end"])) == [*written, "no end"]


def test_an_instance_has_what_the_one_of_ec2_has() -> None:
    assert instance("ml.m5.large") == Instance(vcpus=2, memory=8 << 30)
    assert instance("ml.c5.xlarge") == Instance(vcpus=4, memory=8 << 30)
    assert instance("ml.none.large") is None
