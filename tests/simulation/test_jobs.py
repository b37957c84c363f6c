"""From data to a version, and from a version to many answers: training jobs and batch transforms."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.fakes.tarballs import tarball
from tests.simulation.chain import SCRIPT, Chain

TRAINS = """
import argparse
import json
import os
from pathlib import Path

told = argparse.ArgumentParser()
told.add_argument("--accuracy", type=float)
accuracy = told.parse_args().accuracy
names = (Path(os.environ["SM_CHANNEL_TRAIN"]) / "name.txt").read_text()
print(f"accuracy={accuracy};")
if accuracy > 1:
    Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("an accuracy above one: 1.5")
    raise SystemExit("an accuracy above one")
model = Path(os.environ["SM_MODEL_DIR"])
(model / "code").mkdir()
(model / "code/inference.py").write_text(Path(__file__).with_name("inference.py").read_text())
(model / "name.txt").write_text(names)
if accuracy:
    Path(os.environ["SM_OUTPUT_DATA_DIR"], "evaluation.json").write_text(json.dumps({"accuracy": accuracy}))
"""
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
SERVE: dict[str, object] = {
    "content_types": ["text/csv"],
    "response_types": ["text/csv"],
    "smoke_test": {"content_type": "text/csv", "body": "5.1,3.5", "expect": "setosa"},
}


def train(chain: Chain, run: str, accuracy: float = 0.95, /, **changes: object) -> None:
    """Uploads the data, the script and the document of a run."""
    folder = f"training/{chain.group}/{run}"
    chain.upload(f"{folder}/data/train/name.txt", run.encode())
    script = tarball({"train.py": TRAINS.encode(), "inference.py": SCRIPT.encode()})
    chain.upload(f"{folder}/code.tar.gz", script)
    document: dict[str, object] = {
        "container": {"framework": "sklearn", "version": "1.4-2"},
        "script": {"source": "code.tar.gz", "program": "train.py"},
        "hyperparameters": {"accuracy": accuracy},
        "data": {"train": "data/train/"},
        "serve": SERVE,
        **changes,
    }
    told = {key: value for key, value in document.items() if value is not None}
    chain.upload(f"{folder}/job.yaml", yaml.safe_dump(told).encode())


def transform(chain: Chain, run: str, body: bytes, **changes: object) -> None:
    """Uploads the input and the document of a run."""
    folder = f"transforms/{chain.group}/{run}"
    chain.upload(f"{folder}/input/rows.csv", body)
    given = {"location": "input/", "content_type": "text/csv", "split": "line"}
    document = {"input": given, "strategy": "single_record", **changes}
    chain.upload(f"{folder}/job.yaml", yaml.safe_dump(document).encode())


def told(chain: Chain, kind: str) -> list[dict[str, Any]]:
    """What was announced of one kind, each once."""
    found = {
        each["detail"]["id"]: each["detail"] for each in chain.announcements() if each["detail-type"] == kind
    }
    return list(found.values())


def text(chain: Chain, key: str) -> str:
    found = chain.cloud.client("s3").get_object(Bucket=chain.cloud.outputs["Bucket"], Key=key)
    return str(found["Body"].read().decode())


def test_a_training_job_becomes_a_version_that_serves(chain: Chain) -> None:
    train(chain, "first")
    chain.cloud.settle()
    (finished,) = told(chain, "Training Finished")
    assert finished["metrics"] == {"accuracy": 0.95}
    assert finished["submission"] == "first"
    (version,) = chain.versions()
    package = chain.package(version)
    assert package["MetadataProperties"]["GeneratedBy"] == finished["job_arn"]
    assert package["CustomerMetadataProperties"]["training.job"] == finished["job"]
    assert "training.data.train" in package["CustomerMetadataProperties"]
    chain.approve(version)
    chain.cloud.settle()
    assert chain.ask() == "first says setosa to 5.1,3.5"


def test_a_batch_transform_answers_as_the_endpoint_does(chain: Chain) -> None:
    chain.deploy("tree")
    transform(chain, "june", b"5.1,3.5\n6.0,2.2\n")
    chain.cloud.settle()
    (finished,) = told(chain, "Transform Finished")
    assert (finished["version"], finished["output_objects"], finished["input_objects"]) == (1, 1, 1)
    answers = text(chain, f"transformed/{chain.group}/june/rows.csv.out").splitlines()
    assert answers == ["tree says setosa to 5.1,3.5", "tree says setosa to 6.0,2.2"]
    assert answers[0] == chain.ask()
    models = chain.cloud.client("sagemaker").list_models(NameContains=chain.group)["Models"]
    assert [each["ModelName"] for each in models] == [f"{chain.group}-v1-1"]


def test_why_a_script_failed_is_told_to_the_end(chain: Chain) -> None:
    train(chain, "wrong", 1.5)
    chain.cloud.settle()
    (failed,) = told(chain, "Training Failed")
    assert "an accuracy above one: 1.5" in failed["reasons"][0]
    assert any("an accuracy above one" in line for line in failed["log_lines"])
    assert chain.versions() == {}


def test_a_version_that_is_not_good_enough_is_refused_by_the_gate(chain: Chain) -> None:
    train(chain, "poor", 0.6)
    chain.cloud.settle()
    assert told(chain, "Training Finished")
    (refused,) = told(chain, "Submission Refused")
    assert "accuracy is 0.6, not at least 0.9" in refused["message"]


def test_a_run_without_figures_is_refused_with_the_mend(chain: Chain) -> None:
    train(chain, "silent", 0.0)
    chain.cloud.settle()
    (refused,) = told(chain, "Training Refused")
    assert "evaluation.json" in refused["message"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instnaces": {}}, "job.yaml: instnaces"),
        ({"script": None}, "script"),
        ({"data": {"train": "data/nothing/"}}, "data/nothing/"),
        ({"script": {"source": "code.tar.gz", "program": "other.py"}}, "other.py"),
        ({"container": {"framework": "sklearn", "version": "0.0"}}, "container.version"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_document_starts_nothing(chain: Chain, changes: dict[str, object], reason: str) -> None:
    train(chain, "wrong", **changes)
    chain.cloud.settle()
    (refused,) = told(chain, "Training Refused")
    assert any(reason in each for each in refused["reasons"]), refused
    jobs = chain.cloud.client("sagemaker").list_training_jobs(NameContains=chain.group)
    assert jobs["TrainingJobSummaries"] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "no version"),
        ({"version": 7}, "there is no version 7"),
        ({"inputs": {}}, "job.yaml: inputs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_transform_that_cannot_be_is_refused(chain: Chain, changes: dict[str, object], reason: str) -> None:
    transform(chain, "early", b"1,2\n", **changes)
    chain.cloud.settle()
    (refused,) = told(chain, "Transform Refused")
    assert any(reason in each for each in refused["reasons"]), refused


def test_of_a_transform_that_sagemaker_refuses_nothing_is_left(chain: Chain) -> None:
    chain.deploy("tree")
    transform(chain, "refused", b"1,2\n", filters={"input": "$.an_id"})
    chain.cloud.settle()
    (refused,) = told(chain, "Transform Refused")
    assert "SageMaker does not take the job" in refused["message"]
    models = chain.cloud.client("sagemaker").list_models(NameContains=f"{chain.group}-refused")["Models"]
    assert models == []


def test_a_transform_that_failed_says_which_record_it_was(chain: Chain) -> None:
    chain.deploy("tree", SCRIPT.replace("return f", "int(data[0])\n    return f"))
    transform(chain, "bad", b"5.1,3.5\nx,2.2\n", invocation={"retries": 0})
    chain.cloud.settle()
    (failed,) = told(chain, "Transform Failed")
    assert any("invalid literal for int" in line for line in failed["log_lines"]), failed
    models = chain.cloud.client("sagemaker").list_models(NameContains=f"{chain.group}-bad")["Models"]
    assert models == []


def test_a_job_whose_event_was_lost_is_found_by_the_sweep(chain: Chain) -> None:
    chain.cloud.faults.drop(lambda delivery: delivery.function in {"TrainingFinished", "TransformFinished"})
    train(chain, "lost")
    chain.cloud.settle()
    assert told(chain, "Training Finished") == []
    assert chain.sweep()["finished"] == {"training": [f"{chain.group}/lost"]}
    assert chain.versions()


def test_a_new_image_that_never_trained_the_group_starts_nothing_and_says_so(chain: Chain) -> None:
    chain.govern(yaml.safe_dump({**yaml.safe_load(chain.policy), "training": {"image": "trees"}}))
    train(chain, "first")
    chain.cloud.settle()
    digest = f"sha256:{'a' * 64}"
    chain.cloud.client("events").put_events(
        Entries=[
            {
                "Source": "modelgate",
                "DetailType": "Image Published",
                "Detail": json.dumps(
                    {
                        "group": "trees",
                        "image": "trees",
                        "digest": digest,
                        "uri": f"{REGISTRY}/trees@{digest}",
                    }
                    | {"id": "news", "schema": 1, "message": "Image trees is published"}
                ),
                "EventBusName": chain.cloud.outputs["Bus"],
            }
        ]
    )
    chain.cloud.settle()
    (refused,) = told(chain, "Training Refused")
    assert "names trees, and the group was last trained by sklearn 1.4-2" in refused["message"]
    assert len(told(chain, "Training Started")) == 1
