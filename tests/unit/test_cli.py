"""The command's parts that speak to nobody: names, outcomes, words, exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from rich.console import Console
from typer.testing import CliRunner

from localcloud import Invocation
from modelgate.deployment.facts import Attempt, Block, Decision, Outcome, Sighting, Target
from modelgate.deployment.planner import Endpoint, Nothing
from modelgate.deployment.reconcile import Report
from modelgate.deployment.state import EndpointState
from modelgate.deployment.sweep import SweepReport
from modelgate.errors import Forbidden, ModelFailed, Problem, Refused, Throttled
from modelgate.gate import Check
from modelgate.policy import DeploymentPolicy
from modelgate.registry.package import ModelPackage
from modelgate_cli import deciding, endpoints, packing, submission_files, submitting
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint, complaint_about
from modelgate_cli.main import app
from modelgate_cli.stack import Stack, find_names, outputs_of
from modelgate_cli.timeline import line_of_invocation
from modelgate_cli.waiting import wait_for

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = DeploymentPolicy()
IN_SERVICE = Endpoint("InService", "iris-v1-1")


# ── the stack's names ─────────────────────────────────────────────────────────────────────────────
class _Meta:
    region_name = "eu-central-1"


class _CloudFormation:
    """Knows one stack."""

    meta = _Meta()

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803  boto3's spelling
        if StackName != "modelgate":
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self._outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


OUTPUTS = {"Bucket": "a-bucket", "Table": "a-table", "Bus": "a-bus", "ExecutionRole": "a-role"}


def looked_up() -> Mapping[str, str]:
    return outputs_of("modelgate", _CloudFormation(OUTPUTS))  # type: ignore[arg-type]  # as far as it is asked


def test_the_names_come_from_the_stacks_outputs() -> None:
    names = find_names("modelgate", {}, looked_up)
    assert (names.bucket, names.table, names.bus) == ("a-bucket", "a-table", "a-bus")


def test_the_environment_goes_before_the_outputs() -> None:
    names = find_names("modelgate", {"MODELGATE_TABLE": "mine"}, looked_up)
    assert (names.bucket, names.table) == ("a-bucket", "mine")


def test_nobody_is_asked_for_names_that_the_environment_has() -> None:
    def nobody() -> Mapping[str, str]:
        pytest.fail("CloudFormation was asked")

    environ = {"MODELGATE_BUCKET": "a", "MODELGATE_TABLE": "b", "MODELGATE_BUS": "c"}
    assert find_names("modelgate", environ, nobody).bucket == "a"


def test_a_stack_that_is_not_there_is_named_with_its_region_and_the_mend() -> None:
    with pytest.raises(Complaint) as told:
        outputs_of("other", _CloudFormation(OUTPUTS))  # type: ignore[arg-type]  # as far as it is asked
    assert told.value.error == "there is no stack other in eu-central-1"
    assert "--stack" in told.value.mend
    assert told.value.code == TROUBLE


def test_a_stack_of_something_else_is_told_apart() -> None:
    with pytest.raises(Complaint, match="no output Table or Bus"):
        find_names("modelgate", {}, lambda: {"Bucket": "websites"})


def test_a_stack_that_is_older_than_the_command_is_to_be_deployed_anew() -> None:
    class Session:
        def client(self, service: str, **_: Any) -> _CloudFormation:
            return _CloudFormation(OUTPUTS)

    stack = Stack(Session(), "modelgate", {})  # type: ignore[arg-type]  # as far as it is asked
    assert stack.output("ExecutionRole") == "a-role"
    with pytest.raises(Complaint, match="no output InstructionFunction: it is older") as told:
        stack.output("InstructionFunction")
    assert "sam deploy" in told.value.mend
    assert told.value.code == TROUBLE


# ── what becomes of decisions ─────────────────────────────────────────────────────────────────────
def package(version: int, decided: datetime = NOON, approval: str = "Approved") -> ModelPackage:
    return ModelPackage("iris", version, f"arn/{version}", approval, decided)


def attempted(version: int, *, decided: datetime = NOON, state: EndpointState | None = None) -> EndpointState:
    """The version was decided for, and an attempt is under way."""
    before = state or EndpointState("iris", "iris")
    number = before.attempts_made + 1
    target = Target(version, decided, POLICY)
    attempt = Attempt(
        number, target, f"iris-v{version}-{number}", "someone", decided, decided, decided, first_way=True
    )
    return replace(before, decision=Decision(version, decided), policy=POLICY).opened(attempt)


def arrived(version: int, **given: Any) -> EndpointState:
    return attempted(version, **given).closed_as(Outcome.LIVE, "it answered", NOON)


def test_an_approval_is_open_while_its_attempt_is() -> None:
    assert deciding.outcome_of_approval(package(1), attempted(1), Endpoint("Creating", "")) is None


def test_an_approval_is_live_when_its_release_is() -> None:
    decided = deciding.outcome_of_approval(package(1), arrived(1), IN_SERVICE)
    assert decided is not None
    assert (decided.outcome, decided.live, decided.reason) == ("live", 1, "it answered")


def test_a_release_of_an_older_approval_says_nothing_about_this_one() -> None:
    later = package(1, NOON + timedelta(hours=1))
    assert deciding.outcome_of_approval(later, arrived(1), IN_SERVICE) is None


def test_an_approval_that_failed_says_why() -> None:
    state = attempted(2, state=arrived(1)).closed_as(Outcome.FAILED, "the container\ndoes not start", NOON)
    with pytest.raises(Complaint, match=r"version 2 of iris failed .* the container does not start") as told:
        deciding.outcome_of_approval(package(2), state, IN_SERVICE)
    assert "version 1 serves on" in told.value.mend
    assert told.value.code == NO


def test_a_first_version_that_failed_is_told_while_its_endpoint_is_deleted() -> None:
    failed = attempted(1).closed_as(Outcome.FAILED, "no answer", NOON)
    deleting = failed.opened(Attempt(2, None, "", "someone", NOON, NOON, called=True))
    with pytest.raises(Complaint, match="no answer") as told:
        deciding.outcome_of_approval(package(1), deleting, None)
    assert "nothing serves" in told.value.mend


def test_an_approval_is_superseded_by_a_later_one() -> None:
    state = attempted(3, decided=NOON + timedelta(minutes=1))
    with pytest.raises(Complaint, match="version 3 of iris was approved after version 2"):
        deciding.outcome_of_approval(package(2), state, IN_SERVICE)


def test_an_approval_in_the_same_second_as_the_one_before_it_is_still_on_its_way() -> None:
    before = arrived(1, decided=NOON)
    at_once = package(2, NOON + timedelta(milliseconds=700))
    assert deciding.outcome_of_approval(at_once, before, IN_SERVICE) is None
    heard = before.sighted(2, approved=True, at=NOON)
    with pytest.raises(Complaint, match="version 1 of iris was approved after version 2"):
        deciding.outcome_of_approval(at_once, heard, IN_SERVICE)


def test_an_endpoint_beyond_repair_is_not_waited_for() -> None:
    with pytest.raises(Complaint, match="only a person can mend"):
        deciding.outcome_of_approval(package(1), attempted(1), Endpoint("UpdateRollbackFailed", "x"))


def test_an_endpoint_of_somebody_else_is_not_waited_for() -> None:
    state = EndpointState("iris", "iris", decision=Decision(1, NOON))
    with pytest.raises(Complaint, match="that Modelgate did not make") as told:
        deciding.outcome_of_approval(package(1), state, replace(IN_SERVICE, ours=False))
    assert "modelgate adopt iris --group iris" in told.value.mend


def test_an_approval_beside_a_pinned_version_is_not_waited_for() -> None:
    state = replace(arrived(1), decision=Decision(2, NOON), pin=Decision(1, NOON))
    with pytest.raises(Complaint, match="version 1 is pinned") as told:
        deciding.outcome_of_approval(package(2), state, IN_SERVICE)
    assert "modelgate unpin iris" in told.value.mend


@pytest.mark.parametrize(
    ("frozen", "mend"),
    [
        ({"frozen": True}, "modelgate unfreeze iris"),
        ({"policy": DeploymentPolicy(frozen=True)}, "policies/iris.yaml"),
    ],
)
def test_an_approval_on_a_frozen_endpoint_is_not_waited_for(frozen: dict[str, Any], mend: str) -> None:
    state = replace(arrived(1), decision=Decision(2, NOON), **frozen)
    with pytest.raises(Complaint, match="is frozen") as told:
        deciding.outcome_of_approval(package(2), state, IN_SERVICE)
    assert mend in told.value.mend


def test_an_approval_that_is_blocked_says_by_what_and_until_when() -> None:
    block = Block(Target(2, NOON, POLICY), "the account's limit\nis 0", 1, NOON, NOON)
    state = replace(arrived(1), decision=Decision(2, NOON), block=block)
    with pytest.raises(Complaint, match="the account's limit is 0") as told:
        deciding.outcome_of_approval(package(2), state, IN_SERVICE)
    assert "modelgate retry iris" in told.value.mend
    assert told.value.code == TROUBLE


def rejected(state: EndpointState, version: int) -> EndpointState:
    return replace(state, sightings={version: Sighting(NOON, NOON)})


def test_a_rejection_is_open_until_it_was_seen_and_the_endpoint_is_back() -> None:
    live = arrived(2, state=arrived(1))
    on_its_way = attempted(1, state=rejected(live, 2))
    assert deciding.outcome_of_rejection(package(2), live, IN_SERVICE) is None
    assert deciding.outcome_of_rejection(package(2), on_its_way, IN_SERVICE) is None
    back = on_its_way.closed_as(Outcome.LIVE, "it answered", NOON)
    decided = deciding.outcome_of_rejection(package(2), back, IN_SERVICE)
    assert decided is not None
    assert (decided.outcome, decided.live) == ("gone back", 1)


def test_a_rejected_version_that_nothing_can_replace_is_a_complaint() -> None:
    with pytest.raises(Complaint, match="keeps serving version 1"):
        deciding.outcome_of_rejection(package(1), rejected(arrived(1), 1), IN_SERVICE)
    frozen = replace(rejected(arrived(1), 1), frozen=True)
    with pytest.raises(Complaint, match="it is frozen"):
        deciding.outcome_of_rejection(package(1), frozen, IN_SERVICE)


def test_status_says_why_a_version_is_desired() -> None:
    state = arrived(2, decided=NOON + timedelta(hours=1), state=arrived(1))
    last, before = Target(2, NOON + timedelta(hours=1), POLICY), Target(1, NOON, POLICY)
    packages: dict[int, ModelPackage | None] = {2: package(2, approval="Rejected")}
    assert "no version later" in endpoints.because(state, last, packages)
    assert endpoints.because(state, before, packages).endswith(
        "version 2, the last that was approved, is Rejected"
    )
    assert endpoints.because(state, Nothing.ALL_FAILED, packages) == "every approved version has failed"
    pinned = replace(state, pin=Decision(1, NOON, "an operator"))
    assert endpoints.because(pinned, replace(before, by="an operator"), packages).startswith("pinned 2026")
    assert "version 1, which is pinned, is gone" in endpoints.because(pinned, last, packages)
    assert "operator" in endpoints.because(replace(state, frozen=True), Nothing.FROZEN, packages)


# ── the local cloud's lines ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Report("iris", ("Open", "MakeModel")), "iris · Open, MakeModel"),
        (Report("", refused=("policies/iris.yaml: is wrong; mend it",)), "policies/iris.yaml: is wrong"),
        (Report(""), "nothing to do"),
        (SweepReport(("iris", "roses"), {"iris": ("Close",)}, {"roses": "slow"}), "visited 2 · iris: Close"),
    ],
)
def test_what_a_function_came_to_is_a_line(result: Report | SweepReport, words: str) -> None:
    invocation = Invocation("SweepDue", "id", {}, result=json.loads(json.dumps(asdict(result))))
    assert words in line_of_invocation(invocation).plain


# ── submissions ───────────────────────────────────────────────────────────────────────────────────
def test_a_refusal_carries_every_reason() -> None:
    checks = (
        Check("accuracy", 0.5, "at least 0.9", passed=False),
        Check("auc", None, "at least 0.8", passed=False),
    )
    complaint = submitting.refusal_of(submitting.Submitted("iris/one", "refused", checks=checks))
    assert complaint.code == NO
    assert [each["where"] for each in complaint.document()["problems"]] == ["accuracy", "auc"]
    assert complaint.document()["reasons"] == (
        "accuracy is 0.5, not at least 0.9",
        "auc is missing, not at least 0.8",
    )


@pytest.mark.parametrize("width", [60, 200])
def test_a_verdict_loses_no_word_in_a_narrow_terminal(width: int) -> None:
    check = Check("accuracy", 0.983333, "at least 0.97 (version 2 has 0.98, tolerance 0.01)", passed=True)
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for line in submitting.shown(submitting.Submitted("iris/one", "registered", 3, (check,))):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().replace("\n", " ").split()
    assert {"accuracy", "0.983333", "tolerance", "passed"} <= set(words)


def test_a_name_is_the_date_and_the_content(tmp_path: Path) -> None:
    artifact = tmp_path / "model.tar.gz"
    artifact.write_bytes(b"one")
    one = submission_files.default_name(submission_files.gather([artifact]), NOON)
    artifact.write_bytes(b"two")
    two = submission_files.default_name(submission_files.gather([artifact]), NOON)
    assert one.startswith("2026-01-01-")
    assert one != two


def test_a_folder_without_a_manifest_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"")
    with pytest.raises(Complaint, match=r"has no manifest\.yaml") as told:
        submission_files.gather([tmp_path])
    assert told.value.code == USAGE


@pytest.mark.parametrize(
    ("given", "words"),
    [(["accuracy"], "'accuracy'"), (["a=1", "a=2"], "a twice"), (["a=high"], "'high'"), ([], "no metrics")],
)
def test_metrics_that_are_none_are_usage_errors(given: list[str], words: str) -> None:
    with pytest.raises(Complaint, match=words) as told:
        packing.metrics_of(given, None)
    assert told.value.code == USAGE


def test_metrics_of_the_command_line_go_before_the_files(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text('{"accuracy": 0.9, "auc": 0.8}')
    assert packing.metrics_of(["accuracy=0.95"], file) == {"accuracy": 0.95, "auc": 0.8}


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────
def test_waiting_ends_with_what_is_found_or_with_the_time() -> None:
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    def later() -> str | None:
        return "there" if passed[0] > 5 else None

    def never() -> str | None:
        return None

    def clock() -> float:
        return passed[0]

    assert wait_for(later, seconds=10, what="it", mend="look", clock=clock, sleep=sleep) == "there"
    with pytest.raises(Complaint, match="it did not come within 10 seconds") as told:
        wait_for(never, seconds=10, what="it", mend="look", clock=clock, sleep=sleep)
    assert told.value.code == TROUBLE


# ── complaints and exit codes ─────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NoCredentialsError(), TROUBLE, "no AWS credentials"),
        (NoRegionError(), TROUBLE, "no AWS region"),
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "PutObject"), TROUBLE, "have expired"),
        (Forbidden("GetItem", "AccessDenied", "no"), TROUBLE, "permission to call GetItem"),
        (Throttled("Query", "Throttling", "slow\ndown"), TROUBLE, "slow down"),
        (ModelFailed("InvokeEndpoint", "ModelError", "no such flower"), NO, "no such flower"),
        (Refused(Problem("a", "is\nb", "do c"), Problem("d", "e", "f")), NO, "a: is b (and 1 more); do c"),
        (FileNotFoundError(2, "No such file", "x.csv"), NO, "x.csv: No such file"),
    ],
)
def test_what_can_be_foreseen_becomes_a_complaint_with_a_mend(
    error: Exception, code: int, words: str
) -> None:
    complaint = complaint_about(error)
    assert complaint.code == code
    assert words in str(complaint)
    assert complaint.mend


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A machine on which nothing of AWS is configured."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "MODELGATE_STACK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return CliRunner()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("frobnicate", USAGE, "No such command"),
        ("versions", USAGE, "Missing argument"),
        ("approve iris one", USAGE, "'VERSION'"),
        ("reject iris 1", USAGE, "--reason"),
        ("pin iris", USAGE, "Missing argument"),
        ("redrive --queue lost", USAGE, "'lost'"),
        ("invoke iris --body a --file pyproject.toml", USAGE, "both given"),
        ("local up --template nowhere.yaml", USAGE, "no template"),
        ("versions iris", TROUBLE, "no AWS region"),
        ("versions iris --region eu-central-1", TROUBLE, "no AWS credentials"),
        ("versions iris --profile mars", TROUBLE, "mars"),
    ],
)
def test_a_failure_is_one_line_with_a_mend_and_an_exit_code(
    nowhere: CliRunner, command: str, code: int, words: str
) -> None:
    plain = nowhere.invoke(app, command)
    assert plain.exit_code == code
    assert plain.stdout == ""
    assert words in plain.stderr
    assert " mend: " in plain.stderr
    as_json = nowhere.invoke(app, f"{command} --json")
    assert as_json.exit_code == code
    told = json.loads(as_json.stdout)
    assert words in told["error"]
    assert told["mend"]


def test_help_is_no_failure(nowhere: CliRunner) -> None:
    for command in ("", "--help", "submit --help", "redrive --help", "local --help"):
        answer = nowhere.invoke(app, command)
        assert answer.exit_code == 0
        assert "Usage" in answer.stdout
