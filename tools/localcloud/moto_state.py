"""The only place that reaches into moto: its servers, its state, and the little of it that is in the way.

`moto_shortcuts` has what takes the place of parts of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

import moto.backends
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.events.models import Archive, EventBus, EventPattern, EventsBackend, Replay, events_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3 import notifications as s3_notifications
from moto.s3.models import FakeBucket, FakeKey, s3_backends
from werkzeug.test import run_wsgi_app

from localcloud import moto_shortcuts
from localcloud.calls import ACCOUNT
from localcloud.errors import ServiceError
from localcloud.wire import Response

if TYPE_CHECKING:
    from moto.ecr.models import Repository

    from localcloud.ecr.stored_image import StoredImage

__all__ = ["Archive", "EventBus", "EventPattern", "FakeKey", "MotoState", "Replay"]

_STATE_OF_AN_ALARM = (
    "state_value",
    "state_reason",
    "state_reason_data",
    "state_updated_timestamp",
    "history",
)

# moto's checks and its changes are two steps: without a lock two conditional writes could both succeed.
_LOCKS: dict[str, RLock] = {}
_LOCKS_LOCK = Lock()


def _lock(service: str) -> RLock:
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(service, RLock())


@lru_cache(maxsize=1)
def _server() -> DomainDispatcherApplication:
    return DomainDispatcherApplication(create_backend_app)


@contextmanager
def _replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


class MotoState:
    """moto, empty, for as long as a local cloud runs."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._undo = ExitStack()
        self._asked: set[str] = set()
        self._registry = ""

    def start(self) -> None:
        """Empty moto, and keep it from sending S3's events, whose shape is not AWS's."""
        _reset()
        self._undo.enter_context(
            _replaced(s3_notifications, "_send_event_bridge_message", lambda *_args, **_kwargs: None)
        )
        # moto looks through its own folder for each request.
        modules = tuple(moto.backends.list_of_moto_modules())
        self._undo.enter_context(_replaced(moto.backends, "list_of_moto_modules", lambda: modules))
        for shortcut in moto_shortcuts.of_every_service():
            self._undo.enter_context(_replaced(*shortcut))

    def stop(self) -> None:
        """Leave moto as it was found, and empty."""
        self._undo.close()
        _reset()

    def answer(self, service: str, environ: dict[str, Any]) -> Response:
        """moto's answer to a request.

        Raises:
            ServiceError: moto does not know the operation.
        """
        with _lock(service):
            self._put_right(service)
            try:
                chunks, status, headers = run_wsgi_app(_server(), environ, buffered=True)
            except NotImplementedError as error:
                raise ServiceError("NotImplemented", f"not simulated here: {error}", 501) from error
        return Response(int(status.split(" ", 1)[0]), dict(headers.items()), b"".join(chunks))

    @contextmanager
    def holding(self, service: str) -> Iterator[None]:
        """Nobody else calls the service meanwhile."""
        with _lock(service):
            yield

    def _put_right(self, service: str) -> None:
        """Before a service is asked for the first time; importing moto's idea of it takes a while."""
        if service in self._asked:
            return
        self._asked.add(service)
        if service == "ecr":
            from moto.ecr.models import ECRBackend

            create = _addressed(ECRBackend.create_repository, self._registry)
            self._undo.enter_context(_replaced(ECRBackend, "create_repository", create))
        if service == "dynamodb":
            for shortcut in moto_shortcuts.of_dynamodb():
                self._undo.enter_context(_replaced(*shortcut))

    # ── EventBridge ───────────────────────────────────────────────────────────────────────────────

    @property
    def events(self) -> EventsBackend:
        """The buses, rules, archives and replays."""
        return events_backends[ACCOUNT][self._region]

    @property
    def archives(self) -> dict[str, Any]:
        """The archives by name; moto's type of their events is narrower than the events are."""
        return {name: archive for name, archive in self.events.archives.items()}  # noqa: C416  widens the type

    def bus(self, name_or_arn: str) -> EventBus | None:
        """The event bus of this name."""
        return self.events.event_buses.get(name_or_arn.rsplit("/", 1)[-1])

    # ── S3 ────────────────────────────────────────────────────────────────────────────────────────

    def bucket(self, name: str) -> FakeBucket | None:
        """The bucket of this name."""
        buckets: Mapping[str, FakeBucket] = s3_backends[ACCOUNT]["aws"].buckets
        return buckets.get(name)

    def object(self, bucket: str, key: str, version: str | None) -> FakeKey | None:
        """An object, or one version of it."""
        with _lock("s3"):
            found: FakeKey | None = s3_backends[ACCOUNT]["aws"].get_object(bucket, key, version_id=version)
            return found

    def content(self, bucket: str, key: str, version: str | None, first: int, last: int) -> bytes:
        """The bytes of an object that is there, from the first to the last one."""
        with _lock("s3"):
            found = self.object(bucket, key, version)
            if found is None:
                raise KeyError(key)
            with found.lock:
                # moto's own way to the value is by all of it.
                found._value_buffer.seek(first)  # noqa: SLF001
                return found._value_buffer.read(last + 1 - first)  # noqa: SLF001

    @staticmethod
    def object_tags(found: FakeKey) -> dict[str, str]:
        """The tags of an object."""
        tags: dict[str, str] = s3_backends[ACCOUNT]["aws"].tagger.get_tag_dict_for_resource(found.arn)
        return tags

    def upload_of(self, bucket: str, upload: str) -> str | None:
        """The key that a multipart upload is for; None if there is no such upload, or not any more."""
        with _lock("s3"):
            found = s3_backends[ACCOUNT]["aws"].get_bucket(bucket).multiparts.get(upload)
            return str(found.key_name) if found is not None else None

    def put_part(self, bucket: str, upload: str, number: int, content: bytes) -> FakeKey:
        """Add a part to a multipart upload that is there."""
        with _lock("s3"):
            part: FakeKey = s3_backends[ACCOUNT]["aws"].upload_part(bucket, upload, number, content)
            return part

    # ── IAM, queues, topics: what permissions are read from ───────────────────────────────────────

    def role_policies(self, role: str) -> list[str] | None:
        """The documents of a role's policies, inline and managed; None if there is no such role."""
        backend = _backend("iam", "aws")
        found = next((item for item in backend.roles.values() if item.name == role), None)
        if found is None:
            return None
        managed = [
            version.document
            for policy in found.managed_policies.values()
            for version in policy.versions
            if version.version_id == policy.default_version_id
        ]
        return [_text(document) for document in [*found.policies.values(), *managed]]

    def role_arn(self, role: str) -> str | None:
        """The ARN of a role, its path in it; None if there is no such role."""
        found = next((item for item in _backend("iam", "aws").roles.values() if item.name == role), None)
        return str(found.arn) if found is not None else None

    def queue_policy(self, name: str) -> str | None:
        """The policy document of a queue; None if it has none."""
        queue = _backend("sqs", self._region).queues.get(name)
        return _text(queue.policy) if queue is not None and queue.policy else None

    def topic_policy(self, arn: str) -> str | None:
        """The policy document of a topic; None if there is no such topic."""
        topic = _backend("sns", self._region).topics.get(arn)
        return _text(topic.policy) if topic is not None else None

    def queue_exists(self, name: str) -> bool:
        """Whether there is a queue of this name."""
        return name in _backend("sqs", self._region).queues

    def topic_exists(self, arn: str) -> bool:
        """Whether there is a topic of this ARN."""
        return arn in _backend("sns", self._region).topics

    def scaled_dimensions(self, resource_id: str) -> list[str]:
        """The dimensions in which application-autoscaling has a target of this resource id registered."""
        if "application-autoscaling" not in self._asked:
            return []  # and importing moto's idea of it takes a second
        backend = _backend("applicationautoscaling", self._region)
        return [dimension for dimension, targets in list(backend.targets.items()) if resource_id in targets]

    def forget_scalable_target(self, resource_id: str, dimension: str) -> None:
        """The target is deregistered, and its policies with it."""
        with _lock("application-autoscaling"):
            _backend("applicationautoscaling", self._region).targets[dimension].pop(resource_id, None)
        self.forget_scaling_policies(resource_id, dimension)

    def scalable_target(self, resource_id: str, dimension: str) -> tuple[int, int] | None:
        """The least and the most capacity of a scalable target; None if it is not registered."""
        backend = _backend("applicationautoscaling", self._region)
        target = backend.targets.get(dimension, {}).get(resource_id)
        return (int(target.min_capacity), int(target.max_capacity)) if target is not None else None

    def has_scaling_policy(self, resource_id: str, dimension: str, name: str) -> bool:
        """Whether a scalable target has a scaling policy of this name."""
        return any(policy.policy_name == name for _, policy in self._scaling_policies(resource_id, dimension))

    def forget_scaling_policies(self, resource_id: str, dimension: str) -> None:
        """The target is gone, and its policies with it; moto keeps them."""
        policies = _backend("applicationautoscaling", self._region).policies
        for key, _ in self._scaling_policies(resource_id, dimension):
            policies.pop(key, None)

    def _scaling_policies(self, resource_id: str, dimension: str) -> list[tuple[str, Any]]:
        policies = _backend("applicationautoscaling", self._region).policies
        return [
            (key, policy)
            for key, policy in list(policies.items())
            if (policy.resource_id, policy.scalable_dimension) == (resource_id, dimension)
        ]

    # ── ECR ───────────────────────────────────────────────────────────────────────────────────────

    def put_repositories_at(self, registry: str) -> None:
        """The repositories that are made from now on lie in the registry of this host and port."""
        self._registry = registry

    def repository(self, name: str) -> Repository | None:
        """The ECR repository of this name."""
        with _lock("ecr"):
            self._put_right("ecr")
            found: Repository | None = _backend("ecr", self._region).repositories.get(name)
            return found

    def repository_tags(self, arn: str) -> dict[str, str]:
        """The tags of the ECR repository with this ARN."""
        with _lock("ecr"):
            self._put_right("ecr")
            tags: dict[str, str] = _backend("ecr", self._region).tagger.get_tag_dict_for_resource(arn)
            return tags

    @staticmethod
    def images(repository: Repository) -> list[StoredImage]:
        """The images of a repository, to be changed by whoever holds the service."""
        images: list[Any] = repository.images
        return images

    @staticmethod
    def add_image(
        repository: Repository, manifest: str, media_type: str, digest: str, size: int
    ) -> StoredImage:
        """A new image without a tag; whoever calls holds the service."""
        from localcloud.ecr.stored_image import StoredImage

        image = StoredImage(repository.name, manifest, media_type, digest, size)
        repository.images.append(image)
        return image

    # ── alarms ────────────────────────────────────────────────────────────────────────────────────

    def alarm_state(self, name: str) -> str | None:
        """OK, ALARM or INSUFFICIENT_DATA; None if there is no alarm of this name."""
        with _lock("cloudwatch"):
            alarm = _backend("cloudwatch", self._region).alarms.get(name)
        return str(alarm.state_value) if alarm is not None else None

    @contextmanager
    def keeping_alarm_state(self, name: str) -> Iterator[None]:
        """Around a PutMetricAlarm: moto begins the alarm anew, and AWS leaves its state as it is."""
        with _lock("cloudwatch"):
            alarms = _backend("cloudwatch", self._region).alarms
            before = alarms.get(name)
            yield
            after = alarms.get(name)
            if before is not None and after is not None:
                for attribute in _STATE_OF_AN_ALARM:
                    setattr(after, attribute, getattr(before, attribute))

    # ── logs ──────────────────────────────────────────────────────────────────────────────────────

    def write_log(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append lines, each with its time in milliseconds, to a log stream; makes what is missing."""
        if not lines:
            return
        backend = _backend("logs", self._region)
        with _lock("logs"):
            if group not in backend.groups:
                backend.create_log_group(group, {})
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            events = [{"timestamp": at, "message": line} for at, line in lines]
            backend.put_log_events(group, stream, events)


def _backend(service: Any, region: str) -> Any:
    return moto.backends.get_backend(service)[ACCOUNT][region]


def _addressed(create: Callable[..., Repository], registry: str) -> Callable[..., Repository]:
    """moto puts repositories where AWS would, which is nowhere that a docker client could reach from here."""

    def create_addressed(*args: Any, **kwargs: Any) -> Repository:
        repository = create(*args, **kwargs)
        repository.uri = f"{registry}/{repository.name}"
        return repository

    return create_addressed


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _reset() -> None:
    """As moto itself resets between tests."""
    BackendDict.reset()
    reset_model_data()
