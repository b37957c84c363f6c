"""A container registry and a CodeBuild in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from modelgate.builds.findings import Scan
from modelgate.builds.order import IMAGE_NAME, IMAGE_TAG
from modelgate.errors import Invalid, Problem, Refused
from modelgate.ports import Image, Phase, Run

if TYPE_CHECKING:
    from datetime import datetime

    from modelgate.builds.order import BuildOrder
    from tests.fakes.aws import Calls, Clock

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
_TOKENS_LIVE = timedelta(minutes=5)


class FakeImages:
    """A `modelgate.ports.Images`.

    Attributes:
        homes: the repositories that there are.
        of_others: those of them that do not carry the stack's tag.
        scans: what is known of each digest's scan.
    """

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._images: dict[tuple[str, str], Image] = {}
        self.homes: set[str] = set()
        self.of_others: set[str] = set()
        self.scans: dict[str, Scan] = {}

    def push(self, repository: str, *tags: str, digest: str | None = None) -> str:
        """What `docker push` does, to a repository that somebody made; the digest."""
        self.homes.add(repository)
        digest = digest or f"sha256:{len(self._images) + 1:064x}"
        known = self._images.get((repository, digest))
        names = (*(known.tags if known else ()), *tags)
        self._images[repository, digest] = Image(repository, digest, names, 81_000_000, self._clock())
        return digest

    def forget(self, repository: str, digest: str) -> None:
        """Somebody deletes an image."""
        del self._images[repository, digest]

    def find(self, repository: str, which: str) -> Image | None:
        return self._calls.make("DescribeImages", lambda: self._find(repository, which))

    def newest(self, repository: str) -> Image | None:
        def last() -> Image | None:
            tagged = [each for each in self._images.values() if each.repository == repository and each.tags]
            newest = max(tagged, key=lambda each: each.pushed_at, default=None)
            return self._find(repository, newest.digest) if newest else None

        return self._calls.make("DescribeImages", last)

    def home(self, repository: str) -> str | None:
        def found() -> str | None:
            return f"{REGISTRY}/{repository}" if repository in self.homes else None

        return self._calls.make("DescribeRepositories", found)

    def make_home(self, repository: str) -> str:
        return self._make(repository)

    def make_cache(self, repository: str) -> str:
        return self._make(f"modelgate-cache/{repository}")

    def _make(self, repository: str) -> str:
        def made() -> str:
            if repository in self.of_others:
                raise Refused(Problem(f"ECR: {repository}", "is somebody else's", "choose another name"))
            self.homes.add(repository)
            return f"{REGISTRY}/{repository}"

        return self._calls.make("CreateRepository", made)

    def _find(self, repository: str, which: str) -> Image | None:
        for (home, digest), image in self._images.items():
            if home == repository and which in {digest, *image.tags}:
                return replace(image, scan=self.scans.get(digest))
        return None


@dataclass
class FakeBuilds:
    """A `modelgate.ports.Builds`: builds stand still until a test says how they end."""

    calls: Calls
    clock: Clock
    images: FakeImages
    runs: dict[str, Run] = field(default_factory=dict)
    orders: dict[str, BuildOrder] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)

    def start(self, order: BuildOrder) -> str:
        return self.calls.make("StartBuild", lambda: self._start(order))

    def describe(self, build_id: str) -> Run | None:
        return self.calls.make("BatchGetBuilds", lambda: self.runs.get(build_id))

    def recent(self, since: datetime) -> Sequence[Run]:
        def found() -> list[Run]:
            return [run for run in reversed(self.runs.values()) if run.started_at >= since]

        return self.calls.make("ListBuildsForProject", found)

    def last_lines(self, run: Run, count: int) -> Sequence[str]:
        return self.calls.make("GetLogEvents", lambda: self.logs.get(run.id, [])[-count:])

    def succeed(self, build_id: str) -> str:
        """The build pushes its image; the digest."""
        run = self.runs[build_id]
        digest = self.images.push(run.variables[IMAGE_NAME], run.variables[IMAGE_TAG])
        self.end(build_id, "SUCCEEDED", exported={"IMAGE_DIGEST": digest})
        return digest

    def fail(self, build_id: str, *lines: str) -> None:
        """A step of the Dockerfile goes wrong."""
        self.logs[build_id] = list(lines)
        wrong = Phase("BUILD", "FAILED", "COMMAND_EXECUTION_ERROR: exit status 1")
        self.end(build_id, "FAILED", phases=(Phase("PRE_BUILD", "SUCCEEDED"), wrong))

    def end(
        self,
        build_id: str,
        status: str,
        phases: tuple[Phase, ...] = (),
        exported: Mapping[str, str] | None = None,
    ) -> None:
        self.runs[build_id] = replace(
            self.runs[build_id],
            status=status,
            ended_at=self.clock(),
            phases=phases,
            exported=exported or {},
        )

    def _start(self, order: BuildOrder) -> str:
        for build_id, known in self.orders.items():
            remembers = self.clock() - self.runs[build_id].started_at < _TOKENS_LIVE
            if known.token == order.token and remembers:
                if known != order:
                    raise Invalid("StartBuild", "InvalidInputException", "another build has this token")
                return build_id
        build_id = f"modelgate-images:{len(self.runs) + 1}"
        self.orders[build_id] = order
        self.runs[build_id] = Run(
            id=build_id,
            status="IN_PROGRESS",
            variables=dict(order.variables),
            source=order.source.key,
            version=order.source.version,
            started_at=self.clock(),
            log=("/aws/codebuild/modelgate-images", build_id.rpartition(":")[2]),
            page=f"https://console.example/{build_id}",
        )
        return build_id
