"""Following a build until its image is there, or is known not to come.

The build's item in the table tells what became of it. CodeBuild and its log only tell more, to whoever may
read them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from modelgate.builds.records import Status
from modelgate.errors import Forbidden, Throttled, TimedOut
from modelgate_cli.build_log import KEPT_LINES, BuildLog
from modelgate_cli.complaints import INTERRUPTED, TROUBLE, Complaint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelgate.builds.records import Build
    from modelgate.ports import Run
    from modelgate_cli.build_log import BuildScreen, PhaseBegins
    from modelgate_cli.stack import Stack

    T = TypeVar("T")

# Each look costs a call to the table, to CodeBuild and to its log: short pauses at first, as builds in the
# local cloud take seconds, and not so short ones while the log goes on.
_FIRST_PAUSE, _GROWTH, _PAUSE_AFTER_NEWS, _LONGEST_PAUSE = 0.2, 1.4, 1.0, 2.0
# The event that a build is over takes seconds.
_UNTIL_NOTICED = 60.0
_LOOK_AT_BUILDS, _READ_LOG = "codebuild:BatchGetBuilds", "logs:GetLogEvents"


@dataclass(frozen=True)
class Item:
    """Which build is followed.

    Attributes:
        before: what the table had before the upload; None where it had nothing. That is no outcome.
    """

    image: str
    tag: str
    before: Build | None = None


@dataclass(frozen=True)
class Ended:
    """A build that is over.

    Attributes:
        run: as CodeBuild has it; None where no build was needed, or where it may not be asked.
        shown: whether the end of the log was shown.
    """

    build: Build
    run: Run | None
    log_lines: tuple[str, ...]
    shown: bool


class Follower:
    """Looks at one build again and again.

    Args:
        patience: in seconds, until the stack must have taken an upload up.
        logs: whether the log is wanted.
    """

    def __init__(
        self,
        stack: Stack,
        item: Item,
        screen: BuildScreen,
        *,
        patience: float,
        logs: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stack = stack
        self._image, self._tag, self._before = item.image, item.tag, item.before
        self._screen = screen
        self._patience = patience
        self._logs = logs
        self._clock = clock
        self._sleep = sleep
        self._build: Build | None = None
        self._run: Run | None = None
        self._log: BuildLog | None = None
        self._over_since: float | None = None
        self._forbidden: set[str] = set()
        self._news = False

    def follow(self, timeout: float) -> Ended:
        """
        Args:
            timeout: how long at most, in seconds.

        Raises:
            Complaint: it did not end in time, the stack does not see to it, or somebody interrupted.
        """
        began, pause = self._clock(), _FIRST_PAUSE
        try:
            while (build := self._look(began)) is None:
                left = began + timeout - self._clock()
                if left <= 0:
                    raise self._goes_on(f"did not end within {timeout:g} seconds", TROUBLE)
                pause = min(pause, _PAUSE_AFTER_NEWS) if self._news else pause
                self._sleep(min(pause, left))
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        except KeyboardInterrupt:
            raise self._goes_on("is followed no more", INTERRUPTED) from None
        return self._ended(build)

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def _look(self, began: float) -> Build | None:
        """The item, if it is over."""
        self._news = False
        try:
            # The item first: when it says that it is over, all of the log is there.
            self._build = self._fresh(self._stack.build_records.load(self._image, self._tag))
            if self._build is None:
                self._screen.state(f"{self._image} is uploaded, and waits for the stack")
                if self._clock() - began > self._patience:
                    raise self._not_taken_up()
                return None
            if self._build.build_id:
                self._look_at_run(self._build.build_id)
        except (Throttled, TimedOut):
            return None  # a build is not over because somebody could not ask
        self._say_how_far(self._build, began)
        return self._build if self._build.status.is_over else None

    def _fresh(self, build: Build | None) -> Build | None:
        """The item, unless it is what it was before the upload."""
        before = self._before
        if build is None or before is None or not before.status.is_over or not build.status.is_over:
            return build
        same = (build.version, build.build_id) == (before.version, before.build_id)
        return None if same else build

    def _look_at_run(self, build_id: str) -> None:
        self._run = self._allowed(_LOOK_AT_BUILDS, lambda: self._stack.builds.describe(build_id))
        if self._run is None:
            return
        news: Sequence[str | PhaseBegins] = ()
        if self._logs and self._run.log is not None:
            self._log = self._log or BuildLog(self._stack.logs, *self._run.log)
            news = self._allowed(_READ_LOG, self._log.news) or ()
        self._screen.news(self._run.phases, news)
        self._news = bool(news)

    def _allowed(self, action: str, ask: Callable[[], T]) -> T | None:
        """What only tells more is left out for whoever may not ask; and that is told once."""
        if action in self._forbidden:
            return None
        try:
            return ask()
        except Forbidden:
            self._forbidden.add(action)
            self._screen.note(f"you may not {action}, so less is shown of the build")
            return None

    def _say_how_far(self, build: Build, began: float) -> None:
        match build.status:
            case Status.CLAIMED:
                self._screen.state(f"{build.image} is taken up")
                if self._stack.now() > build.owned_until and self._clock() - began > self._patience:
                    raise self._not_taken_up()
            case Status.BUILDING if self._run is None:
                self._screen.state(f"{build.image} is built by {build.build_id}")
            case Status.BUILDING:
                self._expect_notice()
            case Status.SCANNING:
                self._screen.state(f"{build.image} is pushed, and waits for its scan: {build.uri}")

    def _expect_notice(self) -> None:
        """
        Raises:
            Complaint: the build is over, and its item does not say so.
        """
        if self._run is None or self._run.ended_at is None:
            return
        if self._over_since is None:
            self._over_since = self._clock()
        if self._clock() - self._over_since > _UNTIL_NOTICED:
            found = f"is over with {self._run.status}, and the stack has not noticed yet"
            mend = "the next sweep will, within 15 minutes, and closes it; build again to see what came of it"
            raise self._complaint(found, mend, TROUBLE)

    # ── how it ends ───────────────────────────────────────────────────────────────────────────
    def _ended(self, build: Build) -> Ended:
        lines: Sequence[str] = self._log.last_lines if self._log else ()
        shown, run = bool(lines), self._run
        if run is not None and not shown and build.status is Status.FAILED:
            lines = self._allowed(_READ_LOG, lambda: self._stack.builds.last_lines(run, KEPT_LINES)) or ()
        return Ended(build, run, tuple(lines), shown)

    def _not_taken_up(self) -> Complaint:
        found = f"the stack has not taken {self._image} up within {self._patience:g} seconds"
        mend = (
            "see the log of the function source_uploaded (it refuses an image whose repository is somebody "
            "else's), and the dead-letter queues of the stack: modelgate redrive --dry-run"
        )
        return Complaint(found, mend, TROUBLE, facts={"image": self._image, "tag": self._tag})

    def _goes_on(self, found: str, code: int) -> Complaint:
        """About a build that nobody waits for any more."""
        mend = "it goes on, and the same command follows it again"
        if self._build and self._build.status is Status.BUILDING:
            mend += f"; aws codebuild stop-build --id {self._build.build_id} ends it"
        return self._complaint(found, mend, code)

    def _complaint(self, found: str, mend: str, code: int) -> Complaint:
        facts = {"image": self._image, "tag": self._tag, "status": "uploaded"}
        build_id = self._build.build_id if self._build else ""
        if self._build:
            facts |= {"status": self._build.status.value, "build": build_id}
        name = f"build {build_id} of {self._image}" if build_id else f"the build of {self._image}"
        return Complaint(f"{name} {found}", mend, code, facts=facts)
