"""The API of apps.

"CreateApp", "DescribeApp", "ListApps" and "DeleteApp" in the Amazon SageMaker API Reference.
No application runs: InService says that SageMaker would have started one.
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
from localcloud.sagemaker.studio.entities import App, Entity, Space, UserProfile
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.order import in_order
from localcloud.sagemaker.tags import Tags

_OWNERS = ("UserProfileName", "SpaceName")
_ONLY_IN_SPACES = frozenset({"JupyterLab", "CodeEditor"})


class Apps:
    """The apps of user profiles and spaces."""

    def __init__(self, estate: Estate, courses: Courses, tags: Tags) -> None:
        self._estate = estate
        self._courses = courses
        self._tags = tags

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateApp": self._create,
            "DescribeApp": self._describe,
            "ListApps": self._list,
            "DeleteApp": self._delete,
        }

    def _create(self, call: Call) -> Reply:
        params = call.params
        member, owner_name = _owner(params)
        domain_id, app_type, name = params["DomainId"], params["AppType"], params["AppName"]
        arn = arns.app(self._estate.region, domain_id, owner_name, app_type, name)
        content = {key: params[key] for key in ("ResourceSpec", "RecoveryMode") if key in params}
        now = calls.now()
        with self._estate.lock:
            owner: Space | UserProfile = (
                self._estate.space(domain_id, owner_name)
                if member == "SpaceName"
                else self._estate.profile(domain_id, owner_name)
            )
            self._refuse_type(owner, app_type, params)
            for needed in (self._estate.domain(domain_id), owner):
                if needed.status != "InService":
                    raise refusals.needs_in_service(f"App [{arn}]", needed)
            there = self._estate.apps.get(arn)
            if there is not None and there.lives:
                raise refusals.exists_already("App", arn)
            self._estate.refuse_unknown_lifecycle_configs(content)
            content = settings.cleared(content)
            app = App(
                owner.domain_id, name, arn, content, now, now, app_type=app_type, owner=(member, owner.name)
            )
            self._tags.forget(arn)
            self._tags.put(arn, params.get("Tags"))
            self._estate.apps[arn] = app
        self._courses.creation(app)
        return Reply({"AppArn": arn})

    def _refuse_type(self, owner: Entity, app_type: str, params: Mapping[str, Any]) -> None:
        if isinstance(owner, Space) and owner.app_type not in {None, app_type}:
            raise invalid(
                f"Space [{owner.arn}] is for apps of type {owner.app_type}, not {app_type}."
            )  # ours
        if isinstance(owner, UserProfile):
            if app_type in _ONLY_IN_SPACES:
                raise invalid(f"Apps of type {app_type} need a space: give SpaceName.")  # ours
            if app_type == "KernelGateway" and not self._has_instance_type(owner, params):
                raise invalid(
                    "InstanceType must be provided in the ResourceSpec of a KernelGateway app."
                )  # ours

    def _has_instance_type(self, profile: UserProfile, params: Mapping[str, Any]) -> bool:
        """ "CreateApp": it may stand in the request, in the user profile or in the domain."""
        domain = self._estate.domain(profile.domain_id)
        defaults = [
            (each.get("KernelGatewayAppSettings") or {}).get("DefaultResourceSpec")
            for each in (profile.settings, domain.user_settings)
        ]
        return any(spec.get("InstanceType") for spec in (params.get("ResourceSpec"), *defaults) if spec)

    def _describe(self, call: Call) -> Reply:
        with self._estate.lock:
            return Reply(self._app(call).described())

    def _list(self, call: Call) -> Reply:
        params = call.params
        if "UserProfileNameEquals" in params and "SpaceNameEquals" in params:
            raise invalid("UserProfileNameEquals and SpaceNameEquals cannot both be set.")  # ours
        wanted = [
            (member, params[f"{member}Equals"].lower()) for member in _OWNERS if f"{member}Equals" in params
        ]
        domain_id = params.get("DomainIdEquals")
        found = [
            app
            for app in self._estate.remembered_apps()
            if domain_id in {None, app.domain_id}
            and all((app.owner[0], app.owner[1].lower()) == each for each in wanted)
        ]
        chosen, rest = listing.page(call, in_order(call, found))
        return Reply({"Apps": [app.summary() for app in chosen], **rest})

    def _delete(self, call: Call) -> Reply:
        with self._estate.lock:
            app = self._app(call)
            if app.status == "Deleted":
                raise invalid(f"App [{app.arn}] has already been deleted.")
            if app.status == "Failed":
                raise invalid(f"App [{app.arn}] previously failed and was automatically deleted.")
            self._courses.deletion(app, lambda: self._tags.forget(app.arn))
        return Reply()

    def _app(self, call: Call) -> App:
        params = call.params
        _, owner = _owner(params)
        arn = arns.app(self._estate.region, params["DomainId"], owner, params["AppType"], params["AppName"])
        found = next((app for app in self._estate.remembered_apps() if app.arn == arn), None)
        if found is None:
            raise refusals.not_found("App", arn)
        return found


def _owner(params: Mapping[str, Any]) -> tuple[str, str]:
    """Which member names whose app it is, and the name."""
    given = [(member, str(params[member])) for member in _OWNERS if member in params]
    if len(given) != 1:
        raise invalid("Either UserProfileName or SpaceName must be set, and not both.")  # ours
    return given[0]
