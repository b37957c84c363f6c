"""Everything that Modelgate raises, as one tree.

ModelgateError
├── Refused                 the user's document or artifact is wrong; trying again cannot help
├── NotYet                  somebody else is at it, or AWS is; Lambda's retry comes back
│   └── OutOfTime           the artifact is not read to its end (in artifacts.inspection, with its figures)
└── AwsError                AWS said no; what it said, in words that the use cases can tell apart
    ├── NotFound            what was named does not exist
    ├── AlreadyExists       what was to be made is there
    ├── StaleRevision       the item was written by somebody else since it was read
    ├── Throttled           too many requests, or a service that is unwell for the moment
    ├── TimedOut            no answer in time; whether it took effect is unknown
    ├── Forbidden           the role lacks a permission
    ├── LimitReached        a quota of the account
    ├── Invalid             AWS rejects the request as it stands (ValidationException)
    └── ModelFailed         the container that serves the model answered with an error

`Refused` is an answer: it is announced with its reasons, and the handler returns normally. All the
others leave the handler, so that Lambda retries and the event ends in a dead-letter queue when it
stays so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelgate.values import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what somebody wrote or uploaded, and how to mend it.

    Attributes:
        where: the document or artifact, and the place in it: ``manifest.yaml: metrics.accuracy``.
        found: what stands there.
        mend: what would be right.
    """

    where: str
    found: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; {self.mend}"


class ModelgateError(Exception):
    """The root of the tree."""


class Refused(ModelgateError):
    """What the user wrote or uploaded is wrong. Carries every problem that was found, not the first."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a refusal needs a reason")
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Gathering:
    """Gathers refusals of several looks, so that everything that is wrong is told at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keeps the problems of a refusal in the block, and goes on behind it."""
        try:
            yield
        except Refused as refused:
            self.problems += refused.problems

    def refuse(self) -> None:
        """
        Raises:
            Refused: anything was gathered; each problem once.
        """
        if self.problems:
            raise Refused(*dict.fromkeys(self.problems))


class NotYet(ModelgateError):
    """There is something to do, but not now."""


class AwsError(ModelgateError):
    """AWS said no. ``operation`` is the API's name for the call, ``code`` AWS's for the error."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message


class NotFound(AwsError):
    """What was named does not exist."""


class AlreadyExists(AwsError):
    """What was to be made is there already."""


class StaleRevision(AwsError):
    """The item was written by somebody else since it was read."""


class Throttled(AwsError):
    """Too many requests, or a service that is unwell for the moment."""


class TimedOut(AwsError):
    """No answer in time. Whether the call took effect is unknown."""


class Forbidden(AwsError):
    """The role lacks a permission."""


class LimitReached(AwsError):
    """A quota of the account."""


class Invalid(AwsError):
    """AWS rejects the request as it stands."""


class ModelFailed(AwsError):
    """The container that serves the model answered with an error."""
