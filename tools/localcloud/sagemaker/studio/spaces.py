"""The API of spaces.

"CreateSpace", "UpdateSpace", "DescribeSpace", "ListSpaces" and "DeleteSpace" in the Amazon SageMaker API
Reference. A space of which nothing is said is a shared one, as in Studio Classic.
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
from localcloud.sagemaker.studio.entities import Domain, Space
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.order import in_order
from localcloud.sagemaker.studio.settings import VolumeSizes
from localcloud.sagemaker.tags import Tags

_MEMBERS = ("SpaceSettings", "OwnershipSettings", "SpaceSharingSettings", "SpaceDisplayName")
# Ours, from the API's shapes: the settings of Code Editor are "only for private spaces", and the defaults for
# shared spaces have none of it; Canvas runs in private spaces of its own.
_APP_TYPES: Mapping[str, frozenset[str]] = {
    "Private": frozenset({"JupyterLab", "CodeEditor", "Canvas"}),
    "Shared": frozenset({"JupyterLab", "JupyterServer"}),
}


class Spaces:
    """The spaces of domains."""

    def __init__(self, estate: Estate, courses: Courses, tags: Tags) -> None:
        self._estate = estate
        self._courses = courses
        self._tags = tags

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateSpace": self._create,
            "UpdateSpace": self._update,
            "DescribeSpace": self._describe,
            "ListSpaces": self._list,
            "DeleteSpace": self._delete,
        }

    def _create(self, call: Call) -> Reply:
        params = call.params
        domain_id, name = params["DomainId"], params["SpaceName"]
        domain = self._estate.domain(domain_id)
        arn = arns.space(self._estate.region, domain_id, name)
        content = {member: params[member] for member in _MEMBERS if member in params}
        if "SpaceSettings" in content:
            content["SpaceSettings"] = settings.cleared(content["SpaceSettings"])
        now = calls.now()
        url = f"{domain.url}/auth?appType=default&spaceName={name}"
        with self._estate.lock:
            if domain.status != "InService":
                raise refusals.needs_in_service(f"Space [{arn}]", domain)
            if arn in self._estate.spaces:
                raise refusals.exists_already("Space", arn)
            space = Space(domain.domain_id, name, arn, content, now, now, url=url)
            self._refuse_sharing(domain, space)
            self._refuse_settings(domain, space, space.settings)
            if _is_classic(space) and domain.file_system:
                space.uid = domain.next_uid()
            self._tags.put(arn, params.get("Tags"))
            self._estate.spaces[arn] = space
        self._courses.creation(space)
        return Reply({"SpaceArn": arn})

    def _refuse_sharing(self, domain: Domain, space: Space) -> None:
        if ("OwnershipSettings" in space.content) != ("SpaceSharingSettings" in space.content):
            raise invalid("OwnershipSettings and SpaceSharingSettings must be provided together.")  # ours
        if space.owner is not None:
            arn = arns.user_profile(self._estate.region, space.domain_id, space.owner)
            owner = self._estate.profiles.get(arn)
            if owner is None:
                raise invalid(
                    f"UserProfile [{arn}], the owner of Space [{space.arn}], does not exist."
                )  # ours
            if owner.status != "InService":
                raise refusals.needs_in_service(f"Space [{space.arn}]", owner)
        sharing = _sharing(space)
        if sharing == "Private" and not space.settings:
            raise invalid(f"SpaceSettings must be provided for creating private space [{space.arn}]")
        if "SpaceSharingSettings" in space.content and space.app_type not in _APP_TYPES[sharing]:
            allowed = ", ".join(sorted(_APP_TYPES[sharing]))
            found = space.app_type or "none"
            raise invalid(
                f"The AppType of a space whose SharingType is {sharing} must be one of [{allowed}]; "
                f"given is {found}."
            )  # ours
        defaults = domain.content.get("DefaultSpaceSettings") or {}
        if sharing == "Shared" and not defaults.get("ExecutionRole"):
            raise invalid(
                f"Domain [{domain.arn}] needs an ExecutionRole in its DefaultSpaceSettings for shared spaces."
            )  # ours

    def _refuse_settings(self, domain: Domain, space: Space, asked: Mapping[str, Any]) -> None:
        self._estate.refuse_unknown_lifecycle_configs(asked)
        size = settings.volume_size(asked)
        if size is not None:
            before = settings.volume_size(space.settings)
            settings.refuse_volume(size, self._volume_sizes(domain, space), before)

    def _volume_sizes(self, domain: Domain, space: Space) -> VolumeSizes:
        if _sharing(space) == "Shared":
            return VolumeSizes.of(domain.content.get("DefaultSpaceSettings") or {})
        arn = arns.user_profile(self._estate.region, space.domain_id, space.owner or "")
        owner = self._estate.profiles.get(arn)
        return VolumeSizes.of(owner.settings if owner is not None else {}, domain.user_settings)

    def _update(self, call: Call) -> Reply:
        params = call.params
        space = self._estate.space(params["DomainId"], params["SpaceName"])
        domain = self._estate.domain(params["DomainId"])
        given = params.get("SpaceSettings") or {}
        # Reported: also if it is the type that the space has.
        if "AppType" in given:
            raise invalid("Updating AppType for Space is not supported.")
        with self._estate.lock:
            content = dict(space.content)
            if "SpaceDisplayName" in params:
                content["SpaceDisplayName"] = params["SpaceDisplayName"]
            if "SpaceSettings" in params:
                content["SpaceSettings"] = settings.updated(space.settings, given)
                self._refuse_settings(domain, space, content["SpaceSettings"])

            def change() -> None:
                space.content = content

            self._courses.update(space, change)
        return Reply({"SpaceArn": space.arn})

    def _describe(self, call: Call) -> Reply:
        with self._estate.lock:
            return Reply(self._estate.space(call.params["DomainId"], call.params["SpaceName"]).described())

    def _list(self, call: Call) -> Reply:
        domain_id = call.params.get("DomainIdEquals")
        part = call.params.get("SpaceNameContains", "").lower()
        with self._estate.lock:
            found = [
                space
                for space in self._estate.spaces.values()
                if domain_id in {None, space.domain_id} and part in space.name.lower()
            ]
        chosen, rest = listing.page(call, in_order(call, found))
        return Reply({"Spaces": [space.summary() for space in chosen], **rest})

    def _delete(self, call: Call) -> Reply:
        space = self._estate.space(call.params["DomainId"], call.params["SpaceName"])

        def take_away() -> None:
            self._estate.forget(space)
            self._tags.forget(space.arn)

        with self._estate.lock:
            if self._estate.apps_of(space):
                raise refusals.associated(space, "App(s)")
            self._courses.deletion(space, take_away)
        return Reply()


def _sharing(space: Space) -> str:
    return str((space.content.get("SpaceSharingSettings") or {}).get("SharingType", "Shared"))


def _is_classic(space: Space) -> bool:
    """Spaces of Studio Classic have their files in the domain's file system, the others a volume."""
    return space.app_type in {None, "JupyterServer"}
