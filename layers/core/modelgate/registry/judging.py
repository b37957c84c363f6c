"""Whether a submission may be registered: its container, its artifact, and the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelgate.artifacts import contracts, inspection
from modelgate.errors import Problem, Refused
from modelgate.gate import Champion, Verdict, judge
from modelgate.images import catalog
from modelgate.submission import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.artifacts.inspection import Artifact
    from modelgate.deployment.states import EndpointStates
    from modelgate.policies import Policies
    from modelgate.policy import GroupPolicy
    from modelgate.ports import Bucket, Registry
    from modelgate.registry.upload import CompleteUpload


@dataclass(frozen=True)
class Judgement:
    """What was found of a submission that is sound; its verdict may still be that it is not good enough.

    Attributes:
        upload: the submission.
        artifact: what was inspected.
        image: the URI of its container's image.
        environment: the container's environment, completed by the container's contract.
        champion: the version that is live, if there is one.
        verdict: the gate's result.
    """

    upload: CompleteUpload
    artifact: Artifact
    image: str
    environment: Mapping[str, str]
    champion: Champion | None
    verdict: Verdict


class Judge:
    """Judges complete submissions.

    Args:
        region: where the images are pulled and the models served.
    """

    def __init__(
        self, *, bucket: Bucket, policies: Policies, states: EndpointStates, registry: Registry, region: str
    ) -> None:
        self._bucket = bucket
        self._policies = policies
        self._states = states
        self._registry = registry
        self._region = region

    def judge(self, upload: CompleteUpload) -> Judgement:
        """Reads the whole artifact.

        Raises:
            Refused: with every problem of the policy, or of the container and the artifact.
        """
        policy = self._policies.of(upload.id.group)
        champion = self._champion(policy)
        problems: list[Problem] = []
        image = sound = None
        try:
            image = self._image(upload, policy.policy.deployment.instance_type)
        except Refused as refused:
            problems += refused.problems
        try:
            sound = self._inspect(upload)
        except Refused as refused:
            problems += refused.problems
        if image is None or sound is None:
            raise Refused(*problems)
        artifact, environment = sound
        verdict = judge(upload.metrics, policy.policy.gate, champion)
        return Judgement(upload, artifact, image, environment, champion, verdict)

    def _image(self, upload: CompleteUpload, instance_type: str) -> str:
        container = upload.manifest.container
        field = "version" if container.framework in catalog.families() else "framework"
        return catalog.resolve(
            container.framework,
            container.version,
            region=self._region,
            instance_type=instance_type,
            where=f"{MANIFEST}: container.{field}",
        )

    def _inspect(self, upload: CompleteUpload) -> tuple[Artifact, Mapping[str, str]]:
        container = upload.manifest.container
        stream = self._bucket.open(upload.artifact)
        try:
            artifact = inspection.inspect(stream, keep=contracts.reads(container.environment))
        finally:
            stream.close()
        return artifact, contracts.check(container.framework, artifact, container.environment)

    def _champion(self, policy: GroupPolicy) -> Champion | None:
        state = self._states.load(policy.endpoint)
        if state is None or state.group != policy.group or not state.release or not state.release.target:
            return None
        version = state.release.target.version
        live = self._registry.describe(policy.group, version)
        return Champion(version, live.metrics) if live else None
