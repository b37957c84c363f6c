"""Following a run until it is known what became of it.

The run's item in the table tells that. SageMaker and the log of the job only tell more, to whoever may read
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from modelgate.errors import Forbidden, Throttled, TimedOut
from modelgate_cli.complaints import INTERRUPTED, TROUBLE, Complaint
from modelgate_cli.job_log import in_words
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from modelgate_cli.job_log import JobLog, JobScreen

    T = TypeVar("T")

# The event that a job is over takes seconds.
_UNTIL_NOTICED = 60.0
_READ_LOG = "logs:GetLogEvents"
_IS_OVER = frozenset(("Completed", "Failed", "Stopped"))


class _Status(Protocol):
    @property
    def is_over(self) -> bool: ...


class Run(Protocol):
    """The item of a run, of whatever kind."""

    @property
    def status(self) -> _Status: ...

    @property
    def job(self) -> str: ...

    @property
    def turned_away(self) -> str: ...


class Job(Protocol):
    """A job as SageMaker has it, of whatever kind."""

    @property
    def status(self) -> str: ...


R = TypeVar("R", bound=Run)
J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Course(Generic[R, J]):
    """Which run is followed, and where to look.

    Attributes:
        name: what people call it: ``training iris/first``.
        version: the S3 version of the `job.yaml` that counts.
        job: what SageMaker calls its job.
        load: the run's item.
        version_of: the S3 version that an item speaks of.
        describe: the job; ``describes`` is the permission that it takes.
        words_of: how far a job has come.
        function: what starts the job, for whoever has to look into its log.
        again: which command follows it again.
        stop: the command that ends the job.
    """

    name: str
    version: str
    job: str
    load: Callable[[], R | None]
    version_of: Callable[[R], str]
    describe: Callable[[str], J | None]
    describes: str
    words_of: Callable[[J], str]
    log: JobLog
    function: str
    again: str
    stop: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Ended(Generic[R, J]):
    """A run that is over.

    Attributes:
        job: None where none was started, or where SageMaker may not be asked.
        log_lines: how the log ends; ``shown``, whether that was shown.
    """

    run: R
    job: J | None
    log_lines: tuple[str, ...]
    shown: bool


class Follower(Generic[R, J]):
    """Looks at one run again and again.

    Args:
        patience: in seconds, until the stack must have taken an upload up.
        logs: whether the log is wanted.
    """

    def __init__(
        self,
        course: Course[R, J],
        screen: JobScreen,
        *,
        patience: float,
        logs: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._course = course
        self._screen = screen
        self._patience = patience
        self._logs = logs
        self._clock = clock
        self._sleep = sleep
        self._run: R | None = None
        self._job: J | None = None
        self._over_since: float | None = None
        self._forbidden: set[str] = set()

    def follow(self, timeout: float) -> Ended[R, J]:
        """
        Args:
            timeout: how long at most, in seconds.

        Raises:
            Complaint: it did not end in time, the stack does not see to it, or somebody interrupted.
        """
        began = self._clock()
        try:
            run = wait_for(
                lambda: self._look(began),
                seconds=timeout,
                what=f"the end of {self._course.name}",
                mend=self._goes_on(),
                clock=self._clock,
                sleep=self._sleep,
            )
        except KeyboardInterrupt:
            found = f"{self._course.name} is followed no more"
            raise Complaint(found, self._goes_on(), INTERRUPTED, self._facts()) from None
        except Complaint as told:
            raise Complaint(told.error, told.mend, told.code, self._facts()) from None
        lines = tuple(in_words(line, self._course.log.hosts) for line in self._course.log.last_lines)
        return Ended(run, self._job, lines, shown=self._logs and bool(lines))

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def _look(self, began: float) -> R | None:
        """The item, if it is over."""
        try:
            # The item first: when it says that it is over, all of the log is there.
            self._run = self._fresh(self._course.load())
            if self._run is None:
                self._screen.state(f"{self._course.name} is uploaded, and waits for the stack")
                if self._clock() - began > self._patience:
                    raise self._not_taken_up()
                return None
            if self._run.job:
                self._look_at_job(self._run)
        except (Throttled, TimedOut):
            return None  # a job is not over because somebody could not ask
        self._say_how_far(self._run)
        return self._run if self._run.status.is_over else None

    def _fresh(self, run: R | None) -> R | None:
        """The item, if it speaks of what was uploaded.

        Raises:
            Complaint: what was uploaded is not carried out, because of what was there.
        """
        version = self._course.version
        if run is not None and self._course.version_of(run) != version:
            if run.turned_away == version:
                found = f"{self._course.name} is {run.status} already, with another job.yaml"
                raise Complaint(found, "choose another name for what is new: --run NAME")
            return None
        return run

    def _look_at_job(self, run: R) -> None:
        self._job = self._allowed(self._course.describes, lambda: self._course.describe(run.job))
        # How a job ends is worth knowing whether or not all of its log was wished for.
        if self._logs or run.status.is_over:
            for line in self._allowed(_READ_LOG, self._course.log.news) or ():
                if self._logs:
                    self._screen.line(in_words(line, self._course.log.hosts))

    def _allowed(self, action: str, ask: Callable[[], T]) -> T | None:
        """What only tells more is left out for whoever may not ask; and that is told once."""
        if action in self._forbidden:
            return None
        try:
            return ask()
        except Forbidden:
            self._forbidden.add(action)
            self._screen.note(f"you may not {action}, so less is shown of the job")
            return None

    def _say_how_far(self, run: R) -> None:
        if run.status.is_over:
            return
        if self._job is None:
            self._screen.state(f"{self._course.name} is {run.status}")
        elif self._job.status not in _IS_OVER:
            self._screen.state(f"{self._course.name}: {self._course.words_of(self._job)}")
        else:
            self._screen.state(f"{self._course.name}: {self._job.status}")
            self._expect_notice(self._job)

    def _expect_notice(self, job: J) -> None:
        """
        Raises:
            Complaint: the job is over, and its item does not say so.
        """
        if self._over_since is None:
            self._over_since = self._clock()
        if self._clock() - self._over_since > _UNTIL_NOTICED:
            found = f"{self._course.name} is over with {job.status}, and the stack has not noticed yet"
            mend = "the next sweep will, within 15 minutes; the same command then tells what came of it"
            raise Complaint(found, mend, TROUBLE)

    # ── how it ends ───────────────────────────────────────────────────────────────────────────
    def _not_taken_up(self) -> Complaint:
        found = f"the stack has not taken {self._course.name} up within {self._patience:g} seconds"
        mend = (
            f"see the log of the function {self._course.function}, and the dead-letter queues of the stack: "
            "modelgate redrive --dry-run"
        )
        return Complaint(found, mend, TROUBLE)

    def _goes_on(self) -> str:
        """About a job that nobody waits for any more."""
        stop = f"{self._course.stop} {self._course.job}"
        return f"it goes on in AWS, and {self._course.again} follows it again; {stop} ends it"

    def _facts(self) -> dict[str, str]:
        status = str(self._run.status) if self._run is not None else "uploaded"
        return {**self._course.facts, "status": status, "job": self._course.job}
