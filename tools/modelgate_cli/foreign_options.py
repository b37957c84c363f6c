"""Options of `sm-docker build` and `docker build` that `modelgate build` has no use for, and why.

The options of sagemaker-studio-image-build-cli's README, and of Docker Docs, "docker buildx build".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelgate_cli.complaints import USAGE, Complaint

_LEAVE_IT_OUT = "leave it out"


@dataclass(frozen=True)
class Foreign:
    """Options that share an answer: what is done in their stead, and what to do about them."""

    names: tuple[str, ...]
    found: str
    mend: str = _LEAVE_IT_OUT


FOREIGN = (
    Foreign(("--bucket",), "sources are uploaded into the stack's own bucket"),
    Foreign(
        ("--vpc-id", "--subnet-ids", "--security-group-ids"),
        "the network in which images are built belongs to the stack",
        "deploy it with its parameters BuildVpcId, BuildSubnetIds and BuildSecurityGroupIds",
    ),
    Foreign(
        ("--no-cache", "--no-cache-filter", "--pull", "--cache-from", "--cache-to"),
        "the stack keeps the layers itself, looks anew for what FROM names, and builds no source twice",
        "leave it out; for another build change the source, or a --build-arg that the Dockerfile uses",
    ),
    Foreign(
        ("--push", "--load", "--output", "-o", "--iidfile", "--metadata-file"),
        "the build pushes to the stack's registry",
        "leave it out; stdout has the image's URI with its digest, and with --json more",
    ),
    Foreign(("--quiet", "-q"), "the log is left out with another word", "write --no-logs"),
    Foreign(("--progress",), "the log is shown as it comes", "leave it out, or write --no-logs"),
    Foreign(
        ("--secret", "--ssh"),
        "no secret of this machine reaches the build",
        "fetch beforehand what needs it, and COPY it from the folder",
    ),
    Foreign(("--label", "--annotation"), "labels stand in the Dockerfile", "write a LABEL line there"),
    Foreign(("--build-context",), "a build has only what lies in its folder", "copy it there"),
    Foreign(
        ("--attest", "--provenance", "--sbom"), "images are pushed without attestations, for SageMaker's sake"
    ),
    Foreign(
        (
            *("--builder", "--network", "--add-host", "--ulimit", "--shm-size", "--memory", "-m"),
            *("--memory-swap", "--cpu-period", "--cpu-quota", "--cpu-shares", "-c", "--cpuset-cpus"),
            *("--cpuset-mems", "--cgroup-parent", "--isolation", "--security-opt", "--allow"),
        ),
        "CodeBuild's machine builds",
        "leave it out; --compute-type says how large that is",
    ),
    Foreign(("--squash", "--compress", "--rm", "--force-rm"), "BuildKit has no use for it"),
    Foreign(("--check", "--call"), "the Dockerfile is looked at before each upload"),
)


def complain_about_foreign(words: Sequence[str]) -> None:
    """
    Raises:
        Complaint: one of the words of a command line is such an option.
    """
    for word in words:
        name = word.partition("=")[0]
        for foreign in FOREIGN:
            if name in foreign.names:
                raise Complaint(f"{name} is no option here: {foreign.found}", foreign.mend, USAGE)
