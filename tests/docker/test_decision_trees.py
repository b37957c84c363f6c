"""The container of examples/decision_trees, run by the machine's Docker Engine as SageMaker runs it."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import random
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.models.containers import Container
from hypothesis import given
from hypothesis import strategies as st

from examples.decision_trees.decision_trees.channels import read_channel
from examples.decision_trees.decision_trees.errors import Refused
from examples.decision_trees.decision_trees.formats import CSV, JSON, read_request, write_answer
from examples.decision_trees.decision_trees.hyperparameters import read_hyperparameters
from examples.decision_trees.decision_trees.serve import count_cpus
from examples.decision_trees.decision_trees.training import read_job
from localcloud import LocalCloud
from tests.simulation.chain import Chain
from tests.simulation.test_jobs import text as text_of
from tests.simulation.test_jobs import told

SOURCE = Path(__file__).parents[2] / "examples" / "decision_trees"
# It stays, so that the next run builds it in a second.
TAG = "modelgate-test-decision-trees"
_PATIENCE = 30.0

# The first build installs everything.
pytestmark = pytest.mark.timeout(600)

FRUIT = ["apple,150,8.1", "apple,170,7.9", "cherry,8,2.1", "cherry,7,1.9", "melon,1900,19.5", "melon,2100,21"]
HEADER = "fruit,grams,centimetres"
NOBODY: dict[str, Any] = {
    "user": "1000:1000",
    "cap_drop": ["ALL"],
    "read_only": True,
    "tmpfs": {"/tmp": ""},  # noqa: S108 - in the container
}


# ── what SageMaker does ───────────────────────────────────────────────────────────────────────────
def write_input(
    ml: Path, channels: Mapping[str, Sequence[str]], hyperparameters: Mapping[str, object] | None = None
) -> Path:
    """Fills /opt/ml/input, for containers of any user to write beside it."""
    config = ml / "input" / "config"
    config.mkdir(parents=True)
    for folder in (ml, ml / "model", ml / "output"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
    told = {name: {"TrainingInputMode": "File", "ContentType": "text/csv"} for name in channels}
    (config / "inputdataconfig.json").write_text(json.dumps(told))
    for name, lines in channels.items():
        (ml / "input" / "data" / name).mkdir(parents=True)
        (ml / "input" / "data" / name / "part.csv").write_text("\n".join(lines) + "\n")
    return ml


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    code: int
    log: str


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    text: str


@dataclass(frozen=True)
class Serving:
    """A container that serves."""

    container: Container
    port: int

    def ask(
        self, body: str, content_type: str | None = CSV, accept: str | None = None, method: str = "POST"
    ) -> Answer:
        given = {"Content-Type": content_type, "Accept": accept}
        headers = {name: value for name, value in given.items() if value is not None}
        return self.request(method, "/invocations", body.encode(), headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            kind = answer.headers.get("Content-Type", "").partition(";")[0]
            return Answer(answer.status, kind, answer.read().decode())
        finally:
            connection.close()

    def log(self) -> str:
        return self.container.logs().decode()

    def processes(self, what: str) -> list[str]:
        """Who runs each process whose command has this in it."""
        listed = self.container.top(ps_args="-eo pid,uid,args")["Processes"]
        return [uid for _, uid, command in listed if what in command]

    def answers(self) -> bool:
        """Whether it takes requests at all."""
        try:
            return bool(self.request("GET", "/ping").status)
        except (ConnectionError, http.client.HTTPException):
            return False

    def end(self, signal: str = "SIGTERM") -> Ended:
        self.container.kill(signal)
        return ended(self.container)


def ended(container: Container) -> Ended:
    code = container.wait(timeout=_PATIENCE)["StatusCode"]
    return Ended(code, container.logs().decode())


@contextmanager
def running(image: str, ml: Path, command: str, **options: Any) -> Iterator[Container]:
    client = docker.from_env()
    mounts = {str(ml): {"bind": "/opt/ml", "mode": "rw"}}
    container = client.containers.run(image, command, detach=True, volumes=mounts, **options)
    try:
        yield container
    finally:
        container.remove(force=True)
        client.close()


def train(image: str, ml: Path, **options: Any) -> Ended:
    with running(image, ml, "train", **options) as container:
        return ended(container)


@contextmanager
def serving(image: str, ml: Path, port: int = 8080, **options: Any) -> Iterator[Serving]:
    """A container that serves, from when it has answered /ping, whatever that was."""
    ports = {f"{port}/tcp": ("127.0.0.1", None)}
    with running(image, ml, "serve", ports=ports, **options) as container:
        container.reload()
        (published,) = container.ports[f"{port}/tcp"] or []
        served = Serving(container, int(published["HostPort"]))
        wait_until(served.answers, container)
        yield served


def wait_until(condition: Callable[[], bool], container: Container) -> None:
    give_up = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < give_up, container.logs().decode()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def image() -> str:
    client = docker.from_env()
    client.images.build(path=str(SOURCE), tag=TAG, rm=True)
    client.close()
    return TAG


@pytest.fixture(scope="module")
def trained(image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder /opt/ml after a training job, and how that ended."""
    channels = {"training": [HEADER, *FRUIT], "validation": ["apple,155,8", "cherry,6.5,2", "melon,160,8"]}
    ml = write_input(tmp_path_factory.mktemp("trained"), channels, {"max_depth": "3"})
    return ml, train(image, ml)


@pytest.fixture(scope="module")
def served(image: str, trained: tuple[Path, Ended]) -> Iterator[Serving]:
    with serving(image, trained[0]) as container:
        yield container


# ── training ──────────────────────────────────────────────────────────────────────────────────────
def test_training_leaves_a_model_and_its_metrics(trained: tuple[Path, Ended]) -> None:
    ml, job = trained
    assert job.code == 0, job.log
    evaluation = json.loads((ml / "output" / "data" / "evaluation.json").read_bytes())
    assert evaluation["accuracy"] == pytest.approx(2 / 3)
    assert json.loads((ml / "model" / "evaluation.json").read_bytes()) == evaluation
    assert "validation:accuracy=0.666667;" in job.log
    assert sorted(path.name for path in (ml / "model").iterdir()) == ["evaluation.json", "model.joblib"]
    assert not (ml / "output" / "failure").exists()


def test_training_needs_no_privileges(image: str, tmp_path: Path) -> None:
    ml = write_input(tmp_path, {"train": FRUIT})
    job = train(image, ml, **NOBODY)
    assert job.code == 0, job.log
    assert (ml / "model" / "model.joblib").stat().st_uid == 1000


def test_what_is_wrong_with_a_job_is_told_at_once_and_is_its_failure(image: str, tmp_path: Path) -> None:
    ml = write_input(tmp_path, {"validation": FRUIT}, {"max_dept": "3", "criterion": "giny"})
    job = train(image, ml)
    failure = (ml / "output" / "failure").read_text()
    assert job.code == 1
    assert "hyperparameters.json: max_dept: is not known here; did you mean max_depth?" in failure
    assert "hyperparameters.json: criterion: is 'giny'; write gini or entropy or log_loss" in failure
    assert "the channels are validation; give one that is called training" in failure
    assert failure in job.log
    assert not list((ml / "model").iterdir())


def test_a_failure_of_the_program_begins_with_the_reason_and_has_the_traceback(
    image: str, tmp_path: Path
) -> None:
    ml = write_input(tmp_path, {"training": FRUIT})
    (ml / "model" / "model.joblib").mkdir()
    job = train(image, ml)
    failure = (ml / "output" / "failure").read_text()
    assert job.code == 1
    assert failure.startswith("IsADirectoryError: ")
    assert "Traceback" in failure
    assert "in save" in failure


def test_sigterm_ends_training_at_once_and_leaves_no_half_of_a_model(image: str, tmp_path: Path) -> None:
    noise = random.Random(1)
    rows = [f"{label},{','.join(str(noise.getrandbits(24)) for _ in range(20))}" for label in "abc" * 20_000]
    ml = write_input(tmp_path, {"training": rows}, {"criterion": "entropy"})
    with running(image, ml, "train") as container:
        wait_until(lambda: b"60000 rows" in container.logs(), container)
        # SIGKILL comes after these two seconds; to grow the tree takes three times as long.
        container.stop(timeout=2)
        job = ended(container)
    assert job.code == 128 + 15, job.log
    assert "a tree of depth" not in job.log
    assert not list((ml / "model").iterdir())
    assert not (ml / "output" / "failure").exists()


# ── serving ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        ("9,2", CSV, None, Answer(200, CSV, "cherry\n")),
        ("9,2\n\n2000,20\n", "text/csv; charset=utf-8", "*/*", Answer(200, CSV, "cherry\nmelon\n")),
        ("9,2", CSV, JSON, Answer(200, JSON, '{"predictions": ["cherry"]}')),
        ("[[9, 2], [160, 8.0]]", JSON, None, Answer(200, JSON, '{"predictions": ["cherry", "apple"]}')),
        ('{"instances": [[9, 2]]}', JSON, "text/csv;q=0.9, image/png", Answer(200, CSV, "cherry\n")),
    ],
)
def test_a_request_is_answered_in_what_it_accepts(
    served: Serving, body: str, content_type: str, accept: str | None, answer: Answer
) -> None:
    assert served.ask(body, content_type, accept) == answer


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "told"),
    [
        ("9", CSV, None, 400, "row 1: has 1 features; write 2 (grams, centimetres)"),
        ("9,2\n9,tiny", CSV, None, 400, "row 2: centimetres is 'tiny'; write a number"),
        ("9,1e39", CSV, None, 400, "row 1: centimetres is 1e+39; write a finite number"),
        ("", CSV, None, 400, "the request has no rows"),
        ('{"instances"', JSON, None, 400, "the request is no JSON"),
        ('[[9, "2"]]', JSON, None, 400, 'row 1: "2" is no number'),
        ("9,2", "application/x-npy", None, 415, "send text/csv or application/json"),
        ("9,2", None, None, 415, "Content-Type is missing"),
        ("9,2", CSV, "image/png", 406, "accept text/csv or application/json"),
    ],
)
def test_what_cannot_be_answered_is_told_why(
    served: Serving, body: str, content_type: str | None, accept: str | None, status: int, told: str
) -> None:
    answer = served.ask(body, content_type, accept)
    assert (answer.status, answer.content_type) == (status, "text/plain")
    assert told in answer.text


def test_pings_are_answered_and_not_logged(served: Serving) -> None:
    assert served.request("GET", "/ping").status == 200
    assert "/ping" not in served.log()
    assert served.request("GET", "/elsewhere").status == 404


def test_a_request_may_be_as_large_as_sagemaker_lets_through(served: Serving) -> None:
    row = "2000,20,\n".replace(",\n", "\n")
    most = 25 * 1024 * 1024
    assert served.ask("x" * (most + 1)).status == 413
    # Blank lines are no rows: this is about the size, and need not take long.
    answer = served.ask(row + "\n" * (most - len(row)))
    assert answer == Answer(200, CSV, "melon\n")


def test_requests_are_answered_by_an_unprivileged_worker_for_each_cpu(
    image: str, trained: tuple[Path, Ended], served: Serving
) -> None:
    serve, *workers = served.processes("gunicorn")
    assert serve == "0"
    assert workers
    assert "0" not in workers
    assert served.log().count("the model takes") == 1
    assert "0" in served.processes("nginx: master")
    assert "0" not in served.processes("nginx: worker")
    with serving(image, trained[0], nano_cpus=1_000_000_000, **NOBODY) as one_cpu:
        assert one_cpu.ask("9,2").text == "cherry\n"
        assert one_cpu.processes("gunicorn") == ["1000"] * 2
        assert one_cpu.end().code == 0


def test_the_environment_says_the_port_and_the_workers(image: str, trained: tuple[Path, Ended]) -> None:
    environment = {"SAGEMAKER_BIND_TO_PORT": "9090", "MODEL_SERVER_WORKERS": "3"}
    with serving(image, trained[0], port=9090, environment=environment) as container:
        assert container.ask("9,2").text == "cherry\n"
        wait_until(lambda: len(container.processes("gunicorn")) == 1 + 3, container.container)
    with running(image, trained[0], "serve", environment={"MODEL_SERVER_WORKERS": "many"}) as mistaken:
        wrong = ended(mistaken)
    assert wrong.code == 1
    assert "MODEL_SERVER_WORKERS is 'many'; set it to a whole number from 1" in wrong.log


@pytest.mark.parametrize("left", [None, b"not a model"])
def test_without_a_model_ping_fails_and_the_log_says_why(
    image: str, tmp_path: Path, left: bytes | None
) -> None:
    ml = write_input(tmp_path, {})
    if left is not None:
        (ml / "model" / "model.joblib").write_bytes(left)
    with serving(image, ml) as container:
        pinged, asked = container.request("GET", "/ping"), container.ask("9,2")
        log = container.log()
    reason = "is not there, but nothing" if left is None else "cannot be loaded"
    assert (pinged.status, asked.status) == (503, 503)
    assert reason in pinged.text
    assert reason in log


def test_sigterm_lets_requests_finish_and_takes_no_more(image: str, trained: tuple[Path, Ended]) -> None:
    with serving(image, trained[0]) as container:
        with socket.create_connection(("127.0.0.1", container.port), _PATIENCE) as under_way:
            asked = "POST /invocations HTTP/1.1", "Host: local", "Content-Type: text/csv", "Content-Length: 4"
            under_way.sendall("\r\n".join([*asked, "Expect: 100-continue", "", ""]).encode())
            assert under_way.recv(1024).startswith(b"HTTP/1.1 100 ")
            container.container.kill("SIGTERM")
            wait_until(lambda: not container.answers(), container.container)
            under_way.sendall(b"9,2\n")
            answer = http.client.HTTPResponse(under_way)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b"cherry\n")
        end = ended(container.container)
    assert end.code == 0, end.log


@pytest.mark.parametrize("program", ["nginx", "gunicorn"])
def test_when_a_process_dies_the_container_ends(
    image: str, trained: tuple[Path, Ended], program: str
) -> None:
    with serving(image, trained[0]) as container:
        started = re.search(r"\[(\d+)\] \[INFO\] Starting gunicorn", container.log())
        assert started
        process = started[1] if program == "gunicorn" else "$(cat /tmp/serve-*/nginx.pid)"
        container.container.exec_run(["sh", "-c", f"kill -KILL {process}"])
        end = ended(container.container)
    assert end.code == 1
    assert f"{program} has ended with -9, so the container ends" in end.log


# ── on the local cloud ────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def chain(image: str) -> Iterator[Chain]:
    """A group under the example's policy, on a cloud whose ECR has the image."""
    client = docker.from_env()
    with LocalCloud(Path("template.yaml")) as cloud:
        made = cloud.client("ecr").create_repository(repositoryName="decision-trees")["repository"]
        password = cloud.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, token = base64.b64decode(password).decode().partition(":")
        client.api.tag(image, made["repositoryUri"], "v1", force=True)
        login = {"username": user, "password": token}
        for line in client.api.push(made["repositoryUri"], "v1", stream=True, decode=True, auth_config=login):
            assert "error" not in line, line
        yield Chain(cloud, "trees", (SOURCE / "policy.yaml").read_text())
    client.close()


def upload_job(chain: Chain, run: str, **hyperparameters: object) -> None:
    """Uploads the example's folder as it is, but for the hyperparameters; the document last."""
    for file in sorted(SOURCE.glob("data/*/*.csv")):
        chain.upload(f"training/trees/{run}/{file.relative_to(SOURCE)}", file.read_bytes())
    document = yaml.safe_load((SOURCE / "job.yaml").read_bytes())
    document["hyperparameters"] |= hyperparameters
    chain.upload(f"training/trees/{run}/job.yaml", json.dumps(document).encode())
    chain.cloud.settle(120)


def test_a_job_of_the_example_becomes_a_version_that_serves_and_transforms(chain: Chain) -> None:
    upload_job(chain, "first")
    (finished,) = told(chain, "Training Finished")
    assert finished["metrics"]["accuracy"] == pytest.approx(59 / 60)
    (version,) = chain.versions()
    package = chain.package(version)
    job = chain.cloud.client("sagemaker").describe_training_job(TrainingJobName=finished["job"])
    assert package["MetadataProperties"]["GeneratedBy"] == job["TrainingJobArn"]
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["Image"] == job["AlgorithmSpecification"]["TrainingImage"]
    assert "@sha256:" in container["Image"]

    chain.approve(version)
    chain.cloud.settle(120)
    rows = ["5.0,3.4,1.5,0.2", "6.6,3.0,5.7,2.2", "5.7,2.8,4.1,1.3"]
    answers = [chain.ask(row).strip() for row in rows]
    assert answers == ["setosa", "virginica", "versicolor"]
    chain.upload("transforms/trees/june/input/rows.csv", "\n".join(rows).encode())
    given = {"location": "input/", "content_type": "text/csv", "split": "line"}
    asked = {"input": given, "output": {"accept": "text/csv", "assemble": "line"}}
    chain.upload("transforms/trees/june/job.yaml", json.dumps(asked).encode())
    chain.cloud.settle(120)
    (transformed,) = told(chain, "Transform Finished")
    assert transformed["version"] == version
    assert text_of(chain, "transformed/trees/june/rows.csv.out").split() == answers


def test_what_is_wrong_with_a_job_is_told_in_its_announcement(chain: Chain) -> None:
    upload_job(chain, "wrong", max_depth="deep", criterion="giny")
    (failed,) = told(chain, "Training Failed")
    (reason,) = failed["reasons"]
    assert "hyperparameters.json: criterion: is 'giny'; write gini or entropy or log_loss" in reason
    assert "hyperparameters.json: max_depth: is 'deep'" in reason
    assert reason.endswith("exit code: 1")
    assert any("There is nothing to train" in line for line in failed["log_lines"])


def test_the_folder_trains_on_this_machine_in_the_image_that_it_builds_to(tmp_path: Path) -> None:
    modelgate = [sys.executable, "-m", "modelgate_cli.main", "train", "--local", str(SOURCE)]
    options = ["--group", "trees", "--out", str(tmp_path), "--json"]
    done = subprocess.run([*modelgate, *options], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["passes"]) == ("completed", True)
    assert result["metrics"]["accuracy"] == pytest.approx(59 / 60)
    with tarfile.open(result["artifact"]) as tar:
        assert tar.getnames() == ["evaluation.json", "model.joblib"]


# ── what needs no container ───────────────────────────────────────────────────────────────────────
def channel(folder: Path, **files: str) -> Path:
    """A channel with these files, ``part_1`` as part_1.csv."""
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_a_channel_is_all_of_its_files_with_a_header_or_without(tmp_path: Path) -> None:
    files = {"part_1": f"\ufeff{HEADER}\r\napple,150,8.1\r\n\r\n", "part_2": "cherry,8,2\n", "_SUCCESS": "?"}
    table = read_channel(channel(tmp_path / "training", **files))
    assert table.features == ("grams", "centimetres")
    assert table.labels == ("apple", "cherry")
    assert table.values.shape == (2, 2)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, ["channel training: holds no rows"]),
        ({"a": "\n\n"}, ["channel training: holds no rows"]),
        ({"a": "apple\n"}, ["training/a.csv: line 1: has one column"]),
        ({"a": "apple,1\n", "b": "apple,1,2\n"}, ["training/b.csv: line 1: has 2 features; write 1"]),
        (
            {"a": "k,x\na,1\n", "b": "k,y\na,1\n"},
            ["training/b.csv: its columns are y; the first file's are x"],
        ),
        (
            {"a": "apple,1,2\n,3,4\npear,five,nan\n", "b": 'apple,"1\n'},
            [
                "training/a.csv: line 2: has no label",
                "training/a.csv: line 3: feature_1 is 'five'",
                "training/b.csv: is no CSV",
            ],
        ),
    ],
)
def test_a_channel_that_does_not_fit_is_told_file_and_line(
    tmp_path: Path, files: dict[str, str], told: list[str]
) -> None:
    with pytest.raises(Refused) as refused:
        read_channel(channel(tmp_path / "training", **files))
    for each, problem in zip(told, refused.value.problems, strict=True):
        assert each in problem


def test_a_file_that_is_wrong_throughout_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        read_channel(channel(tmp_path / "training", a="apple,1\n" + "apple,one\n" * 1000))
    assert len(refused.value.problems) == 11
    assert refused.value.problems[-1] == "training/a.csv: line 11 is as far as it was read"


def test_hyperparameters_are_strings_and_become_what_they_mean() -> None:
    told = {"max_depth": "4", "ccp_alpha": "1e-3", "criterion": "entropy", "_tuning_objective_metric": "x"}
    meant = {"max_depth": 4, "ccp_alpha": 0.001, "criterion": "entropy", "random_state": 0}
    assert read_hyperparameters(told) == meant


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_depth", 4, 'is 4, and all values are strings; write "4"'),
        ("max_depth", "0", "is '0'; write a whole number from 1"),
        ("max_depth", "2.5", "is '2.5'; write a whole number from 1"),
        ("ccp_alpha", "nan", "is 'nan'; write a number from 0"),
        ("learning_rate", "0.1", "is not known here"),
    ],
)
def test_a_wrong_hyperparameter_is_told_what_is_right(name: str, value: object, told: str) -> None:
    with pytest.raises(Refused, match=name) as refused:
        read_hyperparameters({name: value})
    assert told in str(refused.value)


def test_a_job_that_is_more_than_a_tree_is_refused(tmp_path: Path) -> None:
    written = {
        "inputdataconfig.json": {"train": {"TrainingInputMode": "Pipe"}, "training": {}, "tset": {}},
        "resourceconfig.json": {"hosts": ["algo-1", "algo-2"]},
    }
    for name, document in written.items():
        (tmp_path / name).write_text(json.dumps(document))
    with pytest.raises(Refused) as refused:
        read_job(tmp_path)
    told = ["TrainingInputMode is Pipe", "tset: is not known", "training and train", "there are 2 instances"]
    for each, problem in zip(told, refused.value.problems, strict=True):
        assert each in problem


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1), st.booleans())
def test_every_row_of_finite_numbers_is_read_as_it_was_written(rows: list[list[float]], as_csv: bool) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    body, kind = (text.getvalue(), CSV) if as_csv else (json.dumps(rows), JSON)
    assert read_request(body.encode(), kind, ["a", "b", "c"]).tolist() == rows


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
def test_every_class_is_answered_as_it_is_called(classes: list[str]) -> None:
    assert json.loads(write_answer(classes, JSON))["predictions"] == classes
    read = list(csv.reader(io.StringIO(write_answer(classes, CSV), newline="")))
    assert [cell for (cell,) in read] == classes


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_a_share_of_the_cpus_counts_for_both_versions_of_cgroups(
    tmp_path: Path, files: dict[str, str], cpus: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert count_cpus(tmp_path) == cpus


def test_without_a_share_every_cpu_counts(tmp_path: Path) -> None:
    everything = count_cpus(tmp_path)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert count_cpus(tmp_path) == everything >= 1
