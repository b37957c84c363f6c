"""`job.yaml` of a transform: each mistake is told with its mend, and what passes is what SageMaker takes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from localcloud import constraints
from modelgate.aws.transform_jobs import request
from modelgate.documents import validate
from modelgate.errors import Refused
from modelgate.run import JOB_FILE, OWN_VARIABLES, TransformId, job_name
from modelgate.transform.job import TransformJob, read_job
from modelgate.transform.order import order
from tests.unit.transform import LINES, RUN, document

if TYPE_CHECKING:
    from botocore.model import Shape

INPUT: dict[str, Any] = LINES["input"]
IMAGES = {"location": "input/", "content_type": "image/png"}
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"filter": {}}, "filter", "did you mean filters?"),
    ({"version": 0}, "version", "1"),
    ({"version": "three"}, "version", "three"),
    # ── what is asked
    ({"input": None}, "input", "is missing"),
    ({"input": {**INPUT, "location": "../x"}}, "input.location", "which does not lie beside job.yaml"),
    ({"input": {**INPUT, "location": "https://a.b/c"}}, "input.location", "write s3://bucket/prefix/"),
    ({"input": {"location": "input/"}}, "input.content_type", "is missing"),
    ({"input": {**INPUT, "content_type": "text/csv\n"}}, "input.content_type", "text/csv"),
    ({"input": {**INPUT, "split": "csv"}}, "input.split", "'none', 'line', 'recordio' or 'tfrecord'"),
    ({"input": {**INPUT, "compression": "zip"}}, "input.compression", "gzip"),
    # ── what is answered
    ({"output": {"location": "answers/"}}, "output.location", "leave it out: answers lie under transformed/"),
    ({"output": {"accept": ""}}, "output.accept", "1"),
    ({"output": {"assemble": "lines"}}, "output.assemble", "line"),
    # ── filters and joins
    ({"filters": {"input": "features"}}, "filters.input", "write one that begins with $, such as $[1:]"),
    ({"filters": {"output": f"${'.a' * 40}"}}, "filters.output", "no JSONPath of at most 63 characters"),
    ({"filters": {"input": "$[1:]"}, "input": IMAGES}, "filters", "leave it out, or send text/csv"),
    ({"join": True, "input": IMAGES}, "join", "for image/png, which SageMaker cannot take apart"),
    ({"join": True, "output": {"assemble": "none"}}, "join", "write output.assemble: line"),
    # ── how
    ({"strategy": "all"}, "strategy", "'single_record' or 'multi_record'"),
    ({"strategy": "multi_record", "input": IMAGES}, "strategy", "write input.split: line"),
    ({"max_payload_mb": 101}, "max_payload_mb", "100"),
    ({"max_payload_mb": 20, "max_concurrent": 8}, "max_concurrent", "write 5, or a smaller max_payload_mb"),
    ({"max_concurrent": 17}, "max_concurrent", "is 17 requests of 6 MB at a time"),
    ({"max_concurrent": 0}, "max_concurrent", "1"),
    ({"invocation": {"timeout_seconds": 3601}}, "invocation.timeout_seconds", "3600"),
    ({"invocation": {"retries": 4}}, "invocation.retries", "3"),
    # ── on what
    ({"instances": {"type": "m5.large"}}, "instances.type", "should match"),
    ({"instances": {"count": 101}}, "instances.count", "100"),
    ({"instances": {"volume_gb": 50}}, "instances.volume_gb", "SageMaker itself chooses the volume"),
    ({"environment": {"a b": "c"}}, "environment", "no name of a variable"),
    ({"environment": {"MODELGATE_RUN": "x"}}, "environment", "choose another name"),
    ({"environment": {"A": "x" * 10_241}}, "environment", "write a shorter one"),
    ({"environment": {f"A{number}": "" for number in range(14)}}, "environment", "13"),
    ({"kms_key": "my key"}, "kms_key", "write its id, alias/<name>"),
]


@pytest.mark.parametrize(("changes", "place", "says"), MISTAKES)
def test_a_mistake_is_told_by_its_place_and_with_its_mend(
    changes: dict[str, Any], place: str, says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_job(document(**changes))
    told = [str(problem) for problem in refused.value.problems]
    assert any(each.startswith(f"{JOB_FILE}: {place}: ") and says in each for each in told), told


def test_all_that_a_document_can_say_arrives() -> None:
    told = _request(
        read_job(
            document(
                version=3,
                input={
                    "location": "s3://theirs/in/",
                    "content_type": "text/csv",
                    "split": "line",
                    "compression": "gzip",
                },
                output={"location": "s3://theirs/out/", "accept": "text/csv", "assemble": "line"},
                join=True,
                filters={"input": "$[1:]", "output": "$[0,-1]"},
                strategy="single_record",
                max_payload_mb=10,
                max_concurrent=4,
                instances={"type": "ml.m5.xlarge", "count": 2},
                environment={"LEVEL": "3"},
                kms_key="alias/mine",
                invocation={"timeout_seconds": 60, "retries": 1},
            )
        )
    )
    assert (
        told
        | {
            "BatchStrategy": "SingleRecord",
            "MaxPayloadInMB": 10,
            "MaxConcurrentTransforms": 4,
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 1},
            "DataProcessing": {"InputFilter": "$[1:]", "OutputFilter": "$[0,-1]", "JoinSource": "Input"},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://theirs/in/"}},
                "ContentType": "text/csv",
                "SplitType": "Line",
                "CompressionType": "Gzip",
            },
            "TransformOutput": {
                "S3OutputPath": "s3://theirs/out/",
                "Accept": "text/csv",
                "AssembleWith": "Line",
                "KmsKeyId": "alias/mine",
            },
            "TransformResources": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 2,
                "VolumeKmsKeyId": "alias/mine",
            },
        }
        == told
    )
    assert told["ModelName"] == told["TransformJobName"]
    assert {"Key": "modelgate:stack", "Value": "modelgate"} in told["Tags"]
    assert set(told["Environment"]) == {"LEVEL", *OWN_VARIABLES}


def test_answers_to_lines_come_in_lines_unless_told_otherwise() -> None:
    assert _request(read_job(document()))["TransformOutput"]["AssembleWith"] == "Line"
    whole = _request(read_job(document(input=IMAGES)))
    assert whole["TransformOutput"]["AssembleWith"] == "None"
    joined = _request(read_job(document(output={"assemble": "none"})))
    assert joined["TransformOutput"]["AssembleWith"] == "None"


def test_a_machine_with_disks_of_its_own_gets_no_key_for_a_volume() -> None:
    told = _request(read_job(document(instances={"type": "ml.g5.xlarge"}, kms_key="alias/mine")))
    assert "VolumeKmsKeyId" not in told["TransformResources"]
    assert told["TransformOutput"]["KmsKeyId"] == "alias/mine"


# ── what passes is what SageMaker takes ───────────────────────────────────────────────────────────
@cache
def _shape() -> Shape:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateTransformJob").input_shape
    assert shape is not None
    return shape


def _request(job: TransformJob, run: TransformId = RUN) -> dict[str, Any]:
    name = job_name(run, "v1")
    told = order(run, job, name=name, version=job.version or 1, bucket="intake", stack="modelgate")
    return request(told, "modelgate")


def _texts(most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=most)


PLACES = st.sampled_from(["input/", "a b/ü", "s3://theirs/data/", "s3://the.irs-2/", "x" * 700])
INPUTS = st.fixed_dictionaries(
    {
        "location": PLACES,
        "content_type": st.sampled_from(["text/csv", "text/csv; charset=utf-8", "application/json", "a/b"]),
    },
    optional={
        "split": st.sampled_from(["none", "line", "recordio", "tfrecord"]),
        "compression": st.sampled_from(["none", "gzip"]),
    },
)
OUTPUTS = st.fixed_dictionaries(
    {},
    optional={
        "location": st.sampled_from(["s3://theirs/out/", "s3://theirs/"]),
        "accept": st.sampled_from(["text/csv", "application/json; a=b"]),
        "assemble": st.sampled_from(["none", "line"]),
    },
)
PATHS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=62).map(
    "${}".format
)
DOCUMENTS = st.fixed_dictionaries(
    {"input": INPUTS},
    optional={
        "version": st.integers(1, 10**6),
        "output": OUTPUTS,
        "filters": st.fixed_dictionaries({}, optional={"input": PATHS, "output": PATHS}),
        "join": st.booleans(),
        "strategy": st.sampled_from(["single_record", "multi_record"]),
        "max_payload_mb": st.integers(1, 100),
        "max_concurrent": st.integers(1, 100),
        "instances": st.fixed_dictionaries(
            {"type": st.sampled_from(["ml.m5.large", "ml.g5.xlarge", "ml.c7i.large"])},
            optional={"count": st.integers(1, 100)},
        ),
        "environment": st.dictionaries(
            st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True), _texts(512), max_size=3
        ),
        "kms_key": st.sampled_from(["alias/mine", "arn:aws:kms:eu-central-1:123456789012:key/1234-abcd"]),
        "invocation": st.fixed_dictionaries(
            {}, optional={"timeout_seconds": st.integers(1, 3600), "retries": st.integers(0, 3)}
        ),
    },
)
RUNS = st.builds(
    TransformId,
    st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,30}", fullmatch=True),
    st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}", fullmatch=True),
)


@settings(max_examples=60)
@given(content=DOCUMENTS, run=RUNS)
def test_whatever_passes_here_passes_at_sagemaker(content: dict[str, Any], run: TransformId) -> None:
    try:
        job = validate(content, TransformJob, JOB_FILE)
    except Refused:
        reject()
    run.check()
    told = _request(job, run)
    report = ParamValidator().validate(told, _shape())
    assert not report.has_errors(), report.generate_report()
    assert constraints.violations(_shape(), told) == []
    assert told.get("MaxConcurrentTransforms", 1) * told.get("MaxPayloadInMB", 6) <= 100
