"""The container of examples/toolkit_container: SageMaker's two toolkits, run as SageMaker runs them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.models.containers import Container

from localcloud import LocalCloud
from modelgate_cli.source_archive import pack_source
from tests.docker.test_decision_trees import Answer, Ended, Serving, ended, serving, wait_until
from tests.fakes.tarballs import tarball
from tests.simulation.chain import Chain

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "toolkit_container"
# It stays, so that the next run builds it in a second.
TAG = "modelgate-test-toolkit-container"
CSV, JSON = "text/csv", "application/json"

# The first build installs everything.
pytestmark = pytest.mark.timeout(600)


# ── what SageMaker does ───────────────────────────────────────────────────────────────────────────
def lay_out(ml: Path, hyperparameters: Mapping[str, str] | None = None) -> Path:
    """Fills /opt/ml with the example's own data."""
    config = ml / "input" / "config"
    for folder in (config, ml / "model", ml / "output" / "data"):
        folder.mkdir(parents=True)
    shutil.copytree(SOURCE / "data", ml / "input" / "data")
    channel = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    documents: dict[str, Any] = {
        "hyperparameters": hyperparameters or {},
        "inputdataconfig": {"train": channel, "validation": channel},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for name, document in documents.items():
        (config / f"{name}.json").write_text(json.dumps(document))
    return ml


@contextmanager
def training(image: str, ml: Path) -> Iterator[Container]:
    """Each folder is mounted by itself: what the image has in /opt/ml/code stays."""
    client = docker.from_env()
    mounts = {
        str(ml / name): {"bind": f"/opt/ml/{name}", "mode": "rw"} for name in ("input", "model", "output")
    }
    container = client.containers.run(image, "train", detach=True, hostname="algo-1", volumes=mounts)
    try:
        yield container
    finally:
        container.remove(force=True)
        client.close()


def train(image: str, ml: Path) -> Ended:
    with training(image, ml) as container:
        return ended(container)


@pytest.fixture(scope="module")
def image() -> str:
    client = docker.from_env()
    client.images.build(path=str(SOURCE), tag=TAG, rm=True)
    client.close()
    return TAG


@pytest.fixture(scope="module")
def trained(image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder /opt/ml after a training job, and how that ended."""
    ml = lay_out(tmp_path_factory.mktemp("trained"), {"penalty": "0.5", "max-iter": "300"})
    return ml, train(image, ml)


@pytest.fixture(scope="module")
def served(image: str, trained: tuple[Path, Ended]) -> Iterator[Serving]:
    with serving(image, trained[0]) as container:
        yield container


# ── training ──────────────────────────────────────────────────────────────────────────────────────
def test_the_training_toolkit_runs_the_script_of_the_image(trained: tuple[Path, Ended]) -> None:
    ml, job = trained
    assert job.code == 0, job.log
    assert "train.py --max-iter 300 --penalty 0.5" in job.log
    evaluation = json.loads((ml / "output" / "data" / "evaluation.json").read_bytes())
    assert evaluation["accuracy"] > 0.9
    assert f"validation:accuracy={evaluation['accuracy']:.6f};" in job.log
    assert [path.name for path in (ml / "model").iterdir()] == ["model.joblib"]
    assert (ml / "output" / "success").exists()
    assert not (ml / "output" / "failure").exists()


def test_a_wrong_hyperparameter_is_the_reason_of_the_failure(image: str, tmp_path: Path) -> None:
    ml = lay_out(tmp_path / "ml", {"penalty": "-1"})
    job = train(image, ml)
    assert job.code == 1
    failure = (ml / "output" / "failure").read_text()
    assert failure == (
        "hyperparameters: argument --penalty: -1 is no number above 0; known are penalty and max-iter"
    )
    assert failure in job.log
    assert not list((ml / "model").iterdir())


def test_everything_that_is_wrong_in_the_data_is_the_reason_of_the_failure(
    image: str, tmp_path: Path
) -> None:
    ml = lay_out(tmp_path / "ml")
    (ml / "input/data/train/iris.csv").write_text("setosa,5.1,tall\nsetosa\n")
    assert train(image, ml).code == 1
    failure = (ml / "output" / "failure").read_text()
    assert "train/iris.csv: line 1: could not convert string to float: 'tall'" in failure
    assert "train/iris.csv: line 2: has one column; write the label, then the features" in failure


def test_sigterm_ends_training_at_once(image: str, tmp_path: Path) -> None:
    ml = lay_out(tmp_path / "ml", {"max-iter": "2000000000"})
    rows = "".join(
        f"{'ab'[at % 2]},{','.join(str(hash((at, of)) % 977) for of in range(60))}\n" for at in range(20_000)
    )
    (ml / "input/data/train/iris.csv").write_text(rows)
    with training(image, ml) as container:
        wait_until(lambda: b"Invoking user script" in container.logs(), container)
        # SIGKILL would come after these seconds, and the exit code would be another.
        container.stop(timeout=20)
        job = ended(container)
    assert job.code == 128 + 15, job.log
    assert not list((ml / "model").iterdir())


# ── serving ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        ("5.1,3.5,1.4,0.2", CSV, None, Answer(200, JSON, '{"predictions": ["setosa"]}')),
        ("5.1,3.5,1.4,0.2\n\n6.3,3.3,6.0,2.5\n", CSV, CSV, Answer(200, CSV, "setosa\nvirginica\n")),
        (
            "5.1,3.5,1.4,0.2",
            "text/csv; charset=utf-8",
            "*/*",
            Answer(200, JSON, '{"predictions": ["setosa"]}'),
        ),
        ("[[5.1, 3.5, 1.4, 0.2]]", JSON, "image/png, text/csv;q=0.5", Answer(200, CSV, "setosa\n")),
    ],
)
def test_a_request_is_answered_in_what_it_accepts(
    served: Serving, body: str, content_type: str, accept: str | None, answer: Answer
) -> None:
    assert served.ask(body, content_type, accept) == answer


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "told"),
    [
        ("5.1,3.5", CSV, None, 400, "row 1: has 2 features; write 4\n"),
        (
            "5.1,3.5,1.4,0.2\n5.1,tall,1.4,nan",
            CSV,
            None,
            400,
            "row 2: could not convert string to float: 'tall'\n",
        ),
        ('{"rows": 1}', JSON, None, 400, "the request has no rows; write a list of lists of numbers\n"),
        ("", CSV, None, 400, "the request has no rows; write a list of lists of numbers\n"),
        (
            "5.1,3.5,1.4,0.2",
            "image/png",
            None,
            415,
            "Content-Type is image/png; send text/csv or application/json\n",
        ),
        (
            "5.1,3.5,1.4,0.2",
            CSV,
            "image/png",
            406,
            "Accept is image/png; accept text/csv or application/json\n",
        ),
    ],
)
def test_what_cannot_be_answered_is_told_why_without_a_traceback(
    served: Serving, body: str, content_type: str, accept: str | None, status: int, told: str
) -> None:
    answer = served.ask(body, content_type, accept)
    assert (answer.status, answer.text) == (status, told)


def test_a_model_may_bring_functions_of_its_own(
    image: str, trained: tuple[Path, Ended], tmp_path: Path
) -> None:
    shutil.copytree(trained[0] / "model", tmp_path / "model")
    (tmp_path / "model" / "code").mkdir()
    (tmp_path / "model" / "code" / "inference.py").write_text(
        "def predict_fn(rows, model):\n    return [f'an iris {each}' for each in model.predict(rows)]\n"
        "def input_fn(body, content_type):\n    return [[float(cell) for cell in body.split(',')]]\n"
    )
    with serving(image, tmp_path) as container:
        assert container.ask("5.1,3.5,1.4,0.2", accept=CSV).text == "an iris setosa\n"


def test_without_a_model_the_container_ends_and_says_why(image: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    client = docker.from_env()
    mounts = {str(tmp_path / "model"): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = client.containers.run(image, "serve", detach=True, volumes=mounts)
    try:
        end = ended(container)
    finally:
        container.remove(force=True)
        client.close()
    assert end.code == 1
    assert "No such file or directory: '/opt/ml/model/model.joblib'" in end.log
    assert "the model in /opt/ml/model cannot be loaded, so it is not served" in end.log


def test_sigterm_ends_the_server(image: str, trained: tuple[Path, Ended]) -> None:
    with serving(image, trained[0]) as container:
        # Java answers /ping before the toolkit has its handler; until then the signal itself ends it.
        assert container.end().code in {0, 143}


# ── in the local cloud ────────────────────────────────────────────────────────────────────────────
IMAGE = "toolkit-container"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """One whose registry has the image, which CodeBuild built."""
    with LocalCloud(ROOT / "template.yaml") as running:
        source = io.BytesIO()
        pack_source(SOURCE, source)
        put(running, f"sources/{IMAGE}/first.zip", source.getvalue())
        running.settle(500)
        (told,) = running.client("ecr").describe_images(repositoryName=IMAGE)["imageDetails"]
        assert told["imageDigest"].startswith("sha256:")
        yield running


def put(cloud: LocalCloud, key: str, body: bytes) -> None:
    cloud.client("s3").put_object(Bucket=cloud.outputs["Bucket"], Key=key, Body=body)


def group(cloud: LocalCloud, name: str) -> Chain:
    return Chain(cloud, name, policy=(SOURCE / "policy.yaml").read_text())


def test_codebuild_builds_it_and_an_endpoint_serves_a_model(
    cloud: LocalCloud, trained: tuple[Path, Ended]
) -> None:
    chain = group(cloud, "by-hand")
    job = yaml.safe_load((SOURCE / "job.yaml").read_text())
    metrics = json.loads((trained[0] / "output/data/evaluation.json").read_bytes())
    manifest = {**job["serve"], "container": job["container"], "metrics": metrics}
    model = tarball({"model.joblib": (trained[0] / "model" / "model.joblib").read_bytes()})
    put(cloud, "models/by-hand/first/model.tar.gz", model)
    put(cloud, "models/by-hand/first/manifest.yaml", yaml.safe_dump(manifest).encode())
    cloud.settle(60)
    assert_serves(chain)


def test_job_yaml_trains_it_an_endpoint_serves_the_model_and_a_transform_asks_it(cloud: LocalCloud) -> None:
    chain = group(cloud, "irises")
    # What `modelgate train` does: the document is last.
    for file in [*sorted((SOURCE / "data").rglob("*.csv")), SOURCE / "job.yaml"]:
        put(cloud, f"training/irises/first/{file.relative_to(SOURCE)}", file.read_bytes())
    cloud.settle(120)
    jobs = cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert jobs, [each["detail"] for each in chain.announcements()][-1]
    told = cloud.client("sagemaker").describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    assert told["TrainingJobStatus"] == "Completed", told.get("FailureReason")
    assert {each["MetricName"] for each in told["FinalMetricDataList"]} == {"accuracy", "log_loss"}
    assert_serves(chain)
    assert_transforms(chain)


def assert_serves(chain: Chain) -> None:
    (version,) = chain.versions() or [0]
    assert version, [each["detail"] for each in chain.announcements()][-1]
    chain.approve(version)
    chain.cloud.settle(120)
    assert json.loads(chain.ask("5.1,3.5,1.4,0.2")) == {"predictions": ["setosa"]}


def assert_transforms(chain: Chain) -> None:
    """A batch transform answers as the endpoint does."""
    rows = ["5.1,3.5,1.4,0.2", "6.6,3.0,5.7,2.2"]
    put(chain.cloud, "transforms/irises/june/input/rows.csv", "\n".join(rows).encode())
    given = {"location": "input/", "content_type": "text/csv", "split": "line"}
    asked = {"input": given, "strategy": "single_record"}
    put(chain.cloud, "transforms/irises/june/job.yaml", json.dumps(asked).encode())
    chain.cloud.settle(120)
    assert "Transform Finished" in chain.news(), chain.announcements()[-1]["detail"]
    found = chain.cloud.client("s3").get_object(
        Bucket=chain.cloud.outputs["Bucket"], Key="transformed/irises/june/rows.csv.out"
    )
    answers = [json.loads(line) for line in found["Body"].read().splitlines()]
    assert answers == [json.loads(chain.ask(row)) for row in rows]
