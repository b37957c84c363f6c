"""The fake and the real adapter of builds, and of the images that come of them, against the same tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from localcloud import LocalCloud
from modelgate.aws.codebuild import CodeBuildBuilds
from modelgate.aws.ecr import EcrImages
from modelgate.builds.findings import Scan
from modelgate.builds.order import BuildOrder, order
from modelgate.builds.source import examine
from modelgate.errors import Invalid, Refused
from modelgate.ports import Builds, Images, ObjectVersion, Run
from tests.fakes.aws import Calls, Clock
from tests.fakes.builds import FakeBuilds, FakeImages
from tests.unit.sources import source

ROOT = Path(__file__).parents[2]
STACK = "modelgate"
_numbers = count(1)


@dataclass
class Workshop:
    """One implementation of the ports.

    Attributes:
        upload: puts a source where builds find it.
        fails: the build ends, and not well.
        push: makes an image in a repository that is there, in which a scan finds something; its digest.
    """

    builds: Builds
    images: Images
    upload: Callable[[str], ObjectVersion]
    fails: Callable[[str], object]
    push: Callable[[str, str, Mapping[str, int]], str]
    make_by_hand: Callable[[str], object]


def in_memory() -> Workshop:
    calls, clock = Calls(), Clock(datetime.now(UTC))
    images = FakeImages(calls, clock)
    builds = FakeBuilds(calls, clock, images)

    def push(repository: str, tag: str, findings: Mapping[str, int]) -> str:
        digest = images.push(repository, tag)
        images.scans[digest] = Scan("complete", findings)
        return digest

    return Workshop(
        builds,
        images,
        upload=lambda key: ObjectVersion(key, "v1", 1),
        fails=lambda build: builds.fail(build, "no engine"),
        push=push,
        make_by_hand=images.of_others.add,
    )


def on(cloud: LocalCloud) -> Workshop:
    """The adapters, with the rights of the function that starts builds."""
    role = f"arn:aws:iam::123456789012:role/{cloud.function('SourceUploaded').role}"
    bucket, ecr = cloud.outputs["Bucket"], cloud.client("ecr")

    def client(service: str) -> Any:
        return cloud._started.client_of(role, service)

    def upload(key: str) -> ObjectVersion:
        # Under another key than the function's, which must not start a build of its own.
        put = cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=source())
        return ObjectVersion(key, put["VersionId"], 1)

    def push(repository: str, tag: str, findings: Mapping[str, int]) -> str:
        cloud.scans_find(repository, findings)
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "annotations": {"tag": tag}})
        pushed = ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
        cloud.settle()
        return str(pushed["image"]["imageId"]["imageDigest"])

    return Workshop(
        CodeBuildBuilds(client("codebuild"), lambda: client("logs"), cloud.outputs["Builder"], bucket),
        EcrImages(client("ecr"), STACK),
        upload=upload,
        fails=lambda _: cloud.settle(),
        push=push,
        make_by_hand=lambda name: ecr.create_repository(repositoryName=name),
    )


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # a machine without an engine: every build fails
        with LocalCloud(ROOT / "template.yaml") as cloud:
            yield cloud


@pytest.fixture(params=["fakes", "adapters"])
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return in_memory() if request.param == "fakes" else on(request.getfixturevalue("cloud"))


@pytest.fixture
def image() -> str:
    return f"image-{next(_numbers)}"


def ordered(workshop: Workshop, image: str) -> BuildOrder:
    return order(
        examine(io.BytesIO(source()), "source.zip"),
        workshop.upload(f"elsewhere/{image}.zip"),
        image=image,
        home=workshop.images.make_home(image),
        cache=workshop.images.make_cache(image),
        region="eu-central-1",
        token=f"token-of-{image}",
    )


def test_one_token_starts_one_build(workshop: Workshop, image: str) -> None:
    told = ordered(workshop, image)
    first = workshop.builds.start(told)
    assert workshop.builds.start(told) == first
    assert workshop.builds.start(replace(told, token=f"another-of-{image}")) != first
    with pytest.raises(Invalid):
        workshop.builds.start(replace(told, compute_type="large"))


def test_a_build_is_described_as_it_was_ordered(workshop: Workshop, image: str) -> None:
    told = ordered(workshop, image)
    run = workshop.builds.describe(workshop.builds.start(told))
    assert run is not None
    assert dict(run.variables) == dict(told.variables)
    assert (run.source, run.version) == (told.source.key, told.source.version)
    assert workshop.builds.describe("modelgate-images:unknown") is None


def test_the_last_builds_are_found_newest_first(workshop: Workshop, image: str) -> None:
    told = ordered(workshop, image)
    before = datetime.now(UTC) - timedelta(seconds=1)
    first = workshop.builds.start(told)
    second = workshop.builds.start(replace(told, token=f"second-of-{image}"))
    assert [run.id for run in workshop.builds.recent(before)][:2] == [second, first]
    assert workshop.builds.recent(datetime.now(UTC) + timedelta(minutes=1)) == []


def test_a_build_that_failed_says_in_which_phase_and_what_it_wrote_last(
    workshop: Workshop, image: str
) -> None:
    build = workshop.builds.start(ordered(workshop, image))
    workshop.fails(build)
    run = workshop.builds.describe(build)
    assert run is not None
    assert (run.status, run.ended_at is not None) == ("FAILED", True)
    (failed,) = [phase for phase in run.phases if phase.trouble]
    assert failed.status == "FAILED"
    assert all(not line.startswith("[Container]") for line in workshop.builds.last_lines(run, 5))
    assert len(workshop.builds.last_lines(run, 5)) <= 5


def test_what_a_scan_finds_is_told_with_the_image(workshop: Workshop, image: str) -> None:
    workshop.images.make_home(image)
    digest = workshop.push(image, "v1", {"CRITICAL": 2, "LOW": 1})
    found = workshop.images.find(image, digest)
    assert found is not None
    assert found.scan == Scan("complete", {"CRITICAL": 2, "LOW": 1})
    assert found.tags == ("v1",)


def test_a_repository_of_somebody_elses_is_not_taken_over(workshop: Workshop, image: str) -> None:
    workshop.make_by_hand(image)
    with pytest.raises(Refused, match=f"ECR: {image}"):
        workshop.images.make_home(image)


def test_a_repository_is_made_as_it_should_be(cloud: LocalCloud, image: str) -> None:
    on(cloud).images.make_home(image)
    on(cloud).images.make_cache(image)
    ecr = cloud.client("ecr")
    home, cache = (
        ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        for name in (image, f"modelgate-cache/{image}")
    )
    assert (home["imageTagMutability"], cache["imageTagMutability"]) == ("IMMUTABLE", "MUTABLE")
    assert home["imageScanningConfiguration"] == {"scanOnPush": True}
    assert home["encryptionConfiguration"]["encryptionType"] == "AES256"
    lifecycle = json.loads(ecr.get_lifecycle_policy(repositoryName=image)["lifecyclePolicyText"])
    assert lifecycle["rules"][0]["selection"]["tagStatus"] == "untagged"
    tags = ecr.list_tags_for_resource(resourceArn=home["repositoryArn"])["tags"]
    assert tags == [{"Key": "modelgate:stack", "Value": "modelgate"}]


def test_what_a_build_printed_last_is_told_without_the_commands_that_codebuild_quotes() -> None:
    own = "[Container] 2026/11/22 21:00:00.000000 "
    events = [
        f"{own}Entering phase BUILD",
        f"{own}Running command set -euo pipefail",
        'readarray -t arguments <<< "$DOCKER_ARGUMENTS"',
        "Step 1/2 : FROM python",
        "the package is not there\nreturned a non-zero code: 1",
        f"{own}Command did not exit successfully set -euo pipefail",
        'readarray -t arguments <<< "$DOCKER_ARGUMENTS"',
        "fi exit status 1",
        f"{own}Phase complete: BUILD State: FAILED",
    ]

    class Logs:
        @staticmethod
        def get_log_events(**_: object) -> dict[str, list[dict[str, str]]]:
            return {"events": [{"message": message} for message in events]}

    builds = CodeBuildBuilds(cast("Any", None), lambda: cast("Any", Logs()), "images", "intake")
    run = Run("images:1", "FAILED", {}, "", "", datetime.now(UTC), log=("group", "stream"))
    printed = ["Step 1/2 : FROM python", "the package is not there", "returned a non-zero code: 1"]
    assert builds.last_lines(run, 20) == printed
    assert builds.last_lines(run, 1) == printed[-1:]
