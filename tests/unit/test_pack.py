"""A model file and perhaps a script become a submission that Modelgate accepts."""

from __future__ import annotations

import json
import pickle
import stat
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import inspect
from modelgate.errors import Refused
from modelgate.submission import SmokeTest, read_manifest
from modelgate_cli.pack import Packed, pack

SCRIPT = "def model_fn(model_dir):\n    return 1\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return file(tmp_path / "model.joblib", "weights")


def file(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def packed(model: Path, **changes: Any) -> Packed:
    arguments: dict[str, Any] = {
        "framework": "sklearn",
        "version": "1.9-0",
        "metrics": {"accuracy": 0.953},
        "content_types": ["text/csv"],
        "response_types": ["application/json"],
        "smoke_test": SmokeTest(content_type="text/csv", body="5.1,3.5,1.4,0.2", expect="setosa"),
        "out": model.parent / "out",
        **changes,
    }
    return pack(model, **arguments)


def refusal(model: Path, **changes: Any) -> str:
    with pytest.raises(Refused) as refused:
        packed(model, **changes)
    out = changes.get("out", model.parent / "out")
    assert not list(out.glob(".*")) if out.exists() else True
    return str(refused.value)


def names(submission: Packed) -> list[str]:
    return [member.name for member in submission.content.members]


def text(submission: Packed, name: str) -> str:
    with tarfile.open(submission.artifact) as tar:
        content = tar.extractfile(name)
        assert content is not None
        return content.read().decode()


def test_an_sklearn_model_gets_a_script_that_loads_it(model: Path) -> None:
    submission = packed(model)

    assert names(submission) == ["code", "code/inference.py", "model.joblib"]
    assert submission.generated_script
    assert "joblib.load(os.path.join(model_dir, 'model.joblib'))" in text(submission, "code/inference.py")
    assert submission.environment["SAGEMAKER_PROGRAM"] == "inference.py"


@pytest.mark.parametrize("writer", ["joblib", "pickle"])
def test_the_generated_script_loads_what_joblib_or_pickle_wrote(tmp_path: Path, writer: str) -> None:
    model = tmp_path / "it's a model.pkl"
    weights: dict[str, Any] = {"weights": np.arange(12.0), "classes": ["setosa"]}
    if writer == "joblib":
        joblib.dump(weights, model)
    else:
        model.write_bytes(pickle.dumps(weights))
    submission = packed(model)
    unpacked = tmp_path / "unpacked"
    with tarfile.open(submission.artifact) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Pythons before 3.11.4 have none
        tar.extractall(unpacked)  # noqa: S202 - packed above

    script: dict[str, Any] = {}
    exec(text(submission, "code/inference.py"), script)  # noqa: S102 — our own script, as the container runs it

    assert list(script["model_fn"](str(unpacked))["weights"]) == list(weights["weights"])


def test_the_manifest_says_what_was_given(model: Path) -> None:
    submission = packed(
        model,
        description="Iris tree, depth 4",
        metadata={"git_commit": "1e5", "day": "2026-11-22", "number": "007"},
        environment={"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"},
        metrics={"accuracy": 0.953, "log_loss": 1e-7},
    )

    manifest = read_manifest(submission.manifest.read_bytes())

    assert (manifest.container.framework, manifest.container.version) == ("sklearn", "1.9-0")
    assert manifest.container.environment == {"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"}
    assert manifest.metrics == {"accuracy": 0.953, "log_loss": 1e-7}
    assert manifest.smoke_test.expect == "setosa"
    assert manifest.description == "Iris tree, depth 4"
    assert manifest.metadata == {"git_commit": "1e5", "day": "2026-11-22", "number": "007"}


def test_a_script_becomes_the_one_that_the_container_loads(model: Path, tmp_path: Path) -> None:
    script = file(tmp_path / "serve.py", SCRIPT)
    requirements = file(tmp_path / "needs.txt", "pandas\n")

    submission = packed(model, script=script, requirements=requirements)

    assert names(submission) == ["code", "code/inference.py", "code/requirements.txt", "model.joblib"]
    assert text(submission, "code/requirements.txt") == "pandas\n"
    assert not submission.generated_script


def test_a_folder_of_code_goes_along_without_what_nobody_needs(model: Path, tmp_path: Path) -> None:
    code = tmp_path / "src"
    for name in ("inference.py", "shared/text.py", "requirements.txt", ".env", ".git/config"):
        file(code / name, SCRIPT)
    file(code / "__pycache__/inference.pyc", "")

    assert names(packed(model, code=code)) == [
        "code",
        "code/inference.py",
        "code/requirements.txt",
        "code/shared",
        "code/shared/text.py",
        "model.joblib",
    ]


@pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.pkl", "xgboost.model"])
def test_xgboost_loads_its_model_itself(tmp_path: Path, name: str) -> None:
    submission = packed(file(tmp_path / name, "{}"), framework="xgboost", version="3.2-0")

    assert names(submission) == [name]
    assert submission.environment == {}


def test_xgboost_with_a_script_gets_the_environment_for_it(tmp_path: Path) -> None:
    script = file(tmp_path / "serve.py", SCRIPT)

    submission = packed(file(tmp_path / "m.ubj", ""), framework="xgboost", version="3.2-0", script=script)

    assert submission.environment["SAGEMAKER_SUBMIT_DIRECTORY"] == "/opt/ml/model/code"


def test_the_same_input_gives_the_same_bytes_whenever_and_wherever(model: Path, tmp_path: Path) -> None:
    first = packed(model).artifact.read_bytes()
    other = file(tmp_path / "elsewhere" / "model.joblib", "weights")
    other.chmod(0o600)

    assert packed(other).artifact.read_bytes() == first
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


def test_nothing_is_overwritten_unless_told(model: Path) -> None:
    submission = packed(model)
    before = submission.artifact.read_bytes()
    model.write_text("other weights")

    assert "model.tar.gz: exists already" in refusal(model)
    assert submission.artifact.read_bytes() == before
    assert packed(model, overwrite=True).artifact.read_bytes() != before


def test_the_files_are_readable_as_any_other(model: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in packed(model).artifact.parent.iterdir()}

    assert modes == {stat.S_IMODE(model.stat().st_mode)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"framework": "sklern"}, "no prebuilt container is called 'sklern'"),
        ({"framework": "pytorch", "version": "2.6"}, "there is no way here to pack for 'pytorch'"),
        ({"version": "1.5-1"}, "there is no prebuilt sklearn '1.5-1'"),
        ({"metrics": {}}, "metrics"),
        ({"metrics": {"accuracy": float("nan")}}, "metrics"),
        ({"content_types": []}, "content_types"),
        ({"metadata": {"modelgate.x": "1"}}, "modelgate."),
        ({"script": Path("nowhere.py")}, "nowhere.py: is not a file"),
        ({"code": Path("nowhere")}, "nowhere: is not a folder"),
        ({"environment": {"SAGEMAKER_PROGRAM": "serve.py"}}, "code/serve.py: is not in the archive"),
    ],
)
def test_what_modelgate_would_refuse_is_refused_before(
    model: Path, changes: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(model, **changes)
    assert not (model.parent / "out" / "model.tar.gz").exists()


def test_every_problem_is_told(model: Path) -> None:
    reasons = refusal(model, version="0.1", script=Path("nowhere.py"), content_types=[])

    assert len(reasons.splitlines()) == 3


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    reason = refusal(file(tmp_path / "model.onnx", ""))

    assert "model.onnx: is not a file that the sklearn container can load" in reason


def test_a_script_without_model_fn_is_refused_and_leaves_nothing(model: Path, tmp_path: Path) -> None:
    reason = refusal(model, script=file(tmp_path / "serve.py", "x = 1\n"))

    assert "code/inference.py: has no model_fn" in reason
    assert list((tmp_path / "out").iterdir()) == []


def test_a_script_that_is_given_twice_is_refused(model: Path, tmp_path: Path) -> None:
    script = file(tmp_path / "src" / "inference.py", SCRIPT)

    assert "code/inference.py: is given twice" in refusal(model, code=script.parent, script=script)


NAMES = st.text("abcdefghij-_. é", min_size=1, max_size=12).filter(lambda name: name.strip(". ") == name)


@given(
    name=NAMES,
    content=st.binary(max_size=5000),
    modules=st.dictionaries(NAMES, st.text(max_size=50), max_size=4),
    metrics=st.dictionaries(st.sampled_from("abcde"), st.floats(-1e300, 1e300), min_size=1),
    body=st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=80),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_packed_is_accepted_and_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    content: bytes,
    modules: dict[str, str],
    metrics: dict[str, float],
    body: str,
) -> None:
    folder = tmp_path_factory.mktemp("pack")
    model = folder / f"{name}.joblib"
    model.write_bytes(content)
    file(folder / "src" / "inference.py", SCRIPT)
    for module, comment in modules.items():
        (folder / "src" / f"{module}.txt").write_text(json.dumps(comment))

    submission = packed(
        model,
        code=folder / "src",
        metrics=metrics,
        smoke_test=SmokeTest(content_type="text/csv", body=body),
    )

    with submission.artifact.open("rb") as stream:
        artifact = inspect(stream)
    assert artifact == submission.content
    assert contracts.check("sklearn", artifact, {}) == submission.environment
    assert text(submission, "code/inference.py") == SCRIPT
    manifest = read_manifest(submission.manifest.read_bytes())
    assert manifest.metrics == metrics
    assert manifest.smoke_test.body == body
