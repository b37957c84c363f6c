"""What the use cases need from AWS. `modelgate/aws` has the real ones; the tests have fakes that pass
the same contract tests.

Every method may raise the `AwsError`s of `modelgate.errors`; the docstrings name only those that a
use case has to expect.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelgate.announcements import Announcement
    from modelgate.deployment.planner import Endpoint
    from modelgate.policy import DeploymentPolicy
    from modelgate.registry.package import ModelPackage, Registration
    from modelgate.submission import SmokeTest


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object in the bucket; ``size`` in bytes."""

    key: str
    version: str
    size: int


class Stream(Protocol):
    """The body of an object, read once from front to back."""

    def read(self, amount: int = ..., /) -> bytes: ...

    def close(self) -> None: ...


class Bucket(Protocol):
    """The intake bucket."""

    @property
    def name(self) -> str: ...

    def head(self, key: str) -> ObjectVersion | None:
        """The object's present version; None when there is none."""

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        """The object, or its first ``limit + 1`` bytes; None when there is none."""

    def open(self, found: ObjectVersion) -> Stream:
        """That very version, as a stream."""

    def write(self, key: str, body: bytes, content_type: str) -> None: ...


@dataclass(frozen=True)
class Record:
    """An item of the table.

    Attributes:
        pk, sk: its key.
        document: what it holds, as JSON.
        revision: counts the writes of this item; the first write has 1. A write succeeds only on the
            revision before it. None: written once or again, unconditionally (what never changes).
        facts: what people see first in DynamoDB's console; strings and whole numbers.
    """

    pk: str
    sk: str
    document: str
    revision: int | None
    facts: tuple[tuple[str, str | int], ...] = ()


class Table(Protocol):
    """The one table."""

    def get(self, pk: str, sk: str) -> Record | None:
        """Reads consistently."""

    def put(self, *records: Record) -> None:
        """Writes all of them or none.

        Raises:
            StaleRevision: one of them was written by somebody else since it was read.
        """

    def query(self, pk: str, sk_prefix: str) -> list[Record]:
        """All items of a key, in the order of their sort keys."""


class Bus(Protocol):
    """The bus for announcements."""

    def announce(self, *announcements: Announcement) -> None:
        """Publishes them, all of them.

        Raises:
            Throttled: EventBridge took some of them only.
        """


class Registry(Protocol):
    """The SageMaker Model Registry."""

    def describe(self, group: str, version: int) -> ModelPackage | None:
        """The version; None when it is gone."""

    def register(self, registration: Registration) -> int:
        """Makes a version, pending an operator's approval, and its group where there is none."""

    def registered_since(self, group: str, since: datetime) -> Sequence[ModelPackage]:
        """The versions made since then, newest first."""

    def reject(self, group: str, version: int, reason: str) -> None:
        """Rejects a version; the reason is cut to what ApprovalDescription holds."""


class Hosting(Protocol):
    """SageMaker's models, endpoint configs and endpoints. Everything that is made gets the stack's tag."""

    def describe(self, endpoint: str) -> Endpoint | None:
        """The endpoint; None when there is none. ``ours`` is left True: `carries_tag` tells."""

    def carries_tag(self, endpoint: str) -> bool:
        """Whether the endpoint has the stack's tag."""

    def make_model(self, name: str, group: str, version: int) -> None:
        """Raises: AlreadyExists."""

    def make_config(self, name: str, policy: DeploymentPolicy) -> None:
        """Raises: AlreadyExists."""

    def create(self, endpoint: str, config: str) -> None: ...

    def update(self, endpoint: str, config: str) -> None: ...

    def delete(self, endpoint: str) -> None: ...


class Predictions(Protocol):
    """The SageMaker runtime."""

    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        """The answer's text.

        Raises:
            ModelFailed: the container answered with an error.
        """
