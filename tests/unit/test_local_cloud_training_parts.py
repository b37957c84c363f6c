"""What the local cloud's training jobs are made of: data, configuration, results, statuses."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import struct
import tarfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.containers import training as toolkit
from localcloud.containers.training import Configuration
from localcloud.training import opt_ml
from localcloud.training.channels import (
    Channel,
    DataError,
    Item,
    LocalFolder,
    PipeFeeder,
    S3Objects,
    path_in_channel,
)
from localcloud.training.metrics import MetricDefinition, MetricReader
from localcloud.training.record import Record
from localcloud.training.results import pack


class Objects:
    """An S3 client over a few objects."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = objects

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        del Bucket
        return {"Body": io.BytesIO(self.objects[Key])}


class Memory:
    """A source of objects by their paths."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents

    def items(self) -> list[Item]:
        """In the order in which they were given."""
        return [Item(path, partial(io.BytesIO, content)) for path, content in self.contents.items()]


def _not_expected(error: DataError) -> None:
    pytest.fail(str(error))


# ── channels ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("data/train/", "data/train/a.csv", "a.csv"),
        ("data/train/", "data/train/deep/a.csv", "deep/a.csv"),
        ("data/train", "data/train/a.csv", "a.csv"),
        ("data/train", "data/train-2/a.csv", "train-2/a.csv"),
        ("data/train/a.csv", "data/train/a.csv", "a.csv"),
        ("", "a.csv", "a.csv"),
    ],
)
def test_an_object_keeps_its_path_below_the_prefix(prefix: str, key: str, path: str) -> None:
    assert path_in_channel(key, prefix, f"s3://bucket/{prefix}") == path


@pytest.mark.parametrize("key", ["data//a.csv", "data/x//a.csv", "data/../a.csv"])
def test_a_key_that_is_no_path_is_told(key: str) -> None:
    with pytest.raises(DataError, match="S3 key: s3://bucket/data"):
        path_in_channel(key, "data/", "s3://bucket/data/")


@given(st.integers(0, 30), st.integers(1, 5), st.one_of(st.none(), st.integers()))
def test_every_object_goes_to_one_host_and_shares_differ_by_one_at_most(
    objects: int, hosts: int, seed: int | None
) -> None:
    source = Memory(**{f"n{number}": b"" for number in range(objects)})
    channel = Channel("train", source, sharded=True, shuffle_seed=seed)
    shares = [[item.path for item in channel.items(host, hosts)] for host in range(hosts)]
    assert sorted(path for share in shares for path in share) == sorted(source.contents)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_shuffled_channel_has_another_order_in_each_epoch_and_the_same_for_a_seed() -> None:
    source = Memory(**{f"n{number}": b"" for number in range(20)})
    channel = Channel("train", source, shuffle_seed=7)
    first, second = ([item.path for item in channel.items(0, 1, epoch)] for epoch in (0, 1))
    assert first != second
    assert [item.path for item in channel.items(0, 1, 0)] == first
    assert sorted(first) == sorted(second)


def test_a_manifest_names_the_objects_and_their_order() -> None:
    manifest = [{"prefix": "s3://bucket/data/"}, "z.csv", "deep/a.csv"]
    objects = {"m": json.dumps(manifest).encode(), "data/z.csv": b"z", "data/deep/a.csv": b"a"}
    source = S3Objects(Objects(objects), "s3://bucket/m", manifest=True)
    items = [(item.path, item.open().read()) for item in source.items()]
    assert items == [("z.csv", b"z"), ("deep/a.csv", b"a")]

    with pytest.raises(DataError, match='has the member "prefix"'):
        S3Objects(Objects({"m": b'["data"]'}), "s3://bucket/m", manifest=True).items()


def test_a_folder_is_laid_down_with_its_folders(tmp_path: Path) -> None:
    (tmp_path / "from/deep").mkdir(parents=True)
    (tmp_path / "from/deep/a.csv").write_text("1")
    (tmp_path / "from/b.csv").write_text("2")
    Channel("train", LocalFolder(tmp_path / "from")).lay_down(tmp_path / "to", 0, 1)
    found = {path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*.csv")}
    assert found == {"deep/a.csv", "b.csv"}


def test_a_pipe_takes_off_gzip_and_wraps_records() -> None:
    plain = Channel(
        "train", Memory(a=gzip.compress(b"one") + gzip.compress(b"two")), "Pipe", compression="Gzip"
    )
    assert b"".join(plain.stream(0, 1, 0)) == b"onetwo"

    wrapped = Channel("train", Memory(a=b"12345", b=b"1234"), "Pipe", wrapping="RecordIO")
    header = struct.Struct("<II")
    assert b"".join(wrapped.stream(0, 1, 0)) == (
        header.pack(0xCED7230A, 5) + b"12345\0\0\0" + header.pack(0xCED7230A, 4) + b"1234"
    )


def test_a_pipe_that_is_closed_early_goes_on_to_the_next_epoch(tmp_path: Path) -> None:
    more_than_a_pipe_holds = b"x" * (1 << 20)
    feeder = PipeFeeder(
        Channel("train", Memory(a=more_than_a_pipe_holds), "Pipe"), tmp_path, 0, 1, _not_expected
    )
    with (tmp_path / "train_0").open("rb") as pipe:
        assert pipe.read(10) == b"x" * 10
    while not (tmp_path / "train_1").exists():
        os.sched_yield()
    assert (tmp_path / "train_1").read_bytes() == more_than_a_pipe_holds
    feeder.stop()


def test_a_pipe_whose_data_cannot_be_read_fails_the_job(tmp_path: Path) -> None:
    told, found = threading.Event(), list[DataError]()

    def failed(error: DataError) -> None:
        found.append(error)
        told.set()

    broken = Channel("train", Memory(a=b"not gzip"), "Pipe", compression="Gzip")
    feeder = PipeFeeder(broken, tmp_path, 0, 1, failed)
    assert (tmp_path / "train_0").read_bytes() == b""
    assert told.wait(10)
    assert "a is not compressed with gzip" in str(found[0])
    feeder.stop()


# ── what a host finds ─────────────────────────────────────────────────────────────────────────────────


def laid_out(base: Path, **hyperparameters: str) -> Configuration:
    """A tree for the second of two hosts, as a container reads it."""
    opt_ml.lay_out(
        base,
        hyperparameters=hyperparameters,
        channels=[Channel("train", Memory(), content_type="text/csv")],
        host="algo-2",
        hosts=["algo-1", "algo-2"],
        instance_type="ml.m5.large",
        network_interface="eth0",
        place=str(base),
        checkpoints="/opt/ml/checkpoints",
    )
    return Configuration.read(base)


def test_the_tree_is_as_sagemaker_lays_it_out(tmp_path: Path) -> None:
    base = tmp_path / "opt/ml"
    laid_out(base, depth="4")
    files = {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}
    assert files == {
        f"input/config/{name}.json"
        for name in ("hyperparameters", "inputdataconfig", "resourceconfig", "checkpointconfig")
    }
    for folder in ("input/data", "model", "output/data", "checkpoints"):
        assert (base / folder).is_dir()
    assert json.loads((base / "input/config/inputdataconfig.json").read_text()) == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/opt/ml/model", "/x/opt/ml/model"),
        ('"/opt/ml/model"', '"/x/opt/ml/model"'),
        ("/opt/ml", "/x/opt/ml"),
        ("/opt/mlflow", "/opt/mlflow"),
        ("s3://bucket/opt/ml/model", "s3://bucket/opt/ml/model"),
    ],
)
def test_paths_under_opt_ml_lead_to_where_a_process_has_them(value: str, expected: str) -> None:
    assert opt_ml.in_place(value, "/x/opt/ml") == expected
    assert opt_ml.in_place(value, "/opt/ml") == value


def test_hyperparameters_become_arguments_and_variables(tmp_path: Path) -> None:
    given_ = {
        "max-depth": "4",
        "solver": '"lbfgs"',
        "v": "true",
        "plain": "as it is",
        "grid": '{"b": 1, "a": 2}',
    }
    configuration = laid_out(tmp_path / "opt/ml", sagemaker_program='"train.py"', **given_)
    assert configuration.arguments() == [
        *("--grid", "a=2,b=1", "--max-depth", "4", "--plain", "as it is", "--solver", "lbfgs", "-v", "True"),
    ]
    variables = toolkit.environment(tmp_path / "opt/ml")
    assert variables["SM_HP_MAX-DEPTH"] == "4"
    assert variables["SM_HP_SOLVER"] == "lbfgs"
    assert json.loads(variables["SM_HPS"])["grid"] == {"b": 1, "a": 2}
    assert variables["SM_CHANNEL_TRAIN"] == str(tmp_path / "opt/ml/input/data/train")
    assert (variables["SM_USER_ENTRY_POINT"], variables["SM_MODULE_NAME"]) == ("train.py", "train")
    assert variables["SM_CURRENT_HOST"] == "algo-2"
    assert json.loads(variables["SM_TRAINING_ENV"])["is_master"] is False


# ── what is kept of it ────────────────────────────────────────────────────────────────────────────────


def test_one_archive_holds_what_all_hosts_wrote(tmp_path: Path) -> None:
    for host, names in (("algo-1", ["same", "one/deep"]), ("algo-2", ["same", "two"])):
        for name in names:
            file = tmp_path / host / "model" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(host)
    trees = [tmp_path / "algo-1", tmp_path / "algo-2"]
    archive = pack(trees, "model", tmp_path / "model.tar.gz")
    assert archive is not None
    with tarfile.open(archive) as tar:
        files = [entry for entry in tar.getmembers() if entry.isfile()]
        assert [entry.name for entry in files] == ["one/deep", "same", "two"]
        same = tar.extractfile("same")
        assert same is not None
        assert same.read() == b"algo-1"
    assert pack(trees, "output/data", tmp_path / "output.tar.gz") is None


def test_the_last_value_of_a_metric_counts() -> None:
    reader = MetricReader(
        [
            MetricDefinition("loss", r"loss=(\S+)"),
            MetricDefinition("seen", "x=(.)"),
            MetricDefinition("all", "loss"),
        ]
    )
    for line in ("loss=0.5 loss=0.4", "loss=nothing", "loss=1e-3"):
        reader.read(line)
    assert [(metric.name, metric.value) for metric in reader.metrics] == [("loss", 0.001)]


def test_a_job_that_is_over_stays_as_it_is_and_one_that_is_stopped_goes_on_with_nothing() -> None:
    record = Record("job", "arn", {}, dt.datetime.now(dt.UTC))
    assert record.move("InProgress", "Training")
    assert record.move("Stopping", "Stopping")
    assert not record.move("InProgress", "Uploading")
    assert record.move("Stopped", "Stopped")
    assert not record.move("Failed", "Failed")
    told = record.described()
    assert [each["Status"] for each in told["SecondaryStatusTransitions"]] == [
        "Training",
        "Stopping",
        "Stopped",
    ]
    assert all("EndTime" in each for each in told["SecondaryStatusTransitions"])
