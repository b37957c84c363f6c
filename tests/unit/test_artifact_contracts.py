"""Which layouts the prebuilt containers accept, and what is said of the others."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import Artifact, Kind, Member, inspect
from modelgate.errors import Refused
from modelgate.images import catalog

GOOD_SCRIPT = "import joblib\n\ndef model_fn(model_dir):\n    return joblib.load(model_dir)\n"
SCRIPT_ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
}


def artifact(*names: str, kind: Kind = "file", **scripts: str) -> Artifact:
    texts = {name.replace("__", "/") + ".py": text for name, text in scripts.items()}
    members = [Member(name, 1, kind) for name in names] + [Member(name, 1, "file") for name in texts]
    return Artifact(tuple(members), texts, 1, len(members), "0" * 64)


def refusal(
    family: str | None, content: Artifact | None, environment: Mapping[str, str] | None = None
) -> str:
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

    # Triton's models lie in folders of their own, and llama.cpp looks into folders.
    for family in set(contracts.families()) - {"sagemaker-tritonserver", "llama-cpp", "llama-cpp-arm64"}:
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
        "match 1:\n    case _:\n        def model_fn(model_dir): ...\n",
        "def __getattr__(name): ...\n",
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


@pytest.mark.parametrize(
    "script", ["if a: pass\n" + "elif a: pass\n" * 3000, f"x = {'-' * 30000}1", "\ufeff\ufeff", "x = 1\0"]
)
def test_a_script_that_no_person_writes_is_refused_and_nothing_else(script: str) -> None:
    for family in ("sklearn", "pytorch", "tensorflow", "huggingface", "djl-lmi"):
        content = artifact("model.joblib", code__inference=script, inference=script, model=script)
        assert "model.tar.gz: " in refusal(family, content)


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
    assert not contracts.covers("blazingtext")
    assert contracts.check("blazingtext", artifact("model.bin"), {"A": "1"}) == {"A": "1"}


def test_an_image_without_a_framework_gets_the_general_checks_only() -> None:
    assert contracts.check(None, artifact("anything"), {"A": "1"}) == {"A": "1"}
    assert contracts.check(None, None, {}) == {}
    pointer = Member("a.bin", 130, "file", b"version https://git-lfs.github.com/spec/v1")
    assert "is a Git LFS pointer" in refusal(None, Artifact((pointer,), {}, 1, 1, "0"))


def test_every_contract_is_one_of_a_prebuilt_container() -> None:
    assert set(contracts.families()) <= set(catalog.families())


def test_the_script_that_the_environment_names_is_read_wherever_it_lies() -> None:
    wanted = contracts.reads("sklearn", {"SAGEMAKER_PROGRAM": "deep/er/serve.py"})

    assert wanted("code/deep/er/serve.py")
    assert wanted("code/inference.py")
    assert not wanted("code/vendored/package/module.py")


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("huggingface", {"config.json", "model.safetensors.index.json", "code/inference.py"}),
        ("vllm", {"config.json", "model.safetensors.index.json"}),
        ("djl-lmi", {"config.json", "model.safetensors.index.json", "serving.properties", "model.py"}),
        ("sagemaker-tritonserver", {"bert/config.pbtxt", "bert/1/model.py"}),
        ("tensorflow", {"code/inference.py"}),
        ("llama-cpp", set()),
        (None, set()),
    ],
)
def test_only_the_texts_that_a_contract_needs_are_read(family: str | None, names: set[str]) -> None:
    every = {
        "config.json", "model.safetensors.index.json", "tokenizer.json", "serving.properties", "model.py",
        "bert/config.pbtxt", "bert/1/model.py", "code/inference.py", "unet/config.json",
    }  # fmt: skip
    read = {name for name in every if contracts.reads(family, {})(name)}

    assert read - {"model.py", "code/inference.py"} == names - {"model.py", "code/inference.py"}
    assert names <= read


# ── what the environment says ─────────────────────────────────────────────────────────────────────
SAVED = ("config.json", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.parametrize(
    ("family", "completed"),
    [
        ("huggingface-llm", {"HF_MODEL_ID": "/opt/ml/model"}),
        ("huggingface-tei", {"HF_MODEL_ID": "/opt/ml/model"}),
        ("vllm", {"SM_VLLM_MODEL": "/opt/ml/model"}),
        ("sglang", {}),
        ("djl-lmi", {}),
    ],
)
def test_servers_are_told_where_the_artifact_is_if_they_have_to_be(
    family: str, completed: dict[str, str]
) -> None:
    assert contracts.check(family, artifact(*SAVED), {}) == completed
    mine = {"HF_MODEL_ID": "org/model", "SM_VLLM_MODEL": "org/model"}
    assert contracts.check(family, artifact(*SAVED), mine) == mine


@pytest.mark.parametrize(
    ("family", "environment", "completed"),
    [
        ("huggingface", {"HF_MODEL_ID": "org/model"}, {}),
        ("huggingface-llm", {"HF_MODEL_ID": "org/model"}, {}),
        ("djl-lmi", {"OPTION_MODEL_ID": "s3://bucket/model/"}, {}),
        ("vllm", {"HF_MODEL_ID": "org/model"}, {"SM_VLLM_MODEL": "org/model"}),
        ("sglang", {"SM_SGLANG_MODEL_PATH": "org/model"}, {}),
        ("llama-cpp", {"SM_LLAMA_CPP_HF_REPO": "org/model"}, {}),
        ("ray-serve", {"SM_RAYSERVE_APP": "app:app"}, {}),
        ("whisperx", {}, {}),
    ],
)
def test_a_container_that_is_told_of_a_model_elsewhere_needs_no_artifact(
    family: str, environment: dict[str, str], completed: dict[str, str]
) -> None:
    assert contracts.check(family, None, environment) == {**environment, **completed}


@pytest.mark.parametrize("family", contracts.families())
def test_a_container_that_is_told_of_nothing_needs_an_artifact(family: str) -> None:
    with pytest.raises(Refused) as refused:
        contracts.check(family, None, {}, container="containers.1")

    assert "manifest.yaml: containers.1.artifact: names none" in str(refused.value)


def test_sglang_does_not_read_what_others_read() -> None:
    reason = refusal("sglang", None, {"HF_MODEL_ID": "org/model"})

    assert "container.environment.SM_SGLANG_MODEL_PATH" in reason


def test_problems_name_the_container_and_the_artifact_that_they_are_of() -> None:
    with pytest.raises(Refused) as refused:
        contracts.check(
            "huggingface",
            artifact("model.bin"),
            {"HF_MODEL_ID": "/opt/ml/model"},
            where="second.tar.gz",
            container="containers.1",
        )
    assert "manifest.yaml: containers.1.environment.HF_MODEL_ID" in str(refused.value)
    with pytest.raises(Refused, match=r"^second.tar.gz: config.json: is not there"):
        contracts.check("vllm", artifact("model.bin", "tokenizer.json"), {}, where="second.tar.gz")
    with pytest.raises(Refused, match=r"^model/config.json: is not there"):
        contracts.check("vllm", artifact("model.bin", "tokenizer.json"), {}, where="model/")


@pytest.mark.parametrize(
    ("family", "content", "words"),
    [
        ("pytorch", artifact("model.pt"), "model.pt, which the container loads as TorchScript"),
        ("xgboost", artifact("xgboost-model"), "xgboost-model, which the container loads by itself"),
        ("tensorflow", artifact("1/saved_model.pb"), "a SavedModel: 1/saved_model.pb"),
        ("blazingtext", artifact("model.bin"), ""),
    ],
)
def test_an_artifact_is_described_in_words(family: str, content: Artifact, words: str) -> None:
    assert contracts.describe(family, content, {}) == words


def test_mlflows_own_requirements_are_not_taken_for_the_scripts() -> None:
    content = artifact("MLmodel", "requirements.txt", "model.pkl", code__inference=GOOD_SCRIPT)

    contracts.check("sklearn", content, {})


# ── what frameworks really write ──────────────────────────────────────────────────────────────────
def packed(files: Mapping[str, bytes], family: str) -> Artifact:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return inspect(buffer, keep=contracts.reads(family, {}))


def test_what_scikit_learn_and_xgboost_write_is_accepted_and_their_mixture_is_not(tmp_path: Path) -> None:
    import joblib
    import numpy as np
    import xgboost

    rows, labels = np.array([[0.0], [1.0]]), np.array([0, 1])
    classifier = xgboost.XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(rows, labels)
    booster = classifier.get_booster()
    joblib.dump(classifier, tmp_path / "model.joblib")
    written = (tmp_path / "model.joblib").read_bytes()
    script = GOOD_SCRIPT.encode()

    contracts.check("sklearn", packed({"code/inference.py": script, "model.joblib": written}, "sklearn"), {})
    for model in (booster.save_raw("ubj"), booster.save_raw("json"), pickle.dumps(booster)):
        contracts.check("xgboost", packed({"xgboost-model": bytes(model)}, "xgboost"), {})
    for protocol in (2, 4, 5):
        pickled = packed({"xgboost-model": pickle.dumps(classifier, protocol)}, "xgboost")
        assert "get_booster().save_model" in refusal("xgboost", pickled)
    booster.dump_model(tmp_path / "dump.txt")
    dumped = (tmp_path / "dump.txt").read_bytes()
    assert "dump_model" in refusal("xgboost", packed({"dump.txt": dumped}, "xgboost"))


# ── whatever comes ────────────────────────────────────────────────────────────────────────────────
NAMES = st.sampled_from(
    [
        "model.pt", "weights.pth", "model.joblib", "xgboost-model", "config.json", "model.safetensors",
        "model.safetensors.index.json", "model-00001-of-00002.safetensors", "tokenizer.json",
        "tokenizer_config.json", "code/inference.py", "inference.py", "model.py", "code/requirements.txt",
        "requirements.txt", "serving.properties", "1/saved_model.pb", "1/variables/variables.index",
        "bert/config.pbtxt", "bert/1/model.py", "model.gguf", "config.yaml", "MAR-INF/MANIFEST.json",
        "model-symbol.json", "model-0000.params", "model-shapes.json", "._model", "a/b/c",
    ]
)  # fmt: skip
TEXTS = st.sampled_from(
    [
        "", GOOD_SCRIPT, "def model_fn(): ...", "def handle(inputs): ...", "x = (", "from a import *",
        "def input_handler(d, c): ...", "class TritonPythonModel: ...", "{}", "[]", "{", "null", "[" * 2000,
        '{"architectures": ["LlamaForCausalLM"]}', '{"architectures": [null]}', '{"architectures": {}}',
        '{"weight_map": {"a": "model.safetensors"}}', '{"weight_map": {"a": 1}}', '{"weight_map": []}',
        "engine=Python\noption.model_id=org/model", "option.entryPoint=../x.py", "=\n:\n#", 'name: "bert"',
        'backend: "python" name: "other" { } ] } "', "\x00",
    ]
)  # fmt: skip
HEADS = st.sampled_from(
    [
        b"",
        b"x",
        b"PK\x03\x04" + bytes(60),
        b"\x80\x04xgboost.sklearn",
        b"\x02" + bytes(7) + b"{}",
        b"\xff" * 64,
    ]
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(
        [
            "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "HF_TASK", "HF_MODEL_ID", "OPTION_MODEL_ID",
            "SM_VLLM_MODEL", "SM_SGLANG_MODEL_PATH", "SM_LLAMA_CPP_MODEL", "OPTION_ENTRYPOINT",
        ]
    ),
    st.sampled_from(["", "org/model", "/opt/ml/model", "/opt/ml/model/a", "/srv", "model.py", "../x", "s3://a"]),
    max_size=2,
)  # fmt: skip
FAMILIES = st.sampled_from([*contracts.families(), "blazingtext", None])


@st.composite
def anything(draw: st.DrawFn, family: str | None, environment: Mapping[str, str]) -> Artifact:
    wanted = contracts.reads(family, environment)
    members, texts = [], {}
    for name in draw(st.lists(NAMES, max_size=8, unique=True)):
        if wanted(name) and draw(st.booleans()):
            texts[name] = draw(TEXTS)
            head = texts[name].encode()[:64]
            members.append(Member(name, len(texts[name]), "file", head))
        elif draw(st.integers(0, 9)):
            head = draw(HEADS)
            members.append(Member(name, draw(st.integers(len(head), 100)) or 1, "file", head))
        else:
            members.append(Member(name, 0, draw(st.sampled_from(["directory", "symlink"]))))
    kind: Any = draw(st.sampled_from(["tarball", "folder"]))
    return Artifact(tuple(members), texts, 1, 1, "0" * 64, kind)


@settings(max_examples=200)
@given(FAMILIES, ENVIRONMENTS, st.data())
def test_whatever_comes_is_accepted_or_refused_and_never_by_its_beginning_alone(
    family: str | None, environment: dict[str, str], data: st.DataObject
) -> None:
    content = data.draw(anything(family, environment))
    accepted = False
    with contextlib.suppress(Refused):
        complete = contracts.check(family, content, environment)
        accepted = environment.items() <= complete.items()
        contracts.describe(family, content, environment)
    with contextlib.suppress(Refused):
        contracts.check(family, None, environment)
    for seen in range(len(content.members) + 1):
        members = content.members[:seen]
        texts = {each.name: content.texts[each.name] for each in members if each.name in content.texts}
        try:
            contracts.check_beginning(family, members, texts, environment)
        except Refused:
            assert not accepted
            break


KEYS = st.sampled_from(["architectures", "weight_map", "model_type", "tokenizer_class"])
SCALARS = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(KEYS, SCALARS, max_size=2)


@settings(max_examples=100)
@given(VALUES | st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_json_says_is_accepted_or_refused(content: object) -> None:
    names = ("config.json", "model.safetensors.index.json")
    texts = dict.fromkeys(names, json.dumps(content))
    for family in ("huggingface", "vllm", "djl-lmi"):
        with contextlib.suppress(Refused):
            contracts.check(family, Artifact(artifact(*names).members, texts, 1, 1, "0"), {})
