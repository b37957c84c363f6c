"""`modelgate train` and `modelgate transform`: with the real functions on an AWS in memory, and with none."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from localcloud.training.hosts import HostSpec
from modelgate.errors import Refused, Throttled
from modelgate.manifest import read_manifest
from modelgate.run import TrainingId, job_name
from modelgate.training.job import read_job
from modelgate_cli import job_uploads, local_training, training, training_folder, transforming
from modelgate_cli.complaints import INTERRUPTED, NO, TROUBLE, USAGE, Complaint
from modelgate_cli.job_log import JobLog, Line
from modelgate_cli.main import app
from modelgate_cli.screen import Screen
from modelgate_cli.stack import Names, Stack
from modelgate_cli.training_folder import TrainingFolder, group_of, hyperparameters_of, run_of
from tests.unit.training import REGION, SKLEARN, Studio, document

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from modelgate.ports import Bucket, Table
    from modelgate_cli.training import Trained

SCRIPT = "print('trained')\n"
INFERENCE = "def model_fn(model_dir):\n    return 1\n"
TODAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def folder_at(path: Path, files: Mapping[str, str] | None = None, **job: Any) -> Path:
    """A folder that can be trained, but for the changes; None leaves a key of `job.yaml` out."""
    content = {key: value for key, value in {**SKLEARN, **job}.items() if value is not None}
    standard = {"code/train.py": SCRIPT, "data/train/flowers.csv": "5.1,setosa\n"}
    for name, text in {"job.yaml": yaml.safe_dump(content), **standard, **(files or {})}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def problems_of(path: Path) -> dict[str, str]:
    with pytest.raises(Refused) as told:
        training_folder.read(path, {})
    return {each.where: each.found for each in told.value.problems}


@contextmanager
def complaint(code: int, words: str) -> Iterator[dict[str, Any]]:
    """The block ends with this complaint, whose document is filled in."""
    document: dict[str, Any] = {}
    with pytest.raises(Complaint, match=words) as told:
        yield document
    assert told.value.code == code
    document.update(told.value.document())


# ── the folder ────────────────────────────────────────────────────────────────────────────────────
def test_a_folder_is_read_with_its_code_and_its_data(tmp_path: Path) -> None:
    junk = {"code/__pycache__/train.pyc": "", "code/.git/config": "", "data/train/.DS_Store": ""}
    path = folder_at(tmp_path, {"code/inference.py": INFERENCE, "data/train/more/a.csv": "1", **junk})
    found = training_folder.read(path, {})
    assert list(found.code) == ["train.py", "inference.py"]
    assert list(found.uploads) == ["data/train/flowers.csv", "data/train/more/a.csv"]
    assert list(found.data["train"].files) == ["flowers.csv", "more/a.csv"]
    assert found.document == (path / "job.yaml").read_bytes()


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    job = {
        "script": {"source": "code.tar.gz", "program": "fit.py"},
        "data": {"train": "data/none/", "few": {"location": "data/train/", "distribution": "sharded"}},
        "instances": {"type": "ml.m5.large", "count": 2},
    }
    assert problems_of(folder_at(tmp_path, {}, **job)) == {
        "job.yaml: script.program": f"is 'fit.py', which is not in {tmp_path}/code",
        "job.yaml: data.train.location": f"is data/none/, and there is no file at {tmp_path}/data/none",
        "job.yaml: data.few.distribution": "is sharded, and has 1 file for 2 instances: "
        "some would get nothing",
    }


def test_a_script_without_a_folder_is_told_where_it_belongs(tmp_path: Path) -> None:
    path = folder_at(tmp_path, script={"source": "src/trees.tar.gz", "program": "train.py"})
    assert "neither a folder src/trees/ nor that file" in problems_of(path)["job.yaml: script.source"]
    (path / "src").mkdir()
    (path / "src/trees.tar.gz").write_bytes(b"packed")
    found = training_folder.read(path, {})
    assert (found.code, found.packed) == ({}, path / "src/trees.tar.gz")
    assert "src/trees.tar.gz" in found.uploads


def test_a_location_that_would_take_in_another_channel_needs_its_slash(tmp_path: Path) -> None:
    files = {"data/train-old/flowers.csv": "1"}
    data = {"train": "data/train", "old": "data/train-old/"}
    path = folder_at(tmp_path, files, data=data)
    assert (
        "data/train-old/flowers.csv of another channel" in problems_of(path)["job.yaml: data.train.location"]
    )
    folder_at(tmp_path, files, data={**data, "train": "data/train/"})
    assert len(training_folder.read(path, {}).uploads) == 2


def test_a_channel_can_be_one_file(tmp_path: Path) -> None:
    found = training_folder.read(folder_at(tmp_path, data={"train": "data/train/flowers.csv"}), {})
    assert list(found.data["train"].files) == ["flowers.csv"]
    assert list(found.uploads) == ["data/train/flowers.csv"]


def test_links_to_data_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "large.csv").write_text("1")
    path = folder_at(tmp_path / "trees")
    (path / "data/train/linked").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    assert list(training_folder.read(path, {}).data["train"].files) == ["flowers.csv", "linked/large.csv"]


@pytest.mark.parametrize("missing", ["job.yaml", ""])
def test_a_folder_that_is_none_is_a_usage_error(tmp_path: Path, missing: str) -> None:
    with complaint(USAGE, "has no job.yaml" if missing else "is no folder"):
        training_folder.read(tmp_path if missing else tmp_path / "none", {})


def test_hyperparameters_of_the_command_line_go_over_those_of_the_document(tmp_path: Path) -> None:
    told = hyperparameters_of({"max-depth": "2", "name": "oak", "grow": "true", "rates": "[0.1, 0.2]"})
    found = training_folder.read(folder_at(tmp_path), told)
    expected = {"max-depth": 2, "solver": "lbfgs", "name": "oak", "grow": True, "rates": [0.1, 0.2]}
    assert found.job.hyperparameters == expected
    assert read_job(found.document) == found.job


def test_a_document_that_is_wrong_is_told_of_with_hyperparameters_too(tmp_path: Path) -> None:
    path = folder_at(tmp_path, hyperparameters="max-depth=4")
    with pytest.raises(Refused, match=r"job\.yaml: hyperparameters"):
        training_folder.read(path, {"a": 1})


@pytest.mark.parametrize(
    ("folder", "group"),
    [("iris", "iris"), ("decision_trees", "decision-trees"), ("My Trees (2)", "My-Trees-2")],
)
def test_the_group_is_called_like_the_folder_as_far_as_groups_can_be(folder: str, group: str) -> None:
    assert group_of(Path("/work", folder), None) == group
    assert group_of(Path("/work", folder), "oaks") == "oaks"


@given(st.sampled_from(["code/train.py", "data/train/flowers.csv", "job.yaml"]), st.sampled_from(["#", "\n"]))
def test_a_run_is_called_by_its_content(
    tmp_path_factory: pytest.TempPathFactory, name: str, more: str
) -> None:
    one, two = (folder_at(tmp_path_factory.mktemp("trees")) for _ in range(2))
    runs = [run_of("iris", None, training_folder.read(each, {}).digest, TODAY).run for each in (one, two)]
    assert runs[0] == runs[1]
    assert runs[0].startswith("2026-03-01-")
    (two / name).write_text((two / name).read_text() + more)
    assert training_folder.read(two, {}).digest[:8] not in runs[0]


# ── on this machine ───────────────────────────────────────────────────────────────────────────────
@dataclass
class Host:
    """A `localcloud.training.hosts.TrainingHost` that runs while it is waited for."""

    wait: Callable[[], int]
    failure: str | None = None

    def terminate(self, grace: float) -> None:
        """It has ended."""


@dataclass
class Machine:
    """A `localcloud.training.hosts.Cluster`: ``program`` is the container, called with its `/opt/ml`."""

    program: Callable[[Path, Callable[[str], None]], int | None]
    specs: list[HostSpec] = field(default_factory=list)
    network_interface = "lo"

    def place(self, root: Path) -> str:
        return f"{root}/opt/ml"

    def start(self, spec: HostSpec, root: Path, write: Callable[[str], None]) -> Host:
        self.specs.append(spec)
        return Host(lambda: self.program(root / "opt/ml", write) or 0)

    def close(self) -> None:
        """Nothing is shared."""


def trains(opt_ml: Path, write: Callable[[str], None]) -> None:
    """A container that trains what serves, with an accuracy of 0.95."""
    write("seen=0.97")
    (opt_ml / "model/code").mkdir()
    (opt_ml / "model/model.joblib").write_bytes(b"weights")
    (opt_ml / "model/code/inference.py").write_text(INFERENCE)
    (opt_ml / "output/data/evaluation.json").write_text('{"accuracy": 0.95}')


def trained_here(
    path: Path, program: Callable[[Path, Callable[[str], None]], int | None] = trains, **more: Any
) -> local_training.TrainedHere:
    read = training_folder.read(path, {}, more.pop("elsewhere", None))
    machine = more.pop("machine", None) or Machine(program)
    screen = Screen(as_json=False)
    out = more.pop("out", path / "results")
    return local_training.train(read, "iris", screen, region=REGION, cluster=machine, out=out, **more)


def shown(result: list[Any]) -> str:
    console = Console(width=200, file=io.StringIO(), color_system=None)
    for each in result:
        console.print(each)
    return str(cast("io.StringIO", console.file).getvalue())


POLICY = "gate: {metrics: [{name: accuracy, goal: maximize, at_least: 0.9}]}\n"


def test_what_is_trained_here_is_looked_at_as_the_gate_would(tmp_path: Path) -> None:
    path = folder_at(tmp_path, {"policy.yaml": POLICY}, metrics=[{"name": "seen", "regex": "seen=([0-9.]+)"}])
    made = trained_here(path)
    results = path / "results"
    assert (made.status, made.passes, made.folder) == ("completed", True, results)
    assert made.metrics == {"accuracy": 0.95, "seen": 0.97}
    assert made.artifact == results / "model.tar.gz"
    assert made.inspected is not None
    assert "model_fn loads model.joblib" in made.inspected.layout
    assert (results / "log.txt").read_text() == "seen=0.97\n"
    assert (results / ".gitignore").is_file()
    text = shown(local_training.shown(made))
    assert "accuracy 0.95" in text
    assert "policy would let it through" in text
    json.dumps(made.document())


def test_what_is_trained_here_is_a_submission_that_can_be_submitted(tmp_path: Path) -> None:
    made = trained_here(folder_at(tmp_path))
    assert made.submission is not None
    manifest = read_manifest((made.submission / "manifest.yaml").read_bytes())
    assert manifest.container is not None
    assert (manifest.container.framework, manifest.metrics_file) == ("sklearn", "evaluation.json")
    assert manifest.lineage.generated_by == "modelgate train --local"
    with tarfile.open(made.submission / "model.tar.gz") as tar:
        assert "code/inference.py" in tar.getnames()
    assert made.passes is None
    assert "is not known: there is no policy.yaml" in shown(local_training.shown(made))


def test_the_script_finds_what_sagemaker_would_lay_out(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    def program(opt_ml: Path, _: Callable[[str], None]) -> None:
        config = opt_ml / "input/config"
        found.update(json.loads((config / "hyperparameters.json").read_text()))
        found["files"] = sorted(
            path.relative_to(opt_ml).as_posix()
            for folder in ("code", "input/data")
            for path in (opt_ml / folder).rglob("*.*")
        )

    trained_here(folder_at(tmp_path, serve=None), program)
    assert found["max-depth"] == "4"
    assert found["solver"] == '"lbfgs"'
    assert found["sagemaker_program"] == '"train.py"'
    assert found["sagemaker_submit_directory"] == f'"{tmp_path}/results/algo-1/opt/ml/code"'
    assert found["files"] == ["code/train.py", "input/data/train/flowers.csv"]


def test_a_script_that_may_reach_no_network_gets_its_source_as_a_channel(tmp_path: Path) -> None:
    names: list[str] = []

    def program(opt_ml: Path, _: Callable[[str], None]) -> None:
        with tarfile.open(opt_ml / "input/data/code/sourcedir.tar.gz") as tar:
            names.extend(tar.getnames())

    trained_here(folder_at(tmp_path, serve=None, network_isolation=True), program)
    assert names == ["train.py"]


def test_a_packed_source_is_unpacked(tmp_path: Path) -> None:
    path = folder_at(tmp_path, serve=None, script={"source": "trees.tar.gz", "program": "fit.py"})
    with tarfile.open(path / "trees.tar.gz", "w:gz") as tar:
        tar.add(path / "code/train.py", "fit.py")
    seen: list[bool] = []
    trained_here(path, lambda opt_ml, _: seen.append((opt_ml / "code/fit.py").is_file()))
    assert seen == [True]
    (path / "trees.tar.gz").write_bytes(b"no tarball")
    with pytest.raises(Refused, match="cannot be unpacked"):
        trained_here(path)


def test_a_failure_is_told_with_its_reason_and_the_log(tmp_path: Path) -> None:
    def program(opt_ml: Path, write: Callable[[str], None]) -> int:
        write("ValueError: no flowers")
        (opt_ml / "output/failure").write_text("ValueError: no flowers")
        return 1

    made = trained_here(folder_at(tmp_path), program)
    assert made.log_lines == ("ValueError: no flowers",)
    with complaint(NO, "AlgorithmError: ValueError: no flowers, exit code: 1") as told:
        local_training.show(made, Screen(as_json=False), logs=True)
    assert (told["status"], told["submission"]) == ("failed", None)


def test_lines_of_several_hosts_say_whose_they_are(tmp_path: Path) -> None:
    job: dict[str, Any] = {"instances": {"type": "ml.m5.large", "count": 2}, "serve": None}
    machine = Machine(lambda _, write: write("here"))
    trained_here(folder_at(tmp_path, **job), machine=machine)
    assert [spec.name for spec in machine.specs] == ["algo-1", "algo-2"]
    log = (tmp_path / "results/log.txt").read_text()
    assert sorted(log.splitlines()) == ["algo-1 │ here", "algo-2 │ here"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"output/data/evaluation.json": '{"accuracy": 0.5}'}, "accuracy: is 0.5"),
        ({"output/data/evaluation.json": "{}"}, "no figure to judge by"),
        ({"model/model.joblib": "", "model/code/inference.py": "x = 1"}, "model_fn"),
        ({"output/data/evaluation.json": '{"accuracy": "good"}'}, "evaluation.json"),
    ],
)
def test_what_the_gate_would_refuse_is_refused_here(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    def program(opt_ml: Path, write: Callable[[str], None]) -> None:
        trains(opt_ml, write)
        for name, text in files.items():
            (opt_ml / name).write_text(text)

    made = trained_here(folder_at(tmp_path, {"policy.yaml": POLICY}), program)
    with complaint(NO, words) as told:
        local_training.show(made, Screen(as_json=True), logs=True)
    assert told["status"] == "refused"
    assert told["problems"]


def test_a_job_that_makes_no_model_would_become_no_version(tmp_path: Path) -> None:
    def program(opt_ml: Path, _: Callable[[str], None]) -> None:
        (opt_ml / "output/data/evaluation.json").write_text('{"accuracy": 0.95}')

    made = trained_here(folder_at(tmp_path), program)
    assert (made.status, made.submission) == ("refused", None)
    assert "SM_MODEL_DIR" in made.problems[0].mend


def test_results_are_replaced_by_the_next_ones_and_nothing_else_ever_is(tmp_path: Path) -> None:
    path, out = folder_at(tmp_path / "trees", serve=None), tmp_path / "out"
    first = trained_here(path, trains, out=out)
    assert first.artifact is not None
    assert trained_here(path, lambda *_: None, out=out).artifact is None
    assert not (out / "model.tar.gz").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with complaint(USAGE, "holds something else"):
        trained_here(path, out=tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").exists()


def test_results_go_elsewhere_than_into_a_folder_that_an_image_is_built_of(tmp_path: Path) -> None:
    one, two = tmp_path / "a/trees", tmp_path / "b/trees"
    usual = local_training.usual_results(one, {"XDG_CACHE_HOME": "/cache"})
    assert usual.parent == Path("/cache/modelgate/training")
    assert usual != local_training.usual_results(two, {"XDG_CACHE_HOME": "/cache"})
    assert local_training.usual_results(one, {}).is_relative_to(Path.home())


def test_what_lies_in_the_cloud_only_is_to_be_brought_here(tmp_path: Path) -> None:
    path = folder_at(tmp_path / "trees", data={"train": "s3://lake/flowers/"}, serve=None)
    with pytest.raises(Refused, match="--data train=PATH"):
        trained_here(path)
    some = tmp_path / "some.csv"
    some.write_text("1")
    seen: list[bool] = []

    def program(opt_ml: Path, _: Callable[[str], None]) -> None:
        seen.append((opt_ml / "input/data/train/some.csv").is_file())

    trained_here(path, program, elsewhere={"train": some})
    assert seen == [True]
    with complaint(USAGE, "no channel of job.yaml"):
        trained_here(path, elsewhere={"validation": some})


def test_what_nothing_here_stands_in_for_is_told(tmp_path: Path) -> None:
    pytorch = {"framework": "pytorch", "version": "2.1", "py_version": "py310"}
    with pytest.raises(Refused, match="nothing on this machine stands in for"):
        trained_here(folder_at(tmp_path, container=pytorch))


def test_an_interruption_ends_it_here_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("localcloud.training.job.run_in_folder", interrupted)
    with complaint(INTERRUPTED, "is ended; nothing goes on"):
        trained_here(folder_at(tmp_path))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "x"], "--out is for training on this machine"),
        (["--data", "a=b", "--out", "x"], "--data and --out is for training on this machine"),
        (["--local", "--run", "x"], "--local uploads nothing"),
    ],
)
def test_options_of_the_other_way_are_usage_errors(tmp_path: Path, words: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path), *words])
    assert result.exit_code == USAGE
    assert told in result.stderr


# ── over AWS ──────────────────────────────────────────────────────────────────────────────────────
class _S3:
    """Where things are uploaded to; the stack's functions hear of it when they are told to."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self.metadata: dict[tuple[str, str], dict[str, str]] = {}
        self.uploads: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def upload_file(self, file: str, bucket: str, key: str, Callback: Callable[[int], None]) -> None:  # noqa: N803
        assert bucket == "intake"
        self._bucket.put(key, Path(file).read_bytes())
        self.uploads.append(key)
        Callback(0)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str]) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "intake"
        self.meanwhile()
        version = self._bucket.put(Key, Body).version
        self.metadata[Key, version] = Metadata
        self.uploads.append(Key)
        return {"VersionId": version}

    def head_object(self, *, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "intake"
        return {"Metadata": self.metadata.get((Key, VersionId), {})}


@dataclass
class Logs:
    """A log group as CloudWatch Logs has it, with pages of two."""

    streams: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def write(self, stream: str, *messages: str) -> None:
        self.streams.setdefault(stream, []).extend(messages)

    def describe_log_streams(
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamNamePrefix: str,  # noqa: N803
        limit: int,
    ) -> dict[str, Any]:
        assert limit <= 50
        if not self.streams:
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "DescribeLogStreams"
            )
        names = [name for name in sorted(self.streams) if name.startswith(logStreamNamePrefix)]
        return {"logStreams": [{"logStreamName": name} for name in names[:limit]]}

    def get_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamName: str,  # noqa: N803
        startFromHead: bool,  # noqa: N803
        nextToken: str = "f/0",  # noqa: N803
    ) -> dict[str, Any]:
        assert startFromHead
        if code := self.errors and self.errors.pop(0):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetLogEvents")
        start = int(nextToken.removeprefix("f/"))
        found = self.streams[logStreamName][start : start + 2]
        events = [{"timestamp": 0, "message": message} for message in found]
        return {"events": events, "nextForwardToken": f"f/{start + len(found)}"}


class _SageMaker:
    """Tells of the jobs in memory, in the words of boto3."""

    class meta:  # noqa: N801  boto3's spelling
        region_name = REGION

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.errors: list[str] = []

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        code = self.errors.pop(0) if self.errors else None
        job = self._studio.jobs.jobs.get(TrainingJobName)
        if code or job is None:
            code = code or "ResourceNotFound"
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeTrainingJob")
        return {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "TrainingJobStatus": job.status,
            "SecondaryStatus": job.secondary_status,
            "CreationTime": job.created_at,
            "FailureReason": job.failure_reason,
            "ModelArtifacts": {"S3ModelArtifacts": job.artifact},
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value} for name, value in job.metrics.items()
            ],
            **({"TrainingTimeInSeconds": job.seconds, "BillableTimeInSeconds": 40} if job.seconds else {}),
        }


class MemoryStack(Stack):
    """A stack on an AWS in memory."""

    def __init__(self, studio: Studio) -> None:
        super().__init__(cast("boto3.Session", None), "modelgate", {})
        self._studio = studio
        self.logs_in_memory = Logs()
        self.s3_in_memory = _S3(studio.bucket)
        self.sagemaker_in_memory = _SageMaker(studio)

    @cached_property
    def names(self) -> Names:
        return Names("modelgate", "intake", "state", "announcements")

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {"TrainingRole": "a-role"}

    @cached_property
    def bucket(self) -> Bucket:
        return self._studio.bucket

    @cached_property
    def table(self) -> Table:
        return self._studio.memory.table

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self.logs_in_memory)

    @cached_property
    def s3(self) -> S3Client:
        return cast("S3Client", self.s3_in_memory)

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        return cast("SageMakerClient", self.sagemaker_in_memory)


class Desk:
    """Somebody who trains, and what happens meanwhile."""

    def __init__(self, path: Path, **job: Any) -> None:
        self.studio = Studio()
        self.stack = MemoryStack(self.studio)
        content: dict[str, Any] = {"serve": None, **job}
        self.path = folder_at(path, **content)
        self._acts: list[Callable[[], object]] = []

    def train(
        self,
        *acts: Callable[[], object],
        run: str | None = "first",
        logs: bool = True,
        wait: bool = True,
        timeout: float = 3600,
        **hyperparameters: Any,
    ) -> Trained:
        """What the command does; ``acts`` happen while it waits, one at each pause."""
        self._acts = list(acts)
        found: TrainingFolder = training_folder.read(self.path, hyperparameters)
        where = run_of("iris", run, found.digest, TODAY)
        return training.train(
            found,
            where,
            found.digest,
            self.stack,
            Screen(as_json=False),
            logs=logs,
            wait=wait,
            timeout=timeout,
            clock=lambda: self.studio.clock().timestamp(),
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.studio.clock.forward(seconds)
        if self._acts:
            self._acts.pop(0)()

    # ── what the stack does ───────────────────────────────────────────────────────────────────
    def taken_up(self) -> None:
        self.studio.receive(self.stack.s3_in_memory.uploads[-1])

    def writes(self, *lines: str, host: str = "algo-1") -> Callable[[], None]:
        return lambda: self.stack.logs_in_memory.write(f"{self.job}/{host}-1700000000", *lines)

    def completed(self) -> None:
        self.studio.jobs.complete(self.job, metrics={"accuracy": 0.95})

    def failed(self) -> None:
        self.writes("ValueError: no flowers")()
        self.studio.jobs.fail(self.job, "AlgorithmError: no flowers, exit code: 1")

    def noticed(self) -> None:
        self.studio.finished()

    @property
    def job(self) -> str:
        return self.studio.started[-1]

    @property
    def uploads(self) -> list[str]:
        return self.stack.s3_in_memory.uploads


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_folder_is_uploaded_with_its_document_last_and_followed_to_its_end(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = desk.train(desk.taken_up, desk.writes("one", "two", "three"), desk.completed, desk.noticed)
    assert sorted(desk.uploads[:2]) == [
        "training/iris/first/code.tar.gz",
        "training/iris/first/data/train/flowers.csv",
    ]
    assert desk.uploads[2:] == ["training/iris/first/job.yaml"]
    assert (trained.status, trained.job, trained.billable_seconds) == ("completed", desk.job, 40)
    assert trained.metrics == {"accuracy": 0.95}
    training.show(trained, Screen(as_json=False))
    told = capsys.readouterr()
    assert "is completed, in 1 min 1 s, of which 40 s are billed: accuracy 0.95." in told.out
    assert f"model: s3://intake/trained/iris/first/{desk.job}/output/model.tar.gz" in told.out
    in_order = ["waits for the stack", "instances are made ready", "one", "two", "three", "Completed"]
    places = [told.err.index(words) for words in in_order]
    assert places == sorted(places)


def test_the_same_folder_is_the_same_tarball(desk: Desk, tmp_path: Path) -> None:
    desk.train(wait=False)
    other = Desk(tmp_path / "other")
    other.train(wait=False)
    key = "training/iris/first/code.tar.gz"
    assert desk.studio.bucket.read(key, 10**6) == other.studio.bucket.read(key, 10**6)


def test_what_was_trained_before_is_found_at_once(desk: Desk) -> None:
    first = desk.train(desk.taken_up, desk.completed, desk.noticed)
    uploads = list(desk.uploads)
    second = desk.train()
    assert (second.job, second.already_trained, desk.uploads) == (first.job, True, uploads)


def test_what_is_under_way_is_followed_without_an_upload(desk: Desk) -> None:
    with complaint(TROUBLE, "the end of training iris/first did not come within 5 seconds") as told:
        desk.train(desk.taken_up, timeout=5)
    assert told["status"] == "training"
    assert desk.train(desk.completed, desk.noticed).status == "completed"
    assert len(desk.uploads) == 3


def test_a_name_that_something_else_was_trained_under_is_left_alone(desk: Desk) -> None:
    desk.train(desk.taken_up, desk.completed, desk.noticed)
    with complaint(NO, "was made of something else than this folder"):
        desk.train(depth=2)
    assert len(desk.uploads) == 3
    assert desk.train(run=None, wait=False, depth=2).status == "uploaded"


def test_who_comes_second_under_a_name_is_told_so(desk: Desk) -> None:
    def somebody_is_first() -> None:
        desk.studio.receive(desk.studio.upload(document(serve=None)))

    desk.stack.s3_in_memory.meanwhile = somebody_is_first
    with complaint(NO, "is training already, with another job.yaml"):
        desk.train(desk.taken_up)


def test_a_failure_ends_with_its_reason_and_the_last_lines(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = desk.train(desk.taken_up, desk.failed, desk.noticed, logs=False)
    assert "ValueError: no flowers" in capsys.readouterr().err
    with complaint(NO, "training iris/first failed: AlgorithmError: no flowers, exit code: 1") as told:
        training.show(trained, Screen(as_json=True))
    assert (told["status"], told["log_lines"]) == ("failed", ("ValueError: no flowers",))


def test_what_failed_is_trained_again_under_the_same_name(desk: Desk) -> None:
    desk.train(desk.taken_up, desk.failed, desk.noticed)
    first = desk.job
    again = desk.train(desk.taken_up, desk.completed, desk.noticed)
    assert again.status == "completed"
    assert again.job not in {"", first}


def test_a_job_that_somebody_stops_is_told_so(desk: Desk) -> None:
    trained = desk.train(desk.taken_up, lambda: desk.studio.jobs.stop(desk.job), desk.noticed)
    with complaint(NO, "is stopped: somebody stopped it"):
        training.show(trained, Screen(as_json=False))


def test_a_document_that_the_stack_refuses_is_told_with_its_reasons(desk: Desk) -> None:
    def source_is_gone() -> None:
        desk.studio.bucket.delete("training/iris/first/code.tar.gz")
        desk.taken_up()

    trained = desk.train(source_is_gone)
    assert (trained.status, trained.job) == ("refused", "")
    with complaint(NO, "is refused: job.yaml: script.source"):
        training.show(trained, Screen(as_json=False))


def test_a_version_that_no_catalog_has_is_told_before_an_upload(tmp_path: Path) -> None:
    desk = Desk(tmp_path, container={"framework": "sklearn", "version": "99"})
    with pytest.raises(Refused, match=r"job\.yaml: container\.version"):
        desk.train()
    assert desk.uploads == []


def test_an_upload_that_nobody_takes_up_is_told_where_to_look(desk: Desk) -> None:
    with complaint(TROUBLE, "has not taken training iris/first up within 30") as told:
        desk.train()
    assert "training_requested" in told["mend"]
    assert told["status"] == "uploaded"


def test_an_event_that_was_lost_is_told(desk: Desk) -> None:
    with complaint(TROUBLE, "is over with Completed, and the stack has not noticed yet"):
        desk.train(desk.taken_up, desk.completed)


def test_an_interruption_says_what_goes_on_and_how_to_end_it(desk: Desk) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with complaint(INTERRUPTED, "training iris/first is followed no more") as told:
        desk.train(desk.taken_up, interrupted)
    assert told["mend"] == (
        "it goes on in AWS, and the same command follows it again; "
        f"aws sagemaker stop-training-job --training-job-name {desk.job} ends it"
    )


def test_a_job_is_not_over_because_somebody_could_not_ask(desk: Desk) -> None:
    def busy() -> None:
        desk.completed()
        desk.stack.sagemaker_in_memory.errors.append("ThrottlingException")
        desk.studio.calls.fail("GetItem", Throttled("GetItem", "ThrottlingException", "slow down"))

    assert desk.train(desk.taken_up, busy, desk.noticed).status == "completed"


def test_who_may_not_look_at_jobs_sees_the_outcome_all_the_same(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.stack.sagemaker_in_memory.errors = ["AccessDeniedException"] * 9
    trained = desk.train(desk.taken_up, desk.completed, desk.noticed)
    assert (trained.status, trained.seconds) == ("completed", None)
    assert capsys.readouterr().err.count("you may not sagemaker:DescribeTrainingJob") == 1


def test_nobody_has_to_wait(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    trained = desk.train(wait=False)
    assert (trained.status, trained.job) == ("uploaded", job_name(TrainingId("iris", "first"), "v1"))
    training.show(trained, Screen(as_json=False))
    assert "without --no-wait, follows it" in capsys.readouterr().out


# ── the log ───────────────────────────────────────────────────────────────────────────────────────
def test_each_line_of_each_host_is_read_once_whatever_fails_halfway() -> None:
    logs = Logs()
    log = JobLog(cast("CloudWatchLogsClient", logs), "group", "job")
    assert log.news() == []  # nobody has written yet
    logs.write("job/algo-1-1700000000", "one\n", "\n", "two\nthree")
    logs.write("other/algo-1-1700000000", "not ours")
    assert [line.text for line in log.news()] == ["one", "two", "three"]
    logs.write("job/algo-2-1700000000", "four", "five", "six")
    logs.write("job/i-0abc/data-log", "seven")
    logs.errors = ["", "", "ThrottlingException"]
    with pytest.raises(Throttled):
        log.news()
    assert log.news() == [
        *(Line("algo-2", text) for text in ("four", "five", "six")),
        Line("i-0abc/data-log", "seven"),
    ]
    assert log.hosts == 3
    assert log.news() == []


# ── transforms ────────────────────────────────────────────────────────────────────────────────────
def asked(questions: Path | str, **more: Any) -> transforming.Wanted:
    nothing = dict.fromkeys(("version", "content_type", "split", "accept", "instance_type"))
    return transforming.wanted(str(questions), **{**nothing, "join": False, "count": 1, **more})


@pytest.mark.parametrize(
    ("file", "content_type", "split"),
    [
        ("flowers.csv", "text/csv", "line"),
        ("flowers.jsonl", "application/jsonlines", "line"),
        ("flower.json", "application/json", "none"),
    ],
)
def test_what_a_file_is_is_told_by_its_name(tmp_path: Path, file: str, content_type: str, split: str) -> None:
    (tmp_path / file).write_text("1")
    job = asked(tmp_path / file).job
    assert (job.input.content_type, job.input.split, job.input.location) == (content_type, split, "input/")
    assert asked(tmp_path).files == {file: tmp_path / file}


def test_what_lies_in_s3_is_left_there() -> None:
    found = asked("s3://lake/flowers.csv", version=3, accept="application/json", join=True)
    assert (found.files, found.job.input.location) == ({}, "s3://lake/flowers.csv")
    assert (found.job.version, found.job.output.accept, found.job.join) == (3, "application/json", True)


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a.txt"], "cannot be told"), (["a.csv", "b.json"], "cannot be told"), ([], "holds no file")],
)
def test_input_that_nobody_understands_is_a_usage_error(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).write_text("1")
    with complaint(USAGE, words):
        asked(tmp_path)
    with complaint(USAGE, "is not there"):
        asked(tmp_path / "nowhere.csv")


def test_a_document_that_sagemaker_would_not_take_is_told_before_an_upload(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("1")
    with pytest.raises(Refused, match="cannot take apart"):
        asked(tmp_path, join=True)


def test_each_transform_is_a_new_one_unless_it_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    digest = asked(tmp_path).digest
    assert transforming.run_of("iris", None, digest, TODAY).run == f"2026-03-01-120000-{digest[:8]}"
    assert transforming.run_of("iris", "june", digest, TODAY).run == "june"
    (tmp_path / "a.csv").write_text("2")
    assert asked(tmp_path).digest != digest


def test_documents_are_uploaded_with_what_they_are_made_of() -> None:
    stack = MemoryStack(Studio())
    version = job_uploads.upload_document("training/a/b/job.yaml", b"{}", "abc", stack, Screen(as_json=False))
    assert job_uploads.digest_of("training/a/b/job.yaml", version, stack) == "abc"
    assert job_uploads.digest_of("training/a/b/job.yaml", "v9", stack) is None
