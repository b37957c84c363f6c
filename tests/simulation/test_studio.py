"""A Studio domain as a document, by the real functions under their real roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud import LocalCloud
from tests.unit.studio_documents import document, written

_ROUNDS = 12
TEAM = {"name": "team", "owner": "ana", "app": "JupyterLab", "members": ["ben"]}
SPACES = {"private_for_each_profile": {"app": "JupyterLab", "storage_gb": 20}, "shared": [TEAM]}


@dataclass
class Domain:
    """One domain and its document, by plain boto3."""

    cloud: LocalCloud
    name: str
    seen: int

    @property
    def sagemaker(self) -> Any:
        return self.cloud.client("sagemaker")

    @property
    def id(self) -> str:
        """Empty where there is no domain of the name."""
        pages = self.sagemaker.get_paginator("list_domains").paginate()
        ids = [
            each["DomainId"] for page in pages for each in page["Domains"] if each["DomainName"] == self.name
        ]
        return str(ids[0]) if ids else ""

    def upload(self, told: dict[str, Any]) -> None:
        key = f"studio/{self.name}.yaml"
        self.cloud.client("s3").put_object(Bucket=self.cloud.outputs["Bucket"], Key=key, Body=written(told))
        self.cloud.settle()

    def sweep(self) -> None:
        self.cloud.fire("SweepDueQuarterOfAnHour")
        self.cloud.settle()

    def carry_out(self, told: dict[str, Any]) -> None:
        """Uploads, and sweeps until all is as the document says."""
        before = len(self.told("Studio Settled"))
        self.upload(told)
        for _ in range(_ROUNDS):
            if len(self.told("Studio Settled")) > before:
                return
            self.sweep()
        raise AssertionError(f"{self.name} is not settled after {_ROUNDS} sweeps: {self.announcements()}")

    def announcements(self) -> list[dict[str, Any]]:
        found = [each for each in self.cloud.events_seen[self.seen :] if each["source"] == "modelgate"]
        return [each for each in found if each["detail"].get("domain") == self.name]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What was announced of one kind, each once."""
        found = {
            each["detail"]["id"]: each["detail"]
            for each in self.announcements()
            if each["detail-type"] == kind
        }
        return list(found.values())

    def profiles(self) -> list[str]:
        listed = self.sagemaker.list_user_profiles(DomainIdEquals=self.id)["UserProfiles"]
        return sorted(each["UserProfileName"] for each in listed)

    def spaces(self) -> dict[str, tuple[str, str]]:
        """The owner and the sharing of each space."""
        listed = self.sagemaker.list_spaces(DomainIdEquals=self.id)["Spaces"]
        return {
            each["SpaceName"]: (
                each["OwnershipSettingsSummary"]["OwnerUserProfileName"],
                each["SpaceSharingSettingsSummary"]["SharingType"],
            )
            for each in listed
        }

    def instance(self, profile: str) -> str:
        told = self.sagemaker.describe_user_profile(DomainId=self.id, UserProfileName=profile)["UserSettings"]
        return str(told["JupyterLabAppSettings"]["DefaultResourceSpec"]["InstanceType"])


@pytest.fixture
def domain(cloud: LocalCloud, request: pytest.FixtureRequest) -> Iterator[Domain]:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    yield Domain(cloud, name, len(cloud.events_seen))
    cloud.faults.clear()


@pytest.fixture
def trail(cloud: LocalCloud) -> Iterator[None]:
    """While the test runs, who calls what is an event."""
    client = cloud.client("cloudtrail")
    client.create_trail(Name="calls", S3BucketName=cloud.outputs["Bucket"])
    client.start_logging(Name="calls")
    yield
    client.delete_trail(Name="calls")


def test_a_domain_comes_of_a_document(domain: Domain) -> None:
    scripts = {"packages": {"app": "JupyterLab", "script": "pip install polars"}}
    settings = {"jupyterlab": {"instance": "ml.m5.large", "lifecycle": ["packages"], "idle_shutdown": 120}}
    told = document("ana", "ben", "cleo", lifecycle_configurations=scripts, spaces=SPACES)
    told["domain"] |= {"profile_settings": settings, "tags": {"team": "research"}}
    domain.carry_out(told)
    assert domain.profiles() == ["ana", "ben", "cleo"]
    assert domain.spaces() == {
        "ana-private": ("ana", "Private"),
        "ben-private": ("ben", "Private"),
        "cleo-private": ("cleo", "Private"),
        "team": ("ana", "Shared"),
    }
    found = domain.sagemaker.describe_domain(DomainId=domain.id)
    jupyterlab = found["DefaultUserSettings"]["JupyterLabAppSettings"]
    assert jupyterlab["DefaultResourceSpec"]["InstanceType"] == "ml.m5.large"
    assert jupyterlab["AppLifecycleManagement"]["IdleSettings"]["IdleTimeoutInMinutes"] == 120
    (config,) = jupyterlab["LifecycleConfigArns"]
    assert f"studio-lifecycle-config/{domain.name}-packages-" in config
    tags = domain.sagemaker.list_tags(ResourceArn=found["DomainArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "modelgate:stack": "modelgate",
        "modelgate:domain": domain.name,
        "team": "research",
    }
    (settled,) = domain.told("Studio Settled")
    assert len(settled["steps"]) == 9
    quiet = len(domain.cloud.invocations)
    domain.sweep()
    (swept,) = [each.result for each in domain.cloud.invocations[quiet:]]
    assert isinstance(swept, dict)
    assert (swept["finished"], swept["trouble"]) == ({}, {})


@pytest.mark.usefixtures("trail")
def test_what_is_changed_by_hand_is_put_back(domain: Domain) -> None:
    """With a trail: nobody sweeps."""
    domain.carry_out(document("ana"))
    settings = {"JupyterLabAppSettings": {"DefaultResourceSpec": {"InstanceType": "ml.p4d.24xlarge"}}}
    domain.sagemaker.update_user_profile(DomainId=domain.id, UserProfileName="ana", UserSettings=settings)
    domain.cloud.settle()
    # The event of the change may come while SageMaker is still at it. Whatever happens next has it looked at.
    arn = domain.sagemaker.describe_user_profile(DomainId=domain.id, UserProfileName="ana")["UserProfileArn"]
    domain.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "auditor", "Value": "zoe"}])
    domain.cloud.settle()
    assert domain.instance("ana") == "ml.t3.medium"
    (drifted,) = domain.told("Studio Drifted")
    assert "jupyterlab.instance: ml.p4d.24xlarge → ml.t3.medium" in drifted["message"]


@pytest.mark.usefixtures("trail")
def test_it_is_taken_apart_in_order_with_apps_that_run(domain: Domain) -> None:
    domain.carry_out(document("ana", "ben", spaces=SPACES))
    for space in ("ana-private", "team"):
        domain.sagemaker.create_app(
            DomainId=domain.id, SpaceName=space, AppType="JupyterLab", AppName="default"
        )
    domain.cloud.settle()
    home = domain.sagemaker.describe_domain(DomainId=domain.id)["HomeEfsFileSystemId"]
    before, ran = len(domain.cloud.events_seen), len(domain.cloud.invocations)
    domain.carry_out({"prune": True, "delete_home_file_system": True})
    assert domain.id == ""
    started = [each.result for each in domain.cloud.invocations[ran:] if each.function == "StudioChanged"]
    assert {each["status"] for each in started} == {"a call of Modelgate's own"}
    calls = [
        each["detail"] for each in domain.cloud.events_seen[before:] if "CloudTrail" in each["detail-type"]
    ]
    order = [_deleted(each) for each in calls if each["eventName"].startswith("Delete")]
    assert len(order) == len(set(order)) == 8
    for inner, outer in [
        ("app of team", "space team"),
        ("app of ana-private", "space ana-private"),
        ("space team", "user profile ana"),
        ("space ben-private", "user profile ben"),
        ("user profile ana", "domain"),
        ("user profile ben", "domain"),
    ]:
        assert order.index(inner) < order.index(outer)
    homes = domain.cloud.client("efs").describe_file_systems()["FileSystems"]
    assert home not in [each["FileSystemId"] for each in homes]


def _deleted(call: dict[str, Any]) -> str:
    """What was deleted, or tried to be: nothing is tried before its time."""
    told = call["requestParameters"]
    match call["eventName"]:
        case "DeleteApp":
            return f"app of {told['spaceName']}"
        case "DeleteSpace":
            return f"space {told['spaceName']}"
        case "DeleteUserProfile":
            return f"user profile {told['userProfileName']}"
    return "domain"


def test_a_domain_of_others_is_refused_and_then_taken_over(domain: Domain) -> None:
    role = domain.cloud.outputs["StudioRole"]
    domain.sagemaker.create_domain(
        DomainName=domain.name,
        AuthMode="IAM",
        VpcId="vpc-1a2b3c4d",
        SubnetIds=["subnet-1a2b3c4d"],
        DefaultUserSettings={"ExecutionRole": role, "DefaultLandingUri": "studio::"},
    )
    domain.cloud.settle()
    domain.upload(document("ana"))
    (refused,) = domain.told("Studio Refused")
    assert "write adopt: true" in refused["message"]
    assert domain.profiles() == []
    domain.carry_out(document("ana", adopt=True))
    assert domain.profiles() == ["ana"]


def test_what_sagemaker_cannot_do_is_told_with_its_reason(domain: Domain) -> None:
    domain.cloud.faults.fail_studio("user profile", "ana", "the directory is closed", times=2)
    domain.upload(document("ana"))
    for _ in range(6):
        domain.sweep()
    (failed,) = domain.told("Studio Failed")
    assert failed["resource"] == "user profile ana"
    assert "the directory is closed" in failed["reason"]


def test_a_document_that_is_wrong_is_refused_with_every_reason(domain: Domain) -> None:
    wrong = [{"name": "x", "owner": ["ana", "ben"], "app": "JupyterLab"}]
    domain.upload(document("ana", spaces={"private": wrong}))
    (refused,) = domain.told("Studio Refused")
    assert "names 2 owners, and a space has one" in refused["reasons"][0]
    assert domain.id == ""
