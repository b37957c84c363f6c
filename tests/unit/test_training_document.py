"""`job.yaml`: each mistake is told with its mend, and what passes is what SageMaker takes."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, reject
from hypothesis import strategies as st

from localcloud import constraints
from modelgate import plain_yaml
from modelgate.aws.training_jobs import request
from modelgate.documents import validate
from modelgate.errors import Refused
from modelgate.locations import Location
from modelgate.run import JOB_FILE, TrainingId, job_name
from modelgate.training.hyperparameters import encoded
from modelgate.training.job import ALGORITHMS, TrainingJob, read_job
from modelgate.training.order import order
from modelgate.training.writing import written
from tests.unit.training import REGION, ROLE, RUN, SERVE, document

if TYPE_CHECKING:
    from botocore.model import Shape

KMEANS = {"container": {"framework": "kmeans", "version": "1"}, "script": None, "serve": None}
IMAGES = {"container": {"framework": "image-classification", "version": "1"}, "script": None, "serve": None}


def _problems(changes: dict[str, Any]) -> list[str]:
    with pytest.raises(Refused) as refused:
        read_job(document(**changes))
    return [str(problem) for problem in refused.value.problems]


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"hyperparameter": {}}, "hyperparameter", "did you mean hyperparameters?"),
    ({"instances": {"groups": []}}, "instances.groups", "known are count, type, volume_gb"),
    ({"container": None}, "container", "is missing; add it"),
    ({"container": {"framework": "sklearn"}}, "container", "has no version"),
    ({"container": {"image": "trees", "artifact": "none"}}, "container", "serve.container"),
    ({"container": {"image": "trees", "environment": {"A": "b"}}}, "container", "write it beside container"),
    # ── the script
    ({"script": None}, "script", "sklearn trains nothing by itself; write script: {source:"),
    (
        {**KMEANS, "script": {"source": "a.tar.gz", "program": "a.py"}},
        "script",
        "an algorithm that takes none",
    ),
    (
        {"script": {"source": "code.zip", "program": "a.py"}},
        "script.source",
        "tar -C code -czf code.tar.gz .",
    ),
    (
        {"script": {"source": "../c.tar.gz", "program": "a.py"}},
        "script.source",
        "does not lie beside job.yaml",
    ),
    (
        {"script": {"source": "c.tar.gz", "program": "../a.py"}},
        "script.program",
        "write one such as train.py",
    ),
    ({"script": {"source": "c.tar.gz", "program": "-x"}}, "script.program", "no path in the source"),
    # ── hyperparameters
    ({"hyperparameters": {"sagemaker_program": "x"}}, "hyperparameters", "choose another name"),
    ({"hyperparameters": {"a": None}}, "hyperparameters", "without a value; give it one, or leave it out"),
    ({"hyperparameters": {"a": "x" * 2499}}, "hyperparameters", "put it into a file of a channel"),
    ({"hyperparameters": {"a" * 257: 1}}, "hyperparameters", "use 1 to 256 characters"),
    ({"hyperparameters": {f"h{n}": n for n in range(96)}}, "hyperparameters", "a job takes 95 of one's own"),
    ({**KMEANS, "hyperparameters": {"k": "a\nb"}}, "hyperparameters", "or a line break"),
    # ── channels
    ({"data": {"a/b": "x/"}}, "data", "use letters, digits, '.', '_' and '-'"),
    ({"data": {f"c{n}": "x/" for n in range(21)}}, "data", "a job takes 20; put several into one prefix"),
    ({"data": {"code": "x/"}, "network_isolation": True}, "data", "call it otherwise"),
    ({"data": {"a": "/x"}}, "data.a.location", "write a path such as data/train/"),
    ({"data": {"a": "s3://"}}, "data.a.location", "write s3://bucket/prefix/"),
    ({"data": {"a": "https://x/y"}}, "data.a.location", "write s3://bucket/prefix/"),
    ({"data": {"a": {"location": "x", "mode": "Stream"}}}, "data.a.mode", "'File', 'FastFile' or 'Pipe'"),
    (
        {"data": {"a": {"location": "x", "compression": "gzip"}}},
        "data.a.compression",
        "is gzip in mode File, where files stay as they are; write mode: Pipe",
    ),
    (
        {"data": {"a": {"location": "x", "mode": "FastFile", "record_wrapping": "recordio"}}},
        "data.a.record_wrapping",
        "write mode: Pipe",
    ),
    # ── machines
    ({"instances": {"type": "m5.large"}}, "instances.type", "pattern"),
    ({"instances": {"type": "ml.q9.large"}}, "instances.type", "write one such as ml.m5.large"),
    ({"instances": {"type": "ml.inf2.xlarge"}}, "instances.type", "which only serves"),
    ({"instances": {"count": 0}}, "instances.count", "greater than or equal to 1"),
    ({"instances": {"type": "ml.g5.xlarge", "volume_gb": 50}}, "instances", "leave volume_gb out"),
    # ── time, spot, checkpoints
    ({"time_limit_seconds": 28 * 86_400 + 1}, "time_limit_seconds", "less than or equal to 2419200"),
    ({"spot": {"wait_seconds": 60}}, "spot", "write wait_seconds: 86400 or more, or a shorter time_limit"),
    ({"spot": {}}, "spot.wait_seconds", "is missing"),
    (
        {**KMEANS, "time_limit_seconds": 60, "spot": {"wait_seconds": 3601}},
        "spot",
        "SageMaker allows 3600; write that, or leave spot out",
    ),
    (
        {**IMAGES, "time_limit_seconds": 60, "spot": {"wait_seconds": 3601}},
        "spot",
        "write that, or add checkpoints",
    ),
    ({**KMEANS, "checkpoints": "a"}, "checkpoints", "kmeans writes none; leave it out"),
    ({"checkpoints": "a/b"}, "checkpoints", "write a name with letters"),
    ({"checkpoints": "s3:///x"}, "checkpoints", "write s3://bucket/prefix/"),
    # ── metrics
    ({"metrics": [{"name": "a b", "regex": "(x)"}]}, "metrics.0.name", "use letters, digits"),
    ({"metrics": [{"name": "a", "regex": "(x"}]}, "metrics.0.regex", "no regular expression"),
    ({"metrics": [{"name": "a", "regex": "x"}]}, "metrics.0.regex", "put it in ( )"),
    ({"metrics": [{"name": "a", "regex": "(x)"}] * 2}, "metrics", "keep one entry for each"),
    ({**KMEANS, "metrics": [{"name": "a", "regex": "(x)"}]}, "metrics", "which SageMaker keeps"),
    # ── the rest
    ({"environment": {"1A": "b"}}, "environment", "use letters, digits and underscores"),
    ({"environment": {"A": "b" * 513}}, "environment", "more than 512 characters"),
    ({"environment": {"MODELGATE_RUN": "b"}}, "environment", "choose another name"),
    ({"environment": {f"A{n}": "" for n in range(98)}}, "environment", "at most 97"),
    ({"environment": {"A": 1}}, "environment.A", "is 1"),
    ({"kms_key": "my key"}, "kms_key", "write its id, alias/<name>"),
    (
        {"vpc": {"security_groups": ["x"], "subnets": []}},
        "vpc.security_groups.0",
        "no id of a security group",
    ),
    (
        {"container": {"framework": "chainer", "version": "5.0.0"}, "network_isolation": True},
        "network_isolation",
        "needs Amazon S3 from within",
    ),
    ({"serve": {**SERVE, "metrics": {"a": 1.0}}}, "serve.metrics", "comes of the job; leave it out"),
    ({"serve": {**SERVE, "lineage": {"commit": "a"}}}, "serve.lineage", "write it beside serve"),
    ({"serve": {**SERVE, "metadata": {"training.x": "a"}}}, "serve.metadata", "choose another key"),
    (
        {"serve": {**SERVE, "metadata": {f"k{n}": "v" for n in range(13)}}},
        "serve.metadata",
        "there is room for 12; leave some out",
    ),
    ({"serve": {"content_types": ["a/b"]}}, "serve.smoke_test", "is missing"),
    ({"lineage": {"generated_by": "me"}}, "lineage", "which is this job; leave it out"),
]


@pytest.mark.parametrize(("changes", "place", "says"), MISTAKES)
def test_a_mistake_is_told_by_its_place_and_with_its_mend(
    changes: dict[str, Any], place: str, says: str
) -> None:
    found = [problem for problem in _problems(changes) if problem.startswith(f"{JOB_FILE}: {place}: ")]
    assert any(says in problem for problem in found), _problems(changes)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {"script": None, "spot": {"wait_seconds": 1}, "data": {"a": "/x", "b": "../x"}, "kms_key": "?"}
    places = [problem.split(": ")[1] for problem in _problems(wrong)]
    assert sorted(places) == ["data.a.location", "data.b.location", "kms_key", "script", "spot"]


def test_a_script_may_run_in_an_image_of_ones_own_and_in_xgboost() -> None:
    for container in ({"image": "trees:v1"}, {"framework": "xgboost", "version": "1.7-1"}):
        assert read_job(document(container=container)).script is not None
        assert read_job(document(container=container, script=None)).script is None


def test_a_machine_that_brings_its_own_storage_gets_no_volume_and_no_key_for_one() -> None:
    told = _request(read_job(document(instances={"type": "ml.g5.xlarge"}, kms_key="alias/mine")))
    assert "VolumeSizeInGB" not in told["ResourceConfig"]
    assert "VolumeKmsKeyId" not in told["ResourceConfig"]
    assert told["OutputDataConfig"]["KmsKeyId"] == "alias/mine"
    assert _request(read_job(document(kms_key="alias/mine")))["ResourceConfig"] == {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "alias/mine",
    }


def test_all_that_a_document_can_say_arrives() -> None:
    channel = {
        "location": "s3://theirs/data/",
        "mode": "Pipe",
        "content_type": "text/csv",
        "compression": "gzip",
        "distribution": "sharded",
        "record_wrapping": "recordio",
        "shuffle_seed": 7,
    }
    told = _request(
        read_job(
            document(
                data={"train": channel},
                instances={"type": "ml.m5.xlarge", "count": 2, "volume_gb": 50},
                checkpoints="trees",
                spot={"wait_seconds": 7200},
                time_limit_seconds=3600,
                metrics=[{"name": "accuracy", "regex": "accuracy=([0-9.]+)"}],
                environment={"KEY": "value"},
                vpc={"security_groups": ["sg-0123456789abcdef0"], "subnets": ["subnet-0123456789abcdef0"]},
                network_isolation=True,
                encrypt_traffic=True,
            )
        )
    )
    assert told["InputDataConfig"][0] == {
        "ChannelName": "train",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": "s3://theirs/data/",
                "S3DataDistributionType": "ShardedByS3Key",
            }
        },
        "InputMode": "Pipe",
        "ContentType": "text/csv",
        "CompressionType": "Gzip",
        "RecordWrapperType": "RecordIO",
        "ShuffleConfig": {"Seed": 7},
    }
    assert told["CheckpointConfig"] == {"S3Uri": "s3://intake/checkpoints/iris/trees/"}
    assert told["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert told["EnableManagedSpotTraining"] is told["EnableNetworkIsolation"] is True
    assert told["EnableInterContainerTrafficEncryption"] is True
    assert told["Environment"] == {
        "KEY": "value",
        "MODELGATE_STACK": "modelgate",
        "MODELGATE_GROUP": "iris",
        "MODELGATE_RUN": "first",
    }
    assert {"Key": "modelgate:group", "Value": "iris"} in told["Tags"]
    assert told["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}
    ]


# ── what passes is what SageMaker takes ───────────────────────────────────────────────────────────
@cache
def _shape() -> Shape:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateTrainingJob").input_shape
    assert shape is not None
    return shape


def _request(job: TrainingJob, run: TrainingId = RUN) -> dict[str, Any]:
    name = job_name(run, "v1")
    source = Location("intake", run.trained_key(f"{name}/source/sourcedir.tar.gz")) if job.script else None
    image = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/trees@sha256:{'ab' * 32}"
    planned = order(
        run,
        job,
        name=name,
        image=image,
        source=source,
        bucket="intake",
        role=ROLE,
        region=REGION,
        stack="modelgate",
    )
    return request(planned, "modelgate")


def _texts(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most)


PLACES = st.sampled_from(["data/", "data", "a b/ü", "s3://theirs/data/", "s3://the.irs-2/", "x" * 700])
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts(0, 300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts(0, 5), inner, max_size=3),
    max_leaves=5,
)
PIPES = {
    "mode": st.just("Pipe"),
    "compression": st.sampled_from(["none", "gzip"]),
    "record_wrapping": st.sampled_from(["none", "recordio"]),
}
FILES = {"mode": st.sampled_from(["File", "FastFile"])}
CHANNELS = PLACES | st.sampled_from([PIPES, FILES]).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"location": PLACES, **kind},
        optional={
            "content_type": st.sampled_from(["text/csv", "application/x-recordio; a=b"]),
            "distribution": st.sampled_from(["replicated", "sharded"]),
            "shuffle_seed": st.integers(0, 2**63 - 1),
        },
    )
)
SCRIPTS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["code.tar.gz", "s3://theirs/sourcedir.tar.gz"]),
        "program": st.sampled_from(["train.py", "src/train_all.sh", "a-b"]),
    }
)
METRICS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z:._]{0,99}", fullmatch=True),
        "regex": _texts(1, 100).map(lambda text: f"{re.escape(text)}=([0-9.]+)"),
    }
)


def _by(container: st.SearchStrategy[dict[str, str]], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"container": container, **more})


def _version(family: str) -> dict[str, str]:
    return {"framework": family, "version": "1"}


TRAINED_BY = st.one_of(
    _by(st.sampled_from(["sklearn", "pytorch", "xgboost"]).map(_version), script=SCRIPTS),
    _by(st.sampled_from(sorted(ALGORITHMS)).map(_version)),
    _by(st.just({"image": "trees:v1"})),
    _by(st.just({"image": "trees:v1"}), script=SCRIPTS, metrics=st.lists(METRICS, max_size=3)),
    _by(
        st.just({"image": "trees:v1"}),
        checkpoints=st.sampled_from(["trees", "a.b-c_d", "s3://theirs/checkpoints", "s3://theirs/"]),
    ),
)
TIMES = st.tuples(st.integers(1, 28 * 86_400), st.integers(0, 2 * 86_400)).map(
    lambda pair: {"time_limit_seconds": pair[0], "spot": {"wait_seconds": sum(pair)}}
)
REST = st.fixed_dictionaries(
    {},
    optional={
        "network_isolation": st.booleans(),
        "hyperparameters": st.dictionaries(_texts(1, 256), VALUES, max_size=5),
        "data": st.dictionaries(
            st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}", fullmatch=True), CHANNELS, max_size=4
        ),
        "instances": st.fixed_dictionaries(
            {"type": st.sampled_from(["ml.m5.large", "ml.trn1.2xlarge", "ml.p4d.24xlarge", "ml.c7i.large"])},
            optional={"count": st.integers(1, 1000)},
        )
        | st.fixed_dictionaries({"volume_gb": st.integers(1, 16_384)}),
        "environment": st.dictionaries(
            st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True), _texts(0, 512), max_size=3
        ),
        "vpc": st.just(
            {"security_groups": ["sg-0123456789abcdef0"], "subnets": ["subnet-0123456789abcdef0"]}
        ),
        "encrypt_traffic": st.booleans(),
        "kms_key": st.sampled_from(["alias/mine", "arn:aws:kms:eu-central-1:123456789012:key/1234-abcd"]),
        "serve": st.just(SERVE),
    },
)
DOCUMENTS = st.builds(lambda *parts: dict(ChainMap(*parts)), TRAINED_BY, REST, st.just({}) | TIMES)
RUNS = st.builds(
    TrainingId,
    st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,30}", fullmatch=True),
    st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}", fullmatch=True),
)


@given(content=DOCUMENTS, run=RUNS)
def test_whatever_passes_here_passes_at_sagemaker(content: dict[str, Any], run: TrainingId) -> None:
    try:
        job = validate(content, TrainingJob, JOB_FILE)
    except Refused:
        reject()
    run.check()
    told = _request(job, run)
    report = ParamValidator().validate(told, _shape())
    assert not report.has_errors(), report.generate_report()
    assert constraints.violations(_shape(), told) == []


@given(value=VALUES)
def test_a_script_gets_back_what_was_written(value: object) -> None:
    assert json.loads(encoded({"a": value}, for_script=True)["a"]) == value


@given(content=DOCUMENTS)
def test_what_the_machine_writes_reads_as_it_was_meant(content: dict[str, Any]) -> None:
    assert plain_yaml.load(written(content), JOB_FILE) == content
