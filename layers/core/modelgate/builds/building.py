"""From the upload of a source to a build, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. The build's item is claimed
before anything is started, so that one content is built once, whoever uploads it, and how often.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.builds.order import IMAGE_NAME, IMAGE_TAG, order
from modelgate.builds.publishing import Summary
from modelgate.builds.records import Build, Status
from modelgate.builds.source import MAX_ZIP_BYTES, SourceId, examine
from modelgate.errors import NotYet, Problem, Refused
from modelgate.restarting import restarting

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.builds.publishing import Publisher
    from modelgate.builds.records import BuildRecords
    from modelgate.builds.source import Source
    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Builds, Bus, Images, ObjectVersion, Run

_SHOWN_PROBLEMS = 20
_CHUNK = 1024 * 1024
# Clocks of this function and of CodeBuild may differ.
_CLOCK_SKEW = timedelta(minutes=5)


class Builder:
    """The use case of `source_uploaded`.

    Args:
        region: the stack's.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        records: BuildRecords,
        builds: Builds,
        images: Images,
        publisher: Publisher,
        bus: Bus,
        region: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._records = records
        self._builds = builds
        self._images = images
        self._publisher = publisher
        self._bus = bus
        self._region = region
        self._clock = clock

    def receive(self, key: str, invocation: Invocation) -> Summary:
        """A source was uploaded at ``key``, ``sources/<image>/<name>.zip``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        where = SourceId.of_key(key)
        found = self._bucket.head(key)
        if found is None:
            return Summary(str(where), "gone")
        try:
            where.check()
            source = self._examined(found)
            return restarting(lambda: self._receive(where, found, source, invocation))
        except Refused as refused:
            return self._refuse(where, found, refused)

    def _receive(
        self, where: SourceId, found: ObjectVersion, source: Source, invocation: Invocation
    ) -> Summary:
        # The item first, then what there is: what is written rests on facts as new as the item.
        build = self._records.load(where.image, source.tag)
        if build and build.is_of(found) and build.status.is_over:
            return self._publisher.settle(build)  # the same event, once more
        run = self._run_of(build) if build else None
        if build and run:
            return self._publisher.of_run(run)
        if build and build.status is Status.CLAIMED and not self._may_take_over(build, invocation):
            raise NotYet(f"another invocation starts the build of {build.name}")
        claim = Build(
            image=where.image,
            tag=source.tag,
            source=found.key,
            version=found.version,
            status=Status.CLAIMED,
            owner=invocation.id,
            claimed_at=self._clock(),
            owned_until=invocation.until,
            revision=build.revision if build else 0,
            effects=build.effects if build else (),
        )
        image = self._images.find(where.image, source.tag)
        if image is not None:
            return self._publisher.publish(claim, image)
        homes = self._images.make_home(where.image), self._images.make_cache(where.image)
        return self._start(self._records.save(claim), found, source, *homes)

    def _run_of(self, build: Build) -> Run | None:
        """The build that is under way for an item, also one that was started and not noted down."""
        if build.status.is_over:
            return None
        if build.build_id:
            return self._builds.describe(build.build_id)
        mine = {IMAGE_NAME: build.image, IMAGE_TAG: build.tag}
        for run in self._builds.recent(build.claimed_at - _CLOCK_SKEW):
            if run.version == build.version and mine.items() <= run.variables.items():
                return run
        return None

    def _may_take_over(self, build: Build, invocation: Invocation) -> bool:
        """Lambda's retry has the invocation's own id, and a claim that outlived its owner is free."""
        return build.owner == invocation.id or self._clock() >= build.owned_until

    def _start(self, claim: Build, found: ObjectVersion, source: Source, home: str, cache: str) -> Summary:
        told = order(
            source,
            found,
            image=claim.image,
            home=home,
            cache=cache,
            region=self._region,
            # A second try of the same upload is the same build; a new upload after a failure is another.
            token=id_of(claim.name, found.key, found.version),
        )
        started = replace(claim, status=Status.BUILDING, build_id=self._builds.start(told))
        return self._publisher.settle(self._records.save(started))

    # ── what is wrong with it ─────────────────────────────────────────────────────────────────
    def _examined(self, found: ObjectVersion) -> Source:
        if found.size > MAX_ZIP_BYTES:
            size = f"has {found.size / 1024**3:.1f} GB, and {MAX_ZIP_BYTES // 1024**3} GB is allowed"
            mend = "leave out what the image does not need, and have the build fetch what is large"
            raise Refused(Problem(found.key, size, mend))
        with TemporaryFile() as file:
            self._download(found, file)
            return examine(file, found.key)

    def _download(self, found: ObjectVersion, file: BinaryIO) -> None:
        stream = self._bucket.open(found)
        try:
            shutil.copyfileobj(stream, file, _CHUNK)
        finally:
            stream.close()
        file.seek(0)

    def _refuse(self, where: SourceId, found: ObjectVersion, refused: Refused) -> Summary:
        reasons = [str(problem) for problem in refused.problems]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        message = f"Source {where} is refused, and nothing is built: {reasons[0]}{more}."
        facts: dict[str, object] = {
            "image": where.image,
            "source": found.key,
            "source_version": found.version,
            "reasons": reasons[:_SHOWN_PROBLEMS],
        }
        identity = id_of(Kind.SOURCE_REFUSED, found.key, found.version)
        self._bus.announce(Announcement(Kind.SOURCE_REFUSED, identity, message, where.image, facts))
        return Summary(str(where), "refused", news=(message,))
