"""Whether a submission may be registered: its containers, their artifacts, and the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.artifacts import contracts, folder, inspection
from modelgate.errors import Gathering, Problem, Refused
from modelgate.gate import Champion, Verdict, judge
from modelgate.metrics import MAX_BYTES
from modelgate.metrics import read as read_metrics
from modelgate.registry.reading import check_sizes
from modelgate.submission import MANIFEST
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from modelgate.artifacts.inspection import Artifact
    from modelgate.deployment.states import EndpointStates
    from modelgate.images.choice import Chooser
    from modelgate.policies import Policies
    from modelgate.policy import GroupPolicy
    from modelgate.ports import Bucket, ObjectVersion, Registry
    from modelgate.registry.reading import Reader
    from modelgate.registry.upload import CompleteUpload, Uploaded

# What one read of the beginning may take; the scripts come first in what `modelgate pack` makes.
_BEGINNING_BYTES = 256 * 1024


@dataclass(frozen=True)
class Served:
    """A container that was found sound.

    Attributes:
        uploaded: what the manifest says of it, and the objects that were read.
        image: the image's URI.
        environment: the container's environment, completed by its contract.
        artifact: what was inspected; None where it needs none.
        seconds: how long reading it took.
    """

    uploaded: Uploaded
    image: str
    environment: Mapping[str, str]
    artifact: Artifact | None
    seconds: float


@dataclass(frozen=True)
class Judgement:
    """What was found of a submission that is sound; its verdict may still be that it is not good enough.

    Attributes:
        upload: the submission.
        policy: by which it was judged.
        containers: in the order of a request.
        instance_types: on which it may be served.
        champion: the version that is live, if there is one.
        verdict: the gate's result.
    """

    upload: CompleteUpload
    policy: GroupPolicy
    containers: tuple[Served, ...]
    instance_types: tuple[str, ...]
    champion: Champion | None
    verdict: Verdict


class Judge:
    """Judges complete submissions.

    Args:
        chooser: of the images, for where the models are served.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        policies: Policies,
        states: EndpointStates,
        registry: Registry,
        chooser: Chooser,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._policies = policies
        self._states = states
        self._registry = registry
        self._chooser = chooser
        self._clock = clock

    def judge(self, upload: CompleteUpload, reader: Reader) -> Judgement:
        """Reads every artifact.

        Raises:
            Refused: with every problem of the policy, or of the containers and the artifacts.
            NotYet: an image is still being scanned.
            Paused: an artifact is not read to its end.
        """
        policy = self._policies.of(upload.id.group)
        check_sizes(upload.containers)
        instance_types = _instance_types(policy, upload)
        found = Gathering()
        containers = []
        for uploaded in upload.containers:
            image = artifact = None
            environment: Mapping[str, str] = {}
            began = self._clock()
            with found.collected():
                _check_kind(uploaded, policy)
            with found.collected():
                place = f"{MANIFEST}: {uploaded.place}"
                worst = policy.policy.image.max_severity
                image = self._chooser.choose(uploaded.container, instance_types, place, worst)
            with found.collected():
                artifact, environment = self._examine(upload, uploaded, reader)
            if image is not None:
                took = (self._clock() - began).total_seconds()
                containers.append(Served(uploaded, image, environment, artifact, took))
        found.refuse()
        champion = self._champion(policy)
        verdict = judge(upload.metrics, upload.manifest.metadata, policy.policy.gate, champion)
        return Judgement(upload, policy, tuple(containers), instance_types, champion, verdict)

    def _examine(
        self, upload: CompleteUpload, uploaded: Uploaded, reader: Reader
    ) -> tuple[Artifact | None, Mapping[str, str]]:
        container = uploaded.container
        artifact, where = None, MANIFEST
        if uploaded.tarball is not None:
            where = str(container.tarball)
            keep = contracts.reads(container.framework, container.environment)
            if uploaded.tarball.size > _BEGINNING_BYTES:
                self._look_at_the_beginning(uploaded, uploaded.tarball, where)
            artifact = reader.read(upload.id, uploaded.tarball, keep, where)
        elif uploaded.folder:
            where = str(container.folder)
            artifact = self._inspect_folder(uploaded, uploaded.folder, where)
        environment = contracts.check(
            container.framework, artifact, container.environment, where=where, container=uploaded.place
        )
        return artifact, environment

    def _look_at_the_beginning(self, uploaded: Uploaded, tarball: ObjectVersion, where: str) -> None:
        """Refuses in one read what would be refused after reading all of it."""
        container = uploaded.container
        first = self._bucket.read(tarball.key, _BEGINNING_BYTES, tarball.version)
        if first is None:
            return  # which reading it tells
        keep = contracts.reads(container.framework, container.environment)
        begun = inspection.beginning(first[0], keep=keep, where=where)
        contracts.check_beginning(
            container.framework, begun.members, begun.texts, container.environment, where=where
        )

    def _inspect_folder(self, uploaded: Uploaded, objects: Sequence[ObjectVersion], where: str) -> Artifact:
        container = uploaded.container
        by_name = {found.key.removeprefix(uploaded.prefix): found for found in objects}

        def read(name: str, limit: int) -> bytes:
            found = self._bucket.read(by_name[name].key, limit, by_name[name].version)
            return found[0][:limit] if found else b""

        files = [folder.File(name, found.size, found.etag) for name, found in by_name.items()]
        keep = contracts.reads(container.framework, container.environment)
        return folder.inspect(files, read, keep=keep, where=where)

    def _champion(self, policy: GroupPolicy) -> Champion | None:
        state = self._states.load(policy.endpoint)
        if state is None or state.group != policy.group or not state.release or not state.release.target:
            return None
        version = state.release.target.version
        live = self._registry.describe(policy.group, version)
        if live is None:
            return None
        champion = Champion(version, live.metrics)
        names = [each.name for each in policy.policy.gate.metrics]
        if live.metrics_file is None or all(champion.has(name) for name in names):
            return champion
        # A package holds a few metrics only, and the policy may name others by now.
        found = self._bucket.read(live.metrics_file, MAX_BYTES)
        figures = read_metrics(found[0], live.metrics_file).figures if found else {}
        return Champion(version, {**figures, **live.metrics})


def _instance_types(policy: GroupPolicy, upload: CompleteUpload) -> tuple[str, ...]:
    """The policy's comes first: it is the one that will serve."""
    return tuple(dict.fromkeys((policy.policy.deployment.instance_type, *upload.manifest.instance_types)))


def _check_kind(uploaded: Uploaded, policy: GroupPolicy) -> None:
    if uploaded.folder and policy.policy.deployment.serverless is not None:
        found = "names a folder, and the policy a serverless endpoint, which takes compressed models only"
        mend = "pack the folder into a tarball, or write instances into the policy"
        raise Refused(Problem(f"{MANIFEST}: {uploaded.place}.artifact", found, mend))
