"""The API of user profiles.

"CreateUserProfile", "UpdateUserProfile", "DescribeUserProfile", "ListUserProfiles" and "DeleteUserProfile" in
the Amazon SageMaker API Reference. Names have no case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import invalid
from localcloud.sagemaker import listing
from localcloud.sagemaker.studio import arns, refusals, settings
from localcloud.sagemaker.studio.courses import Courses
from localcloud.sagemaker.studio.entities import Domain, UserProfile
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.order import in_order
from localcloud.sagemaker.tags import Tags

_SSO = ("SingleSignOnUserIdentifier", "SingleSignOnUserValue")


class UserProfiles:
    """The user profiles of domains."""

    def __init__(self, estate: Estate, courses: Courses, tags: Tags) -> None:
        self._estate = estate
        self._courses = courses
        self._tags = tags

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateUserProfile": self._create,
            "UpdateUserProfile": self._update,
            "DescribeUserProfile": self._describe,
            "ListUserProfiles": self._list,
            "DeleteUserProfile": self._delete,
        }

    def _create(self, call: Call) -> Reply:
        params = call.params
        domain_id, name = params["DomainId"], params["UserProfileName"]
        domain = self._estate.domain(domain_id)
        arn = arns.user_profile(self._estate.region, domain_id, name)
        given = params.get("UserSettings") or {}
        content = {member: params[member] for member in _SSO if member in params}
        if "UserSettings" in params:
            content["UserSettings"] = settings.cleared(given)
        now = calls.now()
        with self._estate.lock:
            if domain.status != "InService":
                raise refusals.needs_in_service(f"UserProfile [{arn}]", domain)
            if arn in self._estate.profiles:
                raise refusals.exists_already("UserProfile", arn)
            _refuse_sign_on(domain, params)
            self._refuse_settings(domain, given)
            uid = domain.next_uid() if domain.file_system else None
            profile = UserProfile(domain.domain_id, name, arn, content, now, now, uid=uid)
            self._tags.put(arn, params.get("Tags"))
            self._estate.profiles[arn] = profile
        self._courses.creation(profile)
        return Reply({"UserProfileArn": arn})

    def _refuse_settings(self, domain: Domain, given: Mapping[str, Any]) -> None:
        self._estate.refuse_unknown_lifecycle_configs(given)
        settings.refuse_user_settings(given, of_domain=False)
        groups = given.get("SecurityGroups") or domain.user_settings.get("SecurityGroups")
        if domain.content["AppNetworkAccessType"] == "VpcOnly" and not groups:
            raise invalid(
                "SecurityGroups must be provided for the user profile or in the DefaultUserSettings of its "
                "domain, whose AppNetworkAccessType is VpcOnly."
            )  # ours

    def _update(self, call: Call) -> Reply:
        params = call.params
        profile = self._estate.profile(params["DomainId"], params["UserProfileName"])
        domain = self._estate.domain(params["DomainId"])
        with self._estate.lock:
            content = dict(profile.content)
            if "UserSettings" in params:
                content["UserSettings"] = settings.updated(profile.settings, params["UserSettings"])
                self._refuse_settings(domain, content["UserSettings"])

            def change() -> None:
                profile.content = content

            self._courses.update(profile, change)
        return Reply({"UserProfileArn": profile.arn})

    def _describe(self, call: Call) -> Reply:
        with self._estate.lock:
            profile = self._estate.profile(call.params["DomainId"], call.params["UserProfileName"])
            return Reply(profile.described())

    def _list(self, call: Call) -> Reply:
        domain_id = call.params.get("DomainIdEquals")
        part = call.params.get("UserProfileNameContains", "").lower()
        with self._estate.lock:
            found = [
                profile
                for profile in self._estate.profiles.values()
                if domain_id in {None, profile.domain_id} and part in profile.name.lower()
            ]
        chosen, rest = listing.page(call, in_order(call, found))
        return Reply({"UserProfiles": [profile.summary() for profile in chosen], **rest})

    def _delete(self, call: Call) -> Reply:
        profile = self._estate.profile(call.params["DomainId"], call.params["UserProfileName"])

        def take_away() -> None:
            self._estate.forget(profile)
            self._tags.forget(profile.arn)

        with self._estate.lock:
            if self._estate.apps_of(profile):
                raise refusals.associated(profile, "App(s)")
            if self._estate.owned_by(profile):
                raise refusals.associated(profile, "Space(s)")
            self._courses.deletion(profile, take_away)
        return Reply()


def _refuse_sign_on(domain: Domain, params: Mapping[str, Any]) -> None:
    given = [member for member in _SSO if member in params]
    if domain.by_sso and len(given) < len(_SSO):
        raise invalid(
            "SingleSignOnUserIdentifier and SingleSignOnUserValue are required: the AuthMode of Domain "
            f"[{domain.arn}] is SSO."
        )  # ours
    if given and not domain.by_sso:
        raise invalid(
            f"{' and '.join(given)} cannot be specified: the AuthMode of Domain [{domain.arn}] is IAM."
        )  # ours
