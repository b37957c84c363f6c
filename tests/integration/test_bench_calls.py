"""How many calls a deployment takes is watched: each one more is latency, and something to go wrong."""

from __future__ import annotations

from bench.calls import calls


def test_a_deployment_under_a_bare_policy_takes_no_more_calls_than_it_did() -> None:
    made = calls()
    assert made["duplicate"] == ["GetItem", "DescribeEndpoint", "DescribeModelPackage"]
    assert len(made["approval"]) == 8
    assert len(made["in_service"]) <= 8
    assert "UpdateEndpoint" in made["approval"]
    assert "InvokeEndpoint" in made["in_service"]
