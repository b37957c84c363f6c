"""Which layouts the prebuilt containers accept, and what is said of the others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import Artifact, Kind, Member
from modelgate.errors import Refused

GOOD_SCRIPT = "import joblib\n\ndef model_fn(model_dir):\n    return joblib.load(model_dir)\n"
SCRIPT_ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
}


def artifact(*names: str, kind: Kind = "file", **scripts: str) -> Artifact:
    texts = {name.replace("__", "/") + ".py": text for name, text in scripts.items()}
    members = [Member(name, 1, kind) for name in names] + [Member(name, 1, "file") for name in texts]
    return Artifact(tuple(members), texts, 1, len(members), "0" * 64)


def refusal(family: str, content: Artifact, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(Refused) as refused:
        contracts.check(family, content, environment or {})
    return str(refused.value)


def test_sklearn_wants_a_model_and_a_script_and_sets_where_it_is() -> None:
    content = artifact("model.joblib", code__inference=GOOD_SCRIPT)

    assert contracts.check("sklearn", content, {}) == SCRIPT_ENVIRONMENT


def test_the_users_own_environment_wins() -> None:
    content = artifact("model.joblib", code__serve=GOOD_SCRIPT)
    mine = {"SAGEMAKER_PROGRAM": "serve.py", "LOG": "1"}

    complete = contracts.check("sklearn", content, mine)

    assert complete == {**mine, "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


@pytest.mark.parametrize("directory", ["/opt/ml/model", "/opt/ml/model/"])
def test_a_script_at_the_root_is_found_where_the_environment_says_so(directory: str) -> None:
    environment = {"SAGEMAKER_SUBMIT_DIRECTORY": directory}

    contracts.check("sklearn", artifact("model.pkl", inference=GOOD_SCRIPT), environment)


def test_scripts_in_s3_are_the_containers_matter() -> None:
    contracts.check(
        "sklearn", artifact("model.pkl"), {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code.tar.gz"}
    )


def test_a_script_outside_of_the_artifact_is_refused() -> None:
    reason = refusal("sklearn", artifact("model.pkl"), {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/code"})

    assert "manifest.yaml: container.environment.SAGEMAKER_SUBMIT_DIRECTORY: is '/opt/ml/code'" in reason


def test_a_model_in_a_folder_or_beside_the_script_is_a_model() -> None:
    contracts.check("sklearn", artifact("weights/model.pkl", code__inference=GOOD_SCRIPT), {})
    contracts.check("sklearn", artifact("code/model.pkl", code__inference=GOOD_SCRIPT), {})


@pytest.mark.parametrize(
    "others", [(), ("._model.joblib",), ("requirements.txt",), ("code/requirements.txt",), ("code/x.pyc",)]
)
def test_sklearn_without_a_model_is_refused(others: tuple[str, ...]) -> None:
    assert "holds no model file" in refusal("sklearn", artifact(*others, code__inference=GOOD_SCRIPT))


def test_sklearn_without_a_script_is_told_what_to_write() -> None:
    reason = refusal("sklearn", artifact("model.joblib"))

    assert reason == (
        "model.tar.gz: code/inference.py: is not in the archive; "
        "put a script there with a model_fn(model_dir) that loads the model"
    )


def test_a_script_of_another_name_is_pointed_at() -> None:
    reason = refusal("sklearn", artifact("model.joblib", code__serve=GOOD_SCRIPT))

    assert "code/serve.py has a model_fn: set container.environment.SAGEMAKER_PROGRAM to serve.py" in reason


def test_a_script_at_the_root_is_pointed_at() -> None:
    reason = refusal("sklearn", artifact("model.joblib", inference=GOOD_SCRIPT))

    assert "inference.py has a model_fn: move it to code/inference.py" in reason


def test_a_script_that_is_a_link_is_refused() -> None:
    content = artifact("code/inference.py", "code/real.py", "model.pkl", kind="symlink")

    assert "code/inference.py: is a symlink" in refusal("sklearn", content)


def test_everything_in_one_folder_is_refused_with_the_command_that_helps() -> None:
    content = artifact("model/model.joblib", "._model", model__inference=GOOD_SCRIPT)

    for family in contracts.families():
        reason = refusal(family, content)
        assert "model/: holds everything, and the container looks at the root" in reason
        assert "tar -C model -czf model.tar.gz ." in reason


@pytest.mark.parametrize(
    "script",
    [
        "from shared import model_fn\n",
        "from shared import load as model_fn\n",
        "from shared import *\n",
        "model_fn = lambda model_dir: 1\n",
        "model_fn: object = print\n",
        "async def model_fn(model_dir): ...\n",
        "try:\n    import x\nexcept ImportError:\n    def model_fn(model_dir, context=None): ...\n",
        "if True:\n    pass\nelse:\n    def model_fn(*arguments): ...\n",
        "class model_fn:\n    def __init__(self, model_dir): ...\n",
        'PATTERN = "\\d"\ndef model_fn(model_dir): ...\n',
    ],
)
def test_model_fn_may_come_about_in_any_way(script: str) -> None:
    contracts.check("sklearn", artifact("model.joblib", code__inference=script), {})


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "has no model_fn"),
        ("def predict_fn(data, model): ...\n", "has no model_fn"),
        ("def outer():\n    def model_fn(model_dir): ...\n", "has no model_fn"),
        ("class A:\n    def model_fn(self, model_dir): ...\n", "has no model_fn"),
        ("def model_fn(): ...\n", "has a model_fn without an argument"),
        ("x = 1\ndef model_fn(model_dir:\n", "is not Python: line 2: "),
        ("x = 'a\0b'\n", "is not Python"),
        (f"x = {'(' * 500}1{')' * 500}\n", "too many nested parentheses"),
        (
            f"{GOOD_SCRIPT}def transform_fn(model, data, kind, accept): ...\ndef input_fn(data, kind): ...\n",
            "has transform_fn beside input_fn; keep one or the other",
        ),
    ],
)
def test_a_script_that_cannot_serve_is_refused(script: str, reason: str) -> None:
    found = refusal("sklearn", artifact("model.joblib", code__inference=script))

    assert reason in found or ("\0" in script and "cannot be parsed" in found)


def test_every_problem_is_told() -> None:
    reason = refusal(
        "sklearn", artifact(code__inference="def model_fn(): ..."), {str(n): "" for n in range(15)}
    )

    assert len(reason.splitlines()) == 3


def test_xgboost_loads_the_one_file_at_the_root_by_itself() -> None:
    content = artifact("xgboost-model", "._xgboost-model", ".DS_Store")

    assert contracts.check("xgboost", content, {"LOG": "1"}) == {"LOG": "1"}


def test_xgboost_with_several_files_is_refused_with_their_names() -> None:
    reason = refusal("xgboost", artifact("model.ubj", "features.json"))

    assert "holds 2 files at its root (model.ubj, features.json)" in reason


@pytest.mark.parametrize("names", [("data/model.ubj", "code/x.txt"), ("code/model.ubj",)])
def test_xgboost_without_a_file_at_the_root_is_refused(names: tuple[str, ...]) -> None:
    assert "holds no model file at its root" in refusal("xgboost", artifact(*names))


def test_xgboost_with_a_script_is_judged_as_sklearn() -> None:
    good = artifact("model.ubj", "features.json", code__inference=GOOD_SCRIPT)

    assert contracts.check("xgboost", good, {}) == SCRIPT_ENVIRONMENT
    assert "has no model_fn" in refusal("xgboost", artifact("model.ubj", code__inference="x = 1"))
    assert "code/serve.py: is not in the archive" in refusal(
        "xgboost", artifact("model.ubj"), {"SAGEMAKER_PROGRAM": "serve.py"}
    )


def test_sixteen_entries_of_environment_are_the_most() -> None:
    content = artifact("model.joblib", code__inference=GOOD_SCRIPT)
    fourteen = {f"NAME_{number}": "" for number in range(14)}

    assert len(contracts.check("sklearn", content, fourteen)) == 16
    reason = refusal("sklearn", content, {**fourteen, "ONE_MORE": ""})
    assert "manifest.yaml: container.environment: has 17 entries" in reason
    assert "with SAGEMAKER_PROGRAM, SAGEMAKER_SUBMIT_DIRECTORY, which the container needs" in reason


def test_a_family_without_a_contract_is_passed_through_and_says_so() -> None:
    assert not contracts.covers("tensorflow")
    assert contracts.check("tensorflow", artifact("1/saved_model.pb"), {"A": "1"}) == {"A": "1"}


def test_the_script_that_the_environment_names_is_read_wherever_it_lies() -> None:
    wanted = contracts.reads({"SAGEMAKER_PROGRAM": "deep/er/serve.py"})

    assert wanted("code/deep/er/serve.py")
    assert wanted("code/inference.py")
    assert not wanted("code/vendored/package/module.py")
