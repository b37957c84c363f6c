"""The whole chain on the local cloud: real functions, roles, rules and containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from modelgate.manifest import SmokeTest
from modelgate_cli.pack import pack
from tests.simulation.chain import FAILS_TO_PREDICT, NEVER_LOADS, Chain, loads_when_there_is
from tests.simulation.conftest import Watch


def test_an_upload_becomes_a_prediction(chain: Chain) -> None:
    version = chain.deploy("first")
    assert chain.ask("6.0,3.0") == "first says setosa to 6.0,3.0"
    assert chain.endpoint()["EndpointStatus"] == "InService"
    # Whether the artifact is looked at before the manifest has come too is a matter of moments.
    assert [each for each in chain.news() if each != "Submission Waiting"] == [
        "Model Registered",
        "Release Live",
    ]
    assert chain.versions() == {version: "Approved"}


def test_an_update_in_place_keeps_answering(chain: Chain) -> None:
    chain.deploy("first")
    chain.deploy("second")
    assert chain.ask().startswith("second")
    assert chain.outcomes() == [(1, "live"), (2, "live")]


def test_three_quick_approvals_end_at_the_last_one(chain: Chain, tmp_path: Path) -> None:
    chain.deploy("first")
    loads = tmp_path / "it may load"
    chain.register("second", loads_when_there_is(loads))
    chain.register("third")
    chain.register("fourth")
    chain.approve(2)
    chain.await_status("UPDATING")
    chain.approve(3, 4)
    for version in (3, 4):
        chain.await_run("ApprovalChanged", ModelPackageVersion=version, ModelApprovalStatus="Approved")
    loads.touch()
    chain.cloud.settle()
    assert chain.ask().startswith("fourth")
    assert chain.outcomes() == [(1, "live"), (2, "superseded"), (4, "live")]
    assert chain.news()[-2:] == ["Deployment Superseded", "Release Live"]
    assert set(chain.versions().values()) == {"Approved"}


def test_a_silent_rollback_is_a_failure_with_the_reason_and_the_last_log_lines(chain: Chain) -> None:
    chain.deploy("first")
    version = chain.deploy("second", NEVER_LOADS)
    assert chain.endpoint()["EndpointStatus"] == "InService"
    assert chain.ask().startswith("first")
    package = chain.package(version)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "did not pass the ping health check" in package["ApprovalDescription"]
    assert package["ApprovalDescription"].endswith("RuntimeError: weights are missing")
    failed = chain.announcements()[-1]
    assert failed["detail-type"] == "Deployment Failed"
    assert failed["detail"]["log_lines"][-1] == "RuntimeError: weights are missing"
    assert failed["detail"]["log_group"] == f"/aws/sagemaker/Endpoints/{chain.group}"
    assert chain.outcomes() == [(1, "live"), (2, "failed")]


def test_a_version_that_cannot_answer_is_rejected_and_the_one_before_it_serves(chain: Chain) -> None:
    chain.deploy("first")
    version = chain.deploy("second", FAILS_TO_PREDICT)
    assert chain.ask().startswith("first")
    package = chain.package(version)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "feature names do not match" in package["ApprovalDescription"]


def test_a_first_creation_that_fails_leaves_no_endpoint_and_the_next_version_gets_one(chain: Chain) -> None:
    version = chain.deploy("first", NEVER_LOADS)
    assert chain.versions() == {version: "Rejected"}
    assert "weights are missing" in chain.package(version)["ApprovalDescription"]
    client = chain.cloud.client("sagemaker")
    with pytest.raises(client.exceptions.ClientError, match="Could not find endpoint"):
        chain.endpoint()
    chain.deploy("second")
    assert chain.ask().startswith("second")


def test_the_endpoint_and_all_that_it_is_made_of_carry_the_stacks_tag(chain: Chain) -> None:
    chain.deploy("first")
    endpoint = chain.endpoint()
    client = chain.cloud.client("sagemaker")
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = client.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    for arn in (endpoint["EndpointArn"], config["EndpointConfigArn"], model["ModelArn"]):
        assert {"Key": "modelgate:stack", "Value": "modelgate"} in client.list_tags(ResourceArn=arn)["Tags"]


def test_every_event_twice_changes_nothing(chain: Chain) -> None:
    chain.cloud.faults.duplicate(lambda delivery: delivery.function is not None, times=50)
    chain.deploy("first")
    chain.deploy("second")
    assert chain.versions() == {1: "Approved", 2: "Approved"}
    assert chain.outcomes() == [(1, "live"), (2, "live")]
    assert chain.news().count("Release Live") == 2
    assert chain.news().count("Model Registered") == 2


def test_approvals_that_arrive_in_the_wrong_order_end_at_the_last_one_made(chain: Chain) -> None:
    chain.deploy("first")
    versions = [chain.register(name) for name in ("second", "third")]
    held = chain.cloud.faults.hold(chain.on("ApprovalChanged"))
    chain.approve(*reversed(versions))
    chain.cloud.settle()
    held.release(reverse=True)
    chain.cloud.settle()
    assert chain.ask().startswith("second")


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_that_dies_at_a_call_is_taken_up_by_lambdas_retry(
    chain: Chain, operation: str, when: Literal["before", "after"]
) -> None:
    chain.deploy("first")
    version = chain.register("second")
    chain.cloud.faults.die(f"sagemaker:{operation}", function="ApprovalChanged", when=when)
    chain.approve(version)
    chain.cloud.settle()
    assert chain.ask().startswith("second")
    assert chain.outcomes() == [(1, "live"), (2, "live")]


def test_an_answer_that_is_lost_does_not_make_a_second_release(chain: Chain) -> None:
    chain.deploy("first")
    version = chain.register("second")
    chain.cloud.faults.lose_answer("sagemaker:UpdateEndpoint", times=1)
    chain.approve(version)
    chain.cloud.settle()
    assert chain.outcomes() == [(1, "live"), (2, "live")]


def test_a_throttled_call_is_retried_by_lambda(chain: Chain) -> None:
    chain.deploy("first")
    version = chain.register("second")
    chain.cloud.faults.throttle("sagemaker:CreateEndpointConfig", times=1)
    chain.approve(version)
    chain.cloud.settle()
    assert chain.ask().startswith("second")


def test_a_call_that_stays_throttled_ends_in_the_queue_of_failed_invocations(
    chain: Chain, watch: Watch
) -> None:
    version = chain.register("first")
    chain.cloud.faults.throttle("sagemaker:CreateModel", times=1000)
    chain.approve(version)
    chain.cloud.settle()
    chain.cloud.faults.clear()
    (failed,) = _failed_invocations(chain)
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    assert failed["requestPayload"]["detail"]["ModelPackageGroupName"] == chain.group
    assert "CreateModel: ThrottlingException" in failed["responsePayload"]["errorMessage"]
    # Sent again from the queue, after the first invocation must be over, it is carried out.
    watch.put_forward(60)
    chain.cloud.publish(failed["requestPayload"])
    chain.cloud.settle()
    assert chain.ask().startswith("first")


def test_a_packed_model_without_a_script_of_its_own_answers_a_row_of_csv(
    chain: Chain, tmp_path: Path
) -> None:
    import joblib
    from sklearn.dummy import DummyClassifier  # takes a second, which no other test here needs

    joblib.dump(DummyClassifier().fit([[0.0], [1.0]], ["setosa", "setosa"]), tmp_path / "model.joblib")
    packed = pack(
        tmp_path / "model.joblib",
        framework="sklearn",
        version="1.9-0",
        metrics={"accuracy": 0.95},
        content_types=["text/csv"],
        response_types=["text/csv"],
        smoke_test=SmokeTest(content_type="text/csv", body="5.1,3.5", expect="setosa"),
        out=tmp_path / "submission",
    )
    for file in packed.files:
        chain.upload(f"models/{chain.group}/packed/{file.name}", file.read_bytes())
    chain.cloud.settle()
    chain.approve(1)
    chain.cloud.settle()
    assert chain.outcomes() == [(1, "live")]


def test_operators_get_a_readable_message(chain: Chain) -> None:
    sqs, sns = chain.cloud.client("sqs"), chain.cloud.client("sns")
    queue = sqs.create_queue(QueueName="an-operators-mailbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(
        TopicArn=chain.cloud.outputs["OperatorTopic"],
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    chain.deploy("first")
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(each["Body"]) for each in messages]
    assert {"Model Registered", "Release Live"} <= {each["what"] for each in told}
    assert all(each["message"] and each["group"] == chain.group for each in told)


def _failed_invocations(chain: Chain) -> list[Any]:
    """What lies in the queue about this group."""
    messages = chain.cloud.client("sqs").receive_message(
        QueueUrl=chain.cloud.outputs["FailedInvocationsQueue"], MaxNumberOfMessages=10
    )
    failed = [json.loads(message["Body"]) for message in messages.get("Messages", [])]
    return [each for each in failed if chain.group in json.dumps(each["requestPayload"])]
