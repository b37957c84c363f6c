"""What `modelgate inspect` says of an artifact, wherever it lies."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from rich.console import Console

from modelgate.artifacts.inspection import Artifact
from modelgate.aws.errors import translated
from modelgate.errors import AwsError, Forbidden, Refused
from modelgate.images import catalog
from modelgate_cli import inspecting
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint, complaint_about
from modelgate_cli.inspecting import Inspected
from tests.fakes.aws import Calls, FakeBucket
from tests.fakes.tarballs import tarball

SCRIPT = b"def model_fn(model_dir):\n    return 1\n"
SKLEARN = {"code/inference.py": SCRIPT, "model.joblib": b"weights"}
LLAMA = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "model.safetensors": b"\x02" + bytes(7) + b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
}


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket(Calls())


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tarball(SKLEARN))
    return path


def inspected(artifact: Path | str, bucket: FakeBucket | None = None, **more: Any) -> Inspected:
    def buckets(name: str) -> FakeBucket:
        assert bucket is not None
        assert name == "intake"
        return bucket

    return inspecting.inspect(str(artifact), **{"environment": {}, "buckets": buckets, **more})


def text(told: Inspected) -> str:
    console = Console(width=200, file=io.StringIO(), color_system=None)
    for each in inspecting.shown(told):
        console.print(each)
    written: Any = console.file
    return str(written.getvalue())


def test_a_tarball_that_is_right_is_told_with_all_that_is_known_of_it(packed: Path) -> None:
    ticks = iter([10.0, 12.0])

    told = inspected(
        packed, framework="sklearn", version="1.4-2", environment={"LOG": "1"}, clock=lambda: next(ticks)
    )

    shown = text(told)
    assert f"{packed} is sound, and right for sklearn 1.4-2" in shown
    assert "layout: code/inference.py, whose model_fn loads model.joblib" in shown
    assert f"sha256:{told.content.sha256}" in shown
    assert "read in 2.0 s" in shown
    assert "environment: LOG=1, SAGEMAKER_PROGRAM=inference.py, SAGEMAKER_SUBMIT_DIRECTORY=" in shown
    assert "code/inference.py" in shown.split("member", 1)[1]
    document = json.loads(json.dumps(told.document()))
    assert document["members"][1] == {"name": "model.joblib", "size": 7, "kind": "file"}
    assert document["mb_per_s"] == round(packed.stat().st_size / 2e6, 1)
    assert "accepted_by" not in document


def test_without_a_framework_it_is_told_who_would_accept_it(packed: Path) -> None:
    told = inspected(packed)

    by_script = ("autogluon", "chainer", "huggingface", "huggingface-neuron", "huggingface-neuronx")
    assert told.accepted_by == (*by_script, "mxnet", "pytorch", "sklearn", "xgboost")
    assert f"would be accepted by: {', '.join(told.accepted_by)}" in " ".join(text(told).split())
    assert told.document()["accepted_by"] == list(told.accepted_by)


def test_what_nobody_would_accept_is_sound_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "notes.tar.gz"
    path.write_bytes(tarball({"notes/today.txt": b"x"}))

    assert inspected(path).accepted_by == ()
    assert "would be accepted by: no container that is known here" in text(inspected(path))


def test_a_framework_without_a_contract_is_said_not_to_be_checked(packed: Path) -> None:
    assert "what blazingtext expects of it is not known" in text(inspected(packed, framework="blazingtext"))


def test_every_reason_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tarball({"code/inference.py": b"x = 1"}))

    with pytest.raises(Refused) as refused:
        inspected(path, framework="sklearn", version="1.4-99")

    told = str(refused.value)
    assert "--version: there is no prebuilt sklearn '1.4-99'" in told
    assert "model.tar.gz: code/inference.py: has no model_fn" in told
    assert "holds no model file" in told
    assert complaint_about(refused.value).code == NO


def test_an_unknown_framework_is_refused_with_the_nearest(packed: Path) -> None:
    with pytest.raises(Refused, match=r"--framework: no prebuilt container is called 'sklern'.* sklearn"):
        inspected(packed, framework="sklern")


@pytest.mark.parametrize("framework", ["pytorch", "vllm", "huggingface-neuronx", "llama-cpp-arm64"])
def test_a_version_may_be_for_any_kind_of_processor(packed: Path, framework: str) -> None:
    newest = catalog.versions(framework)[-1]
    try:
        told = inspected(packed, framework=framework, version=newest)
    except Refused as refused:
        assert "--version" not in str(refused)
    else:
        assert told.version == newest


def test_a_version_of_nothing_is_a_wrong_command(packed: Path) -> None:
    with pytest.raises(Complaint, match="give --framework as well") as told:
        inspected(packed, version="1.0")
    assert told.value.code == USAGE


def test_a_folder_is_looked_at_as_an_uncompressed_model(tmp_path: Path) -> None:
    for name, content in LLAMA.items():
        (tmp_path / name).write_bytes(content)

    told = inspected(tmp_path, framework="vllm")

    assert told.content.kind == "folder"
    assert told.environment == {"SM_VLLM_MODEL": "/opt/ml/model"}
    assert "LlamaForCausalLM" in told.layout
    assert told.document()["digest"] is None
    assert told.document()["mb_per_s"] is None
    (tmp_path / "config.json").unlink()
    with pytest.raises(Refused, match=rf"^{tmp_path.name}/config.json: is not there"):
        inspected(tmp_path, framework="vllm")


def test_an_object_of_s3_is_streamed(bucket: FakeBucket) -> None:
    bucket.put("models/model.tar.gz", tarball(SKLEARN))
    seen: list[tuple[str, int, int]] = []

    told = inspected(
        "s3://intake/models/model.tar.gz",
        bucket,
        framework="sklearn",
        watch=lambda what, done, of: seen.append((what, done, of)),
    )

    size = told.content.compressed_size
    assert seen[-1] == ("s3://intake/models/model.tar.gz", size, size)
    assert told.digest == told.content.digest


def test_a_prefix_of_s3_is_a_folder(bucket: FakeBucket) -> None:
    for name, content in LLAMA.items():
        bucket.put(f"models/llama/{name}", content)

    told = inspected("s3://intake/models/llama/", bucket, framework="djl-lmi")

    assert told.content.kind == "folder"
    assert "LlamaForCausalLM" in told.layout
    assert str(told.digest).startswith("sha256-listing:")
    bucket.delete("models/llama/tokenizer_config.json")
    with pytest.raises(Refused, match=r"^llama/tokenizer_config.json: is not there"):
        inspected("s3://intake/models/llama/", bucket, framework="djl-lmi")


def test_many_members_are_shown_in_part_and_listed_in_full(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tarball({**SKLEARN, **{f"data/{n:03}.npy": b"1" for n in range(60)}}))

    told = inspected(path, framework="sklearn")

    assert "and 22 more: --json lists all" in text(told)
    assert len(told.document()["members"]) == 62


# ── what is not there, or may not be read ─────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("artifact", "error", "code"),
    [
        ("nowhere/model.tar.gz", "is not there", USAGE),
        ("s3://intake/other.tar.gz", "there is nothing at s3://intake/other.tar.gz", NO),
        ("s3://intake/other/", "there is nothing at s3://intake/other/", NO),
        ("s3://intake", "names no object", USAGE),
        ("s3://intake/", "names no object", USAGE),
    ],
)
def test_what_is_not_there_is_told_with_the_mend(
    bucket: FakeBucket, artifact: str, error: str, code: int
) -> None:
    with pytest.raises(Complaint) as told:
        inspected(artifact, bucket, framework="sklearn")

    assert error in told.value.error
    assert told.value.code == code


class _Closed(FakeBucket):
    """A bucket that lets nobody in."""

    def head(self, key: str) -> Any:
        raise Forbidden("HeadObject", "403", "Forbidden")


class _Gone(FakeBucket):
    """A bucket that there is not."""

    def head(self, key: str) -> Any:
        raise AwsError("HeadObject", "NoSuchBucket", "The specified bucket does not exist")


class _Unsigned(FakeBucket):
    """A bucket behind a client without credentials."""

    def head(self, key: str) -> Any:
        with translated("HeadObject"):
            raise NoCredentialsError


def test_permissions_that_lack_are_named() -> None:
    with pytest.raises(Complaint) as told:
        inspected("s3://intake/model.tar.gz", _Closed(Calls()))

    assert told.value.error == "s3://intake/model.tar.gz may not be read (HeadObject: 403)"
    assert "s3:GetObject" in told.value.mend
    assert told.value.code == TROUBLE


def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises(Complaint, match="there is no bucket intake") as told:
        inspected("s3://intake/model.tar.gz", _Gone(Calls()))
    assert told.value.code == NO


def test_credentials_that_lack_are_a_complaint_as_everywhere() -> None:
    with pytest.raises(Exception, match="NoCredentialsError") as raised:
        inspected("s3://intake/model.tar.gz", _Unsigned(Calls()))

    complaint = complaint_about(raised.value)
    assert complaint.error == "no AWS credentials were found"
    assert complaint.code == TROUBLE


def test_a_folder_of_too_many_files_is_told_so(bucket: FakeBucket) -> None:
    for number in range(1001):
        bucket.put(f"data/{number}", b"1")

    with pytest.raises(Complaint, match="more than 1,000 files"):
        inspected("s3://intake/data/", bucket)


def test_the_rate_of_an_empty_moment_is_no_division_by_zero() -> None:
    content = Artifact((), {}, 5_000_000, 0, "0")
    assert Inspected("a", None, None, content, "", {}, (), 0.0).mb_per_s
