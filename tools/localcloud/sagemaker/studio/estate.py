"""All that there is in Studio, and how one thing is found."""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock

from localcloud import calls
from localcloud.errors import invalid
from localcloud.sagemaker.studio import arns, refusals
from localcloud.sagemaker.studio.entities import App, Domain, Entity, LifecycleConfig, Space, UserProfile
from localcloud.sagemaker.studio.settings import lifecycle_arns


class Estate:
    """Keeps what there is. Whoever looks and then changes holds the lock meanwhile."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = RLock()
        self.domains: dict[str, Domain] = {}
        self.profiles: dict[str, UserProfile] = {}
        self.spaces: dict[str, Space] = {}
        self.apps: dict[str, App] = {}
        self.lifecycle_configs: dict[str, LifecycleConfig] = {}

    # All are kept by their ARNs, in which names have no case.

    def domain(self, domain_id: str) -> Domain:
        """
        Raises:
            ServiceError: there is no such domain.
        """
        arn = arns.domain(self.region, domain_id)
        with self.lock:
            found = self.domains.get(arn)
        if found is None:
            raise refusals.not_found("Domain", arn)
        return found

    def profile(self, domain_id: str, name: str) -> UserProfile:
        """
        Raises:
            ServiceError: there is no such user profile, or no such domain.
        """
        self.domain(domain_id)
        arn = arns.user_profile(self.region, domain_id, name)
        with self.lock:
            found = self.profiles.get(arn)
        if found is None:
            raise refusals.not_found("UserProfile", arn)
        return found

    def space(self, domain_id: str, name: str) -> Space:
        """
        Raises:
            ServiceError: there is no such space, or no such domain.
        """
        self.domain(domain_id)
        arn = arns.space(self.region, domain_id, name)
        with self.lock:
            found = self.spaces.get(arn)
        if found is None:
            raise refusals.not_found("Space", arn)
        return found

    def profiles_of(self, domain: Domain) -> list[UserProfile]:
        """The user profiles of a domain."""
        with self.lock:
            return [each for each in self.profiles.values() if each.domain_id == domain.domain_id]

    def spaces_of(self, domain: Domain) -> list[Space]:
        """The spaces of a domain."""
        with self.lock:
            return [each for each in self.spaces.values() if each.domain_id == domain.domain_id]

    def owned_by(self, profile: UserProfile) -> list[Space]:
        """The spaces that belong to a user profile."""
        name = profile.name.lower()
        with self.lock:
            return [
                each
                for each in self.spaces.values()
                if each.domain_id == profile.domain_id and (each.owner or "").lower() == name
            ]

    def apps_of(self, entity: Entity) -> list[App]:
        """The apps that are there, of a domain, of a user profile or of a space."""
        member = {"UserProfile": "UserProfileName", "Space": "SpaceName"}.get(entity.kind)
        with self.lock:
            return [
                app
                for app in self.apps.values()
                if app.lives
                and app.domain_id == entity.domain_id
                and (member is None or (app.owner[0], app.owner[1].lower()) == (member, entity.name.lower()))
            ]

    def remembered_apps(self) -> list[App]:
        """The apps that SageMaker tells of."""
        now = calls.now()
        with self.lock:
            self.apps = {arn: app for arn, app in self.apps.items() if app.remembered(now)}
            return list(self.apps.values())

    def forget(self, entity: Entity) -> None:
        """It is gone."""
        kept: tuple[dict[str, Domain] | dict[str, UserProfile] | dict[str, Space], ...]
        kept = (self.domains, self.profiles, self.spaces)
        with self.lock:
            for each in kept:
                each.pop(entity.arn, None)

    def has(self, arn: str) -> bool:
        """Whether anything that is there has this ARN."""
        with self.lock:
            app = self.apps.get(arn)
            kept = (self.domains, self.profiles, self.spaces, self.lifecycle_configs)
            return any(arn in each for each in kept) or (app is not None and app.lives)

    # ── lifecycle configurations ──────────────────────────────────────────────────────────────────

    def refuse_unknown_lifecycle_configs(self, *settings: object) -> None:
        """
        Raises:
            ServiceError: settings name a lifecycle configuration that is not there.
        """
        with self.lock:
            for arn in lifecycle_arns(list(settings)):
                if arn != "None" and arn.lower() not in self.lifecycle_configs:
                    raise invalid(f"StudioLifecycleConfig [{arn}] does not exist.")  # ours

    def users_of_lifecycle_config(self, arn: str) -> Iterator[Entity]:
        """What names a lifecycle configuration in its settings."""
        with self.lock:
            everything: list[Entity] = [
                *self.domains.values(),
                *self.profiles.values(),
                *self.spaces.values(),
                *(app for app in self.apps.values() if app.lives),
            ]
        for entity in everything:
            if arn in (named.lower() for named in lifecycle_arns(entity.content)):
                yield entity
