"""What batch transform on the local cloud is made of: records, requests, filters, and the course of a job."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.inference_pipeline import NoAnswerError, SilentContainerError
from localcloud.serving import Answer
from localcloud.transform.course import Course, batch_environment
from localcloud.transform.json_path import JsonPathError, chosen
from localcloud.transform.processing import Processing
from localcloud.transform.record import Record
from localcloud.transform.records import RecordError, glue, requests, split

BODIES = st.lists(st.binary(max_size=40), max_size=8)


# ── records ───────────────────────────────────────────────────────────────────────────────────────
def _recordio(*bodies: bytes, flag: int = 0) -> bytes:
    return b"".join(
        struct.pack("<II", 0xCED7230A, flag << 29 | len(body)) + body + b"\0" * (-len(body) % 4)
        for body in bodies
    )


def _tfrecord(*bodies: bytes) -> bytes:
    return b"".join(struct.pack("<QI", len(body), 1) + body + struct.pack("<I", 2) for body in bodies)


@given(bodies=BODIES)
def test_binary_records_keep_their_frames(bodies: list[bytes]) -> None:
    for how, frame in (("RecordIO", _recordio), ("TFRecord", _tfrecord)):
        assert split(frame(*bodies), how) == [frame(body) for body in bodies]


def test_a_record_in_parts_stays_one() -> None:
    parts = _recordio(b"begins", flag=1) + _recordio(b"goes on", flag=2) + _recordio(b"ends", flag=3)
    assert split(parts + _recordio(b"next"), "RecordIO") == [parts, _recordio(b"next")]


@pytest.mark.parametrize(
    ("how", "content"),
    [
        ("RecordIO", b"no magic number"),
        ("RecordIO", _recordio(b"cut off")[:-3]),
        ("RecordIO", _recordio(b"never ends", flag=1)),
        ("TFRecord", _tfrecord(b"cut off")[:-1]),
        ("TFRecord", b"short"),
    ],
)
def test_what_is_framed_wrongly_is_told(how: str, content: bytes) -> None:
    with pytest.raises(RecordError):
        split(content, how)


def test_lines_end_as_on_either_system_and_empty_ones_are_none() -> None:
    assert split(b"a\r\nb\n\n\r\nc", "Line") == [b"a", b"b", b"c"]
    assert split(b"a\nb\n", "None") == [b"a\nb\n"]


@given(
    records=st.lists(st.binary(min_size=1, max_size=20), max_size=20),
    how=st.sampled_from(["Line", "RecordIO"]),
    most=st.integers(20, 60),
)
def test_requests_are_as_full_as_they_may_be(records: list[bytes], how: str, most: int) -> None:
    batches = requests(records, how=how, several=True, most=most)
    assert [record for batch in batches for record in batch] == records
    bodies = [glue(how).join(batch) for batch in batches]
    assert all(len(body) <= most for body in bodies)
    for body, following in pairwise(zip(bodies, batches, strict=True)):
        assert len(body[0]) + len(glue(how)) + len(following[1][0]) > most


def test_one_record_to_a_request_or_any_number() -> None:
    lines = [b"a", b"b", b"c"]
    assert requests(lines, how="Line", several=False, most=100) == [[b"a"], [b"b"], [b"c"]]
    assert requests(lines, how="Line", several=True, most=0) == [lines]
    with pytest.raises(RecordError, match="Too much data for max payload size"):
        requests([b"a" * 11], how="Line", several=True, most=10)


# ── filters and joins ─────────────────────────────────────────────────────────────────────────────
ROW = ["id", "1", "2", "3"]
OBJECT = {"id": 7, "features": [1, 2, 3], "who": {"name": "a", "age": 3}, "rows": [{"x": 1}, {"x": 2}]}


@pytest.mark.parametrize(
    ("record", "path", "found"),
    [
        (ROW, "$", ROW),
        (ROW, "$[0]", "id"),
        (ROW, "$[-1]", "3"),
        (ROW, "$[0,-1]", ["id", "3"]),
        (ROW, "$[1:]", ["1", "2", "3"]),
        (ROW, "$[0:-1]", ["id", "1", "2"]),
        (ROW, "$[*]", ROW),
        (OBJECT, "$.features", [1, 2, 3]),
        (OBJECT, "$['id','features']", {"id": 7, "features": [1, 2, 3]}),
        (OBJECT, "$.who.['name', 'age']", {"name": "a", "age": 3}),
        (OBJECT, "$.who.*", ["a", 3]),
        (OBJECT, "$.rows[*].x", [1, 2]),
        (OBJECT, "$.rows[1].x", 2),
    ],
)
def test_a_path_chooses(record: Any, path: str, found: Any) -> None:
    assert chosen(record, path) == found


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("$[7]", r"Invalid JsonPath: \$\[7\]"),
        ("$.nobody", "nobody"),
        ("$.id[0]", "no list"),
        ("$[0:2,3:]", r"only single range filters of format .* Format \[0:2,3:\] is not supported"),
        ("$.an_id", 'Unexpected "_"'),
        ("$..x", r'Unexpected "\.\.x"'),
        ("$[?(@.x)]", r'Unexpected "\?"'),
        ("features", 'Unexpected "f"'),
    ],
)
def test_a_path_that_leads_nowhere_says_why(path: str, says: str) -> None:
    with pytest.raises(JsonPathError, match=says):
        chosen(ROW if path.startswith("$[") else OBJECT, path)


def _processing(content_type: str = "text/csv", **told: str) -> Processing:
    return Processing.of({"TransformInput": {"ContentType": content_type}, "DataProcessing": told})


def test_columns_are_joined_as_csv_has_them() -> None:
    processing = _processing(InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    assert processing.asked(b'"a, b",1,2', "text/csv") == b"1,2"
    kept = processing.kept([b'"a, b",1,2', b"c,3,4"], "text/csv", b"3.0\n7.0\n", "text/csv")
    assert kept == [b'"a, b",3.0', b"c,7.0"]


@pytest.mark.parametrize(
    ("record", "answer", "joined"),
    [
        (b'{"key": 1}', b'{"label": 1}', b'{"key": 1, "SageMakerOutput": {"label": 1}}'),
        (b"[1, 2]", b"[3]", b'{"SageMakerInput": [1, 2], "SageMakerOutput": 3}'),
    ],
)
def test_what_is_no_object_becomes_a_member_of_one(record: bytes, answer: bytes, joined: bytes) -> None:
    processing = _processing("application/json", JoinSource="Input")
    assert processing.kept([record], "application/json", answer, "application/json") == [joined]


def test_a_list_has_the_answers_to_several_records() -> None:
    processing = _processing("application/jsonlines", JoinSource="Input", OutputFilter="$.SageMakerOutput")
    records = [b'{"a": 1}', b'{"a": 2}']
    assert processing.kept(records, "application/jsonlines", b"[3, 4]", "application/json") == [b"3", b"4"]


def test_answers_must_be_as_many_as_records() -> None:
    with pytest.raises(RecordError, match="Fail to join data"):
        _processing(JoinSource="Input").kept([b"1", b"2"], "text/csv", b"3\n", "text/csv")


def test_what_cannot_be_taken_apart_is_told() -> None:
    with pytest.raises(RecordError, match="image/png"):
        _processing("image/png", InputFilter="$[0]").asked(b"x", "image/png")
    with pytest.raises(RecordError, match="is not application/json"):
        _processing("application/json", InputFilter="$.a").asked(b"{", "application/json")


def test_a_wrong_filter_is_refused_in_sagemakers_words() -> None:
    with pytest.raises(JsonPathError) as refused:
        _processing("application/jsonlines", OutputFilter="$['account_id','SageMakerOutput']")
    assert str(refused.value) == (
        "Invalid OutputFilter: \"$['account_id','SageMakerOutput']\". Unexpected \"_\" in JsonPath. "
        'Supported operators for "application/jsonlines" are '
        "['$', '[', ']', '*', '.', ' ', ',', ':', '-', ''']"
    )


# ── the course of a job ───────────────────────────────────────────────────────────────────────────
class Store:
    """As much of S3 as a job needs."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)

    def get_paginator(self, _name: str) -> Store:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        keys = sorted(key for key in self.objects if key.startswith(f"{Bucket}/{Prefix}"))
        yield {"Contents": [{"Key": key.removeprefix(f"{Bucket}/")} for key in keys]}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": BytesIO(self.objects[f"{Bucket}/{Key}"])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[f"{Bucket}/{Key}"] = Body


Said = Answer | NoAnswerError


def _says(body: bytes, status: int = 200) -> Answer:
    return Answer(status, "text/csv", body, None)


NO_ANSWER = NoAnswerError("primary", TimeoutError("timed out"), timed_out=True)


@dataclass
class Model:
    """An instance whose container answers in capitals, unless a test says how it answers next."""

    says: list[Said] = field(default_factory=list)
    wishes: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False
    asked: list[tuple[bytes, Mapping[str, str], float | None]] = field(default_factory=list)
    stops: int = 0
    before_answer: Callable[[], None] = lambda: None

    def start(self) -> None:
        if self.silent:
            raise SilentContainerError("no ping")

    def execution_parameters(self) -> Mapping[str, Any]:
        return self.wishes

    def invoke(
        self, body: bytes, headers: Mapping[str, str], limit: float | None = None
    ) -> tuple[Answer, str]:
        self.asked.append((body, headers, limit))
        self.before_answer()
        said = self.says.pop(0) if self.says else _says(body.upper())
        if isinstance(said, NoAnswerError):
            raise said
        return said, "primary"

    def stop(self) -> None:
        self.stops += 1


class Job:
    """A job over objects of a bucket, on one instance or several."""

    def __init__(
        self, objects: Mapping[str, bytes], *models: Model, prefix: str = "in/", **asked: Any
    ) -> None:
        self.store = Store({f"b/{key}": body for key, body in objects.items()})
        self.models = models or (Model(),)
        waiting = list(self.models)
        given = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{prefix}"}}}
        how = {key: asked.pop(key) for key in ("SplitType", "CompressionType") if key in asked}
        told: dict[str, Any] = {
            "TransformInput": {**given, "ContentType": "text/csv", "SplitType": "Line", **how},
            "TransformOutput": {"S3OutputPath": "s3://b/out", "AssembleWith": "Line", "Accept": "text/csv"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": len(self.models)},
            "DataProcessing": {key: asked.pop(key) for key in ("InputFilter",) if key in asked},
            **asked,
        }
        now = datetime(2026, 11, 23, tzinfo=UTC)
        self.record = Record("job", "arn", told, now, now)
        self.statuses: list[str] = []
        self.log: list[str] = []
        self.course = Course(
            self.record,
            Processing.of(told),
            s3=self.store,
            containers=lambda _: waiting.pop(0),
            announce=lambda record: self.statuses.append(record.status),
            write_data_log=lambda _, line: self.log.append(line),
        )

    def run(self) -> Job:
        self.course.run()
        return self

    def bodies(self) -> Sequence[bytes]:
        """What the first instance was asked."""
        return [body for body, _, _ in self.models[0].asked]

    def out(self) -> dict[str, bytes]:
        return {key: body for key, body in self.store.objects.items() if key.startswith("b/out/")}


ONE = {"in/a.csv": b"a\nb\nc\n"}


def test_answers_lie_where_their_questions_lay() -> None:
    job = Job({"in/a.csv": b"a\nb\n", "in/deep/b.csv": b"c", "in/folder/": b""}).run()
    assert job.out() == {"b/out/a.csv.out": b"A\nB\n", "b/out/deep/b.csv.out": b"C\n"}
    assert job.statuses == ["Completed"]
    assert job.models[0].stops == 1


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("in/part-", "part-1.csv.out"), ("in/part-1.csv", "part-1.csv.out"), ("in", "part-1.csv.out")],
)
def test_a_prefix_may_end_within_a_name(prefix: str, name: str) -> None:
    assert list(Job({"in/part-1.csv": b"a"}, prefix=prefix).run().out()) == [f"b/out/{name}"]


def test_without_assembling_answers_follow_each_other_as_they_are() -> None:
    plain = {"S3OutputPath": "s3://b/out/"}
    job = Job(ONE, Model(), TransformOutput=plain, BatchStrategy="SingleRecord").run()
    assert job.out() == {"b/out/a.csv.out": b"ABC"}
    assert all(headers == {"Content-Type": "text/csv"} for _, headers, _ in job.models[0].asked)


def test_what_the_job_says_counts_more_than_what_the_container_wishes() -> None:
    wishes = {"BatchStrategy": "SINGLE_RECORD", "MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1}
    wished = Job(ONE, Model(wishes=wishes)).run()
    assert wished.log[0].endswith("MaxConcurrentTransforms=4, MaxPayloadInMB=1, BatchStrategy=SINGLE_RECORD")
    assert sorted(wished.bodies()) == [b"a", b"b", b"c"]
    assert wished.out() == {"b/out/a.csv.out": b"A\nB\nC\n"}
    told: dict[str, Any] = {"BatchStrategy": "MultiRecord", "MaxConcurrentTransforms": 2, "MaxPayloadInMB": 3}
    job = Job(ONE, Model(wishes=wishes), **told).run()
    assert job.log[0].endswith("MaxConcurrentTransforms=2, MaxPayloadInMB=3, BatchStrategy=MULTI_RECORD")
    assert job.bodies() == [b"a\nb\nc"]


def test_nonsense_at_execution_parameters_is_no_wish() -> None:
    job = Job(ONE, Model(wishes={"MaxConcurrentTransforms": "many", "MaxPayloadInMB": None})).run()
    assert job.log[0].endswith("MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD")


def test_containers_are_told_only_what_the_job_says() -> None:
    assert batch_environment({}) == {"SAGEMAKER_BATCH": "true"}
    told = {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 2, "MaxPayloadInMB": 3}
    assert batch_environment(told) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "3",
    }


def test_requests_are_patient_as_long_and_as_often_as_told() -> None:
    patience = {"InvocationsTimeoutInSeconds": 90, "InvocationsMaxRetries": 2}
    job = Job(ONE, Model(says=[_says(b"busy", 503), NO_ANSWER]), ModelClientConfig=patience).run()
    assert job.statuses == ["Completed"]
    assert [limit for _, _, limit in job.models[0].asked] == [90.0] * 3
    assert Job(ONE, Model(says=[NO_ANSWER] * 3)).run().models[0].asked[0][2] == 600.0


@pytest.mark.parametrize(
    ("said", "asked", "reason", "logged"),
    [
        ([_says(b"no", 500)] * 4, 4, "AlgorithmError", "Bad HTTP status received from algorithm: 500"),
        ([NO_ANSWER] * 4, 4, "AlgorithmError", "Unable to get response from algorithm"),
        ([_says(b"no such column", 400)], 1, "ClientError", "ClientError: 400"),
    ],
)
def test_a_request_that_comes_to_nothing_fails_the_job(
    said: list[Said], asked: int, reason: str, logged: str
) -> None:
    job = Job(ONE, Model(says=said)).run()
    assert job.statuses == ["Failed"]
    assert job.record.failure == f"{reason}: See job logs for more information"
    assert len(job.models[0].asked) == asked
    assert any(line.endswith(f"b/in/a.csv: {logged}") for line in job.log)
    assert job.out() == {}


def test_objects_without_a_bad_record_have_their_answers_all_the_same() -> None:
    job = Job({"in/a.csv": b"a", "in/b.csv": b"b"}, Model(says=[_says(b"no", 400)])).run()
    assert job.statuses == ["Failed"]
    assert job.out() == {"b/out/b.csv.out": b"B\n"}


@pytest.mark.parametrize(
    ("body", "asked", "logged"),
    [
        (b"no gzip", {"CompressionType": "Gzip"}, "The input is not in gzip format"),
        (b"1" * 1_048_577, {}, "Too much data for max payload size"),
        (b"short", {"SplitType": "TFRecord"}, "The input ends within a record"),
        (b"1,2", {"InputFilter": "$[7]"}, "Invalid JsonPath: $[7]"),
    ],
)
def test_an_object_that_cannot_be_taken_apart_is_the_callers_fault(
    body: bytes, asked: dict[str, str], logged: str
) -> None:
    job = Job({"in/a.csv": body}, MaxPayloadInMB=1, **asked).run()
    assert job.record.failure == "ClientError: See job logs for more information"
    assert any(f"b/in/a.csv: {logged}" in line for line in job.log)
    assert job.bodies() == []


def test_what_is_zipped_is_unpacked_and_its_answers_are_not() -> None:
    job = Job({"in/a.csv.gz": gzip.compress(b"a\nb\n")}, CompressionType="Gzip").run()
    assert job.bodies() == [b"a\nb"]
    assert job.out() == {"b/out/a.csv.gz.out": b"A\nB\n"}


def test_a_container_that_never_answers_ping_fails_the_job() -> None:
    job = Job(ONE, Model(silent=True)).run()
    assert str(job.record.failure).startswith("AlgorithmError: Model container failed to respond to ping")
    assert job.models[0].stops == 1


def test_instances_share_the_objects_and_no_more_come_up_than_there_are_objects() -> None:
    objects = {f"in/{number}": str(number).encode() for number in range(5)}
    job = Job(objects, Model(), Model()).run()
    assert [len(model.asked) for model in job.models] == [3, 2]
    assert len(job.out()) == 5
    few = Job(ONE, Model(), Model()).run()
    assert [len(model.asked) for model in few.models] == [1, 0]


def test_a_job_that_is_stopped_leaves_no_answers() -> None:
    model = Model()
    job = Job({"in/a.csv": b"a", "in/b.csv": b"b"}, model)

    def stop() -> None:
        job.record.move("Stopping", datetime.now(UTC))
        job.course.stop()

    model.before_answer = stop
    job.run()
    assert job.statuses == ["Stopped"]
    assert len(model.asked) == 1
    assert job.out() == {}
    assert job.record.failure is None
