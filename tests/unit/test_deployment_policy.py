"""The deployment section of a policy is read, or refused with the mend before AWS sees any of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelgate.errors import Problem, Refused
from modelgate.policy import DeploymentPolicy, Instances, Rollout, read_policy

SERVERLESS = {"memory_mb": 2048, "max_concurrency": 10}
ALARMS = {"error_rate_percent": 1, "p99_latency_ms": 500}
VPC = {"security_groups": ["sg-0a1b2c3d"], "subnets": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:answers"


def deployment(**section: object) -> DeploymentPolicy:
    text = yaml.safe_dump({"deployment": section})
    return read_policy(text.encode(), "iris").deployment


def problems_of(**section: object) -> tuple[Problem, ...]:
    with pytest.raises(Refused) as refused:
        deployment(**section)
    return refused.value.problems


def problem_of(**section: object) -> Problem:
    (problem,) = problems_of(**section)
    return problem


def test_a_policy_with_every_section_is_read() -> None:
    policy = deployment(
        endpoint="iris",
        instances={"type": "ml.m5.large", "count": 2, "volume_gb": 30},
        startup_timeout_seconds=900,
        rollout={"strategy": "canary", "percent": 10, "wait_seconds": 300, "timeout_seconds": 1800},
        alarms=ALARMS,
        autoscaling={"min": 2, "max": 8, "invocations_per_instance": 600},
        data_capture_percent=10,
        kms_key="alias/models",
        vpc=VPC,
        network_isolation=True,
        tags={"team": "flowers"},
        keep_releases=5,
        frozen=True,
        when_nothing_is_approved="delete",
    )
    assert policy.rollout.percent == 10
    assert policy.autoscaling is not None
    assert policy.autoscaling.scale_in_cooldown_seconds == 300


def test_one_instance_serves_where_nothing_else_is_asked_for() -> None:
    assert DeploymentPolicy().instances == Instances()
    assert deployment(instances=None).instances == Instances()
    assert deployment().instance_type == "ml.m5.large"


def test_a_serverless_endpoint_has_no_instances_and_gets_a_cpu_image() -> None:
    policy = deployment(serverless=SERVERLESS)
    assert policy.instances is None
    assert policy.instance_type == "ml.m5.large"


def test_the_image_is_chosen_for_the_type_that_the_policy_names() -> None:
    assert deployment(instances={"type": "ml.g5.xlarge"}).instance_type == "ml.g5.xlarge"


# ── rollout ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("count", "rollout"),
    [
        (1, {}),
        (1, {"termination_wait_seconds": 600, "timeout_seconds": 1800}),
        (2, {"strategy": "canary", "percent": 10}),
        (2, {"strategy": "canary", "percent": 50}),
        (2, {"strategy": "canary", "instances": 1}),
        (3, {"strategy": "canary", "instances": 1}),
        (1000, {"strategy": "canary", "percent": 1}),
        (2, {"strategy": "linear", "percent": 10, "wait_seconds": 3600, "termination_wait_seconds": 3600}),
        (10, {"strategy": "linear", "instances": 1}),
        (20, {"strategy": "rolling", "instances": 1}),
        (20, {"strategy": "rolling", "percent": 5}),
        (4, {"strategy": "rolling", "instances": 2, "wait_seconds": 600, "timeout_seconds": 1201}),
        (4, {"strategy": "canary", "percent": 25, "wait_seconds": 300, "timeout_seconds": 601}),
    ],
)
def test_a_rollout_that_fits_its_instances_is_read(count: int, rollout: dict[str, object]) -> None:
    assert deployment(instances={"count": count}, rollout=rollout).rollout == Rollout.model_validate(rollout)


def test_an_all_at_once_update_waits_where_alarms_watch() -> None:
    policy = deployment(rollout={"wait_seconds": 300}, alarms=ALARMS)
    assert policy.rollout.wait_seconds == 300


@pytest.mark.parametrize(
    ("count", "rollout", "says"),
    [
        (4, {"strategy": "canary"}, "neither percent nor instances for strategy: canary; write one of them"),
        (4, {"strategy": "linear", "percent": 10, "instances": 1}, "both percent and instances"),
        (4, {"percent": 10}, "has percent for strategy: all_at_once, which has no steps; leave it out"),
        (4, {"percent": 10, "instances": 1}, "percent and instances for strategy: all_at_once"),
        (4, {"wait_seconds": 60}, "no alarms to watch meanwhile; add alarms, or leave wait_seconds out"),
        (4, {"strategy": "canary", "percent": 51}, "percent: 51 for strategy: canary; write 1 to 50"),
        (4, {"strategy": "linear", "percent": 9}, "percent: 9 for strategy: linear; write 10 to 50"),
        (4, {"strategy": "linear", "percent": 51}, "write 10 to 50"),
        (4, {"strategy": "rolling", "percent": 4}, "percent: 4 for strategy: rolling; write 5 to 50"),
        (4, {"strategy": "rolling", "percent": 60}, "write 5 to 50"),
        (
            3,
            {"strategy": "canary", "instances": 2},
            "instances: 2 of 3 for strategy: canary, which takes 1 to",
        ),
        (3, {"strategy": "canary", "instances": 2}, "percent of them; write 1"),
        (20, {"strategy": "linear", "instances": 1}, "write 2 to 10"),
        (20, {"strategy": "linear", "instances": 11}, "write 2 to 10"),
        (21, {"strategy": "rolling", "instances": 1}, "write 2 to 10"),
        (21, {"strategy": "rolling", "instances": 11}, "write 2 to 10"),
        (1, {"strategy": "canary", "percent": 50}, "write count: 2 or more, or strategy: all_at_once"),
        (1, {"strategy": "linear", "percent": 50}, "write count: 2 or more, or strategy: all_at_once"),
        (1, {"strategy": "rolling", "instances": 1}, "write count: 2 or more, or strategy: all_at_once"),
        (
            4,
            {"strategy": "rolling", "percent": 25, "termination_wait_seconds": 60},
            "termination_wait_seconds: 60 for strategy: rolling, which ends old instances batch by batch",
        ),
        (
            4,
            {"termination_wait_seconds": 900, "timeout_seconds": 900},
            "waits alone add up to 900; write more",
        ),
        (
            4,
            {"strategy": "canary", "percent": 25, "wait_seconds": 300, "timeout_seconds": 600},
            "waits alone add up to 600",
        ),
        (
            4,
            {
                "strategy": "linear",
                "percent": 30,
                "wait_seconds": 600,
                "termination_wait_seconds": 60,
                "timeout_seconds": 2000,
            },
            "waits alone add up to 2460",
        ),
        (
            5,
            {"strategy": "rolling", "instances": 2, "wait_seconds": 600, "timeout_seconds": 1800},
            "waits alone add up to 1800",
        ),
        (
            10,
            {"strategy": "linear", "percent": 10, "wait_seconds": 3600},
            "waits that add up to 36000 seconds, and SageMaker ends an update after 28800",
        ),
        (4, {"strategy": "blue_green"}, "'canary', 'linear', 'rolling' or 'all_at_once'"),
        (4, {"wait_seconds": 3601}, "less than or equal to 3600"),
        (4, {"termination_wait_seconds": 3601}, "less than or equal to 3600"),
        (4, {"timeout_seconds": 599}, "greater than or equal to 600"),
        (4, {"timeout_seconds": 28801}, "less than or equal to 28800"),
    ],
)
def test_a_rollout_that_aws_would_not_take_is_refused(
    count: int, rollout: dict[str, object], says: str
) -> None:
    problem = problem_of(instances={"count": count}, rollout=rollout)
    assert problem.where.startswith("policies/iris.yaml: deployment.rollout")
    assert says in str(problem)


@pytest.mark.parametrize("strategy", ["canary", "linear", "rolling"])
def test_inferentia_1_is_updated_all_at_once_and_a_policy_that_asks_for_steps_is_told(strategy: str) -> None:
    problem = problem_of(
        instances={"type": "ml.inf1.xlarge", "count": 4}, rollout={"strategy": strategy, "percent": 25}
    )
    assert "updates all at once whatever is asked; write strategy: all_at_once" in str(problem)


def test_inferentia_1_is_not_rolled_back_for_alarms() -> None:
    problem = problem_of(instances={"type": "ml.inf1.xlarge"}, alarms=ALARMS)
    assert problem.where == "policies/iris.yaml: deployment.alarms"
    assert "does not roll back for alarms; leave them out" in str(problem)


def test_an_alarm_that_cannot_go_off_before_the_update_is_over_is_refused() -> None:
    problem = problem_of(alarms={"p99_latency_ms": 500, "periods": 3}, rollout={"wait_seconds": 120})
    assert "need 180 seconds to go off" in str(problem)
    assert "write wait_seconds: 180 or more" in str(problem)


def test_autoscaling_leaves_room_for_the_first_step() -> None:
    problem = problem_of(
        instances={"count": 4},
        rollout={"strategy": "canary", "instances": 2},
        autoscaling={"min": 2, "max": 8, "invocations_per_instance": 100},
    )
    assert "leaves 2 instances to autoscaling" in str(problem)
    assert "write 1" in str(problem)


# ── alarms ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("seconds", [60, 120, 3600])
def test_alarms_have_the_periods_of_cloudwatch(seconds: int) -> None:
    alarms = deployment(
        alarms={"p99_latency_ms": 500, "period_seconds": seconds}, rollout={"wait_seconds": 3600}
    ).alarms
    assert alarms is not None
    assert alarms.period_seconds == seconds


@pytest.mark.parametrize(
    ("alarms", "says"),
    [
        ({}, "has no threshold; write error_rate_percent, p99_latency_ms or both"),
        ({"periods": 2}, "has no threshold"),
        ({"error_rate_percent": 0}, "greater than 0"),
        ({"error_rate_percent": 100.5}, "less than or equal to 100"),
        ({"p99_latency_ms": 0}, "greater than 0"),
        ({**ALARMS, "period_seconds": 0}, "write a multiple of 60"),
        ({**ALARMS, "period_seconds": 20}, "write a multiple of 60"),
        ({**ALARMS, "period_seconds": 90}, "write a multiple of 60"),
        ({**ALARMS, "period_seconds": 3660}, "at most 3600"),
        ({**ALARMS, "periods": 0}, "greater than or equal to 1"),
        ({**ALARMS, "periods": 11}, "less than or equal to 10"),
    ],
)
def test_alarms_that_cannot_be_made_are_refused(alarms: dict[str, object], says: str) -> None:
    problem = problem_of(alarms=alarms)
    assert problem.where.startswith("policies/iris.yaml: deployment.alarms")
    assert says in str(problem)


# ── serverless ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("asynchronous", {}),
        ("alarms", ALARMS),
        ("autoscaling", {"min": 1, "max": 2, "invocations_per_instance": 60}),
        ("data_capture_percent", 10),
        ("kms_key", "alias/models"),
        ("vpc", VPC),
        ("network_isolation", True),
        ("startup_timeout_seconds", 601),
        ("rollout", {"strategy": "canary", "percent": 10}),
        ("rollout", {"wait_seconds": 60}),
        ("rollout", {"termination_wait_seconds": 60}),
        ("rollout", {"timeout_seconds": 900}),
    ],
)
def test_what_a_serverless_endpoint_does_not_have_is_refused_at_its_field(field: str, value: object) -> None:
    problem = problem_of(serverless=SERVERLESS, **{field: value})
    assert problem.where == f"policies/iris.yaml: deployment.{field}"
    assert "serverless endpoint" in problem.found
    assert "write instances instead of serverless" in problem.mend


def test_a_serverless_policy_may_say_what_holds_anyway() -> None:
    policy = deployment(
        serverless=SERVERLESS,
        rollout={"strategy": "all_at_once"},
        startup_timeout_seconds=600,
        data_capture_percent=0,
        network_isolation=False,
        tags={"team": "flowers"},
    )
    assert policy.serverless is not None


def test_instances_and_serverless_exclude_each_other() -> None:
    problem = problem_of(serverless=SERVERLESS, instances={"count": 1})
    assert str(problem) == (
        "policies/iris.yaml: deployment.serverless: stands beside instances; keep one of the two"
    )


@pytest.mark.parametrize(
    ("serverless", "where", "says"),
    [
        ({**SERVERLESS, "memory_mb": 2000}, "serverless.memory_mb", "1024, 2048, 3072, 4096, 5120 or 6144"),
        ({**SERVERLESS, "max_concurrency": 0}, "serverless.max_concurrency", "greater than or equal to 1"),
        ({**SERVERLESS, "max_concurrency": 201}, "serverless.max_concurrency", "less than or equal to 200"),
        ({"memory_mb": 1024}, "serverless.max_concurrency", "is missing; add it"),
    ],
)
def test_a_serverless_size_that_does_not_exist_is_refused(
    serverless: dict[str, object], where: str, says: str
) -> None:
    problem = problem_of(serverless=serverless)
    assert problem.where == f"policies/iris.yaml: deployment.{where}"
    assert says in str(problem)


# ── autoscaling and asynchronous endpoints ────────────────────────────────────────────────────────
def test_an_asynchronous_endpoint_scales_on_its_backlog_and_down_to_nothing() -> None:
    policy = deployment(
        asynchronous={"max_concurrent_invocations": 4, "success_topic": TOPIC, "error_topic": TOPIC},
        autoscaling={"min": 0, "max": 4, "backlog_per_instance": 2.5},
    )
    assert policy.autoscaling is not None
    assert policy.autoscaling.min == 0


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"min": 3, "max": 2, "invocations_per_instance": 60}, "has min: 3 above max: 2"),
        ({"min": 2, "max": 4, "invocations_per_instance": 60}, "instances.count is 1; write a count within"),
        ({"min": 0, "max": 4, "invocations_per_instance": 60}, "min: 0 for a real-time endpoint; write 1"),
        ({"min": 1, "max": 4}, "has neither of invocations_per_instance and backlog_per_instance"),
        (
            {"min": 1, "max": 4, "invocations_per_instance": 60, "backlog_per_instance": 5},
            "has both of invocations_per_instance and backlog_per_instance",
        ),
        ({"min": 1, "max": 4, "backlog_per_instance": 5}, "which has no backlog; write invocations_per"),
        ({"min": 1, "max": 4, "invocations_per_instance": 0}, "greater than 0"),
        (
            {"min": 1, "max": 4, "invocations_per_instance": 1, "scale_in_cooldown_seconds": -1},
            "or equal to 0",
        ),
        ({"min": 1, "max": 4, "invocations_per_instance": 1, "scale_out_cooldown_seconds": 3601}, "to 3600"),
    ],
)
def test_scaling_that_cannot_be_done_is_refused(section: dict[str, object], says: str) -> None:
    problem = problem_of(autoscaling=section)
    assert problem.where.startswith("policies/iris.yaml: deployment.autoscaling")
    assert says in str(problem)


def test_an_asynchronous_endpoint_does_not_scale_on_invocations() -> None:
    problem = problem_of(asynchronous={}, autoscaling={"min": 1, "max": 2, "invocations_per_instance": 60})
    assert problem.mend == "write backlog_per_instance"


def test_instances_above_the_range_are_refused() -> None:
    problem = problem_of(
        instances={"count": 5}, autoscaling={"min": 1, "max": 4, "invocations_per_instance": 60}
    )
    assert "the range 1 to 4, and instances.count is 5" in problem.found


@pytest.mark.parametrize(
    ("section", "where", "says"),
    [
        ({"max_concurrent_invocations": 0}, "max_concurrent_invocations", "greater than or equal to 1"),
        ({"max_concurrent_invocations": 1001}, "max_concurrent_invocations", "less than or equal to 1000"),
        ({"success_topic": "answers"}, "success_topic", "no ARN of an SNS topic; write one such as arn:"),
        ({"error_topic": TOPIC.replace("sns", "sqs")}, "error_topic", "no ARN of an SNS topic"),
        ({"error_topic": f"{TOPIC}\n"}, "error_topic", "no ARN of an SNS topic"),
    ],
)
def test_a_wrong_asynchronous_section_is_refused(section: dict[str, object], where: str, says: str) -> None:
    problem = problem_of(asynchronous=section)
    assert problem.where == f"policies/iris.yaml: deployment.asynchronous.{where}"
    assert says in str(problem)


# ── volumes, keys, networks, tags ─────────────────────────────────────────────────────────────────
WITH_LOCAL_STORAGE = [
    "ml.m5d.large",
    "ml.c5d.xlarge",
    "ml.r6gd.large",
    "ml.g4dn.xlarge",
    "ml.g5.xlarge",
    "ml.g6e.xlarge",
    "ml.p4d.24xlarge",
    "ml.p4de.24xlarge",
    "ml.p5en.48xlarge",
    "ml.p6-b200.48xlarge",
    "ml.trn1.2xlarge",
]


@pytest.mark.parametrize("type_", WITH_LOCAL_STORAGE)
def test_an_instance_with_disks_of_its_own_takes_no_volume_and_no_key(type_: str) -> None:
    volume = problem_of(instances={"type": type_, "volume_gb": 30})
    assert volume.where == "policies/iris.yaml: deployment.instances"
    assert "takes no volume; leave volume_gb out" in str(volume)

    key = problem_of(instances={"type": type_}, kms_key="alias/models")
    assert key.where == "policies/iris.yaml: deployment.kms_key"
    assert "leave kms_key out, or write a type without local storage" in key.mend


@pytest.mark.parametrize("type_", ["ml.m5.large", "ml.c6g.large", "ml.inf2.xlarge", "ml.p3.2xlarge"])
def test_an_instance_without_disks_of_its_own_takes_both(type_: str) -> None:
    policy = deployment(instances={"type": type_, "volume_gb": 30}, kms_key="alias/models")
    assert policy.kms_key == "alias/models"


@pytest.mark.parametrize(
    "key",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/models",
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-cn:kms:cn-north-1:111122223333:alias/models",
    ],
)
def test_a_key_is_named_by_id_alias_or_arn(key: str) -> None:
    assert deployment(kms_key=key).kms_key == key


@pytest.mark.parametrize("key", ["", "my key", "arn:aws:s3:::bucket", "alias/models\n"])
def test_what_names_no_key_is_refused(key: str) -> None:
    assert "no key of KMS; write its id, alias/<name>, or the ARN" in str(problem_of(kms_key=key))


@pytest.mark.parametrize(
    ("vpc", "where", "says"),
    [
        ({**VPC, "security_groups": []}, "security_groups", "at least 1 item"),
        ({**VPC, "security_groups": ["sg-1"] * 6}, "security_groups", "at most 5 items"),
        (
            {**VPC, "security_groups": ["default"]},
            "security_groups.0",
            "no id of a security group; write one",
        ),
        ({**VPC, "subnets": ["subnet-1"] * 17}, "subnets", "at most 16 items"),
        ({**VPC, "subnets": ["subnet-1", "sg-1"]}, "subnets.1", "no id of a subnet; write one such as"),
        ({"subnets": ["subnet-1"]}, "security_groups", "is missing; add it"),
    ],
)
def test_a_wrong_network_is_refused(vpc: dict[str, object], where: str, says: str) -> None:
    problem = problem_of(vpc=vpc)
    assert problem.where == f"policies/iris.yaml: deployment.vpc.{where}"
    assert says in str(problem)


def test_tags_take_letters_of_all_scripts() -> None:
    tags = {"kosten stelle": "Gärtnerei 7", "größe": "", "a/b:c": "x@y=+-_."}
    assert deployment(tags=tags).tags == tags


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"aws:created": "1"}, "begins with aws: or modelgate: is reserved; write another key"),
        ({"AWS:created": "1"}, "is reserved"),
        ({"modelgate:group": "iris"}, "is reserved"),
        ({"": "1"}, "a key of 1 to 128"),
        ({"k" * 129: "1"}, "a key of 1 to 128"),
        ({"k": "v" * 257}, "a value of at most 256"),
        ({"k": "50 €"}, "which SageMaker does not take; use letters"),
        ({"k": "two\nlines"}, "which SageMaker does not take"),
        ({f"k{n}": "v" for n in range(49)}, "at most 48 items"),
        ({"k": 7}, 'in quotes: "7"'),
    ],
)
def test_tags_that_sagemaker_does_not_take_are_refused(tags: dict[str, object], says: str) -> None:
    problem = problem_of(tags=tags)
    assert problem.where.startswith("policies/iris.yaml: deployment.tags")
    assert says in str(problem)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"keep_releases": 0}, "greater than or equal to 1"),
        ({"keep_releases": 21}, "less than or equal to 20"),
        ({"data_capture_percent": 101}, "less than or equal to 100"),
        ({"frozen": "yes"}, "write true or false"),
        ({"when_nothing_is_approved": "stop"}, "'keep' or 'delete'"),
    ],
)
def test_a_value_out_of_its_range_is_refused(section: dict[str, Any], says: str) -> None:
    assert says in str(problem_of(**section))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    problems = problems_of(
        rollout={"strategy": "canary", "percent": 10},
        autoscaling={"min": 2, "max": 4, "invocations_per_instance": 60},
        kms_key="my key",
        tags={"aws:x": "1"},
    )
    assert [problem.where.rpartition(".")[2] for problem in problems] == [
        "rollout",
        "autoscaling",
        "kms_key",
        "tags",
    ]


def test_a_wrong_section_is_not_blamed_on_the_others() -> None:
    problem = problem_of(rollout={"wait_seconds": 60}, alarms={"periods": 2})
    assert problem.where == "policies/iris.yaml: deployment.alarms"
    problem = problem_of(
        asynchronous={"success_topic": "x"}, autoscaling={"min": 0, "max": 2, "backlog_per_instance": 5}
    )
    assert problem.where == "policies/iris.yaml: deployment.asynchronous.success_topic"
    problem = problem_of(
        instances={"count": 0}, rollout={"strategy": "canary", "percent": 10}, kms_key="alias/models"
    )
    assert problem.where == "policies/iris.yaml: deployment.instances.count"
    problem = problem_of(serverless={"memory_mb": 1024}, vpc=VPC)
    assert problem.where == "policies/iris.yaml: deployment.serverless.max_concurrency"


# ── the digest ────────────────────────────────────────────────────────────────────────────────────
BASE: dict[str, Any] = {"instances": {"count": 2}}


@pytest.mark.parametrize(
    "change",
    [
        {"instances": {"count": 3}},
        {"instances": {"count": 2, "type": "ml.c5.large"}},
        {"instances": {"count": 2, "volume_gb": 30}},
        {"asynchronous": {}},
        {"asynchronous": {"success_topic": TOPIC}},
        {"startup_timeout_seconds": 900},
        {"data_capture_percent": 10},
        {"kms_key": "alias/models"},
        {"vpc": VPC},
        {"network_isolation": True},
    ],
)
def test_what_makes_another_model_or_config_makes_another_digest(change: dict[str, Any]) -> None:
    assert deployment(**{**BASE, **change}).digest != deployment(**BASE).digest


def test_serverless_and_instances_have_different_digests() -> None:
    assert deployment(serverless=SERVERLESS).digest != deployment().digest
    assert (
        deployment(serverless=SERVERLESS).digest
        != deployment(serverless={**SERVERLESS, "max_concurrency": 11}).digest
    )


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "other"},
        {"rollout": {"strategy": "canary", "percent": 10}},
        {"alarms": ALARMS, "rollout": {"wait_seconds": 600}},
        {"autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 60}},
        {"data_capture_percent": 0},
        {"tags": {"team": "flowers"}},
        {"keep_releases": 7},
        {"frozen": True},
        {"when_nothing_is_approved": "delete"},
    ],
)
def test_what_serves_alike_has_the_same_digest(change: dict[str, Any]) -> None:
    assert deployment(**{**BASE, **change}).digest == deployment(**BASE).digest


def test_the_order_in_a_document_does_not_matter_to_the_digest() -> None:
    one = read_policy(b"deployment: {network_isolation: true, instances: {count: 2, type: ml.c5.large}}", "a")
    two = read_policy(b"deployment: {instances: {type: ml.c5.large, count: 2}, network_isolation: true}", "a")
    assert one.deployment.digest == two.deployment.digest


# ── every valid policy ────────────────────────────────────────────────────────────────────────────
def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


SIGNS = st.text(st.characters(categories=["L", "N", "Zs"], include_characters="_.:/=+-@"), max_size=20)
POSITIVE = st.floats(min_value=0.001, max_value=1e9)
ANYWHERE = optional(
    endpoint=st.from_regex(r"[a-z](-?[a-z0-9]){0,20}", fullmatch=True),
    tags=st.dictionaries(SIGNS.map(lambda text: f"k{text}"), SIGNS, max_size=5),
    keep_releases=st.integers(1, 20),
    frozen=st.booleans(),
    when_nothing_is_approved=st.sampled_from(["keep", "delete"]),
)
ON_INSTANCES = optional(
    startup_timeout_seconds=st.integers(60, 3600),
    data_capture_percent=st.integers(0, 100),
    kms_key=st.sampled_from(["alias/models", "1234abcd-12ab-34cd-56ef-1234567890ab"]),
    vpc=st.just(VPC),
    network_isolation=st.booleans(),
)
ALARMS_THAT_GO_OFF_IN_TIME = st.fixed_dictionaries(
    {"p99_latency_ms": POSITIVE},
    optional={
        "error_rate_percent": st.floats(0.001, 100),
        "period_seconds": st.sampled_from([60, 120]),
        "periods": st.integers(1, 5),
    },
)


@st.composite
def rollouts(draw: st.DrawFn, count: int) -> dict[str, Any]:
    strategy = draw(st.sampled_from(["all_at_once"] + ["canary", "linear", "rolling"] * (count > 1)))
    rollout: dict[str, Any] = {"strategy": strategy}
    if strategy != "all_at_once":
        rollout["wait_seconds"] = draw(st.integers(0, 2000))
        if draw(st.booleans()):
            rollout["percent"] = draw(st.integers(10, 50))
        else:
            rollout["instances"] = draw(st.integers(-(-count // 10), count // 2))
    if strategy != "rolling":
        rollout["termination_wait_seconds"] = draw(st.integers(0, 3600))
    if draw(st.booleans()):
        rollout["timeout_seconds"] = draw(st.integers(10 * 2000 + 3601, 28800))
    return rollout


@st.composite
def valid_deployments(draw: st.DrawFn) -> dict[str, Any]:
    section: dict[str, Any] = draw(ANYWHERE)
    if draw(st.booleans()):
        serverless = {
            "memory_mb": draw(st.integers(1, 6)) * 1024,
            "max_concurrency": draw(st.integers(1, 200)),
        }
        return {**section, "serverless": serverless}
    count = draw(st.integers(1, 100))
    section |= draw(ON_INSTANCES)
    section["instances"] = {"type": draw(st.sampled_from(["ml.m5.large", "ml.inf2.xlarge"])), "count": count}
    section["rollout"] = draw(rollouts(count))
    if draw(st.booleans()):
        section["alarms"] = draw(ALARMS_THAT_GO_OFF_IN_TIME)
        section["rollout"]["wait_seconds"] = draw(st.integers(600, 2000))
    target = "invocations_per_instance"
    if asynchronous := draw(st.booleans()):
        section["asynchronous"] = draw(
            optional(max_concurrent_invocations=st.integers(1, 1000), success_topic=st.just(TOPIC))
        )
        target = "backlog_per_instance"
    if draw(st.booleans()):
        steps = section["rollout"]["strategy"] != "all_at_once"
        least = count if steps else 0 if asynchronous else 1
        section["autoscaling"] = {
            "min": draw(st.integers(least, count)),
            "max": draw(st.integers(count, 1000)),
            target: draw(POSITIVE),
        }
    return section


@given(valid_deployments())
def test_every_valid_policy_survives_its_way_through_json(section: dict[str, Any]) -> None:
    policy = DeploymentPolicy.model_validate(section)
    again = DeploymentPolicy.model_validate_json(policy.model_dump_json())
    assert again == policy
    assert again.digest == policy.digest


JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@given(
    optional(
        **{key: JUNK | st.dictionaries(st.text(max_size=5), JUNK) for key in DeploymentPolicy.model_fields}
    )
)
def test_any_deployment_is_read_or_refused_by_the_name_of_a_field(section: dict[str, Any]) -> None:
    try:
        read_policy(yaml.safe_dump({"deployment": section}, allow_unicode=True).encode(), "iris")
    except Refused as refused:
        assert all(problem.mend for problem in refused.problems)
        assert all(problem.where.startswith("policies/iris.yaml") for problem in refused.problems)
