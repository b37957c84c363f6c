"""Makes a version of what was judged: copies what it is made of, and registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate import metrics
from modelgate.announcements import id_of
from modelgate.registry import package
from modelgate.registry.copies import Copies
from modelgate.registry.report import METRICS, PAGE
from modelgate.submission import MANIFEST, MAX_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.ports import Bucket, Registry
    from modelgate.registry.copies import Copy
    from modelgate.registry.judging import Judgement, Served

CONSTRAINTS = "constraints.json"


class Maker:
    """Makes versions.

    Args:
        stack: the stack's name, written on every version.
    """

    def __init__(self, *, bucket: Bucket, registry: Registry, stack: str) -> None:
        self._bucket = bucket
        self._registry = registry
        self._stack = stack

    def copy(self, judgement: Judgement) -> Mapping[str, Copy]:
        """Copies the artifacts that were judged, each by the version that was read."""
        copies = Copies(self._bucket, judgement.upload.id.group)
        return {
            each.uploaded.place: copies.of_artifact(each.uploaded, each.artifact.sha256)
            for each in judgement.containers
            if each.artifact is not None
        }

    def make(self, judgement: Judgement, copied: Mapping[str, Copy], parts: str) -> int:
        """Registers the version; again for the same parts, and it is the same version.

        Raises:
            Invalid: SageMaker does not take something of it.
        """
        upload = judgement.upload
        demanded = metrics.constraints(upload.metrics, judgement.policy.policy.gate)
        keys = Copies(self._bucket, upload.id.group).of_documents(
            {
                METRICS: metrics.as_model_quality(upload.metrics),
                MANIFEST: upload.manifest_text,
                **({CONSTRAINTS: demanded} if demanded is not None else {}),
            }
        )
        return self._registry.register(
            package.Registration(
                group=upload.id.group,
                token=id_of(self._stack, upload.id, parts),
                description=upload.manifest.description or f"Submission {upload.id}",
                containers=tuple(_container(each, copied) for each in judgement.containers),
                content_types=tuple(upload.manifest.content_types),
                response_types=tuple(upload.manifest.response_types),
                instance_types=judgement.instance_types,
                metrics_url=self._url(keys[METRICS]),
                constraints_url=self._url(keys[CONSTRAINTS]) if CONSTRAINTS in keys else None,
                metadata=self._metadata(judgement, keys[MANIFEST], keys[METRICS]),
                lineage=upload.manifest.lineage,
                source_uri=upload.manifest.lineage.source_uri or self._url(upload.id.key("")),
                approval=package.PENDING if judgement.verdict.passed else package.REJECTED,
            )
        )

    def reject(self, judgement: Judgement, version: int) -> None:
        """Writes the gate's reasons on a version that it did not let pass, unless a person has had a look."""
        group = judgement.upload.id.group
        made = self._registry.describe(group, version)
        if made is not None and made.approval == package.REJECTED and not made.description:
            self._registry.reject(group, version, judgement.verdict.in_one_line())

    def _metadata(self, judgement: Judgement, manifest: str, figures: str) -> dict[str, str]:
        upload = judgement.upload
        entries = {
            **upload.manifest.metadata,
            **_metrics_on_the_package(judgement),
            **_artifact_on_the_package(judgement),
            package.STACK: self._stack,
            package.SUBMISSION: upload.id.name,
            package.MANIFEST: manifest,
            package.METRICS: figures,
            package.MANIFEST_VERSION: upload.manifest_version,
            package.VERDICT: judgement.verdict.in_plain_letters(),
            package.REPORT: upload.id.report_key(PAGE),
        }
        return entries | _smoke_test_on_the_package(judgement, package.MAX_ENTRIES - len(entries))

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"


def _container(served: Served, copied: Mapping[str, Copy]) -> package.RegisteredContainer:
    copy = copied.get(served.uploaded.place)
    framework = served.uploaded.container.framework
    return package.RegisteredContainer(
        image=served.image,
        artifact_url=copy.url if copy else None,
        environment=served.environment,
        framework=framework.upper() if framework else None,
        artifact_etag=copy.etag if copy else None,
    )


def _metrics_on_the_package(judgement: Judgement) -> dict[str, str]:
    """Those that the policy names first: a package holds a few, and later versions are compared with them."""
    figures = judgement.upload.metrics.figures
    demanded = [each.metric for each in judgement.verdict.checks if each.metric in figures]
    names = list(dict.fromkeys([*demanded, *figures]))[:MAX_METRICS]
    return {f"{package.METRIC}{name}": repr(figures[name]) for name in names}


def _smoke_test_on_the_package(judgement: Judgement, room: int) -> dict[str, str]:
    """Whoever deploys the version need not read the manifest for it then; there it stands in any case."""
    text, most = judgement.upload.manifest.smoke_test.in_plain_letters(), package.MAX_VALUE
    parts = [text[first : first + most] for first in range(0, len(text), most)]
    fits = len(parts) <= min(room, len(package.SMOKE_TEST))
    return dict(zip(package.SMOKE_TEST, parts, strict=False)) if fits else {}


def _artifact_on_the_package(judgement: Judgement) -> dict[str, str]:
    """Which object was read. Of a pipeline the report tells: a package holds no more than fifty entries."""
    if len(judgement.containers) > 1:
        return {}
    served = judgement.containers[0]
    found = {package.ARTIFACT_SHA256: served.artifact.sha256} if served.artifact else {}
    if served.uploaded.tarball is not None:
        found[package.ARTIFACT_VERSION] = served.uploaded.tarball.version
        found[package.ARTIFACT_ETAG] = served.uploaded.tarball.etag.strip('"')
    return found
