"""How many calls each event takes is watched: each one more is latency, and something to go wrong."""

from __future__ import annotations

import pytest

from bench.calls import calls

AIMS = {"approval": 8, "in_service": 6, "duplicate": 3}
# What the others took when they were last looked at.
AT_MOST = {
    "nobodys_endpoint": 1,
    "policy": 8,
    "first_file": 6,
    "refused": 8,
    "first_registered": 19,
    "registered": 18,
    "uploaded_again": 3,
    "first_approval": 8,
    "first_in_service": 6,
    "approval_again": 3,
    "sweep_of_one_endpoint": 11,
    "rollback": 12,
    "rejection": 9,
    "back_in_service": 7,
    "source": 15,
    "source_again": 13,
}


def test_no_event_under_a_bare_policy_takes_more_calls_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # a machine without an engine: every build fails
    made = calls()
    took = {event: len(of_event) for event, of_event in made.items()}
    most = AIMS | AT_MOST
    assert {event: took[event] for event in most if took[event] > most[event]} == {}
    operations = {event: [call.operation for call in of_event] for event, of_event in made.items()}
    assert "UpdateEndpoint" in operations["approval"]
    assert "InvokeEndpoint" in operations["in_service"]
    assert "UpdateModelPackage" in operations["rollback"]
    assert set(operations["duplicate"]) == {"GetItem", "DescribeEndpoint", "DescribeModelPackage"}
