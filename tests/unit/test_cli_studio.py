"""`modelgate studio`, on an AWS in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from modelgate.errors import LimitReached
from modelgate.events.s3 import ObjectCreated
from modelgate.invocation import Invocation
from modelgate.studio.keeping import Keeper
from modelgate.studio.records import StudioStates
from modelgate.studio.resources import Kind, Ref
from modelgate_cli import studio_applying
from modelgate_cli.complaints import NO, TROUBLE, Complaint
from modelgate_cli.main import app
from modelgate_cli.screen import Screen
from modelgate_cli.stack import Stack
from modelgate_cli.studio_planning import DIFFERENCE
from tests.fakes.aws import Calls, Clock, FakeBucket, FakeBus, FakeTable
from tests.fakes.studio import ARN, FakeStudio

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from modelgate.ports import Bucket, Table
    from modelgate.studio.ports import Studio
    from modelgate_cli.studio_applying import Applied

NAMES = {"MODELGATE_BUCKET": "intake", "MODELGATE_TABLE": "state", "MODELGATE_BUS": "announcements"}
ROLE = "arn:aws:iam::123456789012:role/studio"
DOMAIN = """
domain:
  authentication: iam
  network: {vpc: vpc-0a1b2c3d, subnets: [subnet-0a1b2c3d]}
"""
RESEARCH = f"""{DOMAIN}
  profile_settings: {{jupyterlab: {{instance: ml.m5.large}}}}
profiles: [{{name: ana}}, {{name: ben}}]
spaces: {{private_for_each_profile: {{app: JupyterLab, storage_gb: 20}}}}
"""
IDLE = RESEARCH.replace("instance: ml.m5.large", "instance: ml.m5.large, idle_shutdown: 120")
WITHOUT_BEN = RESEARCH.replace(", {name: ben}", "")


class MemoryStack(Stack):
    """A stack on an AWS in memory, with the function that keeps documents true."""

    def __init__(self) -> None:
        super().__init__(cast("boto3.Session", None), "modelgate", NAMES)
        calls = Calls()
        self.clock = Clock()
        self.memory = FakeBucket(calls)
        self.items = FakeTable(calls)
        self.sagemaker_studio = FakeStudio(calls)
        self.bus = FakeBus(calls)
        self.calls = calls
        self.function = Function(self)
        # What somebody does just before an upload, and just after it.
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: self.look_at("studio/research.yaml")

    # ── what the command looks at ─────────────────────────────────────────────────────────────
    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {"StudioFunction": "keeps-studio", "StudioRole": ROLE}

    def now(self) -> datetime:
        return self.clock.now

    @cached_property
    def sagemaker_arn(self) -> str:
        return ARN

    @cached_property
    def bucket(self) -> Bucket:
        return self.memory

    @cached_property
    def table(self) -> Table:
        return self.items

    @cached_property
    def studio(self) -> Studio:
        return self.sagemaker_studio

    @cached_property
    def functions(self) -> LambdaClient:
        return cast("LambdaClient", self.function)

    @cached_property
    def s3(self) -> S3Client:
        return cast("S3Client", self)

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        return cast("SageMakerClient", _Domains())

    # ── what goes on meanwhile ────────────────────────────────────────────────────────────────
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, Metadata: object) -> dict[str, str]:  # noqa: N803
        """Stores it; EventBridge tells the function at once, unless a test says otherwise."""
        self.before()
        version = self.memory.put(Key, Body).version
        self.after()
        return {"VersionId": version}

    def look_at(self, key: str) -> None:
        keeper = Keeper(
            bucket=self.memory,
            states=StudioStates(self.items),
            studio=self.sagemaker_studio,
            bus=self.bus,
            arn=ARN,
            role=ROLE,
            stack="modelgate",
            clock=self.clock,
        )
        keeper.document_changed(key, Invocation("look", self.clock.now + timedelta(minutes=1)))

    def settle(self, text: str, name: str = "research") -> None:
        """The document was uploaded a while ago, and is carried out."""
        key = f"studio/{name}.yaml"
        self.memory.put(key, text.encode())
        for _ in range(8):
            self.look_at(key)
            self.sagemaker_studio.advance()


@dataclass
class Function:
    """The function as Lambda has it; between two looks SageMaker goes on."""

    stack: MemoryStack
    errors: list[Mapping[str, str]] = field(default_factory=list)
    refusal: str = ""
    asked: int = 0

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert (FunctionName, InvocationType) == ("keeps-studio", "RequestResponse")
        if self.refusal:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": self.refusal}}, "Invoke")
        self.asked += 1
        if self.errors:
            return {"FunctionError": "Unhandled", "Payload": _body(self.errors.pop(0))}
        event = ObjectCreated.model_validate_json(Payload)
        self.stack.sagemaker_studio.advance()
        self.stack.look_at(event.key)
        return {"StatusCode": 200, "Payload": _body({})}


def _body(content: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(content).encode())


class _Meta:
    region_name = "eu-central-1"


class _Domains:
    """SageMaker's own client, as far as complaints and ways in ask it."""

    meta = _Meta()

    def get_paginator(self, name: str) -> _Domains:
        assert name == "list_domains"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        yield {"Domains": [{"DomainName": "research", "DomainId": "d-1"}]}
        yield {"Domains": [{"DomainName": "trials", "DomainId": "d-2"}]}

    def create_presigned_domain_url(self, **asked: str) -> dict[str, str]:
        if asked["UserProfileName"] != "ana":
            message = f"User profile {asked['UserProfileName']} does not exist"
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": message}}, "Create")
        return {
            "AuthorizedUrl": f"https://{asked['DomainId']}.studio/auth?space={asked.get('SpaceName', '')}"
        }


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> MemoryStack:
    memory = MemoryStack()
    monkeypatch.setattr("modelgate_cli.options.Stack", lambda *_: memory)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return memory


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(text: str, name: str = "research.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def run(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(app, ["studio", *words], input=given)


def answer(*words: str, code: int = 0) -> Any:
    """The one document on stdout."""
    result = run(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def lines_of(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def applied(stack: MemoryStack, path: str, **options: Any) -> Applied:
    """Applies a file, with a clock that goes on while it waits."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        stack.clock.forward(seconds)

    return studio_applying.apply(
        path,
        lambda: stack,
        Screen(as_json=False),
        clock=lambda: passed[0],
        sleep=sleep,
        **({"yes": True, "wait": True, "timeout": 3600} | options),
    )


# ── plan ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_plan_says_what_would_be_made_and_what_waits_for_what(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    path = file(RESEARCH)
    assert lines_of(run("plan", path)) == [
        f"Domain research (not there yet), as {path} says:",
        "",
        "+ domain research",
        "    authentication                IAM",
        "    vpc                           vpc-0a1b2c3d",
        "    subnets                       subnet-0a1b2c3d",
        f"    profiles.execution_role       {ROLE}",
        "    profiles.landing_uri          studio::",
        "    profiles.jupyterlab.instance  ml.m5.large",
        "+ user profile ana  (waits for domain research, which is not there yet)",
        "+ user profile ben  (waits for domain research, which is not there yet)",
        *_private_space("ana"),
        *_private_space("ben"),
        "",
        "5 to make; 4 wait for others.",
    ]
    assert not stack.sagemaker_studio.all()


def _private_space(owner: str) -> list[str]:
    return [
        f"+ space {owner}-private  (waits for domain research, which is not there yet)",
        "    app         JupyterLab",
        "    sharing     Private",
        f"    owner       {owner}",
        "    storage_gb  20",
    ]


def test_a_change_and_an_orphan_are_a_line_each(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    path = file(IDLE.replace(", {name: ben}", ""))
    assert lines_of(run("plan", path)) == [
        f"Domain research (d-000000000001), as {path} says:",
        "",
        "~ domain research",
        "    profiles.jupyterlab.idle_minutes  0 → 120",
        "? space ben-private  (it left the document and stays; prune: true has it deleted)",
        "? user profile ben  (it left the document and stays; prune: true has it deleted)",
        "",
        "1 to change.",
    ]


def test_what_is_deleted_says_why_and_what_it_waits_for(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    stack.sagemaker_studio.starts_app(Ref(Kind.SPACE, "ben-private"))
    shown = lines_of(run("plan", file(f"prune: true\n{WITHOUT_BEN}")))
    app_of_ben = "app ben-private/JupyterLab/default"
    assert shown[2:] == [
        f"- {app_of_ben}  (what it runs in left the document)",
        f"- space ben-private  (it left the document; waits for the end of {app_of_ben})",
        "- user profile ben  (it left the document; waits for the end of space ben-private)",
        "",
        "3 to delete; 2 wait for others.",
    ]


def test_the_end_of_a_home_file_system_has_a_line_of_its_own(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.settle(DOMAIN)
    shown = lines_of(run("plan", file("{prune: true, delete_home_file_system: true}")))
    assert "    with its home file system, and everything that people keep in it" in shown


def test_where_nothing_differs_that_is_all_that_is_said(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    assert lines_of(run("plan", file(RESEARCH))) == ["No difference."]
    assert lines_of(run("plan", "research", "--exit-code")) == ["No difference."]
    assert answer("plan", "research")["steps"] == []


@pytest.mark.usefixtures("stack")
def test_a_program_can_ask_for_an_exit_code_of_its_own(file: Callable[..., str]) -> None:
    path = file(RESEARCH)
    assert run("plan", path).exit_code == 0
    assert run("plan", path, "--exit-code").exit_code == DIFFERENCE
    assert answer("plan", path, "--exit-code", code=DIFFERENCE)["differs"] is True


def test_taking_over_alone_is_no_difference_in_settings(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    for there in stack.sagemaker_studio.all():
        stack.sagemaker_studio.retag(there, {}, tuple(there.tags))
    shown = lines_of(run("plan", file(f"adopt: true\n{RESEARCH}")))
    assert "= domain research  (taken over)" in shown
    assert shown[-1] == "No difference in settings; 5 are taken over."


def test_what_is_in_the_way_of_a_deletion_is_told(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    by_hand = next(there for there in stack.sagemaker_studio.all() if there.ref.name == "ben-private")
    stack.sagemaker_studio.retag(by_hand, {}, tuple(by_hand.tags))
    shown = lines_of(run("plan", file(f"prune: true\n{WITHOUT_BEN}")))
    assert any(
        line.startswith("! user profile ben cannot be deleted: space ben-private is in it") for line in shown
    )


def test_a_plan_for_programs_has_every_step(stack: MemoryStack, file: Callable[..., str]) -> None:
    stack.settle(RESEARCH)
    path = file(f"prune: true\n{IDLE}".replace(", {name: ben}", ", {name: cleo, tags: {office: berlin}}"))
    planned = answer("plan", path)
    assert (planned["domain"], planned["domain_id"]) == ("research", "d-000000000001")
    assert (planned["document"], planned["differs"], planned["in_the_way"]) == (path, True, [])
    steps = {f"{each['kind']} {each['name']}": each for each in planned["steps"]}
    change = {"key": "profiles.jupyterlab.idle_minutes", "before": 0, "after": 120}
    assert (steps["domain research"]["action"], steps["domain research"]["changes"]) == ("change", [change])
    assert steps["user profile cleo"]["action"] == "make"
    assert steps["user profile cleo"]["tags"] == {"office": "berlin"}
    assert steps["user profile cleo"]["waits_for"] == "the change of domain research"
    assert steps["space cleo-private"]["waits_for"] == "the change of domain research"
    assert steps["space ben-private"]["action"] == "delete"
    assert steps["space ben-private"]["because"] == "it left the document"
    assert {"kind": "user profile", "name": "ben", "status": "InService"} in planned["orphans"]


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
BAD: Mapping[str, str] = {
    "profiles: [{name: ana}]\nspaces: {private: [{name: lab, owner: anna, app: JupyterLab}]}": "anna",
    "profiles: [{name: ana}, {name: ben}]\n"
    "spaces: {private: [{name: lab, owner: [ana, ben], app: JupyterLab}]}": "owner",
    f"profiles: [{{name: {'a' * 64}}}]": "63",
    "profiles: [{name: ana_b}]": "ana_b",
}


@pytest.mark.parametrize(("more", "said"), BAD.items(), ids=BAD.values())
@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes"), ("rights",)], ids=str)
def test_a_wrong_document_is_told_with_its_mend_and_nothing_happens(
    command: tuple[str, ...], more: str, said: str, stack: MemoryStack, file: Callable[..., str]
) -> None:
    told = answer(*command, file(f"{DOMAIN}{more}\n"), code=NO)
    assert said in told["error"]
    assert told["mend"]
    assert all(each["where"].startswith("studio/research.yaml") for each in told["problems"])
    assert not stack.memory.keys()
    assert not stack.sagemaker_studio.all()


def test_what_is_there_and_is_not_ours_is_refused_with_the_way_to_take_it_over(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.settle(DOMAIN)
    (there,) = stack.sagemaker_studio.all()
    stack.sagemaker_studio.retag(there, {}, tuple(there.tags))
    for command in (("plan",), ("apply", "--yes")):
        told = answer(*command, file(f"{DOMAIN}  tags: {{team: research}}\n"), code=NO)
        assert "domain research exists, and was not made by Modelgate" in told["error"]
        assert "adopt: true" in told["mend"]
    assert stack.memory.read("studio/research.yaml", 10_000) == (
        DOMAIN.encode(),
        stack.memory.head("studio/research.yaml"),
    )


@pytest.mark.parametrize(
    ("subject", "code", "said"),
    [
        ("research.json", 2, "call it as its domain: DOMAIN.yaml"),
        ("my_domain.yaml", 1, "letters, digits"),
        (f"{'a' * 64}.yaml", 1, "63"),
        ("nowhere/research.yaml", 1, "No such file"),
        ("trials", 1, "modelgate studio export trials"),
    ],
)
def test_a_document_that_is_none_is_told_with_the_mend(
    subject: str, code: int, said: str, stack: MemoryStack
) -> None:
    told = run("plan", subject)
    assert told.exit_code == code
    assert said in " ".join(told.stderr.split())
    assert not stack.sagemaker_studio.all()


# ── apply ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_document_is_applied_until_what_there_is_is_what_it_says(
    stack: MemoryStack, file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = applied(stack, file(RESEARCH))

    assert (result.outcome, result.version, result.domain_id) == ("settled", "v1", "d-000000000001")
    assert [done.step for record in result.changes for done in record.done] == [
        "make domain research",
        "make user profile ana",
        "make user profile ben",
        "make space ana-private",
        "make space ben-private",
    ]
    told = capsys.readouterr().err
    assert told.index("5 to make") < told.index("uploaded s3://intake/studio/research.yaml")
    assert (
        told.index("uploaded") < told.index("  make domain research") < told.index("  make space ben-private")
    )
    assert "waits for domain research, which is Pending" in told
    assert lines_of(run("plan", "research")) == ["No difference."]


def test_what_is_there_already_is_not_uploaded_again(stack: MemoryStack, file: Callable[..., str]) -> None:
    path = file(RESEARCH)
    applied(stack, path)
    again = answer("apply", path, "--yes")
    assert (again["outcome"], again["version"], again["plan"]["differs"]) == ("unchanged", "v1", False)
    assert stack.function.asked < 10


def test_what_somebody_applied_and_did_not_wait_for_is_waited_for(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    path = file(DOMAIN)
    applied(stack, path, wait=False)
    assert lines_of(run("plan", path))[2:] == [
        "* domain research  (it is Pending)",
        "",
        "No difference, once SageMaker is done.",
    ]
    assert answer("plan", path)["moving"] == [{"kind": "domain", "name": "research", "status": "Pending"}]
    assert "Still to come:" in lines_of(run("status", "research"))
    again = applied(stack, path)
    assert (again.outcome, again.version) == ("settled", "v1")
    assert [each.status for each in stack.sagemaker_studio.all()] == ["InService"]


def test_another_document_that_means_the_same_is_uploaded_without_a_question(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.settle(RESEARCH)
    shown = lines_of(run("apply", file(f"# for the scientists\n{RESEARCH}")))
    assert shown == ["Domain research (d-000000000001) is as its document says: nothing had to be done."]
    assert (stack.memory.read("studio/research.yaml", 99) or (b"",))[0].startswith(b"# for the scientists")


def test_nobody_who_says_no_changes_anything(stack: MemoryStack, file: Callable[..., str]) -> None:
    for given in ("n\n", ""):
        told = run("apply", file(RESEARCH), given=given)
        assert told.exit_code == NO
        assert "+ domain research" in told.stderr
        assert "nobody said yes" in told.stderr
    assert not stack.memory.keys()


def test_whoever_says_yes_need_not_wait(stack: MemoryStack, file: Callable[..., str]) -> None:
    shown = lines_of(run("apply", file(RESEARCH), "--no-wait", given="y\n"))
    assert "is uploaded; modelgate studio status research follows it" in shown[0]
    assert stack.memory.keys() == ["studio/research.yaml"]


def test_a_home_file_system_is_asked_for_in_words_of_its_own(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.settle(DOMAIN)
    away = file("{prune: true, delete_home_file_system: true}")
    told = run("apply", away, given="y\nn\n")
    assert told.exit_code == NO
    assert "Deleted: domain research." in told.stderr
    assert "Nobody can bring it back." in told.stderr
    assert stack.sagemaker_studio.homes == {"d-000000000001"}

    assert applied(stack, away).outcome == "settled"
    assert not stack.sagemaker_studio.homes
    assert not stack.sagemaker_studio.all()


def test_a_program_is_not_asked(stack: MemoryStack, file: Callable[..., str]) -> None:
    told = answer("apply", file(RESEARCH), code=2)
    assert "--yes" in told["mend"]
    assert not stack.memory.keys()


def test_a_stack_without_such_a_function_is_told_of_before_an_upload(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.outputs = {"StudioRole": ROLE}
    told = answer("apply", file(RESEARCH), "--yes", code=TROUBLE)
    assert "no output StudioFunction" in told["error"]
    assert not stack.memory.keys()


def test_what_sagemaker_refuses_ends_the_wait_with_its_words(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    limit = LimitReached("CreateUserProfile", "ResourceLimitExceeded", "200 user profiles are the limit")
    stack.calls.fail("CreateUserProfile", limit)
    with pytest.raises(Complaint) as told:
        applied(stack, file(RESEARCH))
    assert told.value.code == TROUBLE
    assert "user profile ana: ResourceLimitExceeded: 200 user profiles are the limit" in told.value.error
    assert "is tried again after" in told.value.mend
    assert told.value.document()["troubles"]


def test_what_went_wrong_before_and_is_mended_is_no_trouble(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.sagemaker_studio.fail_next(Ref(Kind.PROFILE, "ana"), "no capacity")
    path = file(RESEARCH)
    result = applied(stack, path)
    done = [each.step for record in result.changes for each in record.done]
    assert done.count("make user profile ana") == 2
    assert result.outcome == "settled"


def test_a_document_that_is_refused_meanwhile_ends_the_wait(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    wanted = _wanted_domain(stack)
    stack.before = lambda: stack.sagemaker_studio.make(wanted, "", {})
    with pytest.raises(Complaint, match=r"is refused: .*was not made by Modelgate"):
        applied(stack, file(DOMAIN))


def _wanted_domain(stack: MemoryStack) -> Any:
    return stack.keeper.understood("research", DOMAIN.encode()).wanted[0]


@pytest.mark.parametrize(("does", "said"), [("put", "uploaded another version of"), ("delete", "deleted")])
def test_whoever_is_overtaken_is_told(
    does: str, said: str, stack: MemoryStack, file: Callable[..., str]
) -> None:
    key = "studio/research.yaml"
    happens = {"put": lambda: stack.memory.put(key, b""), "delete": lambda: stack.memory.delete(key)}
    stack.after = happens[does]
    with pytest.raises(Complaint, match=f"somebody {said} the document of domain research meanwhile"):
        applied(stack, file(DOMAIN))


def test_an_upload_that_nobody_took_up_is_brought_to_the_function(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.after = lambda: None
    assert applied(stack, file(RESEARCH)).outcome == "settled"


def test_a_function_that_is_busy_is_asked_again_and_one_that_fails_is_told_of(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    stack.function.errors = [{"errorType": "NotYet", "errorMessage": "another invocation is at it"}]
    assert applied(stack, file(RESEARCH)).outcome == "settled"
    stack.function.errors = [{"errorType": "Forbidden", "errorMessage": "UpdateDomain: no"}]
    with pytest.raises(Complaint, match="Forbidden: UpdateDomain: no") as told:
        applied(stack, file(IDLE))
    assert told.value.code == TROUBLE


def test_whoever_may_not_ask_the_function_waits_for_the_stack(
    stack: MemoryStack, file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.function.refusal = "dana may not invoke keeps-studio"
    with pytest.raises(Complaint, match="did not come within 60 seconds") as told:
        applied(stack, file(RESEARCH), timeout=60)
    assert "modelgate studio status research" in told.value.mend
    assert capsys.readouterr().err.count("dana may not invoke") == 1


# ── status ────────────────────────────────────────────────────────────────────────────────────────
def test_all_domains_are_a_table(stack: MemoryStack) -> None:
    assert "no document of Studio yet" in lines_of(run("status"))[0]
    stack.settle(RESEARCH)
    stack.settle("profiles: [{name: ana}]", "trials")
    shown = "\n".join(lines_of(run("status")))
    assert "research" in shown
    assert "d-000000000001" in shown
    assert "settled" in shown
    assert "is there without a domain" in shown
    listed = answer("status")["domains"]
    assert [(each["domain"], each["status"]) for each in listed] == [
        ("research", "settled"),
        ("trials", "refused"),
    ]


def test_one_domain_is_told_with_what_was_changed_by_which_version(stack: MemoryStack) -> None:
    stack.settle(RESEARCH)
    stack.settle(WITHOUT_BEN)
    shown = "\n".join(lines_of(run("status", "research")))
    assert "Domain research (d-000000000001) is settled since" in shown
    assert "Its document is version v2." in shown
    assert "Left the document and still there: space ben-private, user profile ben." in shown
    assert "1. by version v1" in shown
    assert "make domain research" in shown
    assert "Still to come" not in shown
    (told,) = answer("status", "research")["domains"]
    assert (told["drift"], told["changes"], told["in_bucket"]) == (False, len(told["recent"]), "v2")
    assert told["recent"][0]["done"][0] == {"step": "make domain research", "outcome": "done"}


def test_what_was_changed_by_hand_is_seen_at_once_and_afterwards(stack: MemoryStack) -> None:
    stack.settle(RESEARCH)
    stack.sagemaker_studio.changed_by_hand(
        Ref(Kind.DOMAIN, "research"), {"profiles.jupyterlab.idle_minutes": 60}
    )
    shown = lines_of(run("status", "research"))
    assert "Somebody changed it by hand; it is put back by itself:" in shown
    assert "    profiles.jupyterlab.idle_minutes  60 → 0" in shown
    assert answer("status", "research")["domains"][0]["drift"] is True

    stack.look_at("studio/research.yaml")
    shown = lines_of(run("status", "research"))
    assert any(line.endswith("by version v1, drift") for line in shown)
    assert any("put back: change domain research" in line for line in shown)


def test_trouble_and_what_waits_are_told(stack: MemoryStack) -> None:
    limit = LimitReached("CreateUserProfile", "ResourceLimitExceeded", "200 user profiles are the limit")
    stack.calls.fail("CreateUserProfile", limit)
    stack.settle(RESEARCH)
    shown = " ".join(" ".join(lines_of(run("status", "research"))).split())
    assert "Trouble with user profile ana: ResourceLimitExceeded: 200 user profiles are the limit" in shown
    assert "(tried once, next after" in shown
    assert "+ space ana-private (waits for user profile ana, which is not there yet)" in shown
    (told,) = answer("status", "research")["domains"]
    assert (told["status"], told["troubles"][0]["name"]) == ("troubled", "ana")
    assert "ResourceLimitExceeded" in run("status").stdout


def test_a_document_that_is_refused_says_why(stack: MemoryStack) -> None:
    stack.settle("profiles: [{name: ana}]")
    shown = "\n".join(lines_of(run("status", "research")))
    assert "Refused: studio/research.yaml: profiles: is there without a domain" in " ".join(shown.split())


def test_a_document_that_nobody_looked_at_yet_is_told(stack: MemoryStack) -> None:
    stack.memory.put("studio/research.yaml", DOMAIN.encode())
    shown = "\n".join(lines_of(run("status", "research")))
    assert "Version v1 of its document was uploaded, and nobody has looked at it yet." in shown
    assert "+ domain research" in shown


def test_what_nobody_wrote_has_no_status(stack: MemoryStack) -> None:
    assert "there is no document of a domain trials" in answer("status", "trials", code=NO)["error"]
    assert not stack.sagemaker_studio.all()


# ── export, rights, open ──────────────────────────────────────────────────────────────────────────
def test_what_is_exported_makes_no_difference(stack: MemoryStack, tmp_path: Path) -> None:
    stack.settle(RESEARCH)
    exported = run("export", "research")
    out = tmp_path / "research.yaml"
    out.write_text(exported.stdout)
    assert lines_of(run("plan", str(out))) == ["No difference."]
    assert answer("export", "research")["document"] == exported.stdout

    shown = lines_of(run("export", "research", "--out", str(out)))
    assert shown[0].startswith("The document of domain research (d-000000000001) is written to")
    assert out.read_text() == exported.stdout


@pytest.mark.usefixtures("stack")
def test_a_domain_that_is_not_there_is_told_with_those_that_are() -> None:
    told = answer("export", "rsearch", code=NO)
    assert told["error"].startswith("there is no domain rsearch")
    assert told["mend"] == "there are research (d-1), trials (d-2)"
    assert told["domains"][1] == {"domain": "trials", "domain_id": "d-2"}


def test_of_several_domains_of_a_name_one_is_to_be_chosen(stack: MemoryStack) -> None:
    for _ in range(2):
        stack.sagemaker_studio.make(_wanted_domain(stack), "", {})
    told = answer("export", "research", code=NO)
    assert told["domain_ids"] == ["d-000000000001", "d-000000000002"]
    assert "--id d-000000000001" in told["mend"]
    assert answer("export", "research", "--id", "d-000000000002")["domain_id"] == "d-000000000002"
    assert (
        "there is no domain research with the id d-3"
        in answer("export", "research", "--id", "d-3", code=NO)["error"]
    )


def test_rights_are_an_iam_policy_of_the_domain_that_is_there(
    stack: MemoryStack, file: Callable[..., str]
) -> None:
    shared = "{name: team, owner: ana, members: [ben], app: JupyterLab, storage_gb: 50}"
    text = f"{DOMAIN}profiles: [{{name: ana}}, {{name: ben}}]\nspaces: {{shared: [{shared}]}}\n"
    early = answer("rights", file(text), code=NO)
    assert "is not there yet" in early["error"]
    stack.settle(text)
    policy = answer("rights", "research")
    assert policy["Version"] == "2012-10-17"
    assert f"{ARN}:app/d-000000000001/team/" in json.dumps(policy)
    assert json.loads(run("rights", file(text)).stdout) == policy


def test_a_way_in_is_a_url_and_nothing_else(stack: MemoryStack) -> None:
    stack.settle(RESEARCH)
    assert run("open", "research", "ana").stdout == "https://d-000000000001.studio/auth?space=\n"
    assert answer("open", "research", "ana", "--space", "lab")["url"].endswith("?space=lab")
    told = answer("open", "research", "dana", code=NO)
    assert "has no user profile dana" in told["error"]
