"""`modelgate train` and `modelgate transform` against a local cloud of the real template, and without one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terminal import SCRIPT, Terminal, client, policy

IRIS = Path(__file__).parents[2] / "examples" / "iris"
# Trains in no time, and says what it was told.
TRAIN = """
import argparse, json, os, pathlib, shutil
parser = argparse.ArgumentParser()
parser.add_argument("--accuracy", type=float)
told = parser.parse_args()
names = (pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "names.txt").read_text().split()
if not names:
    raise ValueError("there is nothing to learn")
print(f"learned {len(names)} names;")
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "name.txt").write_text(names[0])
(model / "code").mkdir()
shutil.copy("inference.py", model / "code")
evaluation = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "evaluation.json")
evaluation.write_text(json.dumps({"accuracy": told.accuracy}))
"""
JOB = """
container: {framework: sklearn, version: 1.9-0}
script: {source: code.tar.gz, program: train.py}
hyperparameters: {accuracy: 0.95}
data: {train: data/train/}
metrics: [{name: names, regex: "learned ([0-9]+) names;"}]
serve:
  content_types: [text/csv]
  response_types: [application/json]
  smoke_test: {content_type: text/csv, body: "5.1,3.5"}
"""


def folder_at(path: Path, names: str) -> str:
    """A folder that can be trained."""
    files = {
        "job.yaml": JOB,
        "code/train.py": TRAIN,
        "code/inference.py": SCRIPT,
        "data/train/names.txt": names,
    }
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return str(path)


def test_from_data_to_a_version_that_answers_a_file(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    policy(cloud, "asters")
    folder = folder_at(tmp_path / "asters", "alpine blue")

    trained = terminal.json("train", folder)
    assert (trained["status"], trained["version"], trained["metrics"]) == ("completed", 1, {"names": 2.0})
    assert trained["submission"]["checks"][0]["found"] == 0.95
    again = terminal.run("train", folder)
    assert again.exit_code == 0
    assert "is completed already, so nothing is uploaded" in again.stderr

    worse = terminal.run("train", folder, "--hyperparameter", "accuracy=0.5", "--run", "worse")
    assert worse.exit_code == 1
    assert "accuracy is 0.5" in " ".join(worse.stderr.split())

    terminal.json("approve", "asters", "1", "--no-wait")
    questions, answers = tmp_path / "questions", tmp_path / "answers"
    questions.mkdir()
    (questions / "first.csv").write_text("5,3\n")
    (questions / "second.csv").write_text("6,2\n")
    asked = terminal.json("transform", "asters", str(questions), "--version", "1", "--out", str(answers))
    assert (asked["status"], asked["version"], asked["input_objects"], asked["output_objects"]) == (
        "completed",
        1,
        2,
        2,
    )
    assert [Path(file).name for file in asked["files"]] == ["first.csv.out", "second.csv.out"]
    assert (answers / "second.csv.out").read_text().strip() == "alpine says setosa to 6,2"
    assert (
        client(cloud, "s3").list_objects_v2(
            Bucket=cloud["Bucket"], Prefix=asked["output"].partition(f"{cloud['Bucket']}/")[2]
        )["KeyCount"]
        == 2
    )


def test_a_script_that_fails_ends_with_its_reason_and_its_log(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    policy(cloud, "asters")
    failed = terminal.run("train", folder_at(tmp_path / "empty", ""), "--group", "asters")
    assert failed.exit_code == 1
    lines = failed.stderr.splitlines()
    assert "ValueError: there is nothing to learn" in lines
    assert any("failed: AlgorithmError: ExecuteUserScriptError" in line for line in lines)


def test_a_version_that_is_not_there_answers_nothing(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "questions.csv").write_text("5,3\n")
    told = terminal.json("transform", "nobody", str(tmp_path / "questions.csv"), code=1)
    assert told["status"] == "refused"
    assert "no version of nobody is live" in told["error"]


def test_the_example_is_trained_here_without_any_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "iris"
    shutil.copytree(IRIS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(folder.rglob("*"))

    made = Terminal(tmp_path).json("train", "--local", str(folder))

    assert (made["status"], made["passes"]) == ("completed", True)
    assert made["metrics"]["accuracy"] > 0.9
    assert made["metrics"]["seen_accuracy"] > 0.9
    assert made["inspection"]["layout"] == "code/inference.py, whose model_fn loads model.joblib"
    assert Path(made["artifact"]).is_relative_to(tmp_path / "cache")
    assert sorted(folder.rglob("*")) == before
