"""Training jobs whose hosts are containers of one's own images, run as SageMaker runs them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from localcloud import LocalCloud, Pace
from localcloud.training.channels import Channel, LocalFolder
from localcloud.training.docker_hosts import DockerCluster, image_for
from localcloud.training.job import Attempt, Ended, Outcome, TrainingDescription, run_in_folder
from modelgate.errors import Refused
from tests.docker.conftest import BASE_IMAGE, BuildImage
from tests.docker.test_serving import Serving, pushed
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack
from tests.integration.test_local_cloud_training import Training, went_through
from tests.simulation.chain import Chain
from tests.unit.sources import zipped

# What it does is a hyperparameter.
TRAIN = """
import json, os, sys
from pathlib import Path
ML = Path("/opt/ml")
config = ML / "input/config"
resources = json.loads((config / "resourceconfig.json").read_text())
me, hosts = resources["current_host"], resources["hosts"]
exec(json.loads(json.loads((config / "hyperparameters.json").read_text())["script"]))
"""
DOCKERFILE = f"""
FROM {BASE_IMAGE}
COPY train.py /
COPY train.py /opt/ml/code/of_the_image.py
STOPSIGNAL SIGQUIT
ENTRYPOINT ["python", "-u", "/train.py"]
CMD ["overridden"]
"""

LOOKS = """
def cgroup(*names):
    found = [Path("/sys/fs/cgroup", name) for name in names if Path("/sys/fs/cgroup", name).exists()]
    return found[0].read_text().split()

def writes(folder):
    try:
        (ML / "input/data" / folder / "written").touch()
    except OSError:
        return False
    return True

shm = os.statvfs("/dev/shm")
print("größer", flush=True)
(ML / "model/found.json").write_text(json.dumps({
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "ml": sorted(path.relative_to(ML).as_posix() for path in ML.rglob("*") if path.is_file()),
    "memory": cgroup("memory.max", "memory/memory.limit_in_bytes"),
    "shm": shm.f_frsize * shm.f_blocks,
    "interfaces": os.listdir("/sys/class/net"),
    "privileges": [line for line in open("/proc/self/status") if "NoNew" in line],
    "writes": [name for name in ("files", "streamed") if writes(name)],
}))
"""
# Each host tells the first one its name; that one writes down who did.
TALKS = """
import socket
own = socket.create_server(("", 7001))
if me == hosts[0]:
    said = [own.accept()[0].makefile().readline().strip() for _ in hosts[1:]]
    print("heard", *sorted(said), flush=True)
else:
    while True:
        try:
            with socket.create_connection((hosts[0], 7001)) as first:
                first.sendall((me + "\\n").encode())
            break
        except OSError:
            continue
"""
READS_PIPES = """
epochs = []
while len(epochs) < 2:
    pipe = ML / f"input/data/train_{len(epochs)}"
    if pipe.exists():
        epochs.append(pipe.read_text())
(ML / "model/epochs.json").write_text(json.dumps(epochs))
"""
HEARS = """
import signal
def end(*_):
    print("told to end", flush=True)
    (ML / "model/half").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""
DEAF = """
import signal
print("ready", flush=True)
while True:
    signal.pause()
"""
FAILS = """
(ML / "output/failure").write_text("max_depth must not be negative")
sys.exit(3)
"""
EATS = "eaten = bytearray(b'x' * (1 << 31))"
# As mkstemp and some libraries write: nobody else may even look.
WRITES_AS_ROOT = """
os.umask(0o077)
for folder in (ML / "model/deep", Path("/mnt/kept")):
    folder.mkdir(exist_ok=True)
    (folder / "secret").write_text(str(os.getuid()))
"""
RESUMES = """
import http.client, signal, urllib.parse
folder = Path("/mnt/kept")
before = sorted(path.name for path in folder.iterdir())
(folder / f"step-{len(before)}").write_text("done")
print("step", len(before), "is kept", flush=True)
if not before:
    signal.pause()
aws = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc)
aws.request("GET", "/")
print("AWS answers with", aws.getresponse().status, flush=True)
"""

LEARNS = """
rows = (ML / "input/data/train/rows.csv").read_text()
(ML / "model/learnt.json").write_text(json.dumps([NAME, rows]))
print("accuracy=0.95;", flush=True)
"""
LEARNS_ON_ROWS = {
    "container": {"image": "oak"},
    "hyperparameters": {"script": json.dumps(LEARNS)},
    "data": {"train": "data/"},
    "instances": {"type": "ml.m5.large"},
    "time_limit_seconds": 60,
    "metrics": [{"name": "accuracy", "regex": "accuracy=([0-9.]+);"}],
    "serve": {
        "content_types": ["text/csv"],
        "response_types": ["text/csv"],
        "smoke_test": {"content_type": "text/csv", "body": "5.1,3.5", "expect": "setosa"},
    },
}

# As the small stack, but that the execution role lists, writes and pulls.
TRAINS = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: s3:ListBucket, Resource: !GetAtt Inbox.Arn}
              - {Effect: Allow, Action: [s3:GetObject, s3:PutObject], Resource: !Sub "${Inbox.Arn}/*"}
              - Effect: Allow
                Action: [ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer]
                Resource: "*\"""",
)


@pytest.fixture(scope="module")
def tiny(build_image: BuildImage) -> str:
    return build_image(DOCKERFILE, {"train.py": TRAIN})


@dataclass
class Job:
    """A job with no cloud around it.

    Attributes:
        lines: what it has written; ``networks``, what it had when it began to.
    """

    image: str
    folder: Path
    engine: DockerClient
    lines: list[str] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    written: threading.Event = field(default_factory=threading.Event)

    def description(self, script: str, **more: Any) -> TrainingDescription:
        return TrainingDescription(
            name="tried",
            image=self.image,
            hyperparameters={"script": json.dumps(script)},
            **{"instance_type": "ml.t2.medium", **more},
        )

    def run(self, script: str, **more: Any) -> Outcome:
        return run_in_folder(self.description(script, **more), self.folder, self.write, DockerCluster())

    def write(self, host: str, line: str) -> None:
        if not self.lines:
            found = self.engine.networks.list(filters={"name": "modelgate-tried-"})
            self.networks = [each.attrs for each in found]
        self.lines.append(f"{host}: {line}")
        self.written.set()

    def stopped_when_it_writes(self, script: str, grace: float) -> Ended:
        """How it ended that was stopped after its first line."""
        attempt = Attempt(
            self.description(script, stop_grace=grace), self.folder, DockerCluster(), self.write
        )
        attempt.lay_out()

        def stop() -> None:
            assert self.written.wait(60)
            attempt.cut("stopped")

        stopping = threading.Thread(target=stop)
        stopping.start()
        ended = attempt.train(120)
        stopping.join()
        return ended


@pytest.fixture
def job(tiny: str, engine: DockerClient, tmp_path: Path) -> Job:
    return Job(tiny, tmp_path / "job", engine)


def kept(outcome: Outcome, name: str) -> Any:
    """What a JSON file of the model holds."""
    assert outcome.model is not None, outcome
    with tarfile.open(outcome.model) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def all_of(engine: DockerClient, job: str = "tried") -> list[str]:
    """The containers and networks that there are of a job."""
    containers = engine.containers.list(all=True, filters={"label": f"modelgate.training-job={job}"})
    networks = engine.networks.list(filters={"name": f"modelgate-{job}-"})
    return [*(str(each.name) for each in containers), *(str(each.name) for each in networks)]


# ── as SageMaker runs it ──────────────────────────────────────────────────────────────────────────


def test_a_host_finds_what_sagemaker_gives_it_and_leaves_nothing_in_the_engine(
    job: Job, engine: DockerClient, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows.csv").write_text("1,2")
    channels = [
        Channel("files", LocalFolder(data)),
        Channel("streamed", LocalFolder(data), mode="FastFile"),
    ]
    outcome = job.run(LOOKS, channels=channels, environment={"TEAM": "trees"})
    assert outcome.succeeded, job.lines
    assert job.lines == ["algo-1: größer"]
    found = kept(outcome, "found.json")
    assert found["arguments"] == ["train"]
    assert found["ml"] == [
        # Of the image, and not hidden by what is mounted.
        "code/of_the_image.py",
        "input/config/hyperparameters.json",
        "input/config/inputdataconfig.json",
        "input/config/resourceconfig.json",
        "input/data/files/rows.csv",
        "input/data/streamed/rows.csv",
    ]
    assert found["writes"] == ["files"]
    memory = min(4 << 30, engine.info()["MemTotal"])
    assert (found["memory"], found["shm"]) == ([str(memory)], memory // 2)
    assert found["privileges"] == ["NoNewPrivs:\t1\n"]
    assert "eth0" in found["interfaces"]
    environment = found["environment"]
    assert (environment["TEAM"], environment["TRAINING_JOB_NAME"]) == ("trees", "tried")
    # Of the machine's own environment nothing is seen.
    assert not {name for name in environment if "PROXY" in name.upper() or "ACCESS" in name}
    assert all_of(engine) == []


@pytest.mark.parametrize("isolated", [False, True])
def test_hosts_find_each_other_by_their_names_and_isolated_ones_have_no_way_out(
    job: Job, isolated: bool
) -> None:
    outcome = job.run(TALKS, instances=3, isolated=isolated)
    assert outcome.succeeded, job.lines
    assert job.lines == ["algo-1: heard algo-2 algo-3"]
    (network,) = job.networks
    assert network["Internal"] is isolated


def test_pipes_reach_into_a_container(job: Job, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a", "b"):
        (data / name).write_text(f"{name}\n")
    outcome = job.run(READS_PIPES, channels=[Channel("train", LocalFolder(data), mode="Pipe")])
    assert outcome.succeeded, job.lines
    assert kept(outcome, "epochs.json") == ["a\nb\n", "a\nb\n"]


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────


def test_who_is_stopped_keeps_what_it_has_made(job: Job, engine: DockerClient) -> None:
    ended = job.stopped_when_it_writes(HEARS, grace=60)
    assert (ended.cut, ended.failure) == ("stopped", None)
    assert ended.seconds < 60
    assert job.lines == ["algo-1: ready", "algo-1: told to end"]
    assert (job.folder / "algo-1/opt/ml/model/half").exists()
    assert all_of(engine) == []


def test_who_does_not_end_when_told_to_is_killed(job: Job, engine: DockerClient) -> None:
    ended = job.stopped_when_it_writes(DEAF, grace=0.5)
    assert (ended.cut, ended.failure) == ("stopped", None)
    assert all_of(engine) == []


def test_a_failure_is_told_in_the_words_of_the_algorithm(job: Job) -> None:
    outcome = job.run(FAILS)
    assert outcome.failure == "AlgorithmError: max_depth must not be negative, exit code: 3"


def test_an_image_that_cannot_train_says_so_in_its_log(tmp_path: Path, engine: DockerClient) -> None:
    job = Job(BASE_IMAGE, tmp_path / "job", engine)
    outcome = job.run("")
    assert outcome.failure == "AlgorithmError: , exit code: 127"
    (line,) = job.lines
    assert 'exec: "train": executable file not found in $PATH' in line
    assert all_of(engine) == []


def test_an_image_that_is_nowhere_fails_with_where_it_could_be(tmp_path: Path, engine: DockerClient) -> None:
    outcome = Job("nowhere:1", tmp_path / "job", engine).run("")
    assert outcome.failure is not None
    assert "the image store of the machine's Docker Engine, which has none of this name" in outcome.failure
    assert all_of(engine) == []


def test_who_needs_more_memory_than_there_is_fails_for_that(job: Job, engine: DockerClient) -> None:
    outcome = job.run(EATS, instance_type="ml.t2.nano")
    assert outcome.exit_code == 137
    assert outcome.failure == (
        "ClientError: Please use an instance type with more memory, or reduce the size of job data processed "
        "on an instance."
    )
    assert all_of(engine) == []


# ── what is left ──────────────────────────────────────────────────────────────────────────────────

STARTS_AND_WAITS = """
import sys, signal
from pathlib import Path
from localcloud.training.docker_hosts import DockerCluster
from localcloud.training.job import TrainingDescription, run_in_folder
image, folder, script = sys.argv[1:]
description = TrainingDescription(name="left", image=image, hyperparameters={"script": script})
run_in_folder(description, Path(folder), lambda _, line: print(line, flush=True), DockerCluster())
"""


def test_what_a_killed_process_has_left_is_gone_with_the_next_job(
    job: Job, engine: DockerClient, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", STARTS_AND_WAITS, job.image, str(tmp_path / "left"), json.dumps(HEARS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert len(all_of(engine, "left")) == 2
    assert job.run("").succeeded
    assert all_of(engine, "left") == []


@contextmanager
def as_somebody() -> Iterator[None]:
    """Not as root, but as one of those who may use the engine; whoever is not root already is that."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(Path("/var/run/docker.sock").stat().st_gid)
    os.seteuid(1000)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_what_root_has_written_in_a_container_belongs_to_who_trains(tiny: str, engine: DockerClient) -> None:
    with as_somebody():
        folder = Path(tempfile.mkdtemp())
        job = Job(tiny, folder / "job", engine)
        outcome = job.run(WRITES_AS_ROOT, checkpoints="/mnt/kept")
        assert outcome.succeeded, job.lines
        assert kept(outcome, "deep/secret") == 0
        assert (job.folder / "algo-1/mnt/kept/secret").read_text() == "0"
        shutil.rmtree(folder)


# ── the image of a folder ─────────────────────────────────────────────────────────────────────────

NAME = "modelgate-test-of-a-folder"


@pytest.fixture
def sources(engine: DockerClient, tmp_path: Path) -> Iterator[Path]:
    """A folder with a Dockerfile."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "train.py").write_text("print('as it was first')")
    yield tmp_path
    for image in engine.images.list(f"modelgate-local/{NAME}"):
        for tag in image.tags:
            if tag.startswith("modelgate-local/"):
                engine.images.remove(tag)


def content(engine: DockerClient, image: str) -> str:
    """What stands in the image's program."""
    container = engine.containers.create(image)
    try:
        packed, _ = container.get_archive("/train.py")
        with tarfile.open(fileobj=io.BytesIO(b"".join(packed))) as tar:
            file = tar.extractfile("train.py")
            assert file is not None
            return file.read().decode()
    finally:
        container.remove()


def test_a_folder_is_built_as_it_is_now_and_leaves_no_image_of_before(
    sources: Path, engine: DockerClient
) -> None:
    lines: list[str] = []
    first = engine.images.get(image_for(NAME, sources, lines.append))
    assert lines[0].startswith(f"Step 1/6 : FROM {BASE_IMAGE}")
    assert engine.images.get(image_for(NAME, sources)).id == first.id
    (sources / "train.py").write_text("print('changed')")
    changed = image_for(NAME, sources)
    assert content(engine, changed) == "print('changed')"
    with pytest.raises(ImageNotFound):
        engine.images.get(str(first.id))


def test_an_image_that_is_named_exactly_is_built_only_if_there_is_none(
    sources: Path, engine: DockerClient, tiny: str
) -> None:
    assert image_for(tiny, sources) == tiny
    (sources / "train.py").write_text("print('of the folder')")
    assert content(engine, image_for(f"{NAME}:v3", sources)) == "print('of the folder')"


def test_what_cannot_be_built_is_refused_with_the_end_of_its_log(sources: Path) -> None:
    (sources / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN echo no compiler here && exit 3\n")
    with pytest.raises(Refused, match=r"job.yaml: container.image: .*exit 3.*code: 3.*no compiler here"):
        image_for(NAME, sources)


def test_an_image_that_is_neither_there_nor_to_be_built_is_refused_with_the_mend(tmp_path: Path) -> None:
    # Nobody answers there, so that the engine need not ask the world.
    with pytest.raises(
        Refused, match=r"can pull .*there is no .*/Dockerfile; build it \(docker build\), or put"
    ):
        image_for(f"127.0.0.1:1/{NAME}:v3", tmp_path)


def test_without_an_engine_a_folder_is_refused(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Refused, match="no Docker Engine answers"):
        image_for(NAME, sources)


# ── on the local cloud ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Training]:
    pace = Pace(training_stop_grace=0.5)
    with small_stack(tmp_path, template=TRAINS, pace=pace) as cloud:
        yield Training(cloud)


def test_a_job_runs_an_image_of_the_local_clouds_own_registry_and_its_containers_reach_aws(
    training: Training, tiny: str, engine: DockerClient
) -> None:
    uri = training.cloud.client("ecr").create_repository(repositoryName="tiny")["repository"]["repositoryUri"]
    pushed(Serving(training.cloud, tiny), engine, tiny, uri, "1")
    training.cloud.faults.interrupt_spot("resumes", at="is kept")
    told = training.run(
        "resumes",
        HyperParameters={"script": json.dumps(RESUMES)},
        AlgorithmSpecification={"TrainingImage": f"{uri}:1", "TrainingInputMode": "File"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{training.bucket}/kept", "LocalPath": "/mnt/kept"},
    )
    log = training.log("resumes")["algo-1"]
    assert told["TrainingJobStatus"] == "Completed", (told, log)
    attempt = ["Starting", "Downloading", "Training"]
    assert went_through(told) == [*attempt, "Interrupted", *attempt, "Uploading", "Completed"]
    # Of the second try, which began with what the first one had kept.
    assert log == ["step 1 is kept", "AWS answers with 200"]
    assert all_of(engine, "resumes") == []


def content_of(cloud: LocalCloud, url: str, name: str) -> Any:
    """What a JSON file of an archive in S3 holds."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    with cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"] as body:
        archive = io.BytesIO(body.read())
    with tarfile.open(fileobj=archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def test_a_new_build_of_an_image_trains_its_group_again_on_the_same_data() -> None:
    rules = {"gate": {"metrics": [{"name": "accuracy", "goal": "maximize", "at_least": 0.9}]}}
    with LocalCloud(Path("template.yaml")) as cloud:
        chain = Chain(cloud, "trees", json.dumps({**rules, "training": {"image": "oak"}}))

        def build(name: str) -> str:
            files = {"Dockerfile": DOCKERFILE, "train.py": f"NAME = {name!r}\n{TRAIN}"}
            chain.upload(f"sources/oak/{name}.zip", zipped(files))
            cloud.settle(120)
            told = [each["detail"] for each in cloud.events_seen if each["detail-type"] == "Image Published"]
            return str(told[-1]["uri"])

        first = build("summer")
        chain.upload("training/trees/june/data/rows.csv", b"1,2")
        chain.upload("training/trees/june/job.yaml", json.dumps(LEARNS_ON_ROWS).encode())
        cloud.settle(60)
        assert [*chain.versions()] == [1], chain.news()
        second = build("winter")

        made = [chain.package(version)["InferenceSpecification"]["Containers"][0] for version in (1, 2)]
        assert [each["Image"] for each in made] == [first, second]
        learnt = [content_of(cloud, each["ModelDataUrl"], "learnt.json") for each in made]
        assert learnt == [["summer", "1,2"], ["winter", "1,2"]]
        digits = second.partition("@sha256:")[2][:12]
        assert chain.report(f"june-{digits}")
