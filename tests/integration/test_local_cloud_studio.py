"""Studio on the local cloud: what may be made of what, the states it goes through, and who is told."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, LocalCloudError
from localcloud.faults import StudioChange, StudioKind
from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING, call
from tests.integration.test_local_cloud_sagemaker import refusal
from tests.integration.test_local_cloud_small_stack import small_stack

ROLE = "arn:aws:iam::123456789012:role/studio"
OWNED = {"SharingType": "Private"}
SCRIPT = base64.b64encode(b"#!/bin/bash\necho hello\n").decode()
PREFIX = "arn:aws:sagemaker:eu-central-1:123456789012"


def ebs(size: int) -> dict[str, Any]:
    """The settings of a space with a volume of its own."""
    return {"SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": size}}}


def sizes(default: int, most: int) -> dict[str, Any]:
    """What a domain or a profile says of the volumes of its spaces."""
    given = {"DefaultEbsVolumeSizeInGb": default, "MaximumEbsVolumeSizeInGb": most}
    return {"SpaceStorageSettings": {"DefaultEbsStorageSettings": given}}


def in_jupyter_lab(lifecycle: str) -> dict[str, Any]:
    """Settings that name a lifecycle configuration."""
    return {
        "JupyterLabAppSettings": {
            "DefaultResourceSpec": {"InstanceType": "ml.t3.medium", "LifecycleConfigArn": lifecycle},
            "LifecycleConfigArns": [lifecycle],
        }
    }


# Of spaces, which have no list of them.
JUPYTER_WITH_UNKNOWN_SCRIPT = {
    "AppType": "JupyterLab",
    "JupyterLabAppSettings": {
        "DefaultResourceSpec": {"LifecycleConfigArn": f"{PREFIX}:studio-lifecycle-config/x"}
    },
}


class Studio:
    """One cloud, and one domain in it for the tests that need no domain of their own."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("sagemaker")
        cloud.faults.hold_studio()
        self.team = self.domain("team")
        self.profile("ada")

    def settle(self) -> None:
        """Whatever SageMaker is at comes to its end; before that, nothing does."""
        self.cloud.faults.release_studio()
        self.cloud.settle()
        self.cloud.faults.hold_studio()

    def domain(self, name: str, *, settle: bool = True, **more: Any) -> str:
        """A new domain; its id."""
        asked: dict[str, Any] = {
            "AuthMode": "IAM",
            "DefaultUserSettings": {"ExecutionRole": ROLE},
            "DefaultSpaceSettings": {"ExecutionRole": ROLE},
            "VpcId": "vpc-1",
            "SubnetIds": ["subnet-1", "subnet-2"],
            **more,
        }
        answer = self.client.create_domain(DomainName=name, **asked)
        if settle:
            self.settle()
        return str(answer["DomainId"])

    def profile(self, name: str, domain: str = "", *, settle: bool = True, **more: Any) -> str:
        """A new user profile; its ARN."""
        answer = self.client.create_user_profile(DomainId=domain or self.team, UserProfileName=name, **more)
        if settle:
            self.settle()
        return str(answer["UserProfileArn"])

    def space(self, name: str, domain: str = "", *, settle: bool = True, **more: Any) -> str:
        """A new private space of ada's for JupyterLab, if nothing else is said; its ARN."""
        asked: dict[str, Any] = {
            "SpaceSettings": {"AppType": "JupyterLab"},
            "OwnershipSettings": {"OwnerUserProfileName": "ada"},
            "SpaceSharingSettings": OWNED,
            **more,
        }
        answer = self.client.create_space(
            DomainId=domain or self.team,
            SpaceName=name,
            **{member: value for member, value in asked.items() if value is not None},
        )
        if settle:
            self.settle()
        return str(answer["SpaceArn"])

    def app(self, space: str, domain: str = "", *, settle: bool = True, **more: Any) -> str:
        """A new app in a space; its ARN."""
        answer = self.client.create_app(**self.named_app(space, domain), **more)
        if settle:
            self.settle()
        return str(answer["AppArn"])

    def named_app(self, space: str, domain: str = "") -> dict[str, str]:
        """How the app of a space is called."""
        return {
            "DomainId": domain or self.team,
            "SpaceName": space,
            "AppType": "JupyterLab",
            "AppName": "default",
        }

    def end(self, space: str, domain: str = "") -> None:
        """Delete the app of a space."""
        self.client.delete_app(**self.named_app(space, domain))
        self.settle()

    def script(self, name: str) -> str:
        """A new lifecycle configuration for JupyterLab; its ARN."""
        answer = self.client.create_studio_lifecycle_config(
            StudioLifecycleConfigName=name,
            StudioLifecycleConfigContent=SCRIPT,
            StudioLifecycleConfigAppType="JupyterLab",
        )
        return str(answer["StudioLifecycleConfigArn"])

    def file_systems(self) -> dict[str, dict[str, str]]:
        """The tags of the EFS file systems, by their ids."""
        pages = self.cloud.client("efs").get_paginator("describe_file_systems").paginate()
        found = [each for page in pages for each in page["FileSystems"]]
        return {each["FileSystemId"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found}

    def of_domain(self, domain: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_domain(DomainId=domain)
        return found

    def of_profile(self, name: str, domain: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_user_profile(
            DomainId=domain or self.team, UserProfileName=name
        )
        return found

    def of_space(self, name: str, domain: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_space(DomainId=domain or self.team, SpaceName=name)
        return found


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with small_stack(tmp_path_factory.mktemp("studio"), CALLS_ANYTHING) as cloud:
        yield Studio(cloud)


def refused(action: Callable[..., object], /, *given: Any, **more: Any) -> tuple[str, str]:
    """Code and message with which an action is refused."""
    with pytest.raises(ClientError) as error:
        action(*given, **more)
    return refusal(error)


# ── domains ───────────────────────────────────────────────────────────────────────────────────────


def test_a_domain_is_pending_and_then_in_service_with_a_home_file_system_of_its_own(studio: Studio) -> None:
    made = studio.client.create_domain(
        DomainName="homes",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        VpcId="vpc-1",
        SubnetIds=["subnet-1"],
        Tags=[{"Key": "team", "Value": "blue"}],
    )
    domain = made["DomainId"]
    assert (len(domain), domain[:2]) == (14, "d-")
    assert made["DomainArn"] == f"{PREFIX}:domain/{domain}"
    assert made["Url"] == f"https://{domain}.studio.eu-central-1.sagemaker.aws"
    assert studio.of_domain(domain)["Status"] == "Pending"

    studio.settle()
    told = studio.of_domain(domain)
    assert (told["Status"], told["AppNetworkAccessType"]) == ("InService", "PublicInternetOnly")
    assert told["CreationTime"] < told["LastModifiedTime"]
    file_systems = studio.file_systems()
    assert file_systems[told["HomeEfsFileSystemId"]]["ManagedByAmazonSageMakerResource"] == made["DomainArn"]
    assert studio.client.list_tags(ResourceArn=made["DomainArn"])["Tags"] == [
        {"Key": "team", "Value": "blue"}
    ]


@pytest.mark.parametrize(
    ("given", "stays"),
    [
        ({}, True),
        ({"RetentionPolicy": {"HomeEfsFileSystem": "Retain"}}, True),
        ({"RetentionPolicy": {"HomeEfsFileSystem": "Delete"}}, False),
    ],
)
def test_a_deleted_domain_leaves_its_file_system_unless_it_is_told_otherwise(
    studio: Studio, given: dict[str, Any], stays: bool
) -> None:
    domain = studio.domain("to-go")
    home = studio.of_domain(domain)["HomeEfsFileSystemId"]

    studio.client.delete_domain(DomainId=domain, **given)
    assert studio.of_domain(domain)["Status"] == "Deleting"
    studio.settle()

    assert refused(studio.of_domain, domain)[0] == "ResourceNotFound"
    assert (home in studio.file_systems()) is stays
    missing = refused(studio.client.list_tags, ResourceArn=f"{PREFIX}:domain/{domain}")
    assert missing[0] == "ValidationException"


def test_a_domain_may_do_without_homes_and_get_them_later(studio: Studio) -> None:
    domain = studio.domain("homeless", HomeEfsFileSystemCreation="Disabled")
    assert "HomeEfsFileSystemId" not in studio.of_domain(domain)

    studio.client.update_domain(DomainId=domain, HomeEfsFileSystemCreation="Enabled")
    studio.settle()
    assert studio.of_domain(domain)["HomeEfsFileSystemId"] in studio.file_systems()
    again = refused(studio.client.update_domain, DomainId=domain, HomeEfsFileSystemCreation="Disabled")
    assert again[0] == "ValidationException"


def test_two_domains_of_one_name_are_two_and_lists_come_in_pages(studio: Studio) -> None:
    made = {studio.domain("twin", settle=False) for _ in range(2)}
    studio.settle()
    pages = studio.client.get_paginator("list_domains").paginate(PaginationConfig={"PageSize": 2})
    found = [domain for page in pages for domain in page["Domains"]]
    assert made <= {domain["DomainId"] for domain in found if domain["DomainName"] == "twin"}
    assert len({domain["DomainId"] for domain in found}) == len(found)


def test_an_update_replaces_what_it_gives_and_keeps_the_rest(studio: Studio) -> None:
    idle = {"IdleSettings": {"LifecycleManagement": "ENABLED", "IdleTimeoutInMinutes": 90}}
    users = {
        "ExecutionRole": ROLE,
        "JupyterLabAppSettings": {"AppLifecycleManagement": idle},
        "StudioWebPortalSettings": {"HiddenAppTypes": ["Canvas", "RStudioServerPro"]},
        **sizes(10, 50),
    }
    domain = studio.domain(
        "kept",
        DefaultUserSettings=users,
        DomainSettings={"DockerSettings": {"EnableDockerAccess": "ENABLED"}},
    )
    assert studio.of_domain(domain)["DefaultUserSettings"] == users

    studio.client.update_domain(
        DomainId=domain,
        DefaultUserSettings=sizes(5, 20),
        DomainSettingsForUpdate={"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"},
    )
    assert studio.of_domain(domain)["Status"] == "Updating"
    studio.settle()

    told = studio.of_domain(domain)
    assert told["Status"] == "InService"
    assert told["DefaultUserSettings"] == {**users, **sizes(5, 20)}
    assert told["DomainSettings"] == {
        "DockerSettings": {"EnableDockerAccess": "ENABLED"},
        "ExecutionRoleIdentityConfig": "USER_PROFILE_NAME",
    }


def test_the_network_of_a_domain_is_not_changed_under_running_apps(studio: Studio) -> None:
    domain = studio.domain("busy")
    studio.profile("ada", domain)
    studio.space("lab", domain)
    studio.app("lab", domain)
    to_vpc = {"AppNetworkAccessType": "VpcOnly", "VpcId": "vpc-1", "SubnetIds": ["subnet-1", "subnet-2"]}

    for change in (
        {"SubnetIds": ["subnet-1"]},
        to_vpc,
        {"DomainSettingsForUpdate": {"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"}},
    ):
        code, message = refused(studio.client.update_domain, DomainId=domain, **change)
        assert code == "ValidationException"
        assert message == (
            f"Unable to update Domain [{PREFIX}:domain/{domain}] with InService App. Delete all InService "
            "apps in the domain including shared Apps for [domain-shared] User Profile, and try again."
        )
    more = [*to_vpc["SubnetIds"], "subnet-3"]
    studio.client.update_domain(DomainId=domain, SubnetIds=more)
    studio.settle()

    studio.end("lab", domain)
    studio.client.update_domain(DomainId=domain, **to_vpc)
    studio.settle()
    told = studio.of_domain(domain)
    assert (told["AppNetworkAccessType"], told["SubnetIds"]) == ("VpcOnly", to_vpc["SubnetIds"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"AppSecurityGroupManagement": "Service"},
            "AppSecurityGroupManagement can only be set for Rstudio enabled domains.",
        ),
        (
            {"AppNetworkAccessType": "VpcOnly"},
            "VpcId and Subnet IDs are required for updating domains to VpcOnly mode.",
        ),
        (
            {"DefaultUserSettings": {"StudioWebPortal": "DISABLED", "DefaultLandingUri": "studio::"}},
            "StudioWebPortal is disabled for this domain/user.",
        ),
    ],
)
def test_domains_are_not_updated_to_what_does_not_fit_in_the_words_of_aws(
    studio: Studio, change: dict[str, Any], message: str
) -> None:
    assert refused(studio.client.update_domain, DomainId=studio.team, **change) == (
        "ValidationException",
        message,
    )
    assert studio.of_domain(studio.team)["Status"] == "InService"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"DefaultUserSettings": {"ExecutionRole": ROLE, **sizes(60, 50)}}, "MaximumEbsVolumeSizeInGb"),
        ({"DefaultUserSettings": {"AutoMountHomeEFS": "DefaultAsDomain"}}, "AutoMountHomeEFS"),
        (
            {"DefaultUserSettings": in_jupyter_lab(f"{PREFIX}:studio-lifecycle-config/nowhere")},
            "studio-lifecycle-config/nowhere",
        ),
    ],
)
def test_a_domain_of_settings_that_do_not_fit_is_not_made(
    studio: Studio, given: dict[str, Any], named: str
) -> None:
    code, message = refused(studio.domain, "unfit", **given)
    assert code == "ValidationException"
    assert named in message
    assert "unfit" not in {domain["DomainName"] for domain in studio.client.list_domains()["Domains"]}


def test_a_domain_needs_a_network(studio: Studio) -> None:
    code, message = refused(
        studio.client.create_domain,
        DomainName="unfit",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        SubnetIds=["subnet-1"],
    )
    assert (code, message) == ("ValidationException", "VpcId must be provided.")


# ── user profiles ─────────────────────────────────────────────────────────────────────────────────


def test_a_profile_goes_through_its_states_and_its_name_has_no_case(studio: Studio) -> None:
    arn = studio.profile("Grace", settle=False, UserSettings={"ExecutionRole": ROLE})
    assert arn == f"{PREFIX}:user-profile/{studio.team}/grace"
    assert studio.of_profile("GRACE")["Status"] == "Pending"
    studio.settle()
    told = studio.of_profile("grace")
    assert (told["Status"], told["UserProfileName"]) == ("InService", "Grace")
    assert told["HomeEfsFileSystemUid"].isdigit()
    assert refused(studio.profile, "gRACE")[0] == "ResourceInUse"

    studio.client.update_user_profile(
        DomainId=studio.team, UserProfileName="grace", UserSettings={"SecurityGroups": ["sg-1"]}
    )
    assert studio.of_profile("grace")["Status"] == "Updating"
    for action in (studio.client.update_user_profile, studio.client.delete_user_profile):
        assert refused(action, DomainId=studio.team, UserProfileName="grace")[0] == "ResourceInUse"
    studio.settle()
    assert studio.of_profile("grace")["UserSettings"] == {"ExecutionRole": ROLE, "SecurityGroups": ["sg-1"]}

    studio.client.delete_user_profile(DomainId=studio.team, UserProfileName="grace")
    assert studio.of_profile("grace")["Status"] == "Deleting"
    studio.settle()
    assert refused(studio.of_profile, "grace")[0] == "ResourceNotFound"


def test_a_profile_needs_a_domain_that_is_in_service(studio: Studio) -> None:
    domain = studio.domain("early", settle=False)
    code, message = refused(studio.profile, "ada", domain)
    assert (code, "is Pending, not InService" in message) == ("ResourceInUse", True)
    assert refused(studio.space, "lab", domain)[0] == "ResourceInUse"
    assert refused(studio.profile, "ada", "d-nowhere")[0] == "ResourceNotFound"
    studio.settle()
    studio.profile("ada", domain)


def test_single_sign_on_is_for_the_profiles_of_domains_that_have_it(studio: Studio) -> None:
    named: dict[str, Any] = {
        "SingleSignOnUserIdentifier": "UserName",
        "SingleSignOnUserValue": "ada@example.com",
    }
    domain = studio.domain("signed-on", AuthMode="SSO")
    assert refused(studio.profile, "ada", domain)[0] == "ValidationException"
    assert refused(studio.profile, "eve", **named)[0] == "ValidationException"

    studio.profile("ada", domain, **named)
    assert studio.of_profile("ada", domain)["SingleSignOnUserValue"] == "ada@example.com"
    url = studio.client.create_presigned_domain_url
    assert refused(url, DomainId=domain, UserProfileName="ada")[0] == "ValidationException"
    signed = url(DomainId=studio.team, UserProfileName="ada")["AuthorizedUrl"]
    assert signed.startswith(f"https://{studio.team}.studio.eu-central-1.sagemaker.aws/auth?token=")


def test_profiles_of_a_domain_in_a_vpc_need_security_groups(studio: Studio) -> None:
    domain = studio.domain("closed", AppNetworkAccessType="VpcOnly")
    assert refused(studio.profile, "ada", domain)[0] == "ValidationException"
    studio.profile("ada", domain, UserSettings={"SecurityGroups": ["sg-1"]})


# ── spaces ────────────────────────────────────────────────────────────────────────────────────────


def test_a_private_space_goes_through_its_states(studio: Studio) -> None:
    arn = studio.space(
        "mine", settle=False, SpaceDisplayName="Mine", SpaceSettings={"AppType": "JupyterLab", **ebs(20)}
    )
    assert arn == f"{PREFIX}:space/{studio.team}/mine"
    assert studio.of_space("mine")["Status"] == "Pending"
    studio.settle()
    told = studio.of_space("mine")
    assert told["Status"] == "InService"
    assert told["SpaceSettings"] == {"AppType": "JupyterLab", **ebs(20)}
    assert told["OwnershipSettings"] == {"OwnerUserProfileName": "ada"}

    studio.client.update_space(DomainId=studio.team, SpaceName="mine", SpaceSettings=ebs(30))
    assert studio.of_space("mine")["Status"] == "Updating"
    studio.settle()
    listed = studio.client.list_spaces(DomainIdEquals=studio.team, SpaceNameContains="mine")["Spaces"]
    assert [space["SpaceSettingsSummary"] for space in listed] == [{"AppType": "JupyterLab", **ebs(30)}]
    assert refused(studio.space, "MINE")[0] == "ResourceInUse"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OwnershipSettings": None}, "OwnershipSettings"),
        ({"SpaceSharingSettings": None}, "SpaceSharingSettings"),
        ({"OwnershipSettings": {"OwnerUserProfileName": "nobody"}}, "nobody"),
        ({"SpaceSettings": {"AppType": "JupyterServer"}}, "AppType"),
        (
            {"SpaceSettings": {"AppType": "CodeEditor"}, "SpaceSharingSettings": {"SharingType": "Shared"}},
            "Type",
        ),
        ({"SpaceSettings": {"AppType": "JupyterLab", **ebs(101)}}, "EbsVolumeSizeInGb 101"),
        (
            {"SpaceSettings": JUPYTER_WITH_UNKNOWN_SCRIPT},
            "studio-lifecycle-config/x",
        ),
    ],
)
def test_a_space_that_does_not_fit_is_not_made(studio: Studio, given: dict[str, Any], named: str) -> None:
    code, message = refused(studio.space, "unfit", **given)
    assert (code, named in message) == ("ValidationException", True)
    assert refused(studio.of_space, "unfit")[0] == "ResourceNotFound"


def test_a_private_space_without_settings_is_refused_in_the_words_of_aws(studio: Studio) -> None:
    assert refused(studio.space, "bare", SpaceSettings=None) == (
        "ValidationException",
        f"SpaceSettings must be provided for creating private space [{PREFIX}:space/{studio.team}/bare]",
    )


def test_shared_spaces_have_an_owner_too_and_need_the_role_of_their_domain(studio: Studio) -> None:
    shared: dict[str, Any] = {"SpaceSharingSettings": {"SharingType": "Shared"}}
    studio.space("together", **shared)
    assert studio.of_space("together")["SpaceSharingSettings"] == {"SharingType": "Shared"}
    classic = studio.space("classic", SpaceSettings=None, OwnershipSettings=None, SpaceSharingSettings=None)
    assert classic.endswith("/classic")
    assert studio.of_space("classic")["HomeEfsFileSystemUid"].isdigit()

    domain = studio.domain("roleless", DefaultSpaceSettings={})
    studio.profile("ada", domain)
    code, message = refused(studio.space, "together", domain, **shared)
    assert (code, "DefaultSpaceSettings" in message) == ("ValidationException", True)


def test_the_type_of_a_space_is_not_even_updated_to_what_it_is(studio: Studio) -> None:
    studio.space("typed")
    assert refused(
        studio.client.update_space,
        DomainId=studio.team,
        SpaceName="typed",
        SpaceSettings={"AppType": "JupyterLab"},
    ) == ("ValidationException", "Updating AppType for Space is not supported.")


def test_a_volume_only_grows_and_not_over_what_its_owner_may_have(studio: Studio) -> None:
    domain = studio.domain("sized", DefaultUserSettings={"ExecutionRole": ROLE, **sizes(10, 50)})
    studio.profile("ada", domain)
    studio.profile("eve", domain, UserSettings=sizes(10, 20))
    studio.space("wide", domain, SpaceSettings={"AppType": "JupyterLab", **ebs(50)})
    for size, reason in ((40, "current size of 50 GB"), (51, "MaximumEbsVolumeSizeInGb 50")):
        code, message = refused(
            studio.client.update_space, DomainId=domain, SpaceName="wide", SpaceSettings=ebs(size)
        )
        assert (code, reason in message) == ("ValidationException", True)
    of_eve = {"OwnershipSettings": {"OwnerUserProfileName": "eve"}}
    wanted = {"AppType": "JupyterLab", **ebs(21)}
    code, message = refused(studio.space, "narrow", domain, SpaceSettings=wanted, **of_eve)
    assert (code, "MaximumEbsVolumeSizeInGb 20" in message) == ("ValidationException", True)


# ── apps ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_app_is_deleted_and_still_told_of(studio: Studio) -> None:
    studio.space("lab")
    spec: dict[str, Any] = {"ResourceSpec": {"InstanceType": "ml.t3.medium"}}
    arn = studio.app("lab", settle=False, **spec)
    named = studio.named_app("lab")
    assert arn == f"{PREFIX}:app/{studio.team}/lab/jupyterlab/default"
    assert studio.client.describe_app(**named)["Status"] == "Pending"
    assert refused(studio.app, "lab")[0] == "ResourceInUse"
    studio.settle()
    told = studio.client.describe_app(**named)
    assert (told["Status"], told["ResourceSpec"]["InstanceType"]) == ("InService", "ml.t3.medium")

    studio.client.delete_app(**named)
    assert studio.client.describe_app(**named)["Status"] == "Deleting"
    studio.settle()
    assert studio.client.describe_app(**named)["Status"] == "Deleted"
    listed = studio.client.list_apps(DomainIdEquals=studio.team, SpaceNameEquals="LAB")["Apps"]
    assert [(app["SpaceName"], app["Status"]) for app in listed] == [("lab", "Deleted")]
    code, message = refused(studio.client.delete_app, **named)
    assert (code, "has already been deleted" in message) == ("ValidationException", True)

    studio.app("lab")
    assert studio.client.describe_app(**named)["Status"] == "InService"
    studio.end("lab")


def test_an_app_is_forgotten_after_a_day(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime as dt

    from localcloud import calls

    studio.space("brief")
    studio.app("brief")
    studio.end("brief")
    now = calls.now
    monkeypatch.setattr(calls, "now", lambda: now() + dt.timedelta(hours=25))
    assert refused(studio.client.describe_app, **studio.named_app("brief"))[0] == "ResourceNotFound"
    assert studio.client.list_apps(SpaceNameEquals="brief")["Apps"] == []


def test_apps_are_of_a_space_or_of_a_profile_and_of_a_type_that_it_takes(studio: Studio) -> None:
    studio.space("typed-lab")
    named = studio.named_app("typed-lab")
    for given in (
        {**named, "UserProfileName": "ada"},
        {member: value for member, value in named.items() if member != "SpaceName"},
        {**named, "AppType": "CodeEditor"},
        {"DomainId": studio.team, "UserProfileName": "ada", "AppType": "JupyterLab", "AppName": "default"},
        {"DomainId": studio.team, "UserProfileName": "ada", "AppType": "KernelGateway", "AppName": "k"},
    ):
        assert refused(studio.client.create_app, **given)[0] == "ValidationException"
    unknown = refused(studio.app, "nowhere")
    assert unknown[0] == "ResourceNotFound"
    both = refused(studio.client.list_apps, UserProfileNameEquals="ada", SpaceNameEquals="lab")
    assert both[0] == "ValidationException"


def test_an_app_needs_a_space_that_is_in_service(studio: Studio) -> None:
    studio.space("young", settle=False)
    code, message = refused(studio.app, "young", settle=False)
    assert (code, "is Pending" in message) == ("ResourceInUse", True)


# ── teardown ──────────────────────────────────────────────────────────────────────────────────────


def test_things_go_in_the_order_that_aws_demands(studio: Studio) -> None:
    domain = studio.domain("torn-down")
    studio.profile("ada", domain)
    studio.space("lab", domain)
    studio.app("lab", domain)
    studio.client.create_app(
        DomainId=domain, UserProfileName="ada", AppType="JupyterServer", AppName="default"
    )
    studio.settle()
    client = studio.client

    def delete_profile() -> None:
        client.delete_user_profile(DomainId=domain, UserProfileName="ada")

    def delete_space() -> None:
        client.delete_space(DomainId=domain, SpaceName="lab")

    def delete_domain() -> None:
        client.delete_domain(DomainId=domain)

    def unable(kind: str, resource: str, others: str) -> tuple[str, str]:
        arn = f"{PREFIX}:{resource}"
        return ("ResourceInUse", f"Unable to delete {kind} [{arn}] because {others} are associated with it.")

    of_profile, of_space, of_domain = f"user-profile/{domain}/ada", f"space/{domain}/lab", f"domain/{domain}"
    assert refused(delete_domain) == unable("Domain", of_domain, "App(s)")
    assert refused(delete_profile) == unable("UserProfile", of_profile, "App(s)")
    assert refused(delete_space) == unable("Space", of_space, "App(s)")
    studio.end("lab", domain)
    client.delete_app(DomainId=domain, UserProfileName="ada", AppType="JupyterServer", AppName="default")
    assert refused(delete_profile) == unable("UserProfile", of_profile, "App(s)")
    studio.settle()

    assert refused(delete_domain) == unable("Domain", of_domain, "Space(s)")
    assert refused(delete_profile) == unable("UserProfile", of_profile, "Space(s)")
    delete_space()
    assert refused(delete_profile) == unable("UserProfile", of_profile, "Space(s)")
    studio.settle()
    assert refused(delete_domain) == unable("Domain", of_domain, "UserProfile(s)")
    delete_profile()
    studio.settle()
    delete_domain()
    studio.settle()
    assert refused(studio.of_domain, domain)[0] == "ResourceNotFound"


# ── lifecycle configurations ──────────────────────────────────────────────────────────────────────


def test_a_lifecycle_configuration_stays_while_anything_names_it(studio: Studio) -> None:
    script = studio.script("hello")
    told = studio.client.describe_studio_lifecycle_config(StudioLifecycleConfigName="Hello")
    assert (told["StudioLifecycleConfigArn"], told["StudioLifecycleConfigContent"]) == (script, SCRIPT)
    listed = studio.client.list_studio_lifecycle_configs(NameContains="hel", AppTypeEquals="JupyterLab")
    assert [each["StudioLifecycleConfigArn"] for each in listed["StudioLifecycleConfigs"]] == [script]
    assert refused(studio.script, "hello")[0] == "ResourceInUse"

    def delete() -> None:
        studio.client.delete_studio_lifecycle_config(StudioLifecycleConfigName="hello")

    profile = studio.profile("scripted", UserSettings=in_jupyter_lab(script))
    code, message = refused(delete)
    assert (code, profile in message) == ("ResourceInUse", True)

    # The word None takes the default away, and an empty list the others.
    nothing = {"DefaultResourceSpec": {"LifecycleConfigArn": "None"}, "LifecycleConfigArns": []}
    studio.client.update_user_profile(
        DomainId=studio.team, UserProfileName="scripted", UserSettings={"JupyterLabAppSettings": nothing}
    )
    studio.settle()
    assert studio.of_profile("scripted")["UserSettings"] == {
        "JupyterLabAppSettings": {"DefaultResourceSpec": {}, "LifecycleConfigArns": []}
    }
    studio.space(
        "scripted",
        SpaceSettings={
            "AppType": "JupyterLab",
            "JupyterLabAppSettings": {"DefaultResourceSpec": {"LifecycleConfigArn": script}},
        },
    )
    assert refused(delete)[0] == "ResourceInUse"
    studio.client.delete_space(DomainId=studio.team, SpaceName="scripted")
    studio.settle()
    delete()
    gone = refused(studio.client.describe_studio_lifecycle_config, StudioLifecycleConfigName="hello")
    assert gone[0] == "ResourceNotFound"


def test_a_script_is_base64(studio: Studio) -> None:
    code, _ = refused(
        studio.client.create_studio_lifecycle_config,
        StudioLifecycleConfigName="plain",
        StudioLifecycleConfigContent="#!/bin/bash",
        StudioLifecycleConfigAppType="JupyterLab",
    )
    assert code == "ValidationException"


# ── tags ──────────────────────────────────────────────────────────────────────────────────────────


def test_all_of_them_have_tags(studio: Studio) -> None:
    tags = [{"Key": "by", "Value": "test"}]
    arns = [
        f"{PREFIX}:domain/{studio.team}",
        studio.profile("tagged", Tags=tags),
        studio.space("tagged", Tags=tags),
        studio.app("tagged", Tags=tags),
        studio.script("tagged"),
    ]
    for arn in arns:
        studio.client.add_tags(ResourceArn=arn, Tags=[*tags, {"Key": "more", "Value": ""}])
        studio.client.delete_tags(ResourceArn=arn, TagKeys=["more"])
        assert studio.client.list_tags(ResourceArn=arn)["Tags"] == tags
    studio.end("tagged")
    assert refused(studio.client.list_tags, ResourceArn=arns[3])[0] == "ValidationException"


# ── faults ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["domain", "user profile", "space"])
def test_what_is_asked_to_fail_ends_in_the_state_that_says_so(studio: Studio, kind: StudioKind) -> None:
    name = f"fails-{kind.replace(' ', '-')}"
    make: Mapping[StudioKind, Callable[[], str]] = {
        "domain": lambda: studio.domain(name),
        "user profile": lambda: (studio.profile(name), name)[1],
        "space": lambda: (studio.space(name), name)[1],
    }
    operation = {"domain": "domain", "user profile": "user_profile", "space": "space"}[kind]

    def named(made: str) -> dict[str, str]:
        if kind == "domain":
            return {"DomainId": made}
        return {"DomainId": studio.team, "SpaceName" if kind == "space" else "UserProfileName": made}

    def do(verb: str, made: str) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(studio.client, f"{verb}_{operation}")(**named(made))
        studio.settle()
        return answer

    def state(made: str) -> tuple[str, str | None]:
        told = do("describe", made)
        return told["Status"], told.get("FailureReason")

    studio.cloud.faults.fail_studio(kind, name, "No capacity.")
    made = make[kind]()
    assert state(made) == ("Failed", "No capacity.")
    assert refused(do, "update", made)[0] == "ValidationException"
    do("delete", made)

    made = make[kind]()
    changes: tuple[tuple[StudioChange, str], ...] = (("update", "Update_Failed"), ("delete", "Delete_Failed"))
    for doing, ends in changes:
        studio.cloud.faults.fail_studio(kind, name.upper(), "No rights.", doing=doing)
        do(doing, made)
        assert state(made) == (ends, "No rights.")
        if doing == "update":
            do("update", made)
            assert state(made) == ("InService", None)
    do("delete", made)
    assert refused(do, "describe", made)[0] == "ResourceNotFound"


def test_an_app_that_fails_stands_in_nobodys_way(studio: Studio) -> None:
    studio.space("unlucky")
    studio.cloud.faults.fail_studio("app", "unlucky", "InsufficientInstanceCapacity")
    studio.app("unlucky")
    told = studio.client.describe_app(**studio.named_app("unlucky"))
    assert (told["Status"], told["FailureReason"]) == ("Failed", "InsufficientInstanceCapacity")
    code, message = refused(studio.client.delete_app, **studio.named_app("unlucky"))
    assert (code, "previously failed and was automatically deleted" in message) == (
        "ValidationException",
        True,
    )
    studio.client.delete_space(DomainId=studio.team, SpaceName="unlucky")
    studio.settle()
    with pytest.raises(LocalCloudError, match="only the creation of an app"):
        studio.cloud.faults.fail_studio("app", "unlucky", "", doing="delete")


# ── who may ───────────────────────────────────────────────────────────────────────────────────────


def test_roles_need_the_action_the_tag_and_the_role_that_is_passed(studio: Studio) -> None:
    iam, role = studio.cloud.client("iam"), studio.cloud.function("Worker").role

    def allow(name: str, *statements: str) -> None:
        document = f'{{"Version": "2012-10-17", "Statement": [{", ".join(statements)}]}}'
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)

    def statement(action: str, resource: str, condition: str = "{}") -> str:
        return (
            f'{{"Effect": "Allow", "Action": "{action}", "Resource": "{resource}", "Condition": {condition}}}'
        )

    asked = {
        "DomainId": studio.team,
        "UserProfileName": "limited",
        "UserSettings": {"ExecutionRole": ROLE},
        "Tags": [{"Key": "made-by", "Value": "worker"}],
    }

    def create() -> dict[str, str]:
        return call(studio.cloud, "sagemaker", "create_user_profile", **asked)

    profiles = f"{PREFIX}:user-profile/{studio.team}/*"
    steps = (
        ("sagemaker:CreateUserProfile", statement("sagemaker:CreateUserProfile", profiles)),
        (
            "sagemaker:AddTags",
            statement(
                "sagemaker:AddTags",
                profiles,
                '{"StringEquals": {"sagemaker:TaggingAction": "CreateUserProfile"}}',
            ),
        ),
        ("iam:PassRole", statement("iam:PassRole", ROLE)),
    )
    for number, (action, allowed) in enumerate(steps):
        assert f"perform: {action} on resource" in create()["message"]
        allow(f"step-{number}", allowed)
    assert create()["code"] == "ok"
    studio.settle()

    tagged = '{"StringEquals": {"aws:ResourceTag/made-by": "worker"}}'
    allow("delete", statement("sagemaker:DeleteUserProfile", profiles, tagged))
    for name, code in (("ada", "AccessDeniedException"), ("limited", "ok")):
        answer = call(
            studio.cloud, "sagemaker", "delete_user_profile", DomainId=studio.team, UserProfileName=name
        )
        assert answer["code"] == code


# ── CloudTrail ────────────────────────────────────────────────────────────────────────────────────


def test_calls_that_change_something_are_told_where_a_trail_logs(studio: Studio) -> None:
    cloud = studio.cloud

    def told() -> list[dict[str, Any]]:
        return [event for event in cloud.events_seen if event["detail-type"].endswith("via CloudTrail")]

    trails = cloud.client("cloudtrail")
    trails.create_trail(Name="all-calls", S3BucketName=cloud.outputs["Inbox"])
    studio.profile("untold")
    assert told() == []

    trails.start_logging(Name="all-calls")
    arn = studio.profile("told", Tags=[{"Key": "Team", "Value": "Blue"}])
    studio.of_profile("told")
    studio.client.list_user_profiles()
    studio.client.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "x"}])
    studio.client.create_presigned_domain_url(DomainId=studio.team, UserProfileName="told")
    refused(studio.profile, "told")
    cloud.settle()
    trails.stop_logging(Name="all-calls")
    studio.profile("late")

    events = told()
    names = [event["detail"]["eventName"] for event in events]
    assert names == ["CreateUserProfile", "AddTags", "CreatePresignedDomainUrl", "CreateUserProfile"]
    assert {event["source"] for event in events} == {"aws.sagemaker"}
    made, _, signed, again = (event["detail"] for event in events)
    assert made["requestParameters"] == {
        "domainId": studio.team,
        "userProfileName": "told",
        "tags": [{"key": "Team", "value": "Blue"}],
    }
    assert made["responseElements"] == {"userProfileArn": arn}
    assert made["eventSource"] == "sagemaker.amazonaws.com"
    assert made["userIdentity"]["type"] == "Root"
    assert signed["responseElements"] == {"authorizedUrl": "HIDDEN_DUE_TO_SECURITY_REASONS"}
    assert (again["errorCode"], again["responseElements"]) == ("ResourceInUse", None)
    assert arn in again["errorMessage"]
