"""`modelgate build`, with the real functions on an AWS in memory, and a clock that goes on while it waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelgate.builds.findings import Scan
from modelgate.builds.options import BUILD_FILE, BuildOptions, read_options
from modelgate.builds.order import buildspec
from modelgate.builds.records import Build, BuildRecords, Status
from modelgate.errors import Forbidden, Refused, Throttled
from modelgate.invocation import Invocation
from modelgate.ports import Phase
from modelgate_cli import assuming, build_options, building
from modelgate_cli.build_log import BuildLog, PhaseBegins
from modelgate_cli.build_options import Asked, Wanted, wanted_of
from modelgate_cli.building import Built
from modelgate_cli.complaints import INTERRUPTED, NO, TROUBLE, USAGE, Complaint
from modelgate_cli.foreign_options import complain_about_foreign
from modelgate_cli.main import app
from modelgate_cli.screen import Screen
from modelgate_cli.stack import Names, Stack
from tests.fakes.builds import REGISTRY
from tests.fakes.runtime import Memory, MemoryRuntime
from tests.unit.sources import DOCKERFILE

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    from modelgate.ports import Bucket, Builds, Images, Run, Table

NO_RIGHT = Forbidden("DescribeImages", "AccessDeniedException", "no")
BUSY = Throttled("BatchGetBuilds", "ThrottlingException", "slow down")
FIRST_BUILD = "modelgate-images:1"


# ── from the words of a command line ──────────────────────────────────────────────────────────────
def folder_of(parent: Path, name: str = "trees", **files: str) -> Path:
    """A folder that can be built, with more files in it; ``build`` is its `build.yaml`."""
    folder = parent / name
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    for file, text in files.items():
        (folder / (BUILD_FILE if file == "build" else file)).write_text(text)
    return folder


def wanted(folder: Path, environ: Mapping[str, str] | None = None, **asked: Any) -> Wanted:
    return wanted_of(folder, Asked(**asked), environ or {})


@pytest.mark.parametrize(
    ("folder", "image"),
    [
        ("decision_trees", "decision_trees"),
        ("My Trees (2)", "my-trees-2"),
        ("-_trees..v2", "trees-v2"),
        ("Bäume", "b-ume"),
    ],
)
def test_the_image_is_called_like_the_folder_as_far_as_images_can_be(
    tmp_path: Path, folder: str, image: str
) -> None:
    assert wanted(folder_of(tmp_path, folder)).image == image


def test_a_folder_whose_name_no_image_can_have_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="no name of an image") as told:
        wanted(folder_of(tmp_path, "木"))
    assert "--repository NAME" in told.value.mend
    assert told.value.code == USAGE


def test_the_image_is_called_as_the_command_line_says_and_each_tag_is_one_more(tmp_path: Path) -> None:
    found = wanted(folder_of(tmp_path), repository="oaks:1.0", tags=["oaks", "oaks:stable"])
    assert found.image == "oaks"
    assert found.options.tags == ["1.0", "stable"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"repository": "oaks", "tags": ["elms:1"]}, "called oaks and elms"),
        ({"repository": f"{REGISTRY}/oaks:1"}, "the stack's own registry"),
        ({"repository": "oaks:"}, "--repository is 'oaks:'"),
        ({"tags": ["oaks:1:2"]}, "--tag is 'oaks:1:2'"),
        ({"repository": "Oaks"}, "'Oaks' is no name of an image"),
        ({"build_args": ["A=1", "A=2"]}, "names A twice"),
        ({"build_args": ["TOKEN"]}, "the environment has none either"),
        ({"file": "Dockerfile.gpu"}, "no such file"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Complaint, match=words) as told:
        wanted(folder_of(tmp_path), **asked)
    assert told.value.code == USAGE


def test_a_folder_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="is no folder"):
        wanted(tmp_path / "nowhere")


def test_options_that_change_nothing_leave_the_folder_as_it_is(tmp_path: Path) -> None:
    plain = folder_of(tmp_path)
    assert wanted(plain).document is None
    assert wanted(plain, platform="linux/amd64", compute_type="medium", file="Dockerfile").document is None
    told = folder_of(tmp_path, "elms", build="{target: serving, build_args: {DEPTH: '3'}}")
    assert wanted(told, target="serving", build_args=["DEPTH=3"]).document is None


def test_options_go_over_those_of_the_folder_and_build_arguments_key_by_key(tmp_path: Path) -> None:
    own = "{build_args: {DEPTH: '3', TREES: '10'}, target: training, tags: [one], platform: linux/arm64}"
    found = wanted(
        folder_of(tmp_path, build=own),
        build_args=["DEPTH=5", "SEED=a b=c"],
        target="serving",
        tags=["trees:two"],
        compute_type="BUILD_GENERAL1_2XLARGE",
    )
    assert found.document is not None
    assert read_options(found.document) == BuildOptions(
        build_args={"DEPTH": "5", "TREES": "10", "SEED": "a b=c"},
        target="serving",
        tags=["one", "two"],
        platform="linux/arm64",
        compute_type="2xlarge",
    )


def test_an_option_can_set_back_what_the_folder_says(tmp_path: Path) -> None:
    found = wanted(folder_of(tmp_path, build="platform: linux/arm64"), platform="linux/amd64")
    assert found.document is not None
    assert read_options(found.document) == BuildOptions()


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,9}", fullmatch=True),
        st.one_of(
            st.sampled_from(["", "1e-3", "yes", "null", "2026-11-22", "0x1F", " a ", "#", "{", "'\""]),
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200),
        ),
        max_size=5,
    )
)
def test_what_is_written_reads_back_as_it_was_meant(arguments: dict[str, str]) -> None:
    options = BuildOptions(build_args=arguments, dockerfile="docker/Dockerfile", tags=["1.0"])
    text = build_options.written(options)
    assert read_options(text) == options
    assert build_options.written(BuildOptions(**options.model_dump())) == text


def test_everything_that_is_wrong_with_the_options_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused) as told:
        wanted(folder_of(tmp_path), platform="windows", compute_type="huge", build_args=["A-B=1"])
    places = [problem.where for problem in told.value.problems]
    assert places == ["the options: build_args", "the options: platform", "the options: compute_type"]


def test_a_build_yaml_that_is_wrong_is_told_of_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"build\.yaml: targets: is not a key"):
        wanted(folder_of(tmp_path, build="targets: serving"))


def test_a_build_argument_without_a_value_has_that_of_the_environment(tmp_path: Path) -> None:
    found = wanted(folder_of(tmp_path), {"SEED": "7"}, build_args=["SEED"])
    assert found.options.build_args == {"SEED": "7"}


def test_the_dockerfile_may_be_named_from_here_and_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    (folder / "docker").mkdir()
    (folder / "docker" / "Dockerfile.gpu").write_text(DOCKERFILE)
    monkeypatch.chdir(tmp_path)
    for file in (
        "trees/docker/Dockerfile.gpu",
        "docker/Dockerfile.gpu",
        str(folder / "docker/Dockerfile.gpu"),
    ):
        assert wanted(Path("trees"), file=file).options.dockerfile == "docker/Dockerfile.gpu"
    (tmp_path / "Dockerfile.outside").write_text(DOCKERFILE)
    with pytest.raises(Complaint, match="lies outside of trees"):
        wanted(Path("trees"), file="Dockerfile.outside")


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        ("build . --repository trees:1 --vpc-id vpc-1", "BuildVpcId"),
        ("build . --bucket=mine", "leave it out"),
        ("build -q .", "--no-logs"),
        ("build --no-cache .", "change the source"),
        ("build --secret id=x .", "COPY it"),
    ],
)
def test_options_of_sm_docker_and_docker_are_told_where_they_went(words: str, mend: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == USAGE
    assert "is no option here" in result.stderr
    assert mend in result.stderr


def test_no_option_of_this_command_counts_as_one_of_others() -> None:
    complain_about_foreign([".", "-t", "a", "-f", "b", "--no-logs", "--no-wait", "--build-arg", "A=--pull"])


# ── roles ─────────────────────────────────────────────────────────────────────────────────────────
ME = "arn:aws:iam::123456789012:user/me"
ROLE = "arn:aws:iam::123456789012:role/science/Studio"


@dataclass
class Sts:
    """Gives credentials for a role, or does not."""

    forbids: bool = False
    asked: str = ""

    def assume_role(self, *, RoleArn: str, RoleSessionName: str) -> dict[str, Any]:  # noqa: N803
        assert RoleSessionName
        if self.forbids:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "AssumeRole")
        self.asked = RoleArn
        given = {"AccessKeyId": "KEY", "SecretAccessKey": "SECRET", "SessionToken": "TOKEN"}
        return {"Credentials": {**given, "Expiration": datetime.now(UTC) + timedelta(hours=1)}}


def test_a_role_is_named_by_its_arn_or_by_its_name_in_the_callers_account() -> None:
    assert assuming.arn_of(ROLE, ME) == ROLE
    assert assuming.arn_of("science/Studio", ME) == ROLE
    with pytest.raises(Complaint, match="neither a role's name nor its ARN"):
        assuming.arn_of("arn:aws:iam::1:role/x", ME)


@pytest.mark.parametrize(
    ("caller", "same"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Studio/SageMaker", True),
        ("arn:aws:sts::111122223333:assumed-role/Studio/SageMaker", False),
        ("arn:aws:sts::123456789012:assumed-role/Other/Studio", False),
        ("arn:aws:iam::123456789012:user/Studio", False),
        ("arn:aws:iam::123456789012:root", False),
    ],
)
def test_who_acts_under_a_role_already_need_not_assume_it(caller: str, *, same: bool) -> None:
    assert assuming.is_of(caller, ROLE) is same


def test_what_is_done_under_a_role_is_done_with_its_credentials() -> None:
    sts = Sts()
    session = assuming.session_of(ROLE, cast("boto3.Session", _Session()), cast("STSClient", sts))
    found = session.get_credentials()
    assert found is not None
    assert (sts.asked, found.access_key, found.token) == (ROLE, "KEY", "TOKEN")
    assert session.region_name == "eu-central-1"


def test_a_role_that_may_not_be_assumed_is_told_with_the_mend() -> None:
    sts = cast("STSClient", Sts(forbids=True))
    with pytest.raises(Complaint, match="does not let you assume") as told:
        assuming.session_of(ROLE, cast("boto3.Session", _Session()), sts)
    assert "trust policy" in told.value.mend


class _Session:
    region_name = "eu-central-1"


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────
class Logs:
    """CloudWatch Logs, as far as one stream goes: two events an answer, and AWS's tokens."""

    def __init__(self) -> None:
        self.messages: list[str] | None = None
        self.errors: list[str] = []

    def write(self, *messages: str) -> None:
        self.messages = [*(self.messages or ()), *messages]

    def get_log_events(  # boto3's spelling
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamName: str,  # noqa: N803
        startFromHead: bool,  # noqa: N803
        nextToken: str = "f/0",  # noqa: N803
    ) -> dict[str, Any]:
        assert logGroupName
        assert logStreamName
        assert startFromHead
        code = "ResourceNotFoundException" if self.messages is None else self.errors and self.errors.pop(0)
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetLogEvents")
        assert self.messages is not None
        start = int(nextToken.removeprefix("f/"))
        found = self.messages[start : start + 2]
        events = [{"timestamp": 0, "message": message} for message in found]
        return {"events": events, "nextForwardToken": f"f/{start + len(found)}"}


def log_of(logs: Logs) -> BuildLog:
    return BuildLog(cast("CloudWatchLogsClient", logs), "group", "stream")


def test_each_line_of_a_log_is_read_once() -> None:
    logs = Logs()
    log = log_of(logs)
    assert log.news() == []  # nobody has written yet
    logs.write("Step 1/2\n", "Step 2/2\n", "done")
    assert log.news() == ["Step 1/2", "Step 2/2", "done"]
    assert log.news() == []
    logs.write("pushed\nand more\n")
    assert log.news() == ["pushed", "and more"]
    assert list(log.last_lines) == ["Step 1/2", "Step 2/2", "done", "pushed", "and more"]


def test_no_line_is_lost_where_a_call_fails_halfway() -> None:
    logs = Logs()
    log = log_of(logs)
    logs.write("one", "two", "three")
    logs.errors = ["", "ThrottlingException"]
    with pytest.raises(Throttled):
        log.news()
    assert log.news() == ["one", "two", "three"]


def test_what_codebuild_says_of_itself_is_left_out_but_for_where_phases_begin() -> None:
    logs = Logs()
    commands = buildspec().splitlines()
    logs.write("[Container] 2026/11/22 12:00:00 Entering phase BUILD\n")
    logs.write("[Container] 2026/11/22 12:00:00 Running command set -euo pipefail\n", *commands[-4:])
    logs.write("[Container] 2026/11/22 12:00:01 Running command set -e\nset -euo pipefail", "Step 1/2", "")
    log = log_of(logs)
    assert log.news() == [PhaseBegins("BUILD"), "Step 1/2"]
    assert list(log.last_lines) == ["Step 1/2"]


# ── the whole way ─────────────────────────────────────────────────────────────────────────────────
class _S3:
    """Where sources are uploaded to; the stack's function hears of it when it is told to."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.uploads: list[str] = []

    def upload_file(self, file: str, bucket: str, key: str, Callback: Callable[[int], None]) -> None:  # noqa: N803
        assert bucket == "intake"
        content = Path(file).read_bytes()
        self._memory.bucket.put(key, content)
        self.uploads.append(key)
        Callback(len(content))


class MemoryStack(Stack):
    """A stack on an AWS in memory."""

    def __init__(self, memory: Memory, outputs: Mapping[str, str]) -> None:
        super().__init__(cast("boto3.Session", None), "modelgate", {})
        self._memory = memory
        self._outputs = outputs
        self.logs_in_memory = Logs()

    @cached_property
    def names(self) -> Names:
        return Names("modelgate", "intake", "state", "announcements")

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return self._outputs

    @cached_property
    def bucket(self) -> Bucket:
        return self._memory.bucket

    @cached_property
    def table(self) -> Table:
        return self._memory.table

    @cached_property
    def builds(self) -> Builds:
        return self._memory.builds

    @cached_property
    def images(self) -> Images:
        return self._memory.images

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self.logs_in_memory)

    @cached_property
    def s3(self) -> S3Client:
        return cast("S3Client", _S3(self._memory))

    def now(self) -> datetime:
        return self._memory.clock()


class Studio:
    """Somebody who builds, and what happens meanwhile.

    Attributes:
        acts: what happens while the command waits, one at each pause; nothing after the last.
    """

    def __init__(self, tmp_path: Path, outputs: Mapping[str, str] | None = None) -> None:
        self.memory = Memory()
        self.runtime = MemoryRuntime(self.memory)
        self.stack = MemoryStack(self.memory, {"Builder": "modelgate-images"} if outputs is None else outputs)
        self.folder = folder_of(tmp_path)
        self.acts: list[Callable[[], object]] = []
        self.slept: list[float] = []
        self._ids = count(1)

    # ── what the command does ─────────────────────────────────────────────────────────────────
    def build(
        self,
        *acts: Callable[[], object],
        logs: bool = True,
        wait: bool = True,
        timeout: float = 3600,
        **asked: Any,
    ) -> Built:
        self.acts = list(acts)
        return building.build(
            self.folder,
            wanted(self.folder, **asked),
            self.stack,
            Screen(as_json=False),
            logs=logs,
            wait=wait,
            timeout=timeout,
            clock=lambda: self.memory.clock().timestamp(),
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.memory.clock.forward(seconds)
        if self.acts:
            self.acts.pop(0)()

    # ── what the stack does ───────────────────────────────────────────────────────────────────
    def taken_up(self) -> None:
        """The function hears of the last upload."""
        until = self.memory.clock() + timedelta(seconds=300)
        self.runtime.builder.receive(self.uploads[-1], Invocation(f"invocation-{next(self._ids)}", until))

    def goes_through(self, *phases: str) -> None:
        self._change(phases=tuple(Phase(name, "SUCCEEDED") for name in phases))

    def pushed(self) -> None:
        self.memory.builds.succeed(self.run.id)

    def broken(self) -> None:
        self.memory.builds.fail(self.run.id, "Step 2/2 : RUN exit 3", "returned a non-zero code: 3")

    def noticed(self) -> None:
        """The function hears that the last build is over."""
        self.runtime.publisher.build_changed(self.run.id)

    @property
    def run(self) -> Run:
        return list(self.memory.builds.runs.values())[-1]

    @property
    def uploads(self) -> list[str]:
        return cast("_S3", self.stack.s3).uploads

    @property
    def item(self) -> Build:
        (found,) = BuildRecords(self.memory.table).of_image("trees")
        return found

    def _change(self, **facts: Any) -> None:
        self.memory.builds.runs[self.run.id] = replace(self.run, **facts)

    def built_before(self) -> Built:
        return self.build(self.taken_up, self.pushed, self.noticed)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@contextmanager
def complaint(code: int, words: str) -> Iterator[dict[str, Any]]:
    """The block ends with this complaint, whose document is filled in."""
    document: dict[str, Any] = {}
    with pytest.raises(Complaint, match=words) as told:
        yield document
    assert told.value.code == code
    document.update(told.value.document())


def test_a_folder_becomes_an_image_that_is_known_by_its_digest(studio: Studio) -> None:
    built = studio.build(studio.taken_up, studio.pushed, studio.noticed)
    image = studio.memory.images.find("trees", built.tag)
    assert image is not None
    assert built.uri == f"{REGISTRY}/trees@{image.digest}"
    assert (built.status, built.build, built.already_built) == ("published", FIRST_BUILD, False)
    assert built.seconds == round(sum(studio.slept[1:2]))
    assert studio.uploads == [f"sources/trees/{built.tag}.zip"]


def test_the_second_time_there_is_the_same_digest_at_once(studio: Studio) -> None:
    first, pauses = studio.built_before(), len(studio.slept)
    second = studio.build()
    assert second.uri == first.uri
    assert second.already_built
    assert (len(studio.uploads), len(studio.memory.builds.runs), len(studio.slept)) == (1, 1, pauses)


def test_the_uri_alone_is_on_stdout(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    built = studio.build(studio.taken_up, studio.pushed, studio.noticed)
    building.show(built, Screen(as_json=False))
    told = capsys.readouterr()
    assert told.out == f"{built.uri}\n"
    assert f"uploaded s3://intake/{studio.uploads[0]}" in told.err
    building.show(built, Screen(as_json=True))
    document = json.loads(capsys.readouterr().out)
    assert (document["digest"], document["build"], document["already_built"]) == (
        built.digest,
        FIRST_BUILD,
        False,
    )


def test_phases_are_shown_as_they_begin_with_the_log_as_it_grows(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = studio.stack.logs_in_memory
    early = ("SUBMITTED", "PROVISIONING")

    def built_meanwhile() -> None:
        logs.write("[Container] Entering phase PRE_BUILD\n", "Logging in\n")
        logs.write("[Container] Entering phase BUILD\n", "\x1b[31mStep 1/2\x1b[0m\n")
        studio.goes_through(*early, "PRE_BUILD", "BUILD", "FINALIZING")

    studio.build(
        studio.taken_up, lambda: studio.goes_through(*early), built_meanwhile, studio.pushed, studio.noticed
    )
    lines = capsys.readouterr().err.splitlines()
    first = lines.index("phase SUBMITTED")
    assert lines[first : first + 7] == [
        "phase SUBMITTED",
        "phase PROVISIONING",
        "phase PRE_BUILD",
        "Logging in",
        "phase BUILD",
        "Step 1/2",
        "phase FINALIZING",
    ]


def test_phases_are_shown_though_the_log_does_not_tell_of_them(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.stack.logs_in_memory.write("Step 1/2")
    phases = lambda: studio.goes_through("PROVISIONING", "BUILD")  # noqa: E731
    studio.build(studio.taken_up, phases, studio.pushed, studio.noticed)
    assert "phase BUILD" in capsys.readouterr().err.splitlines()


def test_without_logs_there_are_phases_only(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.stack.logs_in_memory.write("Step 1/2")
    phases = lambda: studio.goes_through("PROVISIONING")  # noqa: E731
    studio.build(studio.taken_up, phases, studio.pushed, studio.noticed, logs=False)
    told = capsys.readouterr().err
    assert "phase PROVISIONING" in told
    assert "Step 1/2" not in told


def test_an_image_that_somebody_deleted_is_built_again(studio: Studio) -> None:
    first = studio.built_before()
    studio.memory.images.forget("trees", first.digest)
    second = studio.built_before()
    assert not second.already_built
    assert len(studio.uploads) == 2


def test_the_item_is_believed_where_the_registry_may_not_be_asked(studio: Studio) -> None:
    first = studio.built_before()
    studio.memory.calls.fail("DescribeImages", NO_RIGHT)
    assert studio.build().uri == first.uri
    assert len(studio.uploads) == 1


def test_what_is_under_way_is_followed_without_an_upload(studio: Studio) -> None:
    studio.build(wait=False)
    studio.taken_up()
    built = studio.build(studio.pushed, studio.noticed)
    assert built.status == "published"
    assert len(studio.uploads) == 1


def test_what_nobody_notices_any_more_is_uploaded_again(studio: Studio) -> None:
    studio.build(wait=False)
    studio.taken_up()
    studio.pushed()
    studio.memory.clock.forward(3600)
    assert studio.build(studio.taken_up).status == "published"
    assert len(studio.uploads) == 2
    assert len(studio.memory.builds.runs) == 1


def test_a_claim_that_outlived_its_function_is_uploaded_again(studio: Studio) -> None:
    studio.build(wait=False)
    studio.memory.calls.fail("StartBuild", BUSY)
    with pytest.raises(Throttled):
        studio.taken_up()
    assert studio.item.status is Status.CLAIMED
    studio.memory.clock.forward(600)
    assert studio.built_before().status == "published"


def test_without_waiting_it_is_uploaded_and_left_alone(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    built = studio.build(wait=False)
    assert (built.status, studio.slept, len(studio.uploads)) == ("uploaded", [], 1)
    building.show(built, Screen(as_json=False))
    told = capsys.readouterr()
    assert told.out == ""
    assert "without --no-wait, follows it" in told.err
    studio.taken_up()
    assert studio.build(wait=False).build == FIRST_BUILD


def test_a_build_that_fails_says_in_which_phase_on_which_line_and_where_to_look(studio: Studio) -> None:
    studio.stack.logs_in_memory.write("Step 2/2 : RUN exit 3\n", "returned a non-zero code: 3\n")
    built = studio.build(studio.taken_up, studio.broken, studio.noticed)
    with complaint(NO, r"failed in phase BUILD: .*exit status 1: returned a non-zero code: 3;") as told:
        building.show(built, Screen(as_json=True))
    assert told["status"] == "failed"
    assert told["log_lines"] == ("Step 2/2 : RUN exit 3", "returned a non-zero code: 3")
    assert told["mend"].endswith(studio.run.page)


def test_how_the_log_ends_is_shown_where_it_was_not(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    built = studio.build(studio.taken_up, studio.broken, studio.noticed, logs=False)
    assert built.log_lines[-1] == "returned a non-zero code: 3"
    assert "Step 2/2 : RUN exit 3" in capsys.readouterr().err


def test_a_build_that_failed_before_is_no_outcome_of_another_upload(studio: Studio) -> None:
    assert studio.build(studio.taken_up, studio.broken, studio.noticed).status == "failed"
    idle = [lambda: None] * 3
    built = studio.build(*idle, studio.taken_up, studio.pushed, studio.noticed)
    assert built.status == "published"


def test_an_image_with_findings_is_refused_though_it_was_built(studio: Studio) -> None:
    studio.memory.bucket.put("policies/default.yaml", b"image: {max_severity: MEDIUM}")

    def scanned() -> None:
        digest = studio.memory.images.push("trees", studio.item.tag, digest=studio.item.digest)
        studio.memory.images.scans[digest] = Scan("complete", {"CRITICAL": 2})
        studio.runtime.publisher.scanned("trees", digest)

    built = studio.build(studio.taken_up, studio.pushed, studio.noticed, scanned)
    with complaint(NO, "is refused: it has 2 CRITICAL findings") as told:
        building.show(built, Screen(as_json=True))
    assert "image.max_severity" in told["mend"]


def test_a_scan_is_waited_for(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.memory.bucket.put("policies/default.yaml", b"image: {max_severity: MEDIUM}")

    def scanned() -> None:
        studio.memory.images.scans[studio.item.digest] = Scan("complete", {"LOW": 2})
        studio.runtime.publisher.scanned("trees", studio.item.digest)

    built = studio.build(studio.taken_up, studio.pushed, studio.noticed, lambda: None, scanned)
    assert built.status == "published"
    assert "waits for its scan" in capsys.readouterr().err


def test_what_the_stack_would_refuse_is_refused_before_an_upload(studio: Studio) -> None:
    (studio.folder / "Dockerfile").write_text("FROM $A\nFROM $B\n")
    with pytest.raises(Refused) as told:
        studio.build()
    assert len(told.value.problems) == 2
    assert studio.uploads == []


def test_a_folder_without_a_dockerfile_is_not_even_packed(studio: Studio) -> None:
    (studio.folder / "Dockerfile").unlink()
    with pytest.raises(Refused, match="has no Dockerfile"):
        studio.build()


def test_a_tag_that_names_another_image_is_told_before_an_upload(studio: Studio) -> None:
    studio.memory.images.push("trees", "1.0")
    with pytest.raises(Refused, match=r"tag 1\.0: names another image of trees, sha256:"):
        studio.build(repository="trees:1.0")
    assert studio.uploads == []


def test_a_source_that_the_stack_does_not_take_up_is_not_waited_for_long(studio: Studio) -> None:
    with complaint(TROUBLE, "has not taken trees up within 30") as told:
        studio.build()
    assert "source_uploaded" in told["mend"]
    assert sum(studio.slept) < 40


def test_a_build_that_is_over_and_not_noticed_is_left_to_the_sweep_after_a_minute(studio: Studio) -> None:
    with complaint(TROUBLE, "is over with SUCCEEDED, and the stack has not noticed yet") as told:
        studio.build(studio.taken_up, studio.pushed)
    assert "sweep" in told["mend"]
    assert 60 < sum(studio.slept) < 70


def test_a_build_that_takes_too_long_goes_on_without_us(studio: Studio) -> None:
    with complaint(TROUBLE, f"{FIRST_BUILD} of trees did not end within 120 seconds") as told:
        studio.build(studio.taken_up, timeout=120)
    assert f"aws codebuild stop-build --id {FIRST_BUILD}" in told["mend"]
    assert max(studio.slept) <= 5


def test_who_interrupts_is_told_how_to_end_the_build(studio: Studio) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with complaint(INTERRUPTED, "is followed no more") as told:
        studio.build(studio.taken_up, lambda: None, interrupted)
    assert f"aws codebuild stop-build --id {FIRST_BUILD}" in told["mend"]
    assert (told["status"], told["build"]) == ("building", FIRST_BUILD)


def test_a_call_that_is_throttled_ends_nothing(studio: Studio) -> None:
    busy = lambda: studio.memory.calls.fail("BatchGetBuilds", BUSY)  # noqa: E731
    studio.stack.logs_in_memory.write("Step 1/2")
    studio.stack.logs_in_memory.errors = ["ThrottlingException"]
    assert studio.build(studio.taken_up, busy, studio.pushed, studio.noticed).status == "published"


def test_who_may_not_look_at_builds_is_told_once_and_gets_the_image(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.stack.logs_in_memory.write("Step 1/2")
    studio.stack.logs_in_memory.errors = ["AccessDeniedException"]
    idle = [lambda: None] * 3
    assert studio.build(studio.taken_up, *idle, studio.pushed, studio.noticed).status == "published"
    assert capsys.readouterr().err.count("you may not logs:GetLogEvents") == 1


def test_a_stack_that_is_older_than_its_builds_is_told_of_before_an_upload(tmp_path: Path) -> None:
    studio = Studio(tmp_path, outputs={})
    with complaint(TROUBLE, "has no output Builder"):
        studio.build()
    assert studio.uploads == []
