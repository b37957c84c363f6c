"""Each of the house rules fails on what it is there for. That they pass the template, `make check` sees."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cfnlint import ConfigMixIn
from cfnlint.runner import Runner

ROOT = Path(__file__).parents[2]
# `make check` runs these; here they would only take time.
CLOUDFORMATIONS_OWN = ("W", "I", "E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8")
TEMPLATE = (ROOT / "template.yaml").read_text()


def findings(template: Path) -> Counter[str]:
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
    return Counter(match.rule.id for match in Runner(config).run() if match.rule.id.startswith("E91"))


# Each run of the linter takes seconds, so one template breaks every rule, each time in a place of its own.
BROKEN = (
    ("E9101", "            RetryPolicy: {MaximumRetryAttempts: 24, MaximumEventAgeInSeconds: 21600}\n", ""),
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
)


def test_a_template_that_breaks_the_rules_is_caught_at_each_of_them(tmp_path: Path) -> None:
    (tmp_path / "functions").symlink_to(ROOT / "functions")
    (tmp_path / "layers").symlink_to(ROOT / "layers")
    template = TEMPLATE
    for _, found, instead in BROKEN:
        assert found in template
        template = template.replace(found, instead, 1)
    (tmp_path / "template.yaml").write_text(template)
    assert findings(tmp_path / "template.yaml") == Counter(rule for rule, _, _ in BROKEN)
