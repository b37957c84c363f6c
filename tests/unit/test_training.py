"""From the upload of a `job.yaml` to a submission, once, whatever goes wrong."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from modelgate.errors import AwsError, Invalid, LimitReached, NotYet, Throttled, TimedOut
from modelgate.manifest import read_manifest
from modelgate.policy import read_policy
from modelgate.run import TrainingId, job_name
from modelgate.training.job import read_job
from tests.fakes.aws import Crash
from tests.fakes.builds import REGISTRY
from tests.fakes.tarballs import tarball
from tests.unit.training import FOLDER, RUN, SERVE, SKLEARN, TIME_LIMIT, Studio, document

MODEL = "models/iris/first/"
DIGEST = f"sha256:{'ab' * 32}"


@pytest.fixture
def studio() -> Studio:
    return Studio()


def _trained(studio: Studio, **changes: Any) -> str:
    """A run whose job is over, though nobody has heard of it."""
    studio.receive(studio.upload(document(**changes)))
    job = studio.started[-1]
    studio.jobs.complete(job, metrics={"accuracy": 0.95})
    return job


# ── the ordinary way ──────────────────────────────────────────────────────────────────────────────
def test_a_document_starts_a_job_and_says_so(studio: Studio) -> None:
    studio.receive(studio.upload())
    (job,) = studio.started
    assert job.startswith("iris-first-")
    assert studio.order.image.startswith(
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:"
    )
    (channel,) = studio.order.channels
    assert channel.location.url == "s3://intake/training/iris/first/data/train/"
    assert studio.order.output.url == "s3://intake/trained/iris/first/"
    assert studio.bus.kinds() == ["Training Started"]
    assert studio.bus.announced[0].facts["job"] == job
    assert studio.item.status.value == "training"


def test_a_script_gets_what_the_toolkit_expects(studio: Studio) -> None:
    studio.receive(studio.upload())
    job = studio.started[0]
    source = f"s3://intake/trained/iris/first/{job}/source/sourcedir.tar.gz"
    assert studio.order.hyperparameters == {
        "max-depth": "4",
        "solver": '"lbfgs"',
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"{source}"',
        "sagemaker_region": '"eu-central-1"',
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": f'"{job}"',
    }


def test_what_was_read_is_what_is_run(studio: Studio) -> None:
    studio.receive(studio.upload())
    studio.bucket.put(f"{FOLDER}code.tar.gz", b"something else")
    kept = studio.bucket.read(f"trained/iris/first/{studio.started[0]}/source/sourcedir.tar.gz", 10**6)
    assert kept is not None
    assert kept[0] == tarball({"train.py": b"print('accuracy=0.95')"})


def test_without_a_network_the_script_comes_as_a_channel(studio: Studio) -> None:
    studio.receive(studio.upload(document(network_isolation=True)))
    channels = {channel.name: channel.location.url for channel in studio.order.channels}
    assert channels["code"] == f"s3://intake/trained/iris/first/{studio.started[0]}/source/"
    told = json.loads(studio.order.hyperparameters["sagemaker_submit_directory"])
    assert told == "/opt/ml/input/data/code/sourcedir.tar.gz"


def test_an_algorithm_gets_texts_as_they_are(studio: Studio) -> None:
    container = {"framework": "xgboost", "version": "1.7-1"}
    told = {"objective": "reg:squarederror", "num_round": 10, "silent": True}
    studio.receive(studio.upload(document(container=container, script=None, hyperparameters=told)))
    assert studio.order.hyperparameters == {
        "objective": "reg:squarederror",
        "num_round": "10",
        "silent": "true",
    }


def test_an_image_of_ones_own_is_pinned_by_its_digest(studio: Studio) -> None:
    studio.images.push("decision-trees", "v3", digest=DIGEST)
    studio.receive(studio.upload(document(container={"image": "decision-trees:v3"}, script=None)))
    assert studio.order.image == f"{REGISTRY}/decision-trees@{DIGEST}"


def test_the_lineage_names_every_object_by_its_version(studio: Studio) -> None:
    studio.receive(studio.upload())
    lineage = studio.read("trained/iris/first/lineage.json")
    assert lineage["job"] == studio.started[0]
    assert lineage["code"]["name"] == f"{FOLDER}code.tar.gz@v1"
    (named,) = lineage["data"]["train"]["objects"]
    assert (named["key"], named["version"], named["bytes"]) == (f"{FOLDER}data/train/flowers.csv", "v1", 22)
    assert (lineage["data"]["train"]["count"], len(lineage["data"]["train"]["sha256"])) == (1, 64)


def test_a_completed_job_becomes_a_submission(studio: Studio) -> None:
    studio.receive(studio.upload())
    job = studio.started[0]
    written = {"evaluation.json": b'{"val": {"recall": 0.9}, "accuracy": 0.97}', "plot.png": b"x"}
    studio.jobs.complete(job, output=written, metrics={"accuracy": 0.5, "loss": 0.1, "broken": float("nan")})
    studio.finished()
    assert studio.read(f"{MODEL}evaluation.json") == {"accuracy": 0.97, "val.recall": 0.9, "loss": 0.1}
    found = studio.bucket.read(f"{MODEL}manifest.yaml", 10**6)
    assert found is not None
    manifest = read_manifest(found[0])
    assert manifest.container is not None
    assert (manifest.container.framework, manifest.metrics_file) == ("sklearn", "evaluation.json")
    assert manifest.lineage.generated_by == studio.jobs.jobs[job].arn
    assert manifest.metadata["training.image"] == studio.order.image
    assert manifest.metadata["training.code"] == f"{FOLDER}code.tar.gz@v1"
    assert "s3://intake/training/iris/first/data/train/ 1 objects" in manifest.metadata["training.data.train"]
    model = studio.bucket.read(f"{MODEL}model.tar.gz", 10**6)
    assert model is not None
    assert model[0] == b"a model"
    assert studio.bus.kinds() == ["Training Started", "Training Finished"]
    assert studio.bus.announced[-1].facts["metrics"] == {"accuracy": 0.97, "val.recall": 0.9, "loss": 0.1}
    assert studio.bus.announced[-1].facts["submission"] == "first"
    assert studio.item.status.value == "completed"


def test_the_manifest_is_written_last(studio: Studio) -> None:
    _trained(studio)
    studio.calls.fail("PutObject", Crash(), after=True)
    with pytest.raises(Crash):
        studio.finished()
    assert f"{MODEL}evaluation.json" in studio.keys
    assert f"{MODEL}manifest.yaml" not in studio.keys


def test_what_serves_may_be_another_container_than_what_trained(studio: Studio) -> None:
    studio.images.push("decision-trees", "v3", digest=DIGEST)
    serve = {**SERVE, "container": {"framework": "sklearn", "version": "1.9-0"}}
    _trained(studio, container={"image": "decision-trees:v3"}, script=None, serve=serve)
    studio.finished()
    assert studio.read(f"{MODEL}manifest.yaml")["container"] == serve["container"]


def test_an_image_of_ones_own_serves_by_the_digest_that_trained(studio: Studio) -> None:
    studio.images.push("decision-trees", "v3", digest=DIGEST)
    _trained(studio, container={"image": "decision-trees:v3"}, script=None)
    studio.images.push("decision-trees", "v3", digest=f"sha256:{'cd' * 32}")
    studio.finished()
    assert studio.read(f"{MODEL}manifest.yaml")["container"]["image"].endswith(f"@{DIGEST}")


def test_without_serve_it_is_only_trained(studio: Studio) -> None:
    job = _trained(studio, serve=None)
    studio.finished()
    assert not [key for key in studio.keys if key.startswith("models/")]
    assert studio.bus.announced[-1].facts["artifact"] == (
        f"s3://intake/trained/iris/first/{job}/output/model.tar.gz"
    )
    assert studio.item.status.value == "completed"


def test_letters_of_all_scripts_arrive_in_the_manifest(studio: Studio) -> None:
    body = "花 \U0001f33a \x7f \u2028"
    _trained(studio, serve={**SERVE, "smoke_test": {"content_type": "text/csv", "body": body}})
    studio.finished()
    found = studio.bucket.read(f"{MODEL}manifest.yaml", 10**6)
    assert found is not None
    assert read_manifest(found[0]).smoke_test.body == body


# ── metrics ───────────────────────────────────────────────────────────────────────────────────────
def test_sagemakers_own_format_stays_as_it_is_and_counts_more_than_the_log(studio: Studio) -> None:
    studio.receive(studio.upload())
    evaluation = {"regression_metrics": {"rmse": {"value": 1.5, "standard_deviation": 0.1}}}
    written = {"deep/down/evaluation.json": b"{}", "evaluation.json": json.dumps(evaluation).encode()}
    studio.jobs.complete(studio.started[0], output=written, metrics={"rmse": 9.0, "loss": 2.0})
    studio.finished()
    assert studio.read(f"{MODEL}evaluation.json") == {**evaluation, "loss": 2.0}


def test_a_job_without_any_figure_is_refused_with_the_mend(studio: Studio) -> None:
    studio.receive(studio.upload())
    studio.jobs.complete(studio.started[0], output={"other.json": b"{}"})
    studio.finished()
    assert studio.bus.kinds() == ["Training Started", "Training Refused"]
    assert "has no figure to judge by; write evaluation.json into SM_OUTPUT_DATA_DIR" in studio.message
    assert not [key for key in studio.keys if key.startswith("models/")]


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (tarball({"evaluation.json": b'{"accuracy": "high"}'}), 'evaluation.json: accuracy: is "high"'),
        (b"no tarball", "output.tar.gz: cannot be read to find evaluation.json in it"),
        (tarball({"evaluation.json": b"{}" * 300})[:60], "output.tar.gz: cannot be read"),
    ],
)
def test_an_evaluation_that_cannot_be_judged_is_refused(studio: Studio, output: bytes, says: str) -> None:
    job = _trained(studio)
    studio.bucket.put(f"trained/iris/first/{job}/output/output.tar.gz", output)
    studio.finished()
    assert studio.bus.kinds()[-1] == "Training Refused"
    assert says in studio.message


def test_an_output_that_is_too_large_is_not_even_read(studio: Studio) -> None:
    job = _trained(studio)
    studio.bucket.pretend(f"trained/iris/first/{job}/output/output.tar.gz", b"", 11 * 10**9)
    studio.finished()
    assert "has 11.0 GB, in which evaluation.json is not looked for" in studio.message


def test_a_job_that_left_no_artifact_is_refused(studio: Studio) -> None:
    studio.receive(studio.upload())
    studio.jobs.complete(studio.started[0], model=None, metrics={"accuracy": 1.0})
    studio.finished()
    assert "there is no model.tar.gz; have the program write what serves into SM_MODEL_DIR" in studio.message


# ── jobs that fail or are stopped ─────────────────────────────────────────────────────────────────
def test_a_failure_is_told_with_its_reason_and_the_lines_of_the_host_that_says_why(studio: Studio) -> None:
    studio.receive(studio.upload())
    lines = {"algo-1": ["waiting for algo-2"], "algo-2": ["reading", "ValueError: no such column: petal"]}
    studio.jobs.fail(studio.started[0], "AlgorithmError: exit code 1", lines)
    studio.finished()
    news = studio.bus.announced[-1]
    assert news.kind.value == "Training Failed"
    assert news.facts["host"] == "algo-2"
    assert news.facts["log_lines"] == ["reading", "ValueError: no such column: petal"]
    assert news.facts["reasons"] == ["AlgorithmError: exit code 1"]
    assert "AlgorithmError: exit code 1. Last lines of algo-2: reading | ValueError" in news.message
    assert studio.item.status.value == "failed"


def test_a_log_that_cannot_be_read_keeps_no_failure_from_being_told(studio: Studio) -> None:
    studio.receive(studio.upload())
    studio.jobs.fail(studio.started[0], "CapacityError: no such machines")
    studio.calls.fail("GetLogEvents", Throttled("GetLogEvents", "x", "slow down"))
    studio.finished()
    assert studio.bus.kinds()[-1] == "Training Failed"
    assert "slow down" in str(studio.bus.announced[-1].facts["log_trouble"])


@pytest.mark.parametrize(
    ("why", "says"),
    [("Stopped", "somebody stopped it"), ("MaxRuntimeExceeded", "longer than time_limit_seconds")],
)
def test_a_job_that_was_stopped_is_told_and_not_submitted(studio: Studio, why: str, says: str) -> None:
    studio.receive(studio.upload())
    studio.jobs.stop(studio.started[0], why)
    studio.finished()
    assert studio.bus.kinds()[-1] == "Training Stopped"
    assert says in studio.message
    assert not [key for key in studio.keys if key.startswith("models/")]


# ── never twice ───────────────────────────────────────────────────────────────────────────────────
def test_the_same_events_again_start_nothing_and_say_nothing(studio: Studio) -> None:
    studio.receive(studio.upload())
    studio.receive()
    studio.jobs.complete(studio.started[0], metrics={"accuracy": 1.0})
    for _ in range(3):
        studio.finished()
        studio.receive()
    assert len(studio.started) == 1
    assert studio.bus.kinds() == ["Training Started", "Training Finished"]
    assert studio.bucket.head(f"{MODEL}manifest.yaml").version == "v1"  # type: ignore[union-attr]


@pytest.mark.parametrize("over", [False, True])
def test_another_document_under_a_run_that_trains_or_has_trained_is_turned_away(
    studio: Studio, over: bool
) -> None:
    _trained(studio)
    if over:
        studio.finished()
    studio.receive(studio.upload_document(document(time_limit_seconds=60)))
    studio.receive()
    assert len(studio.started) == 1
    assert studio.bus.kinds()[-1] == "Training Refused"
    assert studio.bus.kinds().count("Training Refused") == 1
    assert "upload it under another run" in studio.message
    studio.finished()
    assert studio.bus.kinds().count("Training Finished") == 1
    assert studio.item.status.value == "completed"


@pytest.mark.parametrize("ends", ["failed", "stopped", "refused"])
def test_a_run_that_came_to_nothing_is_started_again_by_another_upload(studio: Studio, ends: str) -> None:
    studio.receive(studio.upload(document(data={"train": "nowhere/"}) if ends == "refused" else None))
    for job in studio.started:
        studio.jobs.fail(job, "no") if ends == "failed" else studio.jobs.stop(job)
        studio.finished(job)
    before = len(studio.started)
    studio.receive(studio.upload_document())
    assert len(studio.started) == before + 1
    assert studio.item.status.value == "training"


def test_the_end_of_a_job_before_the_last_one_is_nobodys_business(studio: Studio) -> None:
    studio.receive(studio.upload())
    (first,) = studio.started
    studio.jobs.fail(first, "no")
    studio.finished(first)
    studio.receive(studio.upload_document())
    assert studio.finished(first).status == "no run that counts"
    assert studio.item.status.value == "training"


def test_jobs_of_others_are_nobodys_business(studio: Studio) -> None:
    studio.receive(studio.upload())
    (job,) = studio.started
    found = studio.jobs.jobs[job]
    studio.jobs.jobs["theirs"] = type(found)(**{**found.__dict__, "name": "theirs", "environment": {}})
    assert studio.finished("theirs").status == "no job of this stack"
    assert studio.finished("unknown").status == "SageMaker knows it no more"


def test_another_invocation_that_is_at_it_is_waited_for(studio: Studio) -> None:
    studio.upload()
    studio.calls.fail("CreateTrainingJob", Crash())
    with pytest.raises(Crash):
        studio.receive(invocation="one")
    with pytest.raises(NotYet, match="another invocation starts iris/first"):
        studio.receive(invocation="two")
    studio.clock.forward(TIME_LIMIT)
    studio.receive(invocation="two")
    assert len(studio.started) == 1


def test_a_job_that_was_started_and_not_noted_down_is_found(studio: Studio) -> None:
    studio.upload()
    studio.calls.fail("CreateTrainingJob", Crash(), after=True)
    with pytest.raises(Crash):
        studio.receive(invocation="one")
    studio.bucket.delete(f"{FOLDER}data/train/flowers.csv")  # what it trains with is its own matter now
    studio.receive(invocation="one")
    assert len(studio.started) == 1
    assert studio.bus.kinds() == ["Training Started"]


def test_a_submission_is_made_by_one_invocation_at_a_time(studio: Studio) -> None:
    _trained(studio)
    studio.calls.before("CopyObject", lambda: _raises(NotYet, lambda: studio.finished(invocation="two")))
    studio.finished(invocation="one")
    assert studio.bus.kinds() == ["Training Started", "Training Finished"]
    assert studio.bucket.head(f"{MODEL}manifest.yaml").version == "v1"  # type: ignore[union-attr]


def _raises(error: type[BaseException], call: Any) -> None:
    with pytest.raises(error):
        call()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Crash(), Throttled("x", "x", "x"), TimedOut("x", "x", "x")])
@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_a_fault_at_any_call_leaves_one_job_one_submission_and_one_piece_of_news(
    error: BaseException, ends: str, *, after: bool
) -> None:
    outcome = {"completed": "Training Finished", "failed": "Training Failed"}[ends]
    for call in count(1):
        studio = Studio()
        studio.upload()
        studio.calls.fail(call, error, after=after)
        studio.as_lambda_does(lambda name, studio=studio: studio.receive(invocation=name))  # type: ignore[misc]
        assert len(studio.started) == 1, f"call {call}"
        (job,) = studio.started
        if ends == "completed":
            studio.jobs.complete(job, output={"evaluation.json": b'{"accuracy": 0.9}'})
        else:
            studio.jobs.fail(job, "no", {"algo-1": ["Error"]})
        studio.as_lambda_does(lambda name, studio=studio: studio.finished(invocation=name))  # type: ignore[misc]
        reached = len(studio.calls.made) < call
        studio.calls.heal()
        studio.clock.forward(TIME_LIMIT)
        studio.sweep()
        told = {news.id: news.kind.value for news in studio.bus.announced}
        assert sorted(told.values()) == sorted(["Training Started", outcome]), f"call {call}"
        assert studio.item.status.value == ends, f"call {call}"
        assert not studio.item.effects, f"call {call}"
        if ends == "completed":
            versions = [studio.bucket.head(key) for key in studio.keys if key.startswith(MODEL)]
            assert [each.version for each in versions if each] == ["v1", "v1", "v1"], f"call {call}"
        if reached:
            return


# ── lost events ───────────────────────────────────────────────────────────────────────────────────
def test_the_sweep_finishes_jobs_whose_events_were_lost(studio: Studio) -> None:
    studio.receive(studio.upload())
    assert studio.sweep() == []
    studio.jobs.complete(studio.started[0], metrics={"accuracy": 0.9})
    assert [each.run for each in studio.sweep()] == ["iris/first"]
    assert studio.sweep() == []
    assert studio.bus.kinds() == ["Training Started", "Training Finished"]


def test_a_quota_is_waited_for_and_the_sweep_starts_what_was_claimed(studio: Studio) -> None:
    studio.upload()
    for _ in range(3):
        studio.calls.fail(
            "CreateTrainingJob", LimitReached("CreateTrainingJob", "ResourceLimitExceeded", "x")
        )
        with pytest.raises(LimitReached):
            studio.receive(invocation="one")
    assert studio.sweep() == []  # its claim is still somebody's
    studio.clock.forward(TIME_LIMIT)
    assert [each.status for each in studio.sweep()] == ["training"]
    assert len(studio.started) == 1


def test_a_claim_whose_document_was_deleted_is_refused_in_the_end(studio: Studio) -> None:
    key = studio.upload()
    studio.calls.fail("CreateTrainingJob", LimitReached("CreateTrainingJob", "ResourceLimitExceeded", "x"))
    with pytest.raises(LimitReached):
        studio.receive(invocation="one")
    studio.bucket.delete(key)
    with pytest.raises(NotYet):
        studio.receive(invocation="two")
    studio.clock.forward(TIME_LIMIT)
    (told,) = studio.sweep()
    assert told.status == "refused"
    assert "was deleted before its job was started" in told.news[0]
    assert studio.sweep() == []
    assert studio.started == []


def test_the_trouble_of_one_run_keeps_no_other_waiting(studio: Studio) -> None:
    for run in ("first", "second"):
        studio.receive(studio.upload(folder=f"training/iris/{run}/"), invocation=run)
    for job in studio.started:
        studio.jobs.complete(job, metrics={"accuracy": 0.9})
    studio.calls.fail("DescribeTrainingJob", Throttled("DescribeTrainingJob", "x", "slow down"))
    with pytest.raises(AwsError, match="slow down"):
        studio.sweep()
    assert sorted(run.status.value for run in studio.runs.of_group("iris")) == ["completed", "training"]


def test_an_announcement_that_is_owed_is_made_by_the_sweep(studio: Studio) -> None:
    studio.upload(document(data={"train": "nowhere/"}))
    studio.calls.fail("PutEvents", Crash())
    with pytest.raises(Crash):
        studio.receive()
    studio.sweep()
    assert studio.bus.kinds() == ["Training Refused"]


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
def _reasons(studio: Studio) -> list[str]:
    reasons = studio.bus.announced[-1].facts["reasons"]
    assert isinstance(reasons, list)
    return reasons


def test_everything_that_is_wrong_with_what_a_job_names_is_told_at_once(studio: Studio) -> None:
    wrong = {
        "container": {"framework": "sklearn", "version": "9.9"},
        "data": {"train": "nowhere/", "test": "neither/"},
        "script": {"source": "gone.tar.gz", "program": "train.py"},
        "checkpoints": "s3://intake/policies/",
    }
    studio.receive(studio.upload(document(**wrong)))
    places = [reason.split(": ")[1] for reason in _reasons(studio)]
    assert places == [
        "container.version",
        "script.source",
        "data.train.location",
        "data.test.location",
        "checkpoints",
        "serve.container.version",
    ]
    assert studio.started == []
    assert "is refused, and nothing is started" in studio.message
    assert studio.item.status.value == "refused"


SOURCES = [
    ({"other.py": b""}, "train.py", "which is not in the source; name one of its files: other.py"),
    ({"code/train.py": b""}, "train.py", "pack what is in the folder code, not the folder"),
    ({"../train.py": b""}, "train.py", "../train.py"),
    ({"/train.py": b""}, "train.py", "/train.py"),
]


@pytest.mark.parametrize(("files", "program", "says"), SOURCES)
def test_a_source_without_its_program_or_with_names_that_lead_out_is_refused(
    studio: Studio, files: dict[str, bytes], program: str, says: str
) -> None:
    studio.upload(document(script={"source": "code.tar.gz", "program": program}))
    studio.bucket.put(f"{FOLDER}code.tar.gz", tarball(files))
    studio.receive()
    assert studio.started == []
    assert says in "\n".join(_reasons(studio))


def test_a_source_that_is_no_tarball_is_refused_with_the_command_that_packs_one(studio: Studio) -> None:
    studio.upload()
    studio.bucket.put(f"{FOLDER}code.tar.gz", b"PK\x03\x04 a zip" + bytes(300))
    studio.receive()
    assert "is a zip; pack it with gzip: tar -C code -czf code.tar.gz ." in _reasons(studio)[0]


def test_a_source_that_is_too_large_is_not_even_read(studio: Studio) -> None:
    studio.upload()
    studio.bucket.pretend(f"{FOLDER}code.tar.gz", b"", 2 * 1024**3)
    studio.receive()
    assert "has 2.0 GB, and 1 GB is allowed" in _reasons(studio)[0]


def test_what_lies_in_other_buckets_is_sagemakers_to_find(studio: Studio) -> None:
    elsewhere = {
        "script": {"source": "s3://theirs/code.tar.gz", "program": "train.py"},
        "data": {"train": "s3://theirs/data/"},
    }
    studio.receive(studio.upload(document(**elsewhere)))
    assert len(studio.started) == 1
    told = json.loads(studio.order.hyperparameters["sagemaker_submit_directory"])
    assert told == "s3://theirs/code.tar.gz"


def test_a_script_from_elsewhere_in_the_intake_bucket_is_refused(studio: Studio) -> None:
    script = {"source": "s3://intake/models/iris/theirs/model.tar.gz", "program": "train.py"}
    studio.receive(studio.upload(document(script=script)))
    assert "upload it beside job.yaml, or into another bucket" in _reasons(studio)[0]


def test_more_instances_than_objects_to_share_out_are_refused(studio: Studio) -> None:
    data = {"train": {"location": "data/train/", "distribution": "sharded"}}
    studio.receive(studio.upload(document(data=data, instances={"count": 2})))
    assert "is sharded, and has 1 object for 2 instances" in _reasons(studio)[0]
    studio.bucket.put(f"{FOLDER}data/train/more.csv", b"5.1,3.5,1.4,0.2,setosa")
    studio.receive(studio.upload_document(document(data=data, instances={"count": 2})))
    assert len(studio.started) == 1


def test_a_name_under_which_something_is_submitted_already_is_refused(studio: Studio) -> None:
    studio.bucket.put(f"{MODEL}model.tar.gz", b"theirs")
    studio.receive(studio.upload())
    assert (
        "something lies under models/iris/first/ already; upload the job under another run" in studio.message
    )


def test_a_submission_that_came_in_between_is_left_alone(studio: Studio) -> None:
    _trained(studio)
    studio.bucket.put(f"{MODEL}model.tar.gz", b"somebody else's")
    studio.finished()
    assert studio.bus.kinds()[-1] == "Training Refused"
    assert f"{MODEL}manifest.yaml" not in studio.keys


def test_a_group_without_a_policy_trains_only_what_is_not_to_be_judged(studio: Studio) -> None:
    studio.bucket.delete("policies/default.yaml")
    studio.receive(studio.upload())
    assert "there is no policy for this group" in studio.message
    studio.receive(studio.upload_document(document(serve=None)))
    assert len(studio.started) == 1


def test_what_sagemaker_does_not_take_is_told_in_its_words(studio: Studio) -> None:
    studio.upload()
    studio.calls.fail(
        "CreateTrainingJob", Invalid("CreateTrainingJob", "ValidationException", "no such role")
    )
    studio.receive()
    assert "SageMaker does not take the job: no such role" in studio.message
    assert studio.item.status.value == "refused"


def test_names_that_cannot_be_used_are_refused(studio: Studio) -> None:
    studio.receive(studio.upload(folder="training/My Group/a b/"))
    assert studio.bus.kinds() == ["Training Refused"]
    assert len(_reasons(studio)) == 2


def test_a_document_that_is_gone_is_nobodys_business(studio: Studio) -> None:
    assert studio.receive().status == "gone"
    assert studio.bus.announced == []


# ── a new image ───────────────────────────────────────────────────────────────────────────────────
URI = f"{REGISTRY}/decision-trees@{DIGEST}"
AGAIN = "training/iris/first-abababababab/"


def _trained_by_an_image(studio: Studio, **changes: Any) -> None:
    studio.bucket.put("policies/iris.yaml", b"training: {image: decision-trees}")
    old = studio.images.push("decision-trees", "v1")
    changes = {"container": {"image": "decision-trees:v1"}, "checkpoints": "trees", **changes}
    _trained(studio, **changes)
    studio.finished()
    assert old != DIGEST
    studio.images.push("decision-trees", "v2", digest=DIGEST)


def test_a_new_image_starts_the_last_training_again(studio: Studio) -> None:
    _trained_by_an_image(studio)
    summary = studio.retrainer.image_published("decision-trees", DIGEST, URI)
    assert summary.started == ("iris/first-abababababab",)
    again = read_job(json.dumps(studio.read(f"{AGAIN}job.yaml")).encode())
    assert again.container.image == URI
    assert again.data["train"].location == "s3://intake/training/iris/first/data/train/"
    assert again.checkpoints == "trees-abababababab"
    studio.receive(f"{AGAIN}job.yaml")
    assert studio.order.image == URI
    assert studio.order.environment["MODELGATE_RUN"] == "first-abababababab"


def test_the_same_image_again_starts_nothing(studio: Studio) -> None:
    _trained_by_an_image(studio)
    studio.retrainer.image_published("decision-trees", DIGEST, URI)
    assert studio.retrainer.image_published("decision-trees", DIGEST, URI).started == ()
    assert studio.bucket.head(f"{AGAIN}job.yaml").version == "v1"  # type: ignore[union-attr]


def test_a_run_that_an_image_started_keeps_its_first_name(studio: Studio) -> None:
    _trained_by_an_image(studio)
    studio.retrainer.image_published("decision-trees", DIGEST, URI)
    studio.clock.forward(3600)
    studio.receive(f"{AGAIN}job.yaml")
    studio.jobs.complete(studio.started[-1], metrics={"accuracy": 0.96})
    studio.finished()
    third = f"sha256:{'cd' * 32}"
    uri = f"{REGISTRY}/decision-trees@{third}"
    summary = studio.retrainer.image_published("decision-trees", third, uri)
    assert summary.started == ("iris/first-cdcdcdcdcdcd",)


def test_images_that_no_policy_names_start_nothing(studio: Studio) -> None:
    _trained_by_an_image(studio)
    assert studio.retrainer.image_published("other", DIGEST, URI).started == ()
    studio.bucket.put("policies/iris.yaml", b"{}")
    assert studio.retrainer.image_published("decision-trees", DIGEST, URI).started == ()


def test_a_group_that_was_trained_by_something_else_is_told(studio: Studio) -> None:
    _trained_by_an_image(studio, container=SKLEARN["container"])
    summary = studio.retrainer.image_published("decision-trees", DIGEST, URI)
    assert summary.started == ()
    assert studio.bus.kinds()[-1] == "Training Refused"
    assert "names decision-trees, and the group was last trained by sklearn 1.9-0" in studio.message


def test_a_policy_names_an_image_of_a_groups_own() -> None:
    assert read_policy(b"training: {image: decision-trees}", "iris").training.image == "decision-trees"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("iris", b"training: {image: 'decision-trees:v3'}", "write the name alone"),
        ("default", b"training: {image: decision-trees}", "name it in a group's own policy"),
    ],
)
def test_a_policy_that_would_train_the_wrong_thing_is_refused(name: str, text: bytes, says: str) -> None:
    with pytest.raises(Exception, match=says):
        read_policy(text, name)


def test_every_version_of_a_document_has_a_job_of_its_own() -> None:
    names = {job_name(RUN, "v1"), job_name(RUN, "v2"), job_name(TrainingId("iris", "second"), "v1")}
    assert len(names) == 3
