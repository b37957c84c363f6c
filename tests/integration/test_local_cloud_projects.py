"""CodeBuild's projects in a template, and what becomes of their builds when the local cloud stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import LocalCloud, TemplateError
from tests.integration.test_local_cloud_builds import TEMPLATE, Pipe, begun, pipe, spec, started

__all__ = ["begun", "pipe"]  # fixtures


def template(folder: Path, more: str = "") -> Path:
    """The template, with more properties of its last project."""
    path = folder / "template.yaml"
    path.write_text(TEMPLATE.replace("Name: mute,", f"Name: mute, {more}"))
    return path


def test_the_local_cloud_ends_its_builds_when_it_stops(
    tmp_path: Path,
    pipe: Pipe,
    begun: Path,
) -> None:
    with LocalCloud(template(tmp_path)) as cloud:
        waits = spec(build=f"exec 3> {pipe.path}; pwd > {begun}; sleep 60")
        started(cloud, waits, sourceTypeOverride="NO_SOURCE")
        folder = Path(begun.read_text().strip())
        assert folder.exists()
    assert pipe.read() == ""
    assert not folder.exists()


def test_what_a_project_may_be_given_in_a_template(tmp_path: Path) -> None:
    given = (
        "TimeoutInMinutes: '30', QueuedTimeoutInMinutes: 5, Cache: {Type: NO_CACHE}, "
        "VpcConfig: {VpcId: vpc-1, Subnets: [subnet-1], SecurityGroupIds: 'sg-1,sg-2'}, "
        "LogsConfig: {CloudWatchLogs: {Status: ENABLED, GroupName: builds, StreamName: of}}"
    )
    with LocalCloud(template(tmp_path, f"{given},")) as cloud:
        (project,) = cloud.client("codebuild").batch_get_projects(names=["mute"])["projects"]
    assert (project["timeoutInMinutes"], project["queuedTimeoutInMinutes"]) == (30, 5)
    vpc = {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1", "sg-2"]}
    assert project["vpcConfig"] == vpc
    assert project["logsConfig"]["cloudWatchLogs"]["streamName"] == "of"


def test_a_property_of_a_project_that_is_not_known_is_refused(tmp_path: Path) -> None:
    unknown = template(tmp_path, "BadgeEnabled: true,")
    with pytest.raises(TemplateError, match="BadgeEnabled"), LocalCloud(unknown):
        pass
