"""From the upload of a source to an image that is known by its digest, once, whatever goes wrong."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from itertools import count

import pytest

from modelgate.builds.findings import MaxSeverity, Scan, too_severe
from modelgate.builds.publishing import SCAN_PATIENCE, Summary
from modelgate.builds.records import Build, BuildRecords
from modelgate.errors import AwsError, LimitReached, NotYet, Throttled, TimedOut
from modelgate.invocation import Invocation
from tests.fakes.aws import Crash
from tests.fakes.builds import REGISTRY
from tests.fakes.runtime import Memory, MemoryRuntime
from tests.unit.sources import DOCKERFILE, source, zipped

TIME_LIMIT = 300
KEY = "sources/trees/first.zip"


class Workshop:
    """The functions that build, on an AWS in memory."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.clock, self.calls = self.memory.clock, self.memory.calls
        self.bucket, self.bus = self.memory.bucket, self.memory.bus
        self.images, self.builds = self.memory.images, self.memory.builds
        self.records = BuildRecords(self.memory.table)
        self.runtime = MemoryRuntime(self.memory)
        self._ids = count(1)

    def upload(self, content: bytes | None = None, key: str = KEY) -> str:
        self.bucket.put(key, source() if content is None else content)
        return key

    def receive(self, key: str = KEY, invocation: str | None = None) -> Summary:
        """One delivery of an upload's event."""
        until = self.clock.now + timedelta(seconds=TIME_LIMIT)
        name = invocation or f"invocation-{next(self._ids)}"
        return self.runtime.builder.receive(key, Invocation(name, until))

    def receive_as_lambda_does(self, key: str = KEY) -> None:
        """With two retries, which keep the invocation's id."""
        invocation = f"invocation-{next(self._ids)}"
        for _ in range(3):
            try:
                self.receive(key, invocation)
            except (AwsError, NotYet, Crash):
                self.clock.forward(90)
            else:
                return

    def finished(self, build_id: str) -> Summary:
        """One delivery of the event that a build is over."""
        return self.runtime.publisher.build_changed(build_id)

    def demand(self, worst: MaxSeverity) -> None:
        self.bucket.put("policies/default.yaml", f"image: {{max_severity: {worst}}}".encode())

    @property
    def started(self) -> list[str]:
        """The builds that were started."""
        return list(self.builds.runs)

    @property
    def item(self) -> Build:
        (found,) = self.records.of_image("trees")
        return found

    @property
    def message(self) -> str:
        return self.bus.announced[-1].message


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


# ── the ordinary way ──────────────────────────────────────────────────────────────────────────────
def test_a_source_is_built_and_its_image_announced_by_its_digest(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    order = workshop.builds.orders[build]
    assert (order.source.key, order.source.version) == (KEY, "v1")
    assert order.variables["IMAGE_URI"] == f"{REGISTRY}/trees"
    assert order.variables["CACHE_URI"] == f"{REGISTRY}/modelgate-cache/trees"
    digest = workshop.builds.succeed(build)
    workshop.clock.forward(61)
    assert workshop.finished(build).digest == digest
    (news,) = workshop.bus.announced
    assert (news.kind.value, news.group) == ("Image Published", "trees")
    assert news.facts["uri"] == f"{REGISTRY}/trees@{digest}"
    assert news.facts["build"] == build
    assert "81 MB" in news.message
    assert workshop.item.status.value == "published"


def test_a_build_that_failed_is_announced_with_the_phase_the_last_lines_and_the_link(
    workshop: Workshop,
) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    workshop.builds.fail(build, "Step 2/2 : RUN false", "returned a non-zero code: 1")
    workshop.finished(build)
    (news,) = workshop.bus.announced
    assert news.kind.value == "Image Build Failed"
    assert news.facts["phase"] == "BUILD"
    assert news.facts["log_lines"] == ["Step 2/2 : RUN false", "returned a non-zero code: 1"]
    assert "failed in phase BUILD: COMMAND_EXECUTION_ERROR: exit status 1." in news.message
    assert "RUN false | returned a non-zero code: 1" in news.message
    assert workshop.builds.runs[build].page in news.message


def test_a_success_without_an_image_is_a_failure(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    workshop.builds.end(build, "SUCCEEDED")
    workshop.finished(build)
    assert workshop.bus.kinds() == ["Image Build Failed"]
    assert "failed to push an image, though CodeBuild calls it a success" in workshop.message


@pytest.mark.parametrize("status", ["FAULT", "TIMED_OUT", "STOPPED"])
def test_however_a_build_ends_it_is_told(workshop: Workshop, status: str) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    workshop.builds.end(build, status)
    workshop.finished(build)
    assert f"failed with status {status}" in workshop.message


# ── never twice ───────────────────────────────────────────────────────────────────────────────────
def test_the_same_event_again_starts_nothing_and_says_nothing(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    workshop.receive()
    (build,) = workshop.started
    workshop.builds.succeed(build)
    for _ in range(3):
        workshop.finished(build)
        workshop.receive()
    assert workshop.started == [build]
    assert workshop.bus.kinds() == ["Image Published"]


def test_the_same_content_is_never_built_twice_and_its_image_announced_at_once(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    again = workshop.upload(
        zipped({"Dockerfile": DOCKERFILE}, compression=zipfile.ZIP_STORED), "sources/trees/b.zip"
    )
    workshop.receive(again)
    assert workshop.started == [build]  # it is under way
    digest = workshop.builds.succeed(build)
    workshop.finished(build)
    assert workshop.receive(workshop.upload(key="sources/trees/c.zip")).digest == digest
    assert workshop.started == [build]
    assert workshop.bus.kinds() == ["Image Published", "Image Published"]
    first, second = workshop.bus.announced
    assert first.id != second.id
    assert first.facts["digest"] == second.facts["digest"] == digest


def test_an_image_that_is_gone_is_built_anew(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (first,) = workshop.started
    digest = workshop.builds.succeed(first)
    workshop.finished(first)
    workshop.images.forget("trees", digest)
    workshop.receive(workshop.upload(key="sources/trees/b.zip"))
    assert len(workshop.started) == 2


def test_what_failed_is_built_again_when_it_is_uploaded_again(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (first,) = workshop.started
    workshop.builds.fail(first)
    workshop.finished(first)
    workshop.receive(workshop.upload())
    _, second = workshop.started
    workshop.finished(first)  # its event, late and once more, is about nothing any more
    workshop.builds.succeed(second)
    workshop.finished(second)
    assert workshop.bus.kinds() == ["Image Build Failed", "Image Published"]


def test_another_invocation_that_is_at_it_is_waited_for(workshop: Workshop) -> None:
    workshop.upload()
    workshop.calls.fail("StartBuild", Crash())
    with pytest.raises(Crash):
        workshop.receive(invocation="one")
    with pytest.raises(NotYet, match="another invocation starts the build"):
        workshop.receive(invocation="two")
    workshop.clock.forward(TIME_LIMIT)
    workshop.receive(invocation="two")
    assert len(workshop.started) == 1


def test_a_build_that_was_started_and_not_noted_down_is_found(workshop: Workshop) -> None:
    workshop.upload()
    workshop.calls.fail("StartBuild", Crash(), after=True)
    with pytest.raises(Crash):
        workshop.receive(invocation="one")
    workshop.clock.forward(24 * 3600)  # CodeBuild has long forgotten the token
    workshop.receive(invocation="two")
    assert len(workshop.started) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Crash(), Throttled("x", "x", "x"), TimedOut("x", "x", "x")])
def test_a_fault_at_any_call_leaves_one_build_and_one_piece_of_news(
    error: BaseException, after: bool
) -> None:
    for call in count(1):
        workshop = Workshop()
        workshop.upload()
        workshop.calls.fail(call, error, after=after)
        workshop.receive_as_lambda_does()
        assert len(workshop.started) == 1, f"call {call}"
        (build,) = workshop.started
        workshop.builds.succeed(build)
        for _ in range(3):  # Lambda's retries
            try:
                workshop.finished(build)
            except (Crash, AwsError):
                continue
            break
        reached = len(workshop.calls.made) < call
        workshop.calls.heal()
        workshop.runtime.publisher.sweep()
        assert {news.kind.value for news in workshop.bus.announced} == {"Image Published"}, f"call {call}"
        assert len({news.id for news in workshop.bus.announced}) == 1, f"call {call}"
        assert workshop.item.status.value == "published"
        if reached:
            return


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
def test_a_source_that_cannot_be_built_costs_no_build(workshop: Workshop) -> None:
    workshop.receive(workshop.upload(zipped({"Dockerfile": "RUN true", "build.yaml": "x: 1"})))
    workshop.receive()
    assert workshop.started == []
    assert workshop.bus.kinds() == ["Source Refused"] * 2
    assert len({news.id for news in workshop.bus.announced}) == 1
    reasons = workshop.bus.announced[0].facts["reasons"]
    assert isinstance(reasons, list)
    assert len(reasons) == 2
    assert "(and 1 more)" in workshop.message


def test_a_source_that_is_too_large_is_not_even_read(workshop: Workshop) -> None:
    workshop.bucket.pretend(KEY, source(), 2 * 1024**3)
    workshop.receive()
    assert "has 2.0 GB, and 1 GB is allowed" in workshop.message
    assert "GetObject" not in workshop.calls.made


def test_a_name_that_no_repository_can_have_is_refused(workshop: Workshop) -> None:
    workshop.receive(workshop.upload(key="sources/My Trees/a.zip"))
    assert "'My Trees' is no name of an image" in workshop.message


def test_a_repository_of_somebody_elses_is_left_alone(workshop: Workshop) -> None:
    workshop.images.of_others.add("trees")
    workshop.receive(workshop.upload())
    assert workshop.started == []
    assert workshop.bus.kinds() == ["Source Refused"]
    assert workshop.records.of_image("trees") == []


def test_a_source_that_is_gone_is_nobodys_business(workshop: Workshop) -> None:
    assert workshop.receive().status == "gone"
    assert workshop.bus.announced == []


def test_a_full_queue_of_builds_is_tried_again(workshop: Workshop) -> None:
    workshop.upload()
    workshop.calls.fail("StartBuild", LimitReached("StartBuild", "AccountLimitExceededException", "queue"))
    workshop.receive_as_lambda_does()
    assert len(workshop.started) == 1


# ── scans ─────────────────────────────────────────────────────────────────────────────────────────
def _built(workshop: Workshop) -> tuple[str, str]:
    """A build that has pushed; its id, and the image's digest."""
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    return build, workshop.builds.succeed(build)


def test_findings_that_the_policy_allows_are_told_of(workshop: Workshop) -> None:
    workshop.demand("HIGH")
    build, digest = _built(workshop)
    workshop.images.scans[digest] = Scan("complete", {"HIGH": 2, "LOW": 7})
    workshop.finished(build)
    assert workshop.bus.kinds() == ["Image Published"]
    assert "2 HIGH and 7 LOW findings" in workshop.message


def test_an_image_waits_for_its_scan_where_the_policy_wants_to_know(workshop: Workshop) -> None:
    workshop.demand("HIGH")
    build, digest = _built(workshop)
    workshop.images.scans[digest] = Scan("pending", {})
    assert workshop.finished(build).status == "scanning"
    assert workshop.bus.announced == []
    workshop.images.scans[digest] = Scan("complete", {"CRITICAL": 1})
    workshop.runtime.publisher.scanned("trees", digest)
    workshop.runtime.publisher.scanned("trees", digest)
    assert workshop.bus.kinds() == ["Image Refused"]
    assert "it has 1 CRITICAL findings, and none worse than HIGH is allowed" in workshop.message
    assert workshop.item.status.value == "refused"


def test_a_scan_whose_event_was_lost_is_found_by_the_sweep(workshop: Workshop) -> None:
    workshop.demand("NONE")
    build, digest = _built(workshop)
    workshop.finished(build)
    assert workshop.item.status.value == "scanning"
    workshop.images.scans[digest] = Scan("complete", {})
    workshop.runtime.publisher.sweep()
    assert workshop.bus.kinds() == ["Image Published"]


def test_a_scan_that_never_comes_is_given_up(workshop: Workshop) -> None:
    workshop.demand("MEDIUM")
    build, _ = _built(workshop)
    workshop.finished(build)
    workshop.clock.forward(SCAN_PATIENCE.total_seconds())
    workshop.runtime.publisher.sweep()
    assert workshop.bus.kinds() == ["Image Refused"]
    assert "no scan came within 1 hour" in workshop.message


def test_a_later_scan_that_finds_more_takes_the_image_back(workshop: Workshop) -> None:
    workshop.demand("HIGH")
    build, digest = _built(workshop)
    workshop.images.scans[digest] = Scan("complete", {})
    workshop.finished(build)
    workshop.runtime.publisher.scanned("trees", digest)
    assert workshop.bus.kinds() == ["Image Published"]
    workshop.images.scans[digest] = Scan("complete", {"CRITICAL": 1})
    workshop.runtime.publisher.scanned("trees", digest)
    assert workshop.bus.kinds() == ["Image Published", "Image Refused"]


def test_scans_of_other_images_are_nobodys_business(workshop: Workshop) -> None:
    digest = workshop.images.push("websites", "v1")
    workshop.runtime.publisher.scanned("websites", digest)
    workshop.runtime.publisher.scanned("gone", digest)
    assert workshop.bus.announced == []


def test_without_a_demand_nobody_waits_for_a_scan(workshop: Workshop) -> None:
    build, digest = _built(workshop)
    workshop.images.scans[digest] = Scan("pending", {})
    workshop.finished(build)
    assert workshop.bus.kinds() == ["Image Published"]
    assert "not scanned yet" in workshop.message


@pytest.mark.parametrize(
    ("worst", "findings", "allowed"),
    [
        ("CRITICAL", {"CRITICAL": 9}, True),
        ("HIGH", {"CRITICAL": 1}, False),
        ("HIGH", {"CRITICAL": 0, "HIGH": 3}, True),
        ("LOW", {"MEDIUM": 1}, False),
        ("UNDEFINED", {"UNDEFINED": 1, "INFORMATIONAL": 0}, True),
        ("NONE", {"UNDEFINED": 1}, False),
        ("NONE", {}, True),
    ],
)
def test_the_worst_finding_that_is_allowed(
    worst: MaxSeverity, findings: dict[str, int], allowed: bool
) -> None:
    assert (too_severe(Scan("complete", findings), worst) is None) == allowed


# ── lost events ───────────────────────────────────────────────────────────────────────────────────
def test_the_sweep_finds_builds_whose_events_were_lost(workshop: Workshop) -> None:
    workshop.receive(workshop.upload())
    (build,) = workshop.started
    until = Invocation("sweep", workshop.clock.now + timedelta(seconds=60))
    assert workshop.runtime.sweep.run(until).finished == {}
    workshop.builds.succeed(build)
    assert workshop.runtime.sweep.run(until).finished == {"builds": (workshop.item.name,)}
    assert workshop.runtime.sweep.run(until).finished == {}
    assert workshop.bus.kinds() == ["Image Published"]


def test_a_codebuild_that_cannot_be_asked_keeps_no_endpoint_from_being_swept(workshop: Workshop) -> None:
    workshop.calls.fail("ListBuildsForProject", Throttled("ListBuildsForProject", "x", "slow down"))
    until = Invocation("sweep", workshop.clock.now + timedelta(seconds=60))
    assert "slow down" in workshop.runtime.sweep.run(until).trouble["builds"]


def test_a_build_that_somebody_started_by_hand_is_nobodys_business(workshop: Workshop) -> None:
    build, _ = _built(workshop)
    run = workshop.builds.runs[build]
    workshop.builds.runs["by-hand"] = type(run)(**{**run.__dict__, "id": "by-hand", "variables": {}})
    assert workshop.finished("by-hand").status == "no build that counts"
    assert workshop.finished("unknown").status == "CodeBuild knows it no more"
    workshop.runtime.publisher.sweep()
    assert workshop.bus.kinds() == ["Image Published"]
