"""What the use cases need from AWS. `modelgate/aws` has the real ones; the tests have fakes that pass
the same contract tests.

Every method may raise the `AwsError`s of `modelgate.errors`; the docstrings name only those that a
use case has to expect.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.announcements import Announcement
    from modelgate.builds.findings import Scan
    from modelgate.builds.order import BuildOrder
    from modelgate.deployment.planner import Endpoint
    from modelgate.manifest import SmokeTest
    from modelgate.policy import Alarms, Autoscaling, DeploymentPolicy, Rollout
    from modelgate.registry.package import ModelPackage, Registration


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object in the bucket; ``size`` in bytes."""

    key: str
    version: str
    size: int
    etag: str = ""


@dataclass(frozen=True)
class NewObject:
    """What is to be written into the bucket."""

    key: str
    body: bytes
    content_type: str


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

    def open(self, found: ObjectVersion, start: int = 0) -> Stream:
        """That very version, as a stream from a byte on."""

    def list(self, prefix: str, limit: int) -> Sequence[ObjectVersion]:
        """The present versions of the objects under a prefix, by their keys; at most ``limit + 1``."""

    def keep(self, found: Mapping[str, ObjectVersion]) -> Sequence[ObjectVersion]:
        """Copies these very versions, of whatever size, to these keys; the content never leaves S3.

        Where something lies already, it stays as it is.

        Returns:
            What lies there now, in their order.
        """

    def write(self, *objects: NewObject) -> None:
        """Writes all of them, in no order."""


@dataclass(frozen=True)
class Image:
    """An image in the account's own registry.

    Attributes:
        digest: ``sha256:…``, and ``tags`` what else it is called.
        size: in bytes, compressed, as it is pulled.
        scan: what is known of its scan; None where nobody asked for one.
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    size: int
    pushed_at: datetime
    scan: Scan | None = None


class Images(Protocol):
    """The account's own container registry in the stack's region."""

    def find(self, repository: str, which: str) -> Image | None:
        """What a tag or a digest names now; None where there is no such image."""

    def newest(self, repository: str) -> Image | None:
        """The image with a tag that was pushed last; None where there is none."""

    def home(self, repository: str) -> str | None:
        """The repository's URI, without a tag; None where there is none."""

    def make_home(self, repository: str) -> str:
        """Makes a repository for images whose tags never move, where there is none; its URI."""

    def make_cache(self, repository: str) -> str:
        """Makes a repository for the layers of builds, where there is none; its URI."""


@dataclass(frozen=True)
class Phase:
    """What a build did; ``trouble`` is CodeBuild's word and message, empty where all went well."""

    name: str
    status: str
    trouble: str = ""


@dataclass(frozen=True)
class Run:
    """A build as CodeBuild has it.

    Attributes:
        id: CodeBuild's id.
        status: CodeBuild's word: IN_PROGRESS, SUCCEEDED, FAILED, FAULT, TIMED_OUT, STOPPED.
        variables: what it was told, by name.
        source: the key of the source, and ``version`` its S3 version.
        ended_at: None before.
        exported: the variables that it handed on.
        phases: what it did so far.
        log: the group and the stream of its log; None before there is one.
        page: where people find it in the console.
    """

    id: str
    status: str
    variables: Mapping[str, str]
    source: str
    version: str
    started_at: datetime
    ended_at: datetime | None = None
    exported: Mapping[str, str] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    log: tuple[str, str] | None = None
    page: str = ""


class Builds(Protocol):
    """The runs of the stack's one project in AWS CodeBuild."""

    def start(self, order: BuildOrder) -> str:
        """Starts a build, once for each token; its id."""

    def describe(self, build_id: str) -> Run | None:
        """The build; None when CodeBuild knows none of that id."""

    def recent(self, since: datetime) -> Sequence[Run]:
        """Those that began since then, newest first; the newest hundred at most."""

    def last_lines(self, run: Run, count: int) -> Sequence[str]:
        """How its log ends; none where there is no log."""


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

    def query(self, pk: str, sk_prefix: str = "") -> list[Record]:
        """The items of a key whose sort keys begin so, in their order."""


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
        """Makes a version, and its group where there is none.

        Raises:
            Invalid: SageMaker does not take something of it.
        """

    def registered_since(self, group: str, since: datetime) -> Sequence[ModelPackage]:
        """The versions made since then, newest first."""

    def approved_versions(self, group: str) -> Sequence[int]:
        """The versions that are approved now; none for a group that is not there."""

    def reject(self, group: str, version: int, reason: str) -> None:
        """Rejects a version; the reason is cut to what ApprovalDescription holds."""


@dataclass(frozen=True)
class Change:
    """How UpdateEndpoint shifts the traffic.

    Attributes:
        rollout: the policy's; None to shift all at once.
        alarms: the names of the alarms that roll the update back.
        keeps_counts: whether the instances that autoscaling has set are kept.
    """

    rollout: Rollout | None = None
    alarms: tuple[str, ...] = ()
    keeps_counts: bool = False


class Hosting(Protocol):
    """SageMaker's models, endpoint configs and endpoints. Everything that is made gets the stack's tag."""

    def describe(self, endpoint: str) -> Endpoint | None:
        """The endpoint; None when there is none. ``ours`` is left True: `carries_tag` tells."""

    def carries_tag(self, endpoint: str) -> bool:
        """Whether the endpoint has the stack's tag."""

    def make_model(self, name: str, group: str, version: int, policy: DeploymentPolicy) -> None:
        """Raises: AlreadyExists; LimitReached or Forbidden, which say nothing about the version."""

    def make_config(self, name: str, endpoint: str, policy: DeploymentPolicy) -> None:
        """The config of that name, with the model of that name, for this endpoint.

        Raises:
            AlreadyExists.
            Invalid: SageMaker does not take what the policy says.
            LimitReached, Forbidden: they say nothing about the policy.
        """

    def create(self, endpoint: str, config: str, policy: DeploymentPolicy) -> None:
        """Raises: LimitReached, Forbidden."""

    def update(self, endpoint: str, config: str, change: Change) -> None:
        """Raises: LimitReached, Forbidden."""

    def delete(self, endpoint: str) -> None:
        """Does nothing when it is gone."""

    def remove(self, name: str) -> None:
        """Deletes the endpoint config and the model of that name, whichever of them is there."""

    def retag(self, endpoint: str, tags: Mapping[str, str], gone: Sequence[str]) -> None:
        """Puts the tags on an endpoint, and takes those of the keys in ``gone`` away."""

    def adopt(self, endpoint: str) -> None:
        """Puts the stack's tag on an endpoint that somebody else made.

        Raises:
            Refused: its variants are not what Modelgate could update.
            NotFound: there is no such endpoint.
        """


class Scaling(Protocol):
    """Application Auto Scaling, for the instances of an endpoint."""

    def register(self, endpoint: str, autoscaling: Autoscaling) -> None:
        """Makes the endpoint's variant a scalable target with a policy, or changes both."""

    def deregister(self, endpoint: str) -> None:
        """Does nothing when it is no scalable target."""


class Watch(Protocol):
    """CloudWatch alarms on an endpoint. What they are called follows from the endpoint's name."""

    def put(self, endpoint: str, alarms: Alarms) -> None:
        """Makes the alarms, or changes them, and deletes those that the policy does not name."""

    def delete(self, endpoint: str) -> None:
        """Deletes all alarms of the endpoint; does nothing where there are none."""

    def quiet(self, endpoint: str, alarms: Alarms) -> tuple[str, ...]:
        """The names of the policy's alarms, without those that stand in ALARM now."""


@dataclass(frozen=True)
class LogLine:
    """What a container wrote, as it wrote it."""

    at: datetime
    text: str


class ContainerLogs(Protocol):
    """What the containers of endpoints write, in CloudWatch Logs."""

    def group_of(self, endpoint: str) -> str:
        """The name of the endpoint's log group, whether it is there or not."""

    def read(self, endpoint: str, since: datetime, *, of_new: bool) -> Sequence[Sequence[LogLine]]:
        """How the logs of the containers that began last end, as far as they were written since then.

        Args:
            of_new: only of containers that began since then: those of before an update write into the same
                group.

        Returns:
            The lines of each container, oldest first; no container where there is no log.
        """


class Predictions(Protocol):
    """The SageMaker runtime."""

    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        """The answer's text.

        Raises:
            ModelFailed: the container answered with an error.
        """

    def ask(self, endpoint: str, test: SmokeTest, question: str, extension: str) -> tuple[str, str]:
        """Asks an asynchronous endpoint; the answer will lie in the intake bucket.

        Args:
            question: the key where the request's body lies.
            extension: what stands in the answer's key, so that its event can be told from those of others.

        Returns:
            The keys where the answer, or what the container says that went wrong, will lie.
        """
