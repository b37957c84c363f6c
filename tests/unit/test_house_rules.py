"""The house rules pass the template, and each fails on what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cfnlint import ConfigMixIn
from cfnlint.runner import Runner

ROOT = Path(__file__).parents[2]
# `make check` runs these; here they would only take time.
CLOUDFORMATIONS_OWN = ("W", "I", "E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8")
TEMPLATE = (ROOT / "template.yaml").read_text()


def findings(template: Path) -> set[str]:
    config = ConfigMixIn(
        [
            "--append-rules",
            str(ROOT / "tools" / "cfn_rules"),
            "--ignore-checks",
            *CLOUDFORMATIONS_OWN,
            "--",
            str(template),
        ]
    )
    return {match.rule.id for match in Runner(config).run() if match.rule.id.startswith("E91")}


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str, str], set[str]]:
    (tmp_path / "functions").symlink_to(ROOT / "functions")
    (tmp_path / "layers").symlink_to(ROOT / "layers")

    def checked(found: str, instead: str) -> set[str]:
        assert found in TEMPLATE
        changed = tmp_path / "template.yaml"
        changed.write_text(TEMPLATE.replace(found, instead, 1))
        return findings(changed)

    return checked


def test_the_template_keeps_every_house_rule() -> None:
    assert findings(ROOT / "template.yaml") == set()


@pytest.mark.parametrize(
    ("rule", "found", "instead"),
    [
        (
            "E9101",
            "            RetryPolicy: {MaximumRetryAttempts: 24, MaximumEventAgeInSeconds: 21600}\n",
            "",
        ),
        ("E9101", "          DeadLetterConfig: {Arn: !GetAtt UndeliveredEvents.Arn}\n", ""),
        (
            "E9102",
            "DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt FailedInvocations.Arn}}",
            "DestinationConfig: {}",
        ),
        ("E9102", "      ReservedConcurrentExecutions: 10\n", ""),
        ("E9103", "!GetAtt EndpointChangedRole.Arn", "!GetAtt ApprovalChangedRole.Arn"),
        ("E9104", "      RetentionInDays: !Ref LogRetentionDays\n", ""),
        ("E9105", '"*"  # X-Ray knows no resources for these two', '"*"'),
        ("E9106", "functions/endpoint_changed/", "functions/"),
    ],
)
def test_a_template_that_breaks_a_rule_is_caught(
    check: Callable[[str, str], set[str]], rule: str, found: str, instead: str
) -> None:
    assert rule in check(found, instead)
