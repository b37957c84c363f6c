"""The API of domains.

"CreateDomain", "UpdateDomain", "DescribeDomain", "ListDomains" and "DeleteDomain" in the Amazon SageMaker API
Reference. Two domains may have one name: the id tells them apart.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import invalid
from localcloud.sagemaker import listing
from localcloud.sagemaker.studio import arns, refusals, settings
from localcloud.sagemaker.studio.courses import Courses
from localcloud.sagemaker.studio.entities import Domain
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.home_file_systems import HomeFileSystems
from localcloud.sagemaker.tags import Tags

_ID_LETTERS = string.ascii_lowercase + string.digits
_DEFAULTS = {
    "AppNetworkAccessType": "PublicInternetOnly",
    "HomeEfsFileSystemCreation": "Enabled",
    "TagPropagation": "DISABLED",
}
# Members of UpdateDomain that stand for themselves.
_PLAIN = (
    "AppSecurityGroupManagement",
    "SubnetIds",
    "AppNetworkAccessType",
    "TagPropagation",
    "HomeEfsFileSystemCreation",
    "VpcId",
)
_RSTUDIO = "RStudioServerProDomainSettings"


class Domains:
    """Domains, each with a home file system."""

    def __init__(self, estate: Estate, courses: Courses, tags: Tags, homes: HomeFileSystems) -> None:
        self._estate = estate
        self._courses = courses
        self._tags = tags
        self._homes = homes

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateDomain": self._create,
            "UpdateDomain": self._update,
            "DescribeDomain": self._describe,
            "ListDomains": self._list,
            "DeleteDomain": self._delete,
        }

    def _create(self, call: Call) -> Reply:
        params = call.params
        _refuse_network(params)
        self._refuse_settings(params)
        domain_id = "d-" + "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
        arn = arns.domain(self._estate.region, domain_id)
        content = {**_DEFAULTS, **{key: value for key, value in params.items() if key != "Tags"}}
        content.pop("DomainName")
        for member in ("DefaultUserSettings", "DefaultSpaceSettings", "DomainSettings"):
            if member in content:
                content[member] = settings.cleared(content[member])
        if content["AuthMode"] == "SSO":
            content["SingleSignOnManagedApplicationInstanceId"] = f"ins-{secrets.token_hex(8)}"
        url = f"https://{domain_id}.studio.{self._estate.region}.sagemaker.aws"
        now = calls.now()
        domain = Domain(domain_id, params["DomainName"], arn, content, now, now, url=url)
        with self._estate.lock:
            self._tags.put(arn, params.get("Tags"))
            self._estate.domains[arn] = domain
        self._courses.creation(domain, lambda: self._make_home(domain))
        return Reply({"DomainArn": arn, "DomainId": domain_id, "Url": url})

    def _make_home(self, domain: Domain) -> None:
        if domain.file_system is None and domain.content["HomeEfsFileSystemCreation"] == "Enabled":
            domain.file_system = self._homes.create(domain.arn, domain.content)

    def _refuse_settings(self, params: Mapping[str, Any]) -> None:
        users, spaces = params.get("DefaultUserSettings") or {}, params.get("DefaultSpaceSettings") or {}
        self._estate.refuse_unknown_lifecycle_configs(users, spaces)
        for each in (users, spaces):
            settings.refuse_user_settings(each, of_domain=True)

    def _update(self, call: Call) -> Reply:
        params = call.params
        domain = self._estate.domain(params["DomainId"])
        with self._estate.lock:
            self._refuse_update(domain, params)
            content = _updated(domain.content, params)
            self._refuse_settings(content)

            def change() -> None:
                domain.content = content
                self._make_home(domain)

            self._courses.update(domain, change)
        return Reply({"DomainArn": domain.arn})

    def _refuse_update(self, domain: Domain, params: Mapping[str, Any]) -> None:
        content, given = domain.content, params.get("DomainSettingsForUpdate") or {}
        has_rstudio = _RSTUDIO in (content.get("DomainSettings") or {}) or f"{_RSTUDIO}ForUpdate" in given
        if "AppSecurityGroupManagement" in params and not has_rstudio:
            raise invalid("AppSecurityGroupManagement can only be set for Rstudio enabled domains.")
        # Reported: also if the domain is in this mode already.
        if params.get("AppNetworkAccessType") == "VpcOnly" and not {"VpcId", "SubnetIds"} <= set(params):
            raise invalid("VpcId and Subnet IDs are required for updating domains to VpcOnly mode.")
        if params.get("VpcId") and content.get("VpcId") not in {None, params["VpcId"]}:
            raise invalid(f"The VPC of Domain [{domain.arn}] cannot be changed.")  # ours
        homes = (content["HomeEfsFileSystemCreation"], params.get("HomeEfsFileSystemCreation"))
        if homes == ("Enabled", "Disabled"):
            raise invalid("HomeEfsFileSystemCreation cannot be changed from Enabled to Disabled.")  # ours
        network = params.get("AppNetworkAccessType", content["AppNetworkAccessType"])
        subnets = set(params.get("SubnetIds") or content.get("SubnetIds") or [])
        identity = (content.get("DomainSettings") or {}).get("ExecutionRoleIdentityConfig")
        moved = (
            network != content["AppNetworkAccessType"]
            or not set(content.get("SubnetIds") or []) <= subnets
            or given.get("ExecutionRoleIdentityConfig", identity) != identity
        )
        if moved and self._estate.apps_of(domain):
            raise invalid(
                f"Unable to update Domain [{domain.arn}] with InService App. Delete all InService apps in "
                "the domain including shared Apps for [domain-shared] User Profile, and try again."
            )

    def _describe(self, call: Call) -> Reply:
        with self._estate.lock:
            return Reply(self._estate.domain(call.params["DomainId"]).described())

    def _list(self, call: Call) -> Reply:
        with self._estate.lock:
            found = [domain.summary() for domain in self._estate.domains.values()]
        summaries, rest = listing.page(call, found)
        return Reply({"Domains": summaries, **rest})

    def _delete(self, call: Call) -> Reply:
        domain = self._estate.domain(call.params["DomainId"])
        retention = (call.params.get("RetentionPolicy") or {}).get("HomeEfsFileSystem", "Retain")

        def take_away() -> None:
            if retention == "Delete" and domain.file_system is not None:
                self._homes.delete(domain.file_system)
            self._estate.forget(domain)
            self._tags.forget(domain.arn)

        with self._estate.lock:
            # All that there is of a user profile or a space holds it: the last first.
            for what, there in (
                ("App(s)", self._estate.apps_of(domain)),
                ("Space(s)", self._estate.spaces_of(domain)),
                ("UserProfile(s)", self._estate.profiles_of(domain)),
            ):
                if there:
                    raise refusals.associated(domain, what)
            self._courses.deletion(domain, take_away)
        return Reply()


def _refuse_network(params: Mapping[str, Any]) -> None:
    """ "CreateDomain": without a VPC are only domains that Unified Studio makes."""
    unified = "UnifiedStudioSettings" in (params.get("DomainSettings") or {})
    if unified and params.get("AppNetworkAccessType") != "VpcOnly":
        return
    missing = [member for member in ("VpcId", "SubnetIds") if not params.get(member)]
    if missing:
        raise invalid(f"{' and '.join(missing)} must be provided.")  # ours


def _updated(content: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    found = {**content, **{member: params[member] for member in _PLAIN if member in params}}
    for member in ("DefaultUserSettings", "DefaultSpaceSettings"):
        if member in params:
            found[member] = settings.updated(content.get(member) or {}, params[member])
    if "DomainSettingsForUpdate" in params:
        given = dict(params["DomainSettingsForUpdate"])
        if f"{_RSTUDIO}ForUpdate" in given:
            given[_RSTUDIO] = given.pop(f"{_RSTUDIO}ForUpdate")
        found["DomainSettings"] = settings.updated(content.get("DomainSettings") or {}, given)
    return found
