"""What people have on disk, and perhaps a script, becomes a submission that Modelgate accepts."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import inspect
from modelgate.errors import Refused
from modelgate.manifest import Container, Manifest, SmokeTest, read_manifest
from modelgate_cli import archive
from modelgate_cli.main import app
from modelgate_cli.pack import Packed, pack

SCRIPT = "def model_fn(model_dir):\n    return 1\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return file(tmp_path / "model.joblib", "weights")


def file(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def folder(root: Path, *names: str, **texts: str) -> Path:
    """Files that hold something; others by their stems, which are all JSON."""
    for name in names:
        file(root / name, f"what {name} holds")
    for name, text in texts.items():
        file(root / f"{name}.json", text)
    return root


def packed(model: Path | None, **changes: Any) -> Packed:
    arguments: dict[str, Any] = {
        "framework": "sklearn",
        "version": "1.9-0",
        "metrics": {"accuracy": 0.953},
        "content_types": ["text/csv"],
        "response_types": ["application/json"],
        "smoke_test": SmokeTest(content_type="text/csv", body="5.1,3.5,1.4,0.2", expect="setosa"),
        **({"out": model.parent / "out"} if model else {}),
        **changes,
    }
    return pack(model, **arguments)


def refusal(model: Path, **changes: Any) -> str:
    """Why; and nothing is written then."""
    out: Path = changes.get("out", model.parent / "out")
    before = sorted(out.rglob("*"))
    with pytest.raises(Refused) as refused:
        packed(model, **changes)
    assert sorted(out.rglob("*")) == before
    return str(refused.value)


def artifact(submission: Packed) -> Path:
    assert submission.artifact is not None
    return submission.artifact


def names(submission: Packed) -> list[str]:
    """Of the files, in their order."""
    assert submission.content is not None
    return [member.name for member in submission.content.members if member.kind == "file"]


def text(submission: Packed, name: str) -> str:
    with tarfile.open(submission.artifact) as tar:
        content = tar.extractfile(name)
        assert content is not None
        return content.read().decode()


def manifest_of(submission: Packed) -> Manifest:
    return read_manifest(submission.manifest.read_bytes())


def container_of(submission: Packed) -> Container:
    return manifest_of(submission).served["container"]


def run(submission: Packed, **modules: Any) -> dict[str, Any]:
    """The script, imported as its container imports it, beside modules that stand in for what it has."""
    with pytest.MonkeyPatch.context() as patched:
        for name, stand_in in modules.items():
            module = ModuleType(name)
            vars(module).update(vars(stand_in))
            patched.setitem(__import__("sys").modules, name.replace("__", "."), module)
        script: dict[str, Any] = {}
        exec(text(submission, "code/inference.py"), script)  # noqa: S102  our own script
        return script


def test_an_sklearn_model_gets_a_script_that_loads_it(model: Path) -> None:
    submission = packed(model)

    assert names(submission) == ["code/inference.py", "model.joblib"]
    assert submission.generated == ("code/inference.py",)
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

    assert list(run(submission)["model_fn"](str(unpacked))["weights"]) == list(weights["weights"])


def test_the_manifest_says_what_was_given(model: Path) -> None:
    submission = packed(
        model,
        description="Iris tree, depth 4",
        metadata={"git_commit": "1e5", "day": "2026-11-22", "number": "007"},
        environment={"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"},
        metrics={"accuracy": 0.953, "log_loss": 1e-7},
    )

    manifest, container = manifest_of(submission), container_of(submission)

    assert (container.framework, container.version, container.artifact) == ("sklearn", "1.9-0", None)
    assert container.environment == {"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"}
    assert manifest.metrics == {"accuracy": 0.953, "log_loss": 1e-7}
    assert manifest.smoke_test.expect == "setosa"
    assert manifest.description == "Iris tree, depth 4"
    assert manifest.metadata == {"git_commit": "1e5", "day": "2026-11-22", "number": "007"}


def test_a_script_becomes_the_one_that_the_container_loads(model: Path, tmp_path: Path) -> None:
    script = file(tmp_path / "serve.py", SCRIPT)
    requirements = file(tmp_path / "needs.txt", "pandas\n")

    submission = packed(model, script=script, requirements=requirements)

    assert names(submission) == ["code/inference.py", "code/requirements.txt", "model.joblib"]
    assert text(submission, "code/requirements.txt") == "pandas\n"
    assert not submission.generated_script


def test_a_folder_of_code_goes_along_without_what_nobody_needs(model: Path, tmp_path: Path) -> None:
    code = tmp_path / "src"
    for name in (
        "inference.py",
        "shared/text.py",
        "requirements.txt",
        ".env",
        ".git/config",
        "env/pyvenv.cfg",
    ):
        file(code / name, SCRIPT)
    file(code / "__pycache__/inference.pyc", "")
    file(code / "shared/text.pyc", "")

    submission = packed(model, code=code)

    assert names(submission) == [
        "code/inference.py",
        "code/requirements.txt",
        "code/shared/text.py",
        "model.joblib",
    ]
    assert submission.left_out == (
        "code/.env",
        "code/.git/",
        "code/__pycache__/",
        "code/env/",
        "code/shared/text.pyc",
    )


@pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.pkl", "xgboost.model"])
def test_xgboost_loads_its_model_itself(tmp_path: Path, name: str) -> None:
    submission = packed(file(tmp_path / name, "{}"), framework="xgboost", version="3.2-0")

    assert names(submission) == [name]
    assert submission.environment == {}


def test_xgboost_with_a_script_gets_the_environment_for_it(tmp_path: Path) -> None:
    script = file(tmp_path / "serve.py", SCRIPT)

    submission = packed(file(tmp_path / "m.ubj", "{"), framework="xgboost", version="3.2-0", script=script)

    assert submission.environment["SAGEMAKER_SUBMIT_DIRECTORY"] == "/opt/ml/model/code"


def test_the_same_input_gives_the_same_bytes_whenever_and_wherever(model: Path, tmp_path: Path) -> None:
    first = artifact(packed(model)).read_bytes()
    other = file(tmp_path / "elsewhere" / "model.joblib", "weights")
    other.chmod(0o600)

    assert artifact(packed(other)).read_bytes() == first
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


def test_nothing_is_overwritten_unless_told(model: Path) -> None:
    submission = packed(model)
    before = artifact(submission).read_bytes()
    model.write_text("other weights")

    assert "model.tar.gz: exists already" in refusal(model)
    assert artifact(submission).read_bytes() == before
    assert artifact(packed(model, overwrite=True)).read_bytes() != before


def test_the_files_are_readable_as_any_other(model: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in packed(model).manifest.parent.iterdir()}

    assert modes == {stat.S_IMODE(model.stat().st_mode)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"framework": "sklern"}, "no prebuilt container is called 'sklern'"),
        ({"framework": "pytorch", "version": "2.6"}, "is no file that PyTorch wrote"),
        ({"framework": None, "version": None}, "neither framework and version nor image"),
        ({"image": "trees:v3"}, "has version beside an image"),
        ({"image": "no such name", "version": None}, "'no such name', which is no name"),
        ({"instance_types": ["ml.c7g.large"]}, "there is no prebuilt sklearn '1.9-0' for inference on c7g"),
        ({"lineage": {"committ": "1e5"}}, "lineage.committ: is not a key"),
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


@pytest.mark.parametrize(
    ("framework", "version", "name", "mend"),
    [
        ("sklearn", "1.9-0", "model.txt", "give a file of .joblib, .pkl, .pickle, or a script"),
        ("xgboost", "3.2-0", "model.txt", "give a file of .ubj, .json"),
        ("xgboost", "3.2-0", "model.onnx", "--framework sklearn or pytorch"),
        ("tensorflow", "2.19.0", "model.keras", "model.export("),
    ],
)
def test_a_file_that_the_container_cannot_load_is_refused_with_the_mend(
    tmp_path: Path, framework: str, version: str, name: str, mend: str
) -> None:
    reason = refusal(file(tmp_path / name, "weights"), framework=framework, version=version)

    assert reason.startswith(f"{tmp_path / name}: is ")
    assert mend in reason


def test_a_script_without_model_fn_is_refused_and_leaves_nothing(model: Path, tmp_path: Path) -> None:
    reason = refusal(model, script=file(tmp_path / "serve.py", "x = 1\n"))

    assert "code/inference.py: has no model_fn" in reason


def test_a_script_that_is_given_twice_is_refused(model: Path, tmp_path: Path) -> None:
    script = file(tmp_path / "src" / "inference.py", SCRIPT)

    assert "code/inference.py: is given twice" in refusal(model, code=script.parent, script=script)


def test_a_submission_is_never_made_of_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    model = folder(tmp_path / "model", "weights.joblib", "code/inference.py")
    file(model / "code/inference.py", SCRIPT)

    assert "lies where" in refusal(model, out=model)
    assert "lies where" in refusal(
        folder(out / "model", "config.json"),
        framework=None,
        version=None,
        image="a",
        out=out,
        artifact="folder",
    )
    assert "lies where" in refusal(
        file(out / "model.tar.gz", "x"), script=model / "code/inference.py", out=out
    )
    inside = packed(model, out=model / "submission")
    assert names(packed(model, out=model / "submission", overwrite=True)) == names(inside)


# ── folders and their links ───────────────────────────────────────────────────────────────────────
def test_links_that_stay_inside_become_what_they_mean(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", "shared/weights.bin")
    file(model / "code/inference.py", SCRIPT)
    (model / "model.joblib").symlink_to("shared/weights.bin")
    (model / "again").symlink_to("shared")

    submission = packed(model)

    assert names(submission) == [
        "code/inference.py",
        "again/weights.bin",
        "model.joblib",
        "shared/weights.bin",
    ]
    assert text(submission, "model.joblib") == "what shared/weights.bin holds"


@pytest.mark.parametrize(
    ("link", "target", "reason"),
    [
        ("weights.bin", "../outside.bin", "is a link out of the folder"),
        ("weights.bin", "/etc/hostname", "is a link out of the folder"),
        ("weights.bin", "nowhere", "is a link to 'nowhere', where nothing is"),
        ("weights.bin", "weights.bin", "is a link to 'weights.bin', where nothing is"),
        ("deeper/up", "..", "is a link to a folder that it lies in"),
    ],
)
def test_other_links_are_refused(tmp_path: Path, link: str, target: str, reason: str) -> None:
    model = folder(tmp_path / "model", "model.joblib", "deeper/one.txt")
    file(tmp_path / "outside.bin", "secret")
    (model / link).symlink_to(target)

    assert f"model/{link}: {reason}" in refusal(model, script=file(tmp_path / "serve.py", SCRIPT))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", "model.joblib")
    os.mkfifo(model / "pipe")

    assert "model/pipe: is neither a file nor a folder" in refusal(
        model, script=file(tmp_path / "serve.py", SCRIPT)
    )


TREES = st.dictionaries(
    st.lists(st.sampled_from(["a", "b.txt", "ü", "c d"]), min_size=1, max_size=3).map("/".join),
    st.one_of(st.binary(max_size=300), st.sampled_from(["a", "../a", "..", "../../secret", "b.txt", "."])),
    max_size=6,
)


@given(tree=TREES)
@example(tree={"a": "../../secret"})
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_folder_holds_no_member_leaves_it_and_the_bytes_stay_the_same(
    tmp_path_factory: pytest.TempPathFactory, tree: Mapping[str, bytes | str]
) -> None:
    place = tmp_path_factory.mktemp("tree")
    secret = file(place / "secret", "of somebody else")
    model = folder(place / "model", "model.joblib")
    for name, content in tree.items():
        if any(parent.is_symlink() or parent.is_file() for parent in (model / name, *(model / name).parents)):
            continue
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes) and not (model / name).exists():
            (model / name).write_bytes(content)
        elif isinstance(content, str) and not (model / name).exists():
            (model / name).symlink_to(content)
    script = file(place / "serve.py", SCRIPT)
    try:
        submission = packed(model, script=script)
    except Refused as refused:
        assert " is a link " in str(refused)
        return
    with tarfile.open(artifact(submission)) as tar:
        members = {each.name: each for each in tar}
        assert all(each.isfile() or each.isdir() for each in members.values())
        for name in names(submission)[1:]:
            packed_as = tar.extractfile(name)
            assert packed_as is not None
            assert packed_as.read() == (model / name).read_bytes() != secret.read_bytes()
    again = packed(model, script=script, out=place / "again")
    assert artifact(again).read_bytes() == artifact(submission).read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_bytes_do_not_depend_on_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    weights = file(tmp_path / "model.bin", np.random.default_rng(7).standard_normal(300_000).tobytes())
    streams = [io.BytesIO(), io.BytesIO()]
    archive.write_tarball(streams[0], {"model.bin": weights}, lambda _: None)
    monkeypatch.setattr(archive, "_THREADS", threads)
    archive.write_tarball(streams[1], {"model.bin": weights}, lambda _: None)

    assert streams[0].getvalue() == streams[1].getvalue()
    assert gzip.decompress(streams[0].getvalue()).startswith(b"model.bin\0")


def test_it_tells_how_far_it_is(model: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    submission = packed(model, watch=lambda what, done, of: told.setdefault(what, []).append((done, of)))

    size = artifact(submission).stat().st_size
    assert told["packing"][-1][0] == len("weights")
    assert told["checking"][-1] == (size, size)


# ── folders that are served as they are ───────────────────────────────────────────────────────────
def test_a_folder_is_linked_rather_than_copied(tmp_path: Path) -> None:
    model = pretrained(tmp_path / "model")
    script = file(tmp_path / "serve.py", SCRIPT)

    submission = packed(model, framework="huggingface", version="4.49.0", artifact="folder", script=script)

    weights = artifact(submission) / "model.safetensors"
    assert weights.samefile(model / "model.safetensors")
    assert (artifact(submission) / "code/inference.py").read_text() == SCRIPT
    assert container_of(submission).folder == "model/"
    assert {path.name for path in submission.manifest.parent.iterdir()} == {"model", "manifest.yaml"}


def test_a_folder_is_replaced_as_a_whole_when_told(tmp_path: Path) -> None:
    model = pretrained(tmp_path / "model")
    llm = {"framework": "djl-lmi", "version": "0.36.0", "artifact": "folder"}
    packed(model, **llm)
    (model / "vocab.txt").unlink()

    assert "model: exists already" in refusal(model, **llm)
    submission = packed(model, **llm, overwrite=True)
    assert not (artifact(submission) / "vocab.txt").exists()
    assert (artifact(submission) / "config.json").is_file()


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelgate_cli.pack.MOST_FILES", 3)

    reason = refusal(pretrained(tmp_path / "model"), framework="vllm", version="0.30.0", artifact="folder")

    assert "would hold 5 files, and a folder may have 3" in reason


# ── family by family ──────────────────────────────────────────────────────────────────────────────
def pretrained(root: Path, *more: str) -> Path:
    """As `save_pretrained` writes it."""
    file(root / "model.safetensors", safetensors())
    return folder(
        root,
        "vocab.txt",
        *more,
        config='{"architectures": ["BertForSequenceClassification"], "model_type": "bert"}',
        tokenizer_config="{}",
        tokenizer="{}",
    )


def safetensors() -> bytes:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + b"\0\0\0\0"


def torch_file(path: Path, *members: str) -> Path:
    """A zip as PyTorch writes it: everything in a folder of the file's name."""
    with zipfile.ZipFile(path, "w") as made:
        for name in members:
            made.writestr(f"{path.stem}/{name}", name)
    return path


TORCHSCRIPT = ("data.pkl", "code/__torch__/net.py", "constants.pkl", "version")
STATE_DICT = ("data.pkl", "byteorder", "data/0", "version")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.ts", "scripted.torchscript"])
def test_torchscript_gets_the_name_that_the_container_looks_for(tmp_path: Path, name: str) -> None:
    submission = packed(torch_file(tmp_path / name, *TORCHSCRIPT), framework="pytorch", version="2.6.0")

    assert names(submission) == ["model.pt"]
    assert not submission.generated


@pytest.mark.parametrize(
    ("write", "is_what"),
    [
        (lambda path: torch_file(path, *STATE_DICT), "a state dict or a pickled module"),
        (lambda path: torch_file(path, "archive_format", "data/weights/0"), "a program of torch.export"),
        (lambda path: file(path, pickle.dumps(1)), "a state dict or a pickled module"),
        (lambda path: file(path, "weights"), "no file that PyTorch wrote"),
        (lambda path: torch_file(path, "readme.txt"), "a zip archive, and none of TorchScript"),
    ],
)
def test_what_only_a_script_can_load_is_refused_without_one(tmp_path: Path, write: Any, is_what: str) -> None:
    model = write(tmp_path / "net.pt")

    reason = refusal(model, framework="pytorch", version="2.6.0")

    assert f"is {is_what}, which the container cannot load by itself" in reason
    assert "--script FILE" in reason
    submission = packed(
        model, framework="pytorch", version="2.6.0", script=file(tmp_path / "serve.py", SCRIPT)
    )
    assert names(submission) == ["code/inference.py", "net.pt"]


@pytest.mark.parametrize(("name", "version"), [("export", "1"), ("00000123", "00000123")])
def test_a_saved_model_lies_under_its_version(tmp_path: Path, name: str, version: str) -> None:
    variables = ("variables/variables.data-00000-of-00001", "variables/variables.index")
    model = folder(tmp_path / name, "saved_model.pb", *variables)
    code = folder(tmp_path / "src", "requirements.txt")
    file(
        code / "inference.py",
        "def input_handler(data, context): ...\ndef output_handler(data, context): ...\n",
    )

    submission = packed(model, framework="tensorflow", version="2.19.0", code=code)

    assert names(submission) == [
        "code/inference.py",
        "code/requirements.txt",
        f"{version}/saved_model.pb",
        *(f"{version}/{each}" for each in variables),
    ]


def test_versions_of_a_saved_model_are_taken_as_they_are(tmp_path: Path) -> None:
    model = folder(tmp_path / "served", "1/saved_model.pb", "2/saved_model.pb")

    submission = packed(model, framework="tensorflow", version="2.19.0")

    assert names(submission) == ["1/saved_model.pb", "2/saved_model.pb"]


def test_a_folder_without_a_saved_model_is_refused(tmp_path: Path) -> None:
    reason = refusal(folder(tmp_path / "m", "model.weights.h5"), framework="tensorflow", version="2.19.0")

    assert "saved_model.pb" in reason


HUGGING_FACES = [
    ("huggingface", "4.49.0"),
    ("huggingface-llm", "3.3.6"),
    ("djl-lmi", "0.36.0"),
    ("vllm", "0.30.0"),
    ("sglang", "0.5.20"),
]


@pytest.mark.parametrize(("framework", "version"), HUGGING_FACES)
def test_a_pretrained_model_is_packed_without_what_its_training_left(
    tmp_path: Path, framework: str, version: str
) -> None:
    left = ["checkpoint-500/model.safetensors", "optimizer.pt", "rng_state_0.pth", "runs/one/events.out.1"]
    left += ["scheduler.pt", "trainer_state.json", "training_args.bin"]
    model = pretrained(tmp_path / "model", *left, ".gitattributes")

    submission = packed(model, framework=framework, version=version)

    assert names(submission) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert submission.left_out == (
        ".gitattributes",
        "checkpoint-500/",
        "optimizer.pt",
        "rng_state_0.pth",
        "runs/",
        "scheduler.pt",
        "trainer_state.json",
        "training_args.bin",
    )


def test_a_trainers_folder_with_checkpoints_only_is_refused_with_the_newest(tmp_path: Path) -> None:
    for step in ("500", "1000"):
        pretrained(tmp_path / "run" / f"checkpoint-{step}")

    reason = refusal(tmp_path / "run", framework="huggingface", version="4.49.0")

    assert "holds checkpoints only" in reason
    assert f"pack the one that is to serve: {tmp_path / 'run/checkpoint-1000'}" in reason
    assert "config.json" in names(
        packed(tmp_path / "run/checkpoint-1000", framework="huggingface", version="4.49.0")
    )


@pytest.mark.parametrize(
    ("framework", "version", "variable"),
    [
        ("huggingface", "4.49.0", "HF_MODEL_ID"),
        ("huggingface-llm", "3.3.6", "HF_MODEL_ID"),
        ("djl-lmi", "0.36.0", "OPTION_MODEL_ID"),
        ("vllm", "0.30.0", "SM_VLLM_MODEL"),
    ],
)
def test_a_model_of_a_hub_needs_no_artifact(
    tmp_path: Path, framework: str, version: str, variable: str
) -> None:
    environment = {variable: "someone/bert", "HF_TASK": "fill-mask"}

    submission = packed(
        None, framework=framework, version=version, environment=environment, out=tmp_path / "out"
    )

    assert (submission.artifact, submission.content) == (None, None)
    assert container_of(submission).artifact == "none"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.yaml"]


def test_a_container_that_needs_a_model_gets_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing to serve without one"):
        packed(None, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_artifact_beside_a_hubs_model_is_named(tmp_path: Path) -> None:
    script = file(tmp_path / "serve.py", SCRIPT)
    hub = {"HF_MODEL_ID": "someone/bert"}

    submission = packed(
        None, framework="huggingface", version="4.49.0", environment=hub, script=script, out=tmp_path / "out"
    )

    assert names(submission) == ["code/inference.py"]
    assert container_of(submission).tarball == "model.tar.gz"


def test_mxnets_three_files_are_packed(tmp_path: Path) -> None:
    model = folder(tmp_path / "m", "model-symbol.json", "model-0000.params", "model-shapes.json")

    assert len(names(packed(model, framework="mxnet", version="1.9.0"))) == 3
    (model / "model-shapes.json").unlink()
    assert "lacks model-shapes.json" in refusal(model, framework="mxnet", version="1.9.0", overwrite=True)


def test_a_folder_without_a_script_is_refused_for_sklearn(tmp_path: Path) -> None:
    assert "is a folder without a script" in refusal(folder(tmp_path / "m", "model.joblib", "scaler.joblib"))


def test_an_image_of_ones_own_gets_what_there_is(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", "weights.bin", "rules/one.json")

    submission = packed(
        model, framework=None, version=None, image="trees:v3", instance_types=["ml.g5.xlarge"]
    )

    assert names(submission) == ["rules/one.json", "weights.bin"]
    assert container_of(submission).image == "trees:v3"
    assert manifest_of(submission).instance_types == ["ml.g5.xlarge"]


def test_small_files_come_before_large_ones(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", "z.json")
    file(model / "a.bin", bytes(70_000))

    assert names(packed(model, framework=None, version=None, image="trees")) == ["z.json", "a.bin"]


def test_lineage_and_metrics_beside_it_stand_in_the_manifest(model: Path, tmp_path: Path) -> None:
    report = file(tmp_path / "evaluation.json", '{"regression_metrics": {"mae": {"value": 0.4}}}')

    submission = packed(model, metrics=report, lineage={"commit": "1e5", "project": "roses"})

    manifest = manifest_of(submission)
    assert (manifest.lineage.commit, manifest.lineage.project) == ("1e5", "roses")
    assert manifest.metrics_file == "evaluation.json"
    assert submission.metrics_file is not None
    assert submission.metrics_file.read_bytes() == report.read_bytes()


# ── ONNX ──────────────────────────────────────────────────────────────────────────────────────────
class OnnxRuntime:
    """What the script asks of onnxruntime."""

    class InferenceSession:
        def __init__(self, path: str) -> None:
            self.path = path

        def get_inputs(self) -> list[Any]:
            both = ["x", "mask"] if "two" in self.path else ["x"]
            return [SimpleNamespace(name=name, type="tensor(float)", shape=["batch", 2]) for name in both]

        def run(self, outputs: None, fed: Mapping[str, Any]) -> list[Any]:
            assert outputs is None
            assert fed["x"].dtype == np.float32
            return [fed["x"].sum(axis=1), None]


ONNX_CONTAINERS = [("sklearn", "1.9-0"), ("pytorch", "2.6.0")]


@pytest.mark.parametrize(("framework", "version"), ONNX_CONTAINERS)
def test_an_onnx_model_gets_a_script_that_serves_it(tmp_path: Path, framework: str, version: str) -> None:
    submission = packed(file(tmp_path / "it's.onnx", "graph"), framework=framework, version=version)

    assert names(submission) == ["code/inference.py", "code/requirements.txt", "it's.onnx"]
    assert submission.generated == ("code/inference.py", "code/requirements.txt")
    assert all("onnxruntime==" in line for line in text(submission, "code/requirements.txt").splitlines())
    script = run(submission, onnxruntime=OnnxRuntime)
    session = script["model_fn"]("/opt/ml/model")
    assert session.path == "/opt/ml/model/it's.onnx"
    assert script["predict_fn"](np.array([1, 2]), session).tolist() == [3]
    assert script["predict_fn"](np.array([[1.0, 2.0], [3.0, 4.0]]), session).tolist() == [3, 7]


def test_the_script_for_onnx_takes_a_tensor_from_a_gpu(tmp_path: Path) -> None:
    submission = packed(file(tmp_path / "m.onnx", "graph"), framework="pytorch", version="2.6.0")
    script = run(submission, onnxruntime=OnnxRuntime)
    tensor = SimpleNamespace(cpu=lambda: np.array([1.0, 2.0]))

    assert script["predict_fn"](tensor, script["model_fn"]("/m")).tolist() == [3]


def test_the_script_for_onnx_says_that_it_cannot_serve_several_inputs(tmp_path: Path) -> None:
    submission = packed(file(tmp_path / "two.onnx", "graph"))

    with pytest.raises(ValueError, match="the model has the inputs x, mask"):
        run(submission, onnxruntime=OnnxRuntime)["model_fn"]("/m")


def test_tensors_beside_an_onnx_model_go_along(tmp_path: Path) -> None:
    model = file(tmp_path / "m.onnx", "graph")
    file(tmp_path / "m.onnx.data", "tensors")

    assert names(packed(model))[2:] == ["m.onnx", "m.onnx.data"]
    several = folder(tmp_path / "several", "g.onnx", "weights_1")
    assert names(packed(several, out=tmp_path / "other"))[2:] == ["g.onnx", "weights_1"]


def test_a_script_of_ones_own_serves_onnx_in_any_container(tmp_path: Path) -> None:
    script, mine = file(tmp_path / "serve.py", SCRIPT), file(tmp_path / "needs.txt", "onnxruntime-gpu\n")
    model = file(tmp_path / "m.onnx", "graph")

    for framework, version in (*ONNX_CONTAINERS, ("xgboost", "3.2-0")):
        submission = packed(
            model, framework=framework, version=version, script=script, out=tmp_path / framework
        )
        assert names(submission) == ["code/inference.py", "m.onnx"]
    assert text(packed(model, requirements=mine), "code/requirements.txt") == "onnxruntime-gpu\n"


# ── MLflow ────────────────────────────────────────────────────────────────────────────────────────
COLUMNS = '[{"type": "double", "name": "sepal length"}, {"type": "long", "name": "petals"}]'
WORDS = '[{"type": "string", "name": "review"}]'
IMAGES = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}]'


def mlflow_model(root: Path, *names: str, inputs: str = COLUMNS, **flavors: Mapping[str, Any]) -> Path:
    """A folder as `log_model` wrote it."""
    described = {
        "artifact_path": "model",
        "flavors": {"python_function": {"python_version": "3.11.7"}, **flavors},
        "mlflow_version": "3.17.2",
        "model_uuid": "60e6ea9065a04ed4b35d8910bae238a9",
        "run_id": "1e55f0000000000000000000000000e5",
        "signature": {"inputs": inputs, "outputs": None, "params": None},
        "utc_time_created": "2026-11-22 18:31:18.536179",
    }
    file(root / "MLmodel", yaml.safe_dump(described))
    file(root / "requirements.txt", "mlflow==3.17.2\ncloudpickle==3.1.2\nscikit-learn==1.9.1")
    return folder(root, "conda.yaml", "python_env.yaml", *names)


SKLEARN = {
    "pickled_model": "model.pkl",
    "serialization_format": "cloudpickle",
    "sklearn_version": "1.9.1",
    "code": None,
}


def test_an_mlflow_model_of_sklearn_gives_its_pickle_and_its_run(tmp_path: Path) -> None:
    submission = packed(mlflow_model(tmp_path / "m", "model.pkl", sklearn=SKLEARN))

    assert names(submission) == ["code/inference.py", "code/requirements.txt", "model.pkl"]
    assert text(submission, "code/requirements.txt") == "cloudpickle==3.1.2\n"
    assert submission.left_out == ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
    assert submission.notes == ()
    manifest = manifest_of(submission)
    assert manifest.lineage.source_uri == "runs:/1e55f0000000000000000000000000e5/model"
    assert manifest.metadata == {
        "mlflow.run_id": "1e55f0000000000000000000000000e5",
        "mlflow.flavor": "sklearn 1.9.1",
    }


def test_what_the_user_says_of_a_run_goes_before_what_mlflow_says(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "model.pkl", sklearn=SKLEARN)

    submission = packed(
        model, lineage={"source_uri": "https://tracking/1"}, metadata={"mlflow.run_id": "mine"}
    )

    assert manifest_of(submission).lineage.source_uri == "https://tracking/1"
    assert manifest_of(submission).metadata["mlflow.run_id"] == "mine"


def test_a_model_of_another_version_is_told(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "model.pkl", sklearn={**SKLEARN, "sklearn_version": "1.2.2"})

    assert packed(model).notes == ("the model was saved with sklearn 1.2.2; the container is 1.9-0",)


def test_modules_that_were_logged_with_a_model_become_its_code(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "model.pkl", "code/shop.py", sklearn={**SKLEARN, "code": "code"})

    assert "code/shop.py" in names(packed(model))


XGBOOST = {"data": "model.ubj", "model_format": "ubj", "xgb_version": "3.2.0"}


def test_an_mlflow_model_of_xgboost_gives_its_booster(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "model.ubj", xgboost=XGBOOST)

    assert names(packed(model, framework="xgboost", version="3.2-0")) == ["model.ubj"]


def test_an_mlflow_model_of_pytorch_is_torchscript_or_a_module(tmp_path: Path) -> None:
    flavor = {"model_data": "data", "pytorch_version": "2.6.0+cpu"}
    pytorch = {"framework": "pytorch", "version": "2.6.0"}
    model = mlflow_model(tmp_path / "m", "data/pickle_module_info.txt", pytorch=flavor)
    torch_file(model / "data/model.pth", *TORCHSCRIPT)
    assert names(packed(model, **pytorch)) == ["model.pt"]

    torch_file(model / "data/model.pth", *STATE_DICT)
    submission = packed(model, **pytorch, overwrite=True)
    assert names(submission) == ["code/inference.py", "code/requirements.txt", "model.pth"]
    loaded = SimpleNamespace(eval=lambda: "ready")
    torch = SimpleNamespace(
        device=lambda name: name,
        cuda=SimpleNamespace(is_available=lambda: False),
        load=lambda path, map_location, weights_only: (
            loaded if (path, map_location, weights_only) == ("/m/model.pth", "cpu", False) else None
        ),
    )
    assert run(submission, torch=torch)["model_fn"]("/m") == "ready"


def test_an_mlflow_model_of_transformers_is_laid_out_as_save_pretrained_does(tmp_path: Path) -> None:
    flavor = {"model_binary": "model", "task": "text-classification", "components": ["tokenizer"]}
    model = mlflow_model(tmp_path / "m", transformers=flavor)
    pretrained(model / "model")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (model / "components/tokenizer").mkdir(parents=True, exist_ok=True)
        (model / "model" / name).rename(model / "components/tokenizer" / name)

    submission = packed(model, framework="huggingface", version="4.49.0")

    assert names(submission) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert container_of(submission).environment == {"HF_TASK": "text-classification"}
    assert (
        "HF_TASK"
        not in packed(model, framework="djl-lmi", version="0.36.0", out=tmp_path / "lmi").environment
    )


@pytest.mark.parametrize(
    ("flavor", "mend"),
    [
        (
            {"source_model_name": "someone/bert", "source_model_revision": "abc"},
            "--environment HF_MODEL_ID=someone/bert --environment HF_MODEL_REVISION=abc",
        ),
        ({"peft_adaptor": "peft"}, "merge_and_unload"),
    ],
)
def test_transformers_without_weights_are_refused_with_the_mend(
    tmp_path: Path, flavor: Mapping[str, Any], mend: str
) -> None:
    model = mlflow_model(tmp_path / "m", transformers=flavor)

    assert mend in refusal(model, framework="huggingface", version="4.49.0")


@pytest.mark.parametrize(
    ("flavor", "place"),
    [
        ({"saved_model_dir": "tf2model", "model_type": "tf2-module"}, "tf2model"),
        ({"data": "data", "model_type": "keras", "save_format": "tf"}, "data/model"),
    ],
)
def test_an_mlflow_model_of_tensorflow_gives_its_saved_model(
    tmp_path: Path, flavor: Mapping[str, Any], place: str
) -> None:
    model = mlflow_model(
        tmp_path / "m", f"{place}/saved_model.pb", f"{place}/variables/v.index", tensorflow=flavor
    )

    submission = packed(model, framework="tensorflow", version="2.19.0")

    assert names(submission) == ["1/saved_model.pb", "1/variables/v.index"]


def test_a_keras_file_of_mlflow_is_refused_with_the_mend(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "data/model.keras", keras={"data": "data"})

    assert "model.export(" in refusal(model, framework="tensorflow", version="2.19.0")


@pytest.mark.parametrize(("framework", "version"), ONNX_CONTAINERS)
def test_an_mlflow_model_of_onnx_is_served_by_onnxruntime(
    tmp_path: Path, framework: str, version: str
) -> None:
    model = mlflow_model(
        tmp_path / "m", "model.onnx", "7c1.data", "input_example.json", onnx={"data": "model.onnx"}
    )

    submission = packed(model, framework=framework, version=version)

    assert names(submission) == ["code/inference.py", "code/requirements.txt", "7c1.data", "model.onnx"]


@pytest.mark.parametrize(("framework", "version"), ONNX_CONTAINERS)
def test_any_python_function_of_mlflow_is_loaded_by_mlflow(
    tmp_path: Path, framework: str, version: str
) -> None:
    model = mlflow_model(tmp_path / "m", "artifacts/rules.json", "code/own.py")

    submission = packed(model, framework=framework, version=version)

    assert "mlflow/artifacts/rules.json" in names(submission)
    assert "mlflow/code/own.py" in names(submission)
    assert text(submission, "code/requirements.txt").splitlines()[0] == "mlflow==3.17.2"
    assert any("Python 3.11.7" in note for note in submission.notes)


@pytest.mark.parametrize(
    "flavor",
    [
        {**SKLEARN, "serialization_format": "skops", "pickled_model": "model.skops"},
        {**SKLEARN, "pickled_model": "model.skops", "serialization_format": "skops"},
    ],
)
def test_a_flavor_that_only_mlflow_can_load_is_loaded_by_mlflow(
    tmp_path: Path, flavor: Mapping[str, Any]
) -> None:
    submission = packed(mlflow_model(tmp_path / "m", "model.skops", sklearn=flavor))

    assert "mlflow/model.skops" in names(submission)


class Frame:
    """What the script asks of pandas."""

    def __init__(self, rows: Any, columns: list[str] | None = None) -> None:
        self.rows, self.columns, self.types = rows, columns, None

    def astype(self, types: Any) -> Frame:
        self.types = types
        return self


def python_function(schema: Any) -> Any:
    """The script's view of a model that answers with what it was asked."""
    return SimpleNamespace(
        metadata=SimpleNamespace(get_input_schema=lambda: schema), predict=lambda asked: asked
    )


def test_the_script_for_mlflow_asks_as_the_signature_has_it(tmp_path: Path) -> None:
    submission = packed(mlflow_model(tmp_path / "m", "artifacts/rules.json"))
    loader = SimpleNamespace(load_model=lambda path: f"loaded {path}")
    script = run(
        submission,
        mlflow=SimpleNamespace(pyfunc=loader),
        mlflow__pyfunc=loader,
        pandas=SimpleNamespace(DataFrame=Frame),
    )
    assert script["model_fn"]("/m") == "loaded /m/mlflow"

    table = SimpleNamespace(
        is_tensor_spec=lambda: False, input_names=lambda: ["a", "b"], pandas_types=lambda: ["int", "str"]
    )
    asked = script["predict_fn"](np.array([1, 2]), python_function(table))
    assert (asked.rows.tolist(), asked.columns, asked.types) == (
        [[1, 2]],
        ["a", "b"],
        {"a": "int", "b": "str"},
    )
    assert script["predict_fn"](np.array([[1, 2]]), python_function(None)).columns is None

    spec = SimpleNamespace(name="x", shape=(-1, 2, 1), type=np.dtype("float32"))
    tensors = SimpleNamespace(is_tensor_spec=lambda: True, inputs=[spec])
    asked = script["predict_fn"](np.array([[1], [2]]), python_function(tensors))
    assert (asked["x"].shape, asked["x"].dtype) == ((1, 2, 1), np.float32)


def test_a_python_function_whose_requirements_lack_mlflow_is_refused(tmp_path: Path) -> None:
    model = mlflow_model(tmp_path / "m", "artifacts/rules.json")
    file(model / "requirements.txt", "pandas\n")

    assert "names no mlflow" in refusal(model)
    assert "code/requirements.txt" in names(
        packed(model, requirements=file(tmp_path / "needs.txt", "mlflow==3.17.2\n"))
    )


@pytest.mark.parametrize(
    ("framework", "version", "mend"),
    [
        ("tensorflow", "2.19.0", "choose --framework xgboost or sklearn or pytorch"),
        ("huggingface", "4.49.0", "choose --framework xgboost or sklearn or pytorch"),
    ],
)
def test_a_container_that_cannot_load_the_flavor_is_refused_with_those_that_can(
    tmp_path: Path, framework: str, version: str, mend: str
) -> None:
    model = mlflow_model(tmp_path / "m", "model.ubj", xgboost=XGBOOST)

    assert mend in refusal(model, framework=framework, version=version)


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ("flavors: [", "is not as MLflow writes it"),
        ("- a list", "is not as MLflow writes it"),
        ("flavors: {sklearn: {pickled_model: ../../secret.pkl}}", "names ../../secret.pkl, which is not in"),
        ("flavors: {sklearn: {}}", "names model.pkl, which is not in its folder"),
        ("flavors: {sklearn: {pickled_model: MLmodel, code: ..}}", "names .., which is not in"),
    ],
)
def test_an_mlmodel_that_is_wrong_is_refused(tmp_path: Path, described: str, reason: str) -> None:
    model = folder(tmp_path / "deep" / "m", "conda.yaml")
    file(tmp_path / "secret.pkl", "secret")
    file(model / "MLmodel", described)

    assert reason in refusal(model)


# ── the command ───────────────────────────────────────────────────────────────────────────────────
def command(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["pack", *words, "--smoke-test", "1,2", "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_the_command_tells_programs_what_was_packed(tmp_path: Path) -> None:
    model = pretrained(tmp_path / "model", "optimizer.pt")
    out = str(tmp_path / "out")
    words = ("--framework", "huggingface", "--version", "4.49.0", "--metric", "f1=0.9", "--out", out)

    told = command(str(model), *words, "--commit", "1e5", "--environment", "HF_TASK=fill-mask")

    assert told["artifact"] == f"{out}/model.tar.gz"
    assert (told["left_out"], told["generated"], told["generated_script"]) == (["optimizer.pt"], [], False)
    manifest = read_manifest((tmp_path / "out/manifest.yaml").read_bytes())
    assert manifest.content_types == ["application/json"]
    assert manifest.lineage.commit == "1e5"


def test_the_command_packs_a_hubs_model_without_a_file(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out"), "--metric", "f1=0.9")
    model = ("--framework", "huggingface-llm", "--version", "3.3.6", "--environment", "HF_MODEL_ID=a/b")

    told = command(*model, *out)

    assert (told["artifact"], told["files"], told["sha256"]) == (None, [], None)


@pytest.mark.parametrize(
    ("inputs", "content_type"),
    [(COLUMNS, "text/csv"), (WORDS, "application/json"), (IMAGES, "application/json")],
)
def test_an_mlflow_models_signature_says_what_it_takes(
    tmp_path: Path, inputs: str, content_type: str
) -> None:
    model = mlflow_model(tmp_path / "m", "model.pkl", inputs=inputs, sklearn=SKLEARN)
    words = ("--framework", "sklearn", "--version", "1.9-0", "--metric", "f1=0.9")

    command(str(model), *words, "--out", str(tmp_path / "out"))

    manifest = read_manifest((tmp_path / "out/manifest.yaml").read_bytes())
    assert manifest.content_types == [content_type] == [manifest.smoke_test.content_type]


@pytest.mark.parametrize(
    ("content", "is_file"),
    [
        ('{"accuracy": 0.9}', False),
        ('{"val": {"accuracy": 0.9}}', True),
        ('{"regression_metrics": {"mae": {"value": 0.4}}}', True),
        (json.dumps({f"m{number}": 0.5 for number in range(26)}), True),
    ],
)
def test_metrics_that_a_manifest_cannot_hold_stay_in_their_file(
    model: Path, tmp_path: Path, content: str, is_file: bool
) -> None:
    report = file(tmp_path / "report.json", content)
    words = (str(model), "--framework", "sklearn", "--version", "1.9-0", "--metrics-file", str(report))
    out = ("--out", str(tmp_path / "out"))

    told = command(*words, *out)

    assert told["metrics_file"] == (f"{tmp_path}/out/report.json" if is_file else None)
    more = command(*words, *out, "--metric", "auc=0.9", "--overwrite", code=2 if is_file else 0)
    assert ("stays a file of its own" in json.dumps(more)) is is_file


NAMES = st.text("abcdefghij-_. é", min_size=1, max_size=12).filter(lambda name: name.strip(". ") == name)


@given(
    name=NAMES,
    content=st.binary(min_size=1, max_size=5000),
    modules=st.dictionaries(NAMES, st.text(max_size=50), max_size=4),
    metrics=st.dictionaries(st.sampled_from("abcde"), st.floats(-1e300, 1e300), min_size=1),
    body=st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=80),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_packed_is_accepted_and_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    content: bytes,
    modules: dict[str, str],
    metrics: dict[str, float],
    body: str,
) -> None:
    place = tmp_path_factory.mktemp("pack")
    model = file(place / f"{name}.joblib", b"\0" + content)
    file(place / "src" / "inference.py", SCRIPT)
    for module, comment in modules.items():
        file(place / "src" / f"{module}.txt", json.dumps(comment))

    submission = packed(
        model,
        code=place / "src",
        metrics=metrics,
        smoke_test=SmokeTest(content_type="text/csv", body=body),
    )

    with artifact(submission).open("rb") as stream:
        found = inspect(stream)
    assert found == submission.content
    assert contracts.check("sklearn", found, {}) == submission.environment
    assert text(submission, "code/inference.py") == SCRIPT
    manifest = manifest_of(submission)
    assert manifest.metrics == metrics
    assert manifest.smoke_test.body == body
