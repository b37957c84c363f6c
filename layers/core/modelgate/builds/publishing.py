"""From a build that is over to an image that is known by its digest, or to the reasons why there is none.

An event only says which build or image to look at. What CodeBuild and ECR have now decides, and the item
of the build is closed with it once, however many events tell of it, and whichever was lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.builds.findings import Scan, too_severe
from modelgate.builds.order import IMAGE_NAME, IMAGE_TAG
from modelgate.builds.records import Build, Status
from modelgate.effects import Announce
from modelgate.errors import Refused
from modelgate.restarting import restarting
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.builds.findings import MaxSeverity
    from modelgate.builds.records import BuildRecords
    from modelgate.policies import Policies
    from modelgate.ports import Builds, Bus, Image, Images, Run

_LOG_LINES = 20
_SHOWN_LINES = 5
_IN_PROGRESS = "IN_PROGRESS"
# A basic scan takes minutes at most. Who waits for one must hear of it when none comes.
SCAN_PATIENCE = timedelta(hours=1)
# What the sweep looks back on: every build and every scan has ended, or is given up, well before.
SWEPT = timedelta(hours=12)


@dataclass(frozen=True)
class Summary:
    """What came of a source or of a build, for the log and for whoever invoked the function by hand."""

    image: str
    status: str
    digest: str = ""
    news: tuple[str, ...] = ()


class Publisher:
    """The use case of `build_finished` and `image_scanned`, and what the sweep does about builds.

    Args:
        policies: the default one says what a scan may find. Asked for when an image is there: policies take a
            while to be imported, and many builds fail.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        records: BuildRecords,
        builds: Builds,
        images: Images,
        policies: Callable[[], Policies],
        bus: Bus,
        clock: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._builds = builds
        self._images = images
        self._policies = policies
        self._bus = bus
        self._clock = clock

    # ── what starts it ────────────────────────────────────────────────────────────────────────
    def build_changed(self, build_id: str) -> Summary:
        """A build may be over.

        Raises:
            AwsError: Lambda is to come back.
        """
        run = self._builds.describe(build_id)
        if run is None:
            return Summary(build_id, "CodeBuild knows it no more")
        return restarting(lambda: self.of_run(run))

    def scanned(self, repository: str, digest: str) -> Summary:
        """A scan of an image is over; it may be a later one of an image that is long published.

        Raises:
            AwsError: Lambda is to come back.
        """
        return restarting(lambda: self._of_scan(repository, digest))

    def sweep(self) -> list[Summary]:
        """Looks after the builds of the last hours; what came of those that events were lost of.

        Raises:
            AwsError: CodeBuild or ECR cannot be asked.
        """
        found = []
        for run in self._builds.recent(self._clock() - SWEPT):
            build = self._of(run)
            if build is not None and (build.effects or not build.status.is_over):
                found.append(restarting(partial(self.of_run, run)))
        return [each for each in found if each.news]

    # ── what there is now ─────────────────────────────────────────────────────────────────────
    def of_run(self, run: Run) -> Summary:
        """Closes the item of a build that is over.

        Raises:
            StaleRevision: somebody else wrote the item in between.
        """
        build = self._of(run)
        if build is None:
            return Summary(run.id, "no build that counts")
        if build.status.is_over:
            return self.settle(build)
        if run.status == _IN_PROGRESS:
            return Summary(build.name, Status.BUILDING)
        # The item of an invocation that died before it could note the build down.
        build = replace(build, build_id=run.id)
        image = self._images.find(build.image, build.tag)
        if image is not None:
            return self.publish(build, image, run)
        return self._fail(build, run)

    def _of(self, run: Run) -> Build | None:
        """The item that a build is for; None if that speaks of another build by now, or is not there."""
        if not {IMAGE_NAME, IMAGE_TAG} <= run.variables.keys():
            return None  # somebody started it by hand
        build = self._records.load(run.variables[IMAGE_NAME], run.variables[IMAGE_TAG])
        if build is None or (build.build_id or run.id) != run.id or build.version != run.version:
            return None
        return build

    def _of_scan(self, repository: str, digest: str) -> Summary:
        image = self._images.find(repository, digest)
        items = [self._records.load(repository, tag) for tag in image.tags] if image else []
        build = next((item for item in items if item is not None and item.digest == digest), None)
        if image is None or build is None:
            return Summary(f"{repository}@{digest}", "no image that waits for a scan")
        # A later scan may find what is new in the lists of vulnerabilities, or not find any more what was.
        if build.status.is_over and (self._objection(image) is None) == (build.status is Status.PUBLISHED):
            return self.settle(build)
        return self.publish(build, image)

    def publish(self, build: Build, image: Image, run: Run | None = None) -> Summary:
        """Closes the item of an image that is in the registry, as the policy has it.

        Raises:
            StaleRevision: somebody else wrote the item in between.
        """
        home = self._images.home(build.image) or build.image
        build = replace(build, digest=image.digest, uri=f"{home}@{image.digest}", size=image.size, reasons=())
        demand = self._demand()
        # A scan on push begins a little after the push.
        scan = image.scan or Scan("pending", {})
        if demand is not None and scan.status == "pending":
            if self._clock() - image.pushed_at < SCAN_PATIENCE:
                waiting = replace(build, status=Status.SCANNING)
                return self.settle(waiting if waiting == build else self._records.save(waiting))
            scan = Scan("failed", {}, f"no scan came within {SCAN_PATIENCE.seconds // 3600} hour")
        wrong = too_severe(scan, demand) if demand is not None else None
        facts = {**self._facts(build, run), "findings": dict(scan.findings), "scan": scan.in_words}
        if wrong is not None:
            message = (
                f"Image {build.name} is refused: {wrong}. Mend the source, or the image that it builds on."
            )
            refused = replace(build, status=Status.REFUSED, reasons=(wrong,))
            return self._close(refused, Kind.IMAGE_REFUSED, message, facts)
        size = f"{image.size / 1_000_000:.0f} MB"
        message = f"Image {build.name} is published, {size} and {scan.in_words}: {build.uri}"
        return self._close(replace(build, status=Status.PUBLISHED), Kind.IMAGE_PUBLISHED, message, facts)

    def _fail(self, build: Build, run: Run) -> Summary:
        wrong = next((each for each in run.phases if each.trouble), None)
        what = f"in phase {wrong.name}: {wrong.trouble}" if wrong else f"with status {run.status}"
        if run.status == "SUCCEEDED":
            what = "to push an image, though CodeBuild calls it a success"
        lines = list(self._builds.last_lines(run, _LOG_LINES))
        ending = f" Last lines: {' | '.join(lines[-_SHOWN_LINES:])}" if lines else ""
        message = f"The build of image {build.name} from {build.source} failed {what}.{ending} {run.page}"
        facts = {
            **self._facts(build, run),
            "phase": wrong.name if wrong else run.status,
            "reasons": [f"failed {what}"],
            "log_lines": lines,
        }
        failed = replace(build, status=Status.FAILED, reasons=(f"failed {what}",))
        return self._close(failed, Kind.IMAGE_BUILD_FAILED, message.rstrip(), facts)

    def _facts(self, build: Build, run: Run | None) -> dict[str, object]:
        facts: dict[str, object] = {
            "image": build.image,
            "tag": build.tag,
            "source": build.source,
            "source_version": build.version,
        }
        if build.digest:
            facts |= {"digest": build.digest, "uri": build.uri, "bytes": build.size}
        if build.build_id:
            facts["build"] = build.build_id
        if run is not None:
            facts["page"] = run.page
            if run.ended_at is not None:
                facts["seconds"] = round((run.ended_at - run.started_at).total_seconds())
        return facts

    # ── the policy ────────────────────────────────────────────────────────────────────────────
    def _demand(self) -> MaxSeverity | None:
        try:
            policy = self._policies().default()
        except Refused:
            return None  # it was told when it was uploaded, and what it means is anybody's guess
        return policy.image.max_severity if policy else None

    def _objection(self, image: Image) -> str | None:
        demand = self._demand()
        if demand is None or image.scan is None or image.scan.status == "pending":
            return None
        return too_severe(image.scan, demand)

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────
    def _close(self, closed: Build, kind: Kind, message: str, facts: dict[str, object]) -> Summary:
        """One write holds the outcome and the announcement that is owed for it."""
        identity = id_of(kind, closed.name, closed.version, closed.build_id, *closed.reasons)
        news = Announce(Announcement(kind, identity, message, closed.image, facts))
        return self.settle(self._records.save(replace(closed, effects=(*closed.effects, news))))

    def settle(self, build: Build) -> Summary:
        """Carries out what is owed, and ticks it off."""
        news = tuple(effect.announcement for effect in build.effects)
        if news:
            self._bus.announce(*news)
            self._records.save(replace(build, effects=()))
        return Summary(build.name, build.status, build.digest, tuple(each.message for each in news))
