"""From the upload of a `job.yaml` to the announcement of where its answers lie, once, whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from modelgate.errors import AwsError, Invalid, LimitReached, NotYet, Throttled, TimedOut
from modelgate.run import TransformId, job_name
from tests.fakes.aws import Crash
from tests.unit.transform import FOLDER, LINES, RUN, Desk, document

OUTPUT = "s3://intake/transformed/iris/june/"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _carried_out(desk: Desk, answers: dict[str, bytes] | None = None) -> str:
    """A job that is over, though nobody has heard of it."""
    desk.go_live()
    desk.receive(desk.upload())
    (job,) = desk.started
    desk.jobs.complete(job, answers)
    return job


# ── the ordinary way ──────────────────────────────────────────────────────────────────────────────
def test_the_version_that_is_live_predicts_unless_another_is_named(desk: Desk) -> None:
    first = desk.go_live()
    desk.approve(desk.register())
    desk.receive(desk.upload())
    (job,) = desk.started
    assert job.startswith("iris-june-")
    assert desk.jobs.models == {job: first}
    assert desk.bus.kinds() == ["Transform Started"]
    assert (desk.facts["job"], desk.facts["version"], desk.facts["run"]) == (job, first, "june")
    assert job in str(desk.facts["page"])


def test_a_named_version_predicts_if_it_is_approved(desk: Desk) -> None:
    named = desk.go_live()
    desk.go_live()
    desk.receive(desk.upload(document(version=named)))
    assert list(desk.jobs.models.values()) == [named]


def test_the_job_is_told_what_the_document_says_and_whose_it_is(desk: Desk) -> None:
    desk.go_live()
    desk.receive(desk.upload(document(environment={"LEVEL": "3"})))
    (order,) = desk.jobs.orders.values()
    assert order.input.url == "s3://intake/transforms/iris/june/input/"
    assert order.output.url == OUTPUT
    assert order.environment == {
        "LEVEL": "3",
        "MODELGATE_STACK": "modelgate",
        "MODELGATE_GROUP": "iris",
        "MODELGATE_RUN": "june",
    }


def test_answers_are_counted_and_the_model_of_the_job_is_deleted(desk: Desk) -> None:
    job = _carried_out(desk, {"a.csv.out": b"3.0\n7.0\n", "b.csv.out": b"11.0\n"})
    desk.finished()
    assert desk.bus.kinds() == ["Transform Started", "Transform Finished"]
    assert (
        desk.facts
        | {
            "input_objects": 2,
            "input_bytes": 12,
            "output_objects": 2,
            "output_bytes": 13,
            "output": OUTPUT,
            "seconds": 61,
            "version": 1,
            "job": job,
        }
        == desk.facts
    )
    assert f"completed after 61 seconds: 2 objects of 13 bytes lie at {OUTPUT}" in desk.message
    assert desk.jobs.models == {}
    assert desk.item.status.value == "completed"


def test_the_document_itself_is_not_counted_as_input(desk: Desk) -> None:
    desk.go_live()
    whole = {**LINES["input"], "location": f"s3://intake/{FOLDER}"}
    desk.receive(desk.upload(document(input=whole)))
    desk.jobs.complete(desk.started[0])
    desk.finished()
    assert (desk.facts["input_objects"], desk.facts["input_bytes"]) == (2, 12)


def test_nothing_is_counted_in_other_buckets(desk: Desk) -> None:
    desk.go_live()
    places = {
        "input": {**LINES["input"], "location": "s3://theirs/june/"},
        "output": {"location": "s3://theirs/answers/"},
    }
    desk.receive(desk.upload_document(document(**places)))
    desk.jobs.complete(desk.started[0])
    desk.finished()
    assert desk.facts["output"] == "s3://theirs/answers/"
    assert not [name for name in desk.facts if name.endswith(("_objects", "_bytes"))]


def test_what_there_is_too_much_of_to_count_is_said_to_be_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelgate.transform.finishing._MOST_COUNTED", 1)
    _carried_out(desk, {"a.csv.out": b"1\n"})
    desk.finished()
    assert (desk.facts["input_objects"], desk.facts["input_has_more"]) == (1, True)
    assert "output_has_more" not in desk.facts


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
def test_without_a_live_version_one_must_be_named(desk: Desk) -> None:
    desk.register()
    desk.receive(desk.upload())
    assert desk.bus.kinds() == ["Transform Refused"]
    assert "version: is left out, and no version of iris is live; name one that is approved" in desk.message
    assert not desk.started
    assert not desk.jobs.models


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (1, "version 1 of iris is PendingManualApproval; approve it first"),
        (9, "there is no version 9 of iris; name one that the registry has"),
    ],
)
def test_a_version_that_nobody_approved_does_not_predict(desk: Desk, version: int, says: str) -> None:
    desk.register()
    desk.receive(desk.upload(document(version=version)))
    assert desk.bus.kinds() == ["Transform Refused"]
    assert says in desk.message
    assert desk.item.status.value == "refused"


def test_a_version_that_is_served_from_a_folder_does_not_predict(desk: Desk) -> None:
    version = desk.go_live()
    packages = desk.sagemaker._packages
    packages["iris", version] = replace(packages["iris", version], in_a_folder=True)
    desk.receive(desk.upload())
    assert "batch transform does not take; submit it as a tarball" in desk.message
    assert not desk.started


def test_an_input_that_is_not_there_is_refused(desk: Desk) -> None:
    desk.go_live()
    desk.receive(desk.upload_document())
    assert "input.location: there is nothing at s3://intake/transforms/iris/june/input/" in desk.message
    assert "upload it before job.yaml" in desk.message


def test_every_problem_of_a_document_is_told(desk: Desk) -> None:
    desk.receive(desk.upload(document(input={"location": "../x"}, strategy="all", versoin=3)))
    reasons = desk.facts["reasons"]
    assert isinstance(reasons, list)
    places = {reason.split(": ")[1] for reason in reasons}
    assert places == {"versoin", "input.content_type", "input.location", "strategy"}
    assert "(and 3 more)" in desk.message


@pytest.mark.parametrize("key", ["transforms/iris--/june/job.yaml", "transforms/iris/a b/job.yaml"])
def test_names_that_cannot_be_are_refused(desk: Desk, key: str) -> None:
    desk.bucket.put(key, document())
    desk.receive(key)
    assert desk.bus.kinds() == ["Transform Refused"]
    assert "upload under another name" in desk.message


def test_what_sagemaker_does_not_take_is_refused_and_leaves_nothing(desk: Desk) -> None:
    desk.go_live()
    said = 'Invalid InputFilter: "$.an_id"'
    desk.calls.fail("CreateTransformJob", Invalid("CreateTransformJob", "ValidationException", said))
    desk.receive(desk.upload(document(filters={"input": "$.an_id"})))
    assert desk.bus.kinds() == ["Transform Refused"]
    assert f"SageMaker does not take the job: {said}" in desk.message
    assert desk.jobs.models == {}


def test_a_version_that_is_rejected_in_the_meantime_does_not_predict(desk: Desk) -> None:
    version = desk.go_live()
    desk.calls.before("CreateModel", lambda: desk.sagemaker.decide("iris", version, "Rejected"))
    desk.receive(desk.upload(document(version=version)))
    assert desk.bus.kinds() == ["Transform Refused"]
    assert "SageMaker does not take the job: version 1 is not approved" in desk.message
    assert not desk.started


# ── jobs that fail or are stopped ─────────────────────────────────────────────────────────────────
def test_a_failure_is_told_with_its_reason_and_what_the_log_says(desk: Desk) -> None:
    desk.go_live()
    desk.receive(desk.upload())
    data_log = ["intake/a.csv: Bad HTTP status received from algorithm: 500", "intake/a.csv: no float: 'x'"]
    desk.jobs.fail(desk.started[0], "AlgorithmError: See job logs for more information", data_log)
    desk.finished()
    assert desk.bus.kinds()[-1] == "Transform Failed"
    assert desk.facts["reasons"] == ["AlgorithmError: See job logs for more information"]
    assert desk.facts["log_lines"] == data_log
    assert "See job logs for more information. Last lines: intake/a.csv: Bad HTTP status" in desk.message
    assert desk.jobs.models == {}
    assert desk.item.status.value == "failed"


def test_a_log_that_cannot_be_read_keeps_no_failure_from_being_told(desk: Desk) -> None:
    desk.go_live()
    desk.receive(desk.upload())
    desk.jobs.fail(desk.started[0], "InternalServerError: please try again")
    desk.calls.fail("GetLogEvents", Throttled("GetLogEvents", "x", "slow down"))
    desk.finished()
    assert desk.bus.kinds()[-1] == "Transform Failed"
    assert "slow down" in str(desk.facts["log_trouble"])


def test_a_job_that_was_stopped_is_told(desk: Desk) -> None:
    desk.go_live()
    desk.receive(desk.upload())
    desk.jobs.stop(desk.started[0])
    desk.finished()
    assert desk.bus.kinds()[-1] == "Transform Stopped"
    assert desk.facts["reasons"] == ["somebody stopped it"]
    assert desk.jobs.models == {}


# ── never twice, never lost ───────────────────────────────────────────────────────────────────────
def test_the_same_events_again_start_nothing_and_say_nothing(desk: Desk) -> None:
    _carried_out(desk)
    for _ in range(3):
        desk.receive()
        desk.finished()
    assert len(desk.started) == 1
    assert desk.bus.kinds() == ["Transform Started", "Transform Finished"]


@pytest.mark.parametrize("over", [False, True])
def test_another_document_under_a_run_that_is_carried_out_is_turned_away(desk: Desk, over: bool) -> None:
    _carried_out(desk)
    if over:
        desk.finished()
    desk.upload_document(document(strategy="single_record"))
    for _ in range(2):
        desk.receive()
    assert desk.bus.kinds().count("Transform Refused") == 1
    assert "upload it under another run" in desk.message
    desk.finished()
    assert len(desk.started) == 1
    assert desk.item.status.value == "completed"


@pytest.mark.parametrize("ends", ["failed", "stopped", "refused"])
def test_a_run_that_came_to_nothing_is_started_again_by_another_upload(desk: Desk, ends: str) -> None:
    desk.go_live()
    desk.receive(desk.upload(document(version=9) if ends == "refused" else None))
    for job in desk.started:
        desk.jobs.fail(job, "no") if ends == "failed" else desk.jobs.stop(job)
        desk.finished()
    assert desk.item.status.value == ends
    desk.receive(desk.upload())
    assert desk.item.status.value == "transforming"
    assert desk.started[-1] == job_name(RUN, "v2")


def test_while_one_invocation_starts_a_run_another_comes_back(desk: Desk) -> None:
    desk.go_live()
    desk.calls.fail("CreateModel", Crash())
    with pytest.raises(Crash):
        desk.receive(desk.upload(), "first")
    with pytest.raises(NotYet):
        desk.receive(invocation="second")
    desk.receive(invocation="first")
    assert desk.bus.kinds() == ["Transform Started"]


def test_a_quota_is_waited_for(desk: Desk) -> None:
    desk.go_live()
    desk.calls.fail("CreateTransformJob", LimitReached("CreateTransformJob", "ResourceLimitExceeded", "0"))
    with pytest.raises(LimitReached):
        desk.receive(desk.upload())
    desk.clock.forward(900)
    desk.sweep_transforms()
    assert desk.item.status.value == "transforming"
    assert len(desk.started) == 1


@pytest.mark.parametrize("again", ["another version", "a mistake", "rejected"])
def test_what_was_made_for_a_job_that_never_started_is_cleared_away(desk: Desk, again: str) -> None:
    version = desk.go_live()
    desk.calls.fail("CreateTransformJob", LimitReached("CreateTransformJob", "ResourceLimitExceeded", "0"))
    with pytest.raises(LimitReached):
        desk.receive(desk.upload(document(version=version)))
    desk.clock.forward(900)
    if again == "rejected":
        desk.sagemaker.decide("iris", version, "Rejected")
    else:
        changes = {"strategy": "all"} if again == "a mistake" else {"strategy": "single_record"}
        desk.upload_document(document(**changes))
    desk.sweep_transforms()
    assert list(desk.jobs.models) == desk.started
    assert desk.item.status.value == ("transforming" if again == "another version" else "refused")


def test_a_claim_whose_document_was_deleted_is_refused_in_the_end_and_leaves_nothing(desk: Desk) -> None:
    desk.go_live()
    key = desk.upload()
    desk.calls.fail("CreateTransformJob", LimitReached("CreateTransformJob", "ResourceLimitExceeded", "0"))
    with pytest.raises(LimitReached):
        desk.receive(key)
    desk.bucket.delete(key)
    desk.clock.forward(900)
    (told,) = desk.sweep_transforms()
    assert told.status == "refused"
    assert "was deleted before its job was started" in told.news[0]
    assert desk.jobs.models == {}
    assert desk.sweep_transforms() == []


def test_jobs_of_others_are_none_of_ours(desk: Desk) -> None:
    job = _carried_out(desk)
    desk.jobs.jobs[job] = replace(desk.jobs.jobs[job], environment={"MODELGATE_STACK": "other"})
    assert desk.finished().status == "no job of this stack"
    desk.jobs.jobs["theirs"] = replace(desk.jobs.jobs[job], name="theirs", environment={})
    assert desk.finished("theirs").status == "no job of this stack"
    assert desk.finished("gone").status == "SageMaker knows it no more"
    assert desk.bus.kinds() == ["Transform Started"]


def test_the_sweep_finishes_what_no_event_told_of(desk: Desk) -> None:
    _carried_out(desk)
    (told,) = desk.sweep_transforms()
    assert (told.run, told.status) == ("iris/june", "completed")
    assert desk.sweep_transforms() == []
    assert desk.jobs.models == {}


def test_a_model_that_could_not_be_deleted_is_deleted_later(desk: Desk) -> None:
    _carried_out(desk)
    desk.calls.fail("DeleteModel", TimedOut("DeleteModel", "x", "no answer"))
    with pytest.raises(TimedOut):
        desk.finished()
    assert desk.jobs.models
    desk.sweep_transforms()
    assert desk.jobs.models == {}
    assert desk.item.owes_something is False


def test_the_trouble_of_one_run_keeps_no_other_waiting(desk: Desk) -> None:
    _carried_out(desk)
    desk.runs.save(replace(desk.item, id=TransformId("iris", "aaa"), job="other", revision=0, effects=()))
    desk.calls.fail("DescribeTransformJob", Throttled("DescribeTransformJob", "x", "slow down"))
    with pytest.raises(AwsError, match="slow down"):
        desk.sweep_transforms()
    assert {run.id.run: run.status.value for run in desk.runs.of_group("iris")} == {
        "aaa": "transforming",
        "june": "completed",
    }


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "error", [Crash(), TimedOut("x", "y", "no answer"), Throttled("x", "y", "slow down")], ids=repr
)
def test_whatever_goes_wrong_a_job_is_started_once_and_told_of(error: BaseException, after: bool) -> None:
    for number in count(1):
        desk = Desk()
        desk.go_live()
        desk.upload()
        desk.calls.fail(number, error, after=after)
        before = len(desk.calls.made)
        desk.as_lambda_does(lambda name, desk=desk: desk.receive(invocation=name))  # type: ignore[misc]
        if len(desk.calls.made) - before < number:
            return
        desk.sweep_transforms()
        assert len(desk.started) == 1, number
        assert set(desk.bus.kinds()) == {"Transform Started"}
        assert len({each.id for each in desk.bus.announced}) == 1
        desk.jobs.complete(desk.started[0])
        desk.finished()
        assert desk.item.status.value == "completed"
        assert desk.jobs.models == {}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Crash(), TimedOut("x", "y", "no answer")], ids=repr)
def test_whatever_goes_wrong_an_outcome_is_told_and_its_model_deleted(
    error: BaseException, after: bool
) -> None:
    for number in count(1):
        desk = Desk()
        _carried_out(desk)
        before = len(desk.calls.made)
        desk.calls.fail(number, error, after=after)
        desk.as_lambda_does(lambda _, desk=desk: desk.finished())  # type: ignore[misc]
        if len(desk.calls.made) - before < number:
            return
        assert set(desk.bus.kinds()) == {"Transform Started", "Transform Finished"}
        assert len({each.id for each in desk.bus.announced}) == 2
        assert desk.jobs.models == {}
        assert not desk.item.owes_something


def test_an_aws_that_is_down_is_told_to_lambda(desk: Desk) -> None:
    desk.go_live()
    desk.upload()
    desk.calls.fail("GetItem", TimedOut("GetItem", "x", "no answer"))
    with pytest.raises(AwsError):
        desk.receive()
