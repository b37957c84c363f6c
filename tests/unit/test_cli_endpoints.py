"""The commands that look at endpoints and instruct them, on an AWS in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest
from rich.console import Console, RenderableType

from modelgate.announcements import Kind
from modelgate.deployment import planner
from modelgate.deployment.facts import Attempt, Outcome, Suspect, Target, Upkeep
from modelgate.deployment.naming import name_of
from modelgate.deployment.planner import Step
from modelgate.deployment.state import EndpointState
from modelgate.effects import Reject
from modelgate.errors import Refused
from modelgate.policy import Alarms, Autoscaling, DeploymentPolicy, Rollout
from modelgate_cli import endpoints, instructing, planning
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.narration import Narrator
from modelgate_cli.screen import ProgressLine
from modelgate_cli.stack import Stack
from tests.fakes.aws import START
from tests.fakes.deployment import Deployment
from tests.fakes.runtime import STACK
from tests.fakes.sagemaker import OPERATOR

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_lambda import LambdaClient

    from modelgate.ports import Bucket, Hosting, Registry, Table

NAMES = {"MODELGATE_BUCKET": "intake", "MODELGATE_TABLE": "state", "MODELGATE_BUS": "announcements"}
CALLER = "arn:aws:sts::123456789012:assumed-role/operators/dana"
WRITING = ("Create", "Update", "Delete", "Put", "Add", "Register", "Deregister", "Invoke")


@dataclass
class Functions:
    """The stack's functions, as far as the command invokes them."""

    deployment: Deployment
    error: Mapping[str, str] | None = None

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert (FunctionName, InvocationType) == ("told-what-to-do", "RequestResponse")
        if self.error:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(self.error).encode())}
        told = json.loads(Payload)
        assert told["by"] == CALLER
        assert told["group"] == self.deployment.group
        endpoint = told.get("endpoint")
        report = self.deployment.instruct(told["instruction"], told.get("version"), endpoint=endpoint)
        answer = {
            "endpoint": report.endpoint,
            "did": report.did,
            "note": report.note,
            "refused": report.refused,
        }
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


class MemoryStack(Stack):
    """A stack on an AWS in memory."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(cast("boto3.Session", None), STACK, NAMES)
        self.deployment = deployment
        self.invoked = Functions(deployment)

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {"InstructionFunction": "told-what-to-do"}

    @cached_property
    def caller(self) -> str:
        return CALLER

    def now(self) -> datetime:
        return self.deployment.clock.now

    @cached_property
    def bucket(self) -> Bucket:
        return self.deployment.bucket

    @cached_property
    def table(self) -> Table:
        return self.deployment.table

    @cached_property
    def registry(self) -> Registry:
        return self.deployment.sagemaker

    @cached_property
    def hosting(self) -> Hosting:
        return self.deployment.memory.hosting

    @cached_property
    def functions(self) -> LambdaClient:
        return cast("LambdaClient", self.invoked)


@pytest.fixture
def iris() -> Deployment:
    return Deployment()


@pytest.fixture
def stack(iris: Deployment) -> MemoryStack:
    return MemoryStack(iris)


def deploy(iris: Deployment) -> int:
    """A new version, live."""
    version = iris.register()
    iris.approve(version)
    iris.settle()
    return version


def words(*shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=300, highlight=False)
    for each in shown:
        console.print(each)
    return cast("io.StringIO", console.file).getvalue()


def names_of(plan: planning.Plan) -> list[str]:
    return [step.step for step in plan.steps]


# ── plan ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_plan_says_what_would_be_done_and_why(iris: Deployment, stack: MemoryStack) -> None:
    version = iris.register()
    iris.approve(version)
    # The event that tells of the approval is handled, and its function dies before it gets anywhere.
    event = iris.sagemaker.events.pop()
    iris.calls.fail("CreateModel", RuntimeError("died"))
    with pytest.raises(RuntimeError):
        iris.handle(event)
    iris.clock.forward(3600)
    plan = planning.plan_of(stack, "iris")
    assert (plan.endpoint, plan.sagemaker, plan.desired) == ("iris", None, 1)
    assert OPERATOR in plan.desired_because
    assert names_of(plan) == ["Renew", "MakeModel", "MakeConfig", "CreateEndpoint"]
    told = words(*planning.shown(plan))
    assert "Endpoint iris of iris is not there." in told
    assert f"create the model {name_of('iris', 1, 1)} from version 1" in told
    assert "1 × ml.m5.large" in told
    assert "SageMaker is at work then" in told


def test_a_plan_writes_nothing(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    two = iris.register()
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {count: 2}}")
    iris.approve(two)
    items, configs = dict(iris.table._items), dict(iris.sagemaker.configs)
    announced, served, made = list(iris.bus.announced), iris.config, len(iris.calls.made)
    plan = planning.plan_of(stack, "iris")
    assert "UpdateEndpoint" in names_of(plan)
    assert any("Policy Accepted" in each for each in plan.owed)
    assert (iris.table._items, iris.sagemaker.configs, iris.config) == (items, configs, served)
    assert iris.bus.announced == announced
    assert not [call for call in iris.calls.made[made:] if call.startswith(WRITING)]


def test_there_is_nothing_to_do_where_all_is_as_it_should_be(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    plan = planning.plan_of(stack, "iris")
    assert plan.steps == ()
    assert "Nothing to do." in words(*planning.shown(plan))


def test_while_sagemaker_is_at_work_a_plan_says_so(iris: Deployment, stack: MemoryStack) -> None:
    iris.approve(iris.register())
    iris.handle(iris.sagemaker.events.pop())
    told = words(*planning.shown(planning.plan_of(stack, "iris")))
    assert "Nothing to do: SageMaker is at work (Creating)" in told


def test_what_the_operator_was_told_already_is_no_step(iris: Deployment, stack: MemoryStack) -> None:
    iris.sagemaker.add_endpoint("iris")
    deploy(iris)
    plan = planning.plan_of(stack, "iris")
    assert plan.steps == ()
    assert "modelgate adopt iris" in words(*planning.shown(plan))


def test_a_plan_says_why_others_are_not_desired(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    two = deploy(iris)
    iris.sagemaker.decide("iris", two, "Rejected", "thorns")
    plan = planning.plan_of(stack, "iris")
    assert [(each.version, each.desired) for each in plan.candidates] == [(2, False), (1, True)]
    assert "is Rejected: thorns" in words(*planning.shown(plan))
    assert names_of(plan)[-1] == "UpdateEndpoint"


def test_under_a_wrong_policy_there_is_no_plan(iris: Deployment, stack: MemoryStack) -> None:
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {count: many}}")
    with pytest.raises(Refused, match=r"deployment\.instances\.count"):
        planning.plan_of(stack, "iris")


def test_a_group_that_nobody_knows_has_no_plan(iris: Deployment, stack: MemoryStack) -> None:
    iris.bucket.put("policies/default.yaml", b"gate: {}")
    with pytest.raises(Complaint, match="knows no group roses"):
        planning.plan_of(stack, "roses")


# ── steps in words ────────────────────────────────────────────────────────────────────────────────
CAREFUL = DeploymentPolicy.model_validate({"instances": {"count": 4}})
TARGET = Target(3, START, CAREFUL)
CANARY = Rollout(strategy="canary", percent=10, wait_seconds=300)
ALARMS = Alarms(error_rate_percent=1, p99_latency_ms=500)
SCALING = Autoscaling(min=2, max=8, invocations_per_instance=100)
BLAMED = Reject(5, 2, "does not start", START)


def attempted() -> EndpointState:
    """Attempt 7, to version 3, is open; version 2 failed before it."""
    attempt = Attempt(7, TARGET, "iris-v3-7", "someone", START, START)
    suspects = (Suspect(BLAMED, CAREFUL.digest),)
    return EndpointState("iris", "iris", policy=CAREFUL, attempts_made=7, attempt=attempt, suspects=suspects)


WORDS: list[tuple[Step, str]] = [
    (planner.Close(Outcome.FAILED, "no\nanswer"), "close attempt 7 as failed: no answer"),
    (planner.Open(TARGET), "open attempt 8, to version 3"),
    (
        planner.Open(TARGET, "iris-v3-2"),
        "open attempt 8 for version 3, which serves already with iris-v3-2",
    ),
    (planner.OpenDeletion(), "open attempt 8, to delete the endpoint"),
    (planner.Renew(TARGET), "take up attempt 7 again, to version 3: whoever opened it is gone"),
    (planner.Serving(None), "note that nothing serves"),
    (planner.Serving(4), "note that the release of attempt 4 serves"),
    (planner.MakeModel(), "create the model iris-v3-7 from version 3"),
    (planner.MakeConfig(), "create the endpoint config iris-v3-7, 4 × ml.m5.large"),
    (planner.CreateEndpoint(), "create the endpoint iris with the config iris-v3-7"),
    (
        planner.UpdateEndpoint(CANARY, ALARMS),
        "update the endpoint to the config iris-v3-7: canary, 10 % first, 300 s, rolled back by 2 alarms",
    ),
    (
        planner.UpdateEndpoint(Rollout(strategy="rolling", instances=1, wait_seconds=60), keeps_counts=True),
        (
            "update the endpoint to the config iris-v3-7: rolling, 1 instance a batch, 60 s, keeping as many "
            "instances as autoscaling has set"
        ),
    ),
    (planner.UpdateEndpoint(), "update the endpoint to the config iris-v3-7: all at once"),
    (planner.DeleteEndpoint(), "delete the endpoint iris"),
    (
        planner.SmokeTest(),
        "ask the endpoint what the manifest of version 3 says: the answer closes attempt 7",
    ),
    (
        planner.AskSmokeTest(),
        "ask the endpoint what the manifest of version 3 says: it answers later, in the bucket",
    ),
    (
        planner.ReadSmokeTest(),
        "look whether the smoke test is answered: the answer closes attempt 7",
    ),
    (planner.PutAlarms(ALARMS), "put 2 alarms: errors above 1 %, p99 latency above 500 ms"),
    (
        planner.SuspendScaling(),
        "deregister the autoscaling, under which SageMaker changes no instance type",
    ),
    (
        planner.Tend(Upkeep(SCALING, ALARMS, {"team": "flowers"})),
        (
            "put 2 alarms: errors above 1 %, p99 latency above 500 ms; register the autoscaling, 2 to 8 "
            "instances; put the tags team"
        ),
    ),
    (
        planner.Prune(("iris-v1-1", "iris-v2-2")),
        "delete the models and endpoint configs that nothing needs: iris-v1-1, iris-v2-2",
    ),
    (
        planner.Blame(),
        "reject what failed on its first way, for nothing else is to blame: version 2",
    ),
    (planner.Tell(Kind.PERSON_NEEDED, "Look at it.", "x"), "tell the operator: Look at it."),
    (planner.ComeBack("it is being deleted"), "come back later: it is being deleted"),
]


@pytest.mark.parametrize(("step", "told"), WORDS)
def test_a_step_is_told_in_words(step: Step, told: str) -> None:
    assert Narrator(attempted()).in_words(step) == told


def test_every_step_of_the_planner_has_words() -> None:
    assert {type(step) for step, _ in WORDS} == set(get_args(Step))


def test_what_is_opened_is_what_the_next_steps_are_about() -> None:
    tell = Narrator(replace(attempted(), attempt=None))
    opened = [tell.in_words(step) for step in (planner.Open(TARGET), planner.MakeModel())]
    assert opened == ["open attempt 8, to version 3", "create the model iris-v3-8 from version 3"]


def test_what_is_taken_away_is_told() -> None:
    before = replace(attempted(), upkeep=Upkeep(SCALING, ALARMS, {"team": "flowers"}))
    told = Narrator(before).in_words(planner.Tend(Upkeep()))
    assert told == "take the alarms away; deregister the autoscaling; take the policy's tags away"


# ── status ────────────────────────────────────────────────────────────────────────────────────────
def status(stack: MemoryStack) -> endpoints.EndpointStatus:
    (found,) = endpoints.statuses(stack, None)
    return found


def test_status_finds_endpoints_in_the_directory(iris: Deployment, stack: MemoryStack) -> None:
    assert endpoints.statuses(stack, None) == []
    deploy(iris)
    found = status(stack)
    assert (found.endpoint, found.desired, found.live, found.sagemaker) == ("iris", 1, 1, "InService")
    assert found.policy.standing == "accepted"
    assert not [call for call in iris.calls.made if call == "Scan"]


def test_status_shows_what_operators_want(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    deploy(iris)
    iris.instruct("pin", 1)
    iris.settle()
    iris.instruct("freeze")
    found = status(stack)
    assert (found.pinned, found.live, found.frozen, found.desired) == (1, 1, True, None)
    told = words(*endpoints.shown([found]))
    assert "version 1 is pinned" in told
    assert "modelgate unfreeze iris" in told
    assert found.lapsed == ()


def test_status_shows_what_is_blocked_until_when_and_why(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.sagemaker.quota_reached = True
    iris.approve(iris.register())
    iris.settle()
    found = status(stack)
    assert found.blocked is not None
    assert (found.blocked.version, found.blocked.tries) == (2, 1)
    assert found.blocked.until > found.blocked.since
    assert "the account's limit is reached" in words(*endpoints.shown([found]))
    assert "Nothing to do: version 2 is tried again after" in words(
        *planning.shown(planning.plan_of(stack, "iris"))
    )


def test_status_shows_suspects(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    state = iris.state
    suspect = Suspect(replace(BLAMED, version=2), "another")
    iris.states.save(replace(state, suspects=(suspect,)))
    found = status(stack)
    assert found.suspects == (2,)
    assert "the policy may be to blame: 2" in words(*endpoints.shown([found]))


def test_status_shows_what_is_retired(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.instruct("retire")
    iris.settle()
    found = status(stack)
    assert found.retired_at is not None
    assert (found.sagemaker, found.desired, found.live) == (None, None, None)
    assert "it was retired" in words(*endpoints.shown([found]))


@pytest.mark.parametrize(
    ("policy", "standing", "told"),
    [
        (b"deployment: {instances: {count: 2}}", "differs", "modelgate plan iris"),
        (b"deployment: {instances: {count: many}}", "refused", "deployment.instances.count"),
        (b"deployment: {endpoint: flowers}", "names another endpoint", "flowers"),
    ],
)
def test_status_holds_the_policy_in_the_bucket_against_the_accepted_one(
    iris: Deployment, stack: MemoryStack, policy: bytes, standing: str, told: str
) -> None:
    deploy(iris)
    iris.bucket.put("policies/iris.yaml", policy)
    found = status(stack)
    assert (found.policy.standing, found.desired) == (standing, 1)
    assert told in words(*endpoints.shown([found]))


def test_status_says_which_approval_has_lapsed(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.instruct("freeze")
    deploy(iris)
    deploy(iris)
    assert status(stack).lapsed == (2,)
    iris.instruct("unfreeze")
    iris.settle()
    assert (iris.served, status(stack).lapsed) == (3, (2,))


def test_status_says_that_an_endpoint_is_somebody_elses(iris: Deployment, stack: MemoryStack) -> None:
    iris.sagemaker.add_endpoint("iris")
    deploy(iris)
    found = status(stack)
    assert (found.sagemaker, found.modelgates) == ("InService", False)
    assert "modelgate adopt iris" in words(*endpoints.shown([found]))


# ── history ───────────────────────────────────────────────────────────────────────────────────────
def test_history_says_who_approved_what_and_how_it_ended(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.sagemaker.never_ping.add(2)
    deploy(iris)
    first, second = endpoints.history(stack, "iris")
    assert (first.version, first.outcome, first.live, first.release) == (1, "live", True, True)
    assert (second.version, second.outcome, second.release) == (2, "failed", False)
    assert {first.approved_by, second.approved_by} == {OPERATOR}
    assert first.approved_at == iris.sagemaker.package("iris", 1).modified_at
    assert first.approved_at <= first.started_at
    assert first.seconds is not None
    assert "ping health check" in second.reason
    assert [each.version for each in endpoints.history(stack, "iris", releases_only=True)] == [1]
    told = words(endpoints.shown_history([first, second]))
    assert "serves" in told
    assert OPERATOR in told


def test_an_approval_of_what_serves_is_credited_in_the_history(iris: Deployment, stack: MemoryStack) -> None:
    one = deploy(iris)
    iris.clock.forward(3600)
    iris.approve(one)
    iris.settle()
    (release,) = endpoints.history(stack, "iris")
    assert release.approved_at == iris.sagemaker.package("iris", one).modified_at


def test_the_open_attempt_is_the_last_in_the_history(iris: Deployment, stack: MemoryStack) -> None:
    iris.approve(iris.register())
    iris.handle(iris.sagemaker.events.pop())
    (attempt,) = endpoints.history(stack, "iris")
    assert (attempt.outcome, attempt.seconds, attempt.reason) == ("open", None, "SageMaker is at it")


# ── instructions ──────────────────────────────────────────────────────────────────────────────────
def silent() -> ProgressLine:
    return ProgressLine(lambda _: None)


def followed(
    iris: Deployment, stack: MemoryStack, what: instructing.What, version: int | None = None
) -> instructing.Instructed:
    told, after = instructing.tell(stack, what, "iris", version)
    iris.settle()
    return instructing.follow_instruction(stack, told, after, silent(), timeout=0)


def test_pinning_brings_a_version_back_and_keeps_it(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    deploy(iris)
    pinned = followed(iris, stack, "pin", 1)
    assert (pinned.outcome, pinned.live, pinned.by, iris.served) == ("live", 1, CALLER, 1)
    deploy(iris)
    assert iris.served == 1
    unpinned = followed(iris, stack, "unpin")
    assert (unpinned.outcome, unpinned.live, iris.served) == ("live", 3, 3)


def test_a_pin_that_fails_is_a_complaint(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    deploy(iris)
    iris.sagemaker.never_ping.add(1)
    with pytest.raises(Complaint, match="version 1 of iris failed on endpoint iris") as told:
        followed(iris, stack, "pin", 1)
    assert "version 2 serves on" in told.value.mend


def test_a_version_that_is_not_approved_is_not_pinned(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    with pytest.raises(Complaint, match="version 7 of iris: is not in the registry") as told:
        instructing.tell(stack, "pin", "iris", 7)
    assert told.value.code == NO
    assert told.value.mend == "see `modelgate versions iris`"


def test_what_is_frozen_moves_when_it_is_thawed(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    told, _ = instructing.tell(stack, "freeze", "iris")
    assert "is frozen" in words(*instructing.shown(told))
    deploy(iris)
    assert iris.served == 1
    thawed = followed(iris, stack, "unfreeze")
    assert (thawed.outcome, thawed.live) == ("live", 2)


def test_what_the_policy_freezes_stays_frozen(stack: MemoryStack, iris: Deployment) -> None:
    deploy(iris)
    iris.upload_policy(b"deployment: {frozen: true}")
    thawed = followed(iris, stack, "unfreeze")
    assert (thawed.outcome, thawed.live) == ("settled", 1)
    assert "its policy says that it is frozen" in words(*instructing.shown(thawed))


def test_what_was_blocked_is_live_after_a_retry(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.sagemaker.quota_reached = True
    deploy(iris)
    with pytest.raises(Complaint, match="cannot be deployed on endpoint iris for now") as told:
        followed(iris, stack, "retry")
    assert told.value.code == TROUBLE
    iris.sagemaker.quota_reached = False
    assert followed(iris, stack, "retry").live == 2


def test_retiring_deletes_the_endpoint(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    assert "deletes the endpoint iris" in instructing.what_retiring_does(stack, "iris")
    retired = followed(iris, stack, "retire")
    assert (retired.outcome, retired.live) == ("deleted", None)
    assert iris.sagemaker.endpoint("iris") is None
    assert "retired, and deleted" in words(*instructing.shown(retired))
    deploy(iris)
    assert iris.served == 2


def test_an_endpoint_of_somebody_elses_is_adopted(iris: Deployment, stack: MemoryStack) -> None:
    iris.sagemaker.add_endpoint("iris")
    instructing.expect_policy_names(stack, "iris", "iris")
    told, _ = instructing.tell(stack, "adopt", "iris")
    assert "is Modelgate's from now on" in words(*instructing.shown(told))
    deploy(iris)
    assert iris.served == 1


def test_only_what_the_policy_names_is_adopted(stack: MemoryStack) -> None:
    with pytest.raises(Complaint, match="names the endpoint iris, and not flowers") as told:
        instructing.expect_policy_names(stack, "iris", "flowers")
    assert "--group" in told.value.mend
    with pytest.raises(Refused, match="no policy for this group"):
        instructing.expect_policy_names(stack, "flowers", "flowers")


def test_a_group_that_moved_to_another_endpoint_is_followed_there(
    iris: Deployment, stack: MemoryStack
) -> None:
    deploy(iris)
    deploy(iris)
    iris.upload_policy(b"deployment: {endpoint: flowers}")
    assert [state.name for state in stack.states_of("iris")] == ["flowers", "iris"]
    told, after = instructing.tell(stack, "freeze", "iris")
    assert (told.endpoint, told.live, after) == ("flowers", None, 1)


@pytest.mark.parametrize("what", ["unpin", "unfreeze", "retry", "retire"])
def test_what_has_no_endpoint_is_not_instructed(stack: MemoryStack, what: instructing.What) -> None:
    with pytest.raises(Complaint, match="iris has no endpoint"):
        instructing.tell(stack, what, "iris")


def test_a_misspelled_group_is_not_frozen(iris: Deployment, stack: MemoryStack) -> None:
    iris.bucket.put("policies/default.yaml", b"gate: {}")
    with pytest.raises(Complaint, match="knows no group irs"):
        instructing.tell(stack, "freeze", "irs")
    assert stack.directory.endpoints() == {}


def test_a_name_that_sagemaker_does_not_take_is_a_usage_error(stack: MemoryStack) -> None:
    with pytest.raises(Complaint, match="no name of a group") as told:
        instructing.tell(stack, "freeze", "a_group")
    assert told.value.code == USAGE


def test_a_function_that_fails_is_trouble(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    stack.invoked.error = {"errorType": "Throttled", "errorMessage": "slow\ndown"}
    with pytest.raises(Complaint, match="failed on freeze: Throttled: slow down") as told:
        instructing.tell(stack, "freeze", "iris")
    assert told.value.code == TROUBLE


def test_what_does_not_settle_in_time_is_told(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    deploy(iris)
    told, after = instructing.tell(stack, "pin", "iris", 1)
    with pytest.raises(Complaint, match="pin on endpoint iris did not come within 0 seconds"):
        instructing.follow_instruction(stack, told, after, silent(), timeout=0)


def test_an_endpoint_beyond_repair_is_not_waited_for(iris: Deployment, stack: MemoryStack) -> None:
    deploy(iris)
    iris.sagemaker.break_down("iris", "UpdateRollbackFailed")
    with pytest.raises(Complaint, match="only a person can mend"):
        followed(iris, stack, "unfreeze")
