"""What becomes of decisions: the real reconciler on an in-memory AWS."""

from __future__ import annotations

import pytest

from modelgate.errors import NotYet, Throttled
from tests.fakes.aws import Crash
from tests.fakes.deployment import Deployment
from tests.fakes.sagemaker import EndpointEvent


@pytest.fixture
def iris() -> Deployment:
    return Deployment()


def live_with(deployment: Deployment, versions: int) -> None:
    """Registers versions, and approves each once the one before it is live."""
    for _ in range(versions):
        deployment.approve(deployment.register())
        deployment.settle()


def test_the_first_approval_creates_the_endpoint_and_goes_live_after_a_smoke_test(iris: Deployment) -> None:
    version = iris.register()
    iris.approve(version)
    iris.settle()
    assert (iris.served, iris.live) == (version, version)
    assert iris.bus.kinds() == ["Release Live"]
    assert "says setosa" in iris.bus.announced[0].message


def test_a_second_approval_updates_the_endpoint_in_place(iris: Deployment) -> None:
    live_with(iris, 2)
    assert (iris.served, iris.live) == (2, 2)
    assert iris.outcomes() == [(1, "live"), (2, "live")]
    assert iris.calls.made.count("CreateEndpoint") == 1


def test_the_version_that_was_approved_is_deployed_not_the_latest(iris: Deployment) -> None:
    for _ in range(3):
        iris.register()
    iris.approve(2)
    iris.settle()
    assert iris.live == 2


def test_a_decision_while_the_endpoint_is_updating_waits_for_it(iris: Deployment) -> None:
    live_with(iris, 1)
    for _ in range(3):
        iris.register()
    iris.approve(2)
    iris.handle(iris.sagemaker.events.pop())
    iris.approve(3)
    iris.approve(4)
    iris.settle()
    assert (iris.served, iris.live) == (4, 4)
    assert iris.outcomes() == [(1, "live"), (2, "superseded"), (4, "live")]


def test_the_last_decision_wins_by_the_time_it_was_made(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.register()
    iris.register()
    iris.approve(3)
    iris.approve(2)
    iris.sagemaker.events.reverse()
    iris.settle()
    assert iris.live == 2


def test_a_silent_rollback_is_seen_and_the_package_is_rejected_with_the_reason(iris: Deployment) -> None:
    live_with(iris, 1)
    version = iris.register()
    iris.sagemaker.never_ping.add(version)
    iris.approve(version)
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)
    package = iris.sagemaker.package("iris", version)
    assert package.approval == "Rejected"
    reason = "SageMaker rolled the update back: did not pass the ping health check"
    assert package.description.startswith(reason)
    assert iris.bus.kinds()[-1] == "Deployment Failed"


def test_a_version_that_fails_its_smoke_test_is_rejected_and_the_one_before_it_serves_again(
    iris: Deployment,
) -> None:
    live_with(iris, 1)
    version = iris.register()
    iris.sagemaker.answer_wrongly.add(version)
    iris.approve(version)
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)
    assert iris.approval(version) == "Rejected"
    assert iris.outcomes() == [(1, "live"), (2, "failed"), (1, "live")]


@pytest.mark.parametrize("carries_test", [True, False])
def test_a_wrong_answer_fails_the_smoke_test(*, carries_test: bool) -> None:
    iris = Deployment()
    version = iris.register(
        text=b"container: {framework: sklearn, version: 1.2-1}\nmetrics: {a: 1.0}\n"
        b"content_types: [text/csv]\nresponse_types: [text/csv]\n"
        b"smoke_test: {content_type: text/csv, body: x, expect: virginica}\n",
        carries_test=carries_test,
    )
    iris.approve(version)
    iris.settle()
    assert iris.approval(version) == "Rejected"
    assert "does not contain 'virginica'" in iris.sagemaker.package("iris", version).description


def test_a_first_creation_that_fails_is_cleared_away_and_the_next_approval_creates_anew(
    iris: Deployment,
) -> None:
    version = iris.register()
    iris.sagemaker.never_ping.add(version)
    iris.approve(version)
    iris.settle()
    assert iris.approval(version) == "Rejected"
    assert iris.sagemaker.endpoint("iris") is None
    iris.approve(iris.register())
    iris.settle()
    assert iris.live == 2


def test_a_newer_approval_made_while_a_first_creation_fails_is_deployed_after_all(iris: Deployment) -> None:
    iris.register()
    iris.register()
    iris.sagemaker.never_ping.add(1)
    iris.approve(1)
    iris.handle(iris.sagemaker.events.pop())
    iris.approve(2)
    iris.settle()
    assert (iris.served, iris.live) == (2, 2)


def test_rejecting_the_live_version_goes_back_to_the_release_before_it(iris: Deployment) -> None:
    live_with(iris, 3)
    iris.reject(3)
    iris.settle()
    assert (iris.served, iris.live) == (2, 2)
    iris.reject(2)
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)


def test_rejecting_the_only_version_keeps_it_serving_and_tells_the_operator_once(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.reject(1)
    iris.settle()
    iris.handle(EndpointEvent("iris", "InService"))
    assert iris.served == 1
    assert iris.bus.kinds().count("Nothing To Serve") == 1


def test_rejecting_a_version_that_was_never_wanted_changes_nothing(iris: Deployment) -> None:
    live_with(iris, 1)
    version = iris.register()
    iris.reject(version)
    iris.settle()
    assert iris.live == 1
    assert iris.outcomes() == [(1, "live")]


def test_approving_again_is_the_retry(iris: Deployment) -> None:
    live_with(iris, 1)
    version = iris.register()
    iris.sagemaker.never_ping.add(version)
    iris.approve(version)
    iris.settle()
    iris.sagemaker.never_ping.clear()
    iris.clock.forward(60)
    iris.approve(version)
    iris.settle()
    assert iris.live == version


def test_a_version_that_fails_is_not_rejected_when_somebody_approved_it_anew_meanwhile(
    iris: Deployment,
) -> None:
    live_with(iris, 1)
    version = iris.register()
    iris.sagemaker.never_ping.add(version)
    iris.approve(version)
    iris.handle(iris.sagemaker.events.pop())
    iris.sagemaker.advance("iris")
    arrived = iris.sagemaker.events.pop()
    iris.clock.forward(60)
    iris.sagemaker.never_ping.clear()
    iris.approve(version)
    iris.sagemaker.events.clear()  # the second approval's event is lost
    iris.handle(arrived)
    iris.settle()
    assert iris.approval(version) == "Approved"
    iris.clock.forward(1200)
    iris.sweep()  # by now an event would have told of a mere edit
    iris.settle()
    assert iris.outcomes() == [(1, "live"), (version, "failed"), (version, "live")]


def test_a_version_that_was_live_before_keeps_its_approval_when_it_fails(iris: Deployment) -> None:
    live_with(iris, 2)
    iris.sagemaker.never_ping.add(1)
    iris.approve(1)
    iris.settle()
    assert iris.approval(1) == "Approved"
    assert iris.live == 2
    assert iris.bus.kinds()[-1] == "Deployment Failed"


def test_approving_what_already_serves_starts_nothing(iris: Deployment) -> None:
    live_with(iris, 1)
    before = iris.calls.made.count("UpdateEndpoint")
    iris.clock.forward(60)
    iris.approve(1)
    iris.settle()
    assert iris.calls.made.count("UpdateEndpoint") == before
    assert iris.live == 1


def test_an_edit_of_an_approved_package_is_no_approval(iris: Deployment) -> None:
    live_with(iris, 2)
    iris.clock.forward(60)
    iris.sagemaker.edit("iris", 1)
    assert iris.handle(iris.sagemaker.events.pop()).note == "the approval has not changed"
    iris.settle()
    assert iris.live == 2


def test_every_event_delivered_three_times_makes_one_release(iris: Deployment) -> None:
    iris.register()
    iris.approve(1)
    event = iris.sagemaker.events.pop()
    for _ in range(3):
        iris.handle(event)
    iris.sagemaker.advance("iris")
    arrived = iris.sagemaker.events.pop()
    for _ in range(3):
        iris.handle(arrived)
        iris.handle(event)
    assert iris.outcomes() == [(1, "live")]
    assert iris.bus.kinds() == ["Release Live"]


def test_a_deleted_package_counts_as_not_approved(iris: Deployment) -> None:
    live_with(iris, 2)
    iris.sagemaker.delete_package("iris", 2)
    iris.handle(EndpointEvent("iris", "InService"))
    iris.settle()
    assert iris.live == 1


def test_an_endpoint_that_somebody_else_made_is_refused_and_left_alone(iris: Deployment) -> None:
    iris.sagemaker.add_endpoint("iris")
    iris.approve(iris.register())
    iris.settle()
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    assert there.config == "by-hand"
    assert iris.bus.kinds() == ["Deployment Refused"]
    assert "deployment.endpoint" in iris.bus.announced[0].message


def test_a_second_group_on_an_endpoint_is_refused(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.bucket.put("policies/wine.yaml", b"deployment: {endpoint: IRIS}")
    iris.approve(iris.register("wine"), "wine")
    iris.settle()
    assert iris.live == 1
    assert iris.bus.kinds()[-1] == "Deployment Refused"
    assert "serves the group iris" in iris.bus.announced[-1].message


def test_a_config_set_by_hand_on_our_endpoint_is_replaced_by_what_is_desired(iris: Deployment) -> None:
    live_with(iris, 1)
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    there.config = "set-by-hand"
    iris.handle(EndpointEvent("iris", "InService"))
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)


def test_an_endpoint_that_was_deleted_by_hand_is_made_again(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.sagemaker.remove_endpoint("iris")
    iris.register()
    iris.approve(2)
    iris.settle()
    assert iris.live == 2


def test_an_endpoint_beyond_repair_is_left_to_a_person_who_is_told_once(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.sagemaker.break_down("iris", "UpdateRollbackFailed")
    for _ in range(2):
        iris.handle(EndpointEvent("iris", "UpdateRollbackFailed"))
    assert iris.bus.kinds().count("Person Needed") == 1


def test_a_new_policy_is_rolled_out_when_it_is_uploaded(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.upload_policy(b"deployment: {instances: {count: 2}}")
    iris.settle()
    assert iris.outcomes() == [(1, "live"), (1, "live")]
    assert iris.instances == ("ml.m5.large", 2)
    assert "Policy Accepted" in iris.bus.kinds()


def test_a_wrong_policy_is_refused_and_what_was_accepted_before_goes_on(iris: Deployment) -> None:
    live_with(iris, 1)
    report = iris.upload_policy(b"deployment: {instances: {count: none}}")
    assert "deployment.instances.count" in report.refused[0]
    assert iris.bus.kinds()[-1] == "Policy Refused"
    iris.approve(iris.register())
    iris.settle()
    assert iris.live == 2
    assert iris.instances == ("ml.m5.large", 1)


def test_a_wrong_policy_beside_another_trouble_tells_of_each_once(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.sagemaker.break_down("iris", "OutOfService")
    iris.bucket.put("policies/iris.yaml", b"gate: 3")
    for _ in range(3):
        iris.sweep()
    assert iris.bus.kinds() == ["Release Live", "Policy Refused", "Person Needed"]


def test_a_lost_policy_event_is_found_by_the_sweep(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {type: ml.m5.xlarge}}")
    iris.sweep()
    iris.settle()
    assert iris.instances == ("ml.m5.xlarge", 1)


def test_a_version_registered_elsewhere_is_not_deployed_under_the_default_policy() -> None:
    iris = Deployment()
    iris.bucket.delete("policies/iris.yaml")
    iris.bucket.put("policies/default.yaml", b"{}")
    iris.sagemaker.add_package("iris")
    iris.approve(1)
    iris.settle()
    assert iris.sagemaker.endpoint("iris") is None
    assert iris.bus.announced == []


def test_an_approval_without_any_policy_is_announced_with_the_mend() -> None:
    iris = Deployment()
    iris.bucket.delete("policies/iris.yaml")
    iris.approve(iris.register())
    iris.settle()
    assert iris.bus.kinds() == ["Deployment Refused"]
    assert "policies/default.yaml" in iris.bus.announced[0].message


def test_another_invocations_young_attempt_is_not_taken_over(iris: Deployment) -> None:
    iris.register()
    iris.approve(1)
    event = iris.sagemaker.events.pop()
    iris.calls.fail("CreateModel", Crash())
    with pytest.raises(Crash):
        iris.handle(event, "first")
    assert iris.state.attempt is not None
    assert not iris.state.attempt.called
    with pytest.raises(NotYet):
        iris.handle(event, "second")
    iris.clock.forward(61)
    iris.handle(event, "second")
    iris.settle()
    assert iris.live == 1


def test_ten_smoke_tests_that_cannot_be_carried_out_are_a_failure(iris: Deployment) -> None:
    live_with(iris, 1)
    iris.register()
    iris.approve(2)
    iris.handle(iris.sagemaker.events.pop())
    iris.sagemaker.advance("iris")
    event = iris.sagemaker.events.pop()
    for _ in range(10):
        iris.calls.fail("InvokeEndpoint", Throttled("InvokeEndpoint", "ThrottlingException", "slow down"))
        with pytest.raises(Throttled):
            iris.handle(event)
    iris.handle(event)
    iris.settle()
    assert iris.calls.made.count("InvokeEndpoint") == 1 + 10 + 1
    assert iris.outcomes() == [(1, "live"), (2, "failed"), (1, "live")]
