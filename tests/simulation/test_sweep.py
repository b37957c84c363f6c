"""What lost events and throttled calls leave undone is done by the sweep, and what is over is deleted."""

from __future__ import annotations

from localcloud import Delivery
from modelgate.deployment.facts import PATIENCE
from tests.simulation.chain import Chain, policy
from tests.simulation.conftest import Watch


def test_the_sweep_finds_an_approval_and_an_endpoint_in_service_that_no_event_told_of(
    chain: Chain, watch: Watch
) -> None:
    chain.register("first")

    def lost(delivery: Delivery) -> bool:
        return chain.on("ApprovalChanged")(delivery) or chain.on("EndpointChanged")(delivery)

    chain.cloud.faults.drop(lost, times=1000)
    chain.approve(1)
    chain.cloud.settle()
    assert not chain.exists()

    watch.put_forward(PATIENCE.total_seconds())
    assert "CreateEndpoint" in chain.sweep()["repaired"][chain.group]
    assert chain.ask().startswith("first")
    assert chain.outcomes() == []

    assert "SmokeTest" in chain.sweep()["repaired"][chain.group]
    assert chain.outcomes() == [(1, "live")]
    assert chain.news()[-1] == "Release Live"

    swept = chain.sweep()
    assert chain.group in swept["visited"]
    assert swept["repaired"] == {}
    assert swept["counts"]["Stuck"] == 0


def test_what_throttled_calls_leave_undone_is_done_in_the_end(chain: Chain, watch: Watch) -> None:
    versions = [chain.register(name) for name in ("first", "second", "third")]
    chain.cloud.faults.throttle_every(5, times=20)
    chain.approve(*versions)
    chain.cloud.settle()
    chain.decide(2, "Rejected")
    chain.cloud.settle()
    assert any(each.error and "Throttl" in each.error["errorType"] for each in chain.cloud.invocations)

    chain.cloud.faults.clear()
    watch.put_forward(60)  # who was at it when a call was throttled is over by then
    for _ in range(2):
        chain.sweep()
    assert chain.ask().startswith("third")
    assert chain.outcomes()[-1] == (3, "live")
    assert not {outcome for _, outcome in chain.outcomes()} & {"failed", "blocked"}
    assert chain.versions() == {1: "Approved", 2: "Rejected", 3: "Approved"}
    assert chain.state().attempt is None
    assert chain.state().effects == ()


def test_of_the_releases_before_only_those_are_kept_that_the_policy_says(chain: Chain) -> None:
    chain.govern(policy(keep_releases=2))
    for name in ("first", "second", "third", "fourth", "fifth"):
        chain.deploy(name)
    kept = {f"{chain.group}-v{number}-{number}" for number in (4, 5)}
    assert chain.made() == (kept, kept)
    chain.decide(5, "Rejected")
    chain.cloud.settle()
    assert chain.ask().startswith("fourth")
