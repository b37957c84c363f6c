"""Updates that move traffic step by step, and the alarms that roll them back."""

from __future__ import annotations

from typing import Any

from tests.simulation.chain import Chain, policy

TWO = {"type": "ml.m5.large", "count": 2}
ERRORS = {"error_rate_percent": 5}


def canary(wait_seconds: int) -> dict[str, Any]:
    """A policy's rollout. Five minutes of AWS's are 0.15 s here."""
    return {"strategy": "canary", "percent": 50, "wait_seconds": wait_seconds}


def who(answers: list[str]) -> set[str]:
    """The models that have answered."""
    return {answer.split()[0] for answer in answers}


def test_a_canary_shares_the_traffic_while_it_bakes_and_is_live_after_that_and_its_smoke_test(
    chain: Chain,
) -> None:
    chain.govern(policy(instances=TWO, alarms=ERRORS, rollout=canary(3600)))
    chain.deploy("first")
    before = chain.endpoint()["EndpointConfigName"]
    chain.register("second")
    held = chain.cloud.faults.hold(chain.on("EndpointChanged"))
    chain.approve(2)

    chain.await_bake()
    assert who([chain.ask() for _ in range(4)]) == {"first", "second"}
    assert chain.endpoint()["EndpointStatus"] == "Updating"
    assert chain.endpoint()["EndpointConfigName"] == before
    assert before in chain.made()[1]
    assert chain.outcomes() == [(1, "live")]

    chain.cloud.settle()  # all traffic has moved, and the event that says so is held: no smoke test yet
    assert chain.endpoint()["EndpointStatus"] == "InService"
    assert who([chain.ask() for _ in range(4)]) == {"second"}
    assert chain.outcomes() == [(1, "live")]
    held.release()
    chain.cloud.settle()
    assert chain.outcomes() == [(1, "live"), (2, "live")]
    assert "second says setosa to 5.1,3.5" in chain.announcements()[-1]["detail"]["message"]
    assert chain.endpoint()["LastDeploymentConfig"]["BlueGreenUpdatePolicy"][
        "TrafficRoutingConfiguration"
    ] == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 3600,
    }


def test_an_alarm_in_the_bake_rolls_back_and_rejects_the_version_and_no_request_fails(chain: Chain) -> None:
    chain.govern(policy(instances=TWO, alarms=ERRORS, rollout=canary(3600)))
    chain.deploy("first")
    chain.register("second")
    with chain.asked_all_along() as answers:
        chain.approve(2)
        chain.await_bake()
        chain.ring("errors")
        chain.cloud.settle()
    assert who(answers) in ({"first"}, {"first", "second"})
    assert who([chain.ask() for _ in range(4)]) == {"first"}
    statuses = [each["EndpointStatus"] for each in chain.told("SageMaker Endpoint State Change")]
    assert statuses[-3:] == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]

    assert chain.outcomes() == [(1, "live"), (2, "failed")]
    package = chain.package(2)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert chain.alarms()["errors"]["AlarmName"] in package["ApprovalDescription"]
    (failed,) = [each for each in chain.announcements() if each["detail-type"] == "Deployment Failed"]
    assert "in state ALARM" in failed["detail"]["reason"]
    assert failed["detail"]["rejected"] is True


def test_an_alarm_that_rings_already_does_not_keep_a_fix_from_being_rolled_out(chain: Chain) -> None:
    chain.govern(policy(alarms={**ERRORS, "p99_latency_ms": 500}, rollout={"wait_seconds": 60}))
    chain.deploy("first")
    chain.ring("errors")
    chain.deploy("second")
    assert chain.ask().startswith("second")
    assert chain.outcomes() == [(1, "live"), (2, "live")]
    watched_by = chain.endpoint()["LastDeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert watched_by == [{"AlarmName": chain.alarms()["latency"]["AlarmName"]}]
    assert chain.alarms()["errors"]["StateValue"] == "ALARM"


def test_the_alarms_are_those_of_the_policy_and_change_and_go_with_it(chain: Chain) -> None:
    slowly = {"period_seconds": 120, "periods": 2}
    chain.govern(policy(alarms={**ERRORS, "p99_latency_ms": 500, **slowly}, rollout={"wait_seconds": 240}))
    chain.deploy("first")
    serving = chain.endpoint()["EndpointConfigName"]
    alarms = chain.alarms()
    assert {what: alarm["Threshold"] for what, alarm in alarms.items()} == {
        "errors": 0.05,
        "latency": 500_000,
    }
    for alarm in alarms.values():
        assert alarm["Dimensions"] == [
            {"Name": "EndpointName", "Value": chain.group},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ]
        assert (alarm["Namespace"], alarm["Period"], alarm["EvaluationPeriods"]) == ("AWS/SageMaker", 120, 2)
    assert alarms["errors"]["MetricName"] == "Invocation5XXErrors"
    assert (alarms["latency"]["MetricName"], alarms["latency"]["ExtendedStatistic"]) == (
        "ModelLatency",
        "p99",
    )

    chain.govern(policy(alarms={"error_rate_percent": 10}, rollout={"wait_seconds": 60}))
    assert {what: alarm["Threshold"] for what, alarm in chain.alarms().items()} == {"errors": 0.1}
    chain.govern(policy())
    assert chain.alarms() == {}
    assert chain.endpoint()["EndpointConfigName"] == serving
    assert chain.outcomes() == [(1, "live")]
