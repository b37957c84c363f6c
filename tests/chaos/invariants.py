"""What must hold, along the way and once all is quiet. Everything is held against what really happened."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.announcements import Kind
from modelgate.deployment.facts import Closed, Outcome
from modelgate.deployment.state import EndpointState
from modelgate.deployment.states import EndpointStates, key_of
from modelgate.policy import read_policy
from tests.chaos.tasks import current_task
from tests.chaos.world import GROUP, POLICIES, REFUSED_POLICIES, REFUSED_TYPE, TOO_SMALL, Violation

if TYPE_CHECKING:
    from modelgate.policy import DeploymentPolicy
    from tests.chaos.world import World

_STATE = TypeAdapter(EndpointState)
_CLOSED = TypeAdapter(Closed)
_ANNOUNCED = {
    Outcome.LIVE: Kind.RELEASE_LIVE,
    Outcome.FAILED: Kind.DEPLOYMENT_FAILED,
    Outcome.SUPERSEDED: Kind.DEPLOYMENT_SUPERSEDED,
    Outcome.DELETED: Kind.ENDPOINT_DELETED,
}
# Updates that a world needs at most to come to rest once nothing happens any more: a few tries of
# each version, each followed by a way back.
_MOST_UPDATES = 16
DEPLOYMENTS: tuple[DeploymentPolicy | None, ...] = tuple(
    None if number in REFUSED_POLICIES else read_policy(text.encode(), GROUP).deployment
    for number, text in enumerate(POLICIES)
)


class _Remembering(EndpointStates):
    """Parses each document once: whoever watches reads the same ones again and again."""

    def load(self, endpoint: str) -> EndpointState | None:
        record = self._table.get(key_of(endpoint), "STATE")
        return _state_of(record.document) if record else None

    def history(self, endpoint: str) -> list[Closed]:
        return [_closed_of(record.document) for record in self._table.query(key_of(endpoint), "ATTEMPT#")]


@lru_cache(maxsize=256)
def _state_of(document: str) -> EndpointState:
    return _STATE.validate_json(document)


@lru_cache(maxsize=1024)
def _closed_of(document: str) -> Closed:
    return _CLOSED.validate_json(document)


def works(policy: DeploymentPolicy) -> bool:
    """Whether a container can come up under it at all."""
    return policy.instance_type not in {TOO_SMALL, REFUSED_TYPE}


class Invariants:
    """Watches one world.

    Raises:
        Violation: from `along_the_way` and `at_rest`, with what is wrong.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._sagemaker = world.sagemaker
        self._states = _Remembering(world.memory.table)
        self._configs: set[str] = set()
        self._models: set[str] = set()
        self._outcomes: dict[int, Outcome] = {}
        self._served_well = False
        self._may_be_deleted = any("delete" in POLICIES[number] for number in world.truth.policies)

    # ── along the way ─────────────────────────────────────────────────────────────────────────
    def along_the_way(self, happened: str) -> None:
        if happened in {"DeleteEndpointConfig", "DeleteModel"}:
            self._nothing_referenced_is_deleted()
        if happened == "UpdateModelPackage":
            self._only_what_failed_is_rejected()
        if happened == "PutItem":
            self._each_attempt_has_one_outcome()
        if happened in {"CreateEndpointConfig", "CreateModel"}:
            self._configs, self._models = set(self._sagemaker.configs), set(self._sagemaker.models)
        if happened in {"CreateEndpoint", "UpdateEndpoint"}:
            self._what_is_called_is_the_open_attempt()
        if happened in {"advance", "DeleteEndpoint", "UpdateEndpoint", "CreateEndpoint"}:
            self._only_approved_versions_serve()
            self._something_serves()

    def _nothing_referenced_is_deleted(self) -> None:
        configs, models = set(self._sagemaker.configs), set(self._sagemaker.models)
        gone = (self._configs - configs) | (self._models - models)
        self._configs, self._models = configs, models
        there, state = self._sagemaker.endpoint(GROUP), self._state()
        if there and there.status != "Deleting":
            for config in {there.config, there.coming} & gone:
                raise Violation(f"{config} is deleted while endpoint {GROUP} is {there.status} with it")
        if state and state.attempt and state.attempt.config in gone:
            raise Violation(f"{state.attempt.config} is deleted, and the open attempt needs it")
        retired = state is not None and state.retired_at is not None
        if state and not retired:
            kept = {release.config for release in state.releases[:3]}
            if kept & gone:
                raise Violation(f"{sorted(kept & gone)} is deleted, and is one of the last three releases")

    def _only_what_failed_is_rejected(self) -> None:
        task = current_task()
        event = next((event for event in reversed(self._sagemaker.events)), None)
        version = getattr(event, "version", 0)
        sagemaker, truth = self._sagemaker, self._world.truth
        itself = version in (sagemaker.never_ping | sagemaker.answer_wrongly | set(truth.failed))
        comparable = not itself and self._something_could_have_shown_who_is_to_blame(version)
        if comparable:
            raise Violation(f"version {version} is rejected, and never failed itself")
        closed = self._attempts_at(version)
        # UpdateModelPackage takes no condition: what happens between the look and it cannot be known.
        looked = task.looked_at.get(version, self._world.clock.now) if task else self._world.clock.now
        if any(each.outcome is Outcome.LIVE and each.closed_at <= looked for each in closed):
            raise Violation(f"version {version} is rejected, and had been live")
        failed = [each for each in closed if each.outcome is Outcome.FAILED]
        if not failed:
            raise Violation(f"version {version} is rejected, and no attempt at it failed")
        for approved in truth.approvals_of(version):
            known = approved <= looked
            edited = version in truth.edits and truth.edits[version] > approved
            if approved > failed[-1].started_at and known and not edited:
                raise Violation(f"version {version} is rejected, and was approved anew at {approved}")

    def _something_could_have_shown_who_is_to_blame(self, version: int) -> bool:
        """Whether there was a release all along that could be tried under the same policy."""
        state = self._state()
        failed = [each for each in self._attempts_at(version) if each.outcome is Outcome.FAILED]
        since = failed[-1].started_at if failed else self._world.clock.now
        until = failed[-1].closed_at if failed else self._world.clock.now
        touched = {each.version for each in self._world.truth.decisions if each.at > since}
        return any(
            each.is_release
            and each.closed_at <= until
            and each.target
            and each.target.version not in touched
            and self._is_approved(each.target.version)
            and not (state and state.is_over(each.target.decided_at))
            for each in self._states.history(GROUP)
        )

    def _each_attempt_has_one_outcome(self) -> None:
        for closed in self._states.history(GROUP)[-3:]:
            if closed.number not in self._outcomes and closed.outcome is Outcome.LIVE:
                self._nothing_goes_live_that_is_known_to_be_rejected(closed)
            before = self._outcomes.setdefault(closed.number, closed.outcome)
            if before is not closed.outcome:
                raise Violation(f"attempt {closed.number} was {before}, and is {closed.outcome} now")

    def _nothing_goes_live_that_is_known_to_be_rejected(self, closed: Closed) -> None:
        task, state = current_task(), self._state()
        if task is None or state is None or closed.target is None:
            return
        if state.is_frozen or (state.retired_at and state.wanted is None):
            return  # what SageMaker was at comes to its end
        version, function = closed.target.version, task.delivery.function
        if version in task.looked_at:
            return  # and has found it approved; what happens after the look cannot be known
        # Whatever was heard before this write is in the item that it rests on.
        if self._world.is_known_to_be_rejected(version):
            raise Violation(f"version {version} goes live, and is known to be rejected")
        if function != "endpoint_changed":
            raise Violation(f"version {version} goes live by {function}, and nobody looked if it is approved")

    def _what_is_called_is_the_open_attempt(self) -> None:
        there, state = self._sagemaker.endpoint(GROUP), self._state()
        attempt = state.attempt if state else None
        if there and (attempt is None or attempt.config != there.coming):
            raise Violation(f"the endpoint is moved to {there.coming}, and the open attempt is {attempt}")

    def _only_approved_versions_serve(self) -> None:
        version = self._sagemaker.serves(GROUP)
        if version and not self._world.truth.approvals_of(version):
            raise Violation(f"version {version} serves, and was never approved")

    def _something_serves(self) -> None:
        truth, there = self._world.truth, self._sagemaker.endpoint(GROUP)
        self._may_be_deleted |= any("delete" in POLICIES[number] for number in truth.policies)
        if truth.retired or self._may_be_deleted:
            return
        serving = there is not None and there.status in {"InService", "Updating"}
        if self._served_well and not serving:
            raise Violation(f"nothing serves any more: {there.status if there else 'no endpoint'}")
        version = self._sagemaker.serves(GROUP)
        state = self._state()
        if version and state and version in state.ever_live:
            self._served_well = True

    # ── once all is quiet ─────────────────────────────────────────────────────────────────────
    def at_rest(self, updates: int) -> None:
        if updates > _MOST_UPDATES:
            raise Violation(f"it took {updates} updates to come to rest")
        state = self._state()
        if state is None:
            self._nothing_was_to_be_done()
            return
        self._nothing_is_owed(state)
        self._every_outcome_was_announced()
        self._what_serves_is_what_is_live(state)
        self._nothing_is_left_over(state)
        self._what_stands_around_follows_the_policy(state)
        self._what_failed_is_rejected(state)
        self._what_is_desired_serves(state)

    def _nothing_was_to_be_done(self) -> None:
        last = self._world.truth.last_approval
        if last and self._is_approved(last.version) and self._world.truth.policy not in REFUSED_POLICIES:
            raise Violation(f"version {last.version} is approved, and nothing was ever tried")

    def _nothing_is_owed(self, state: EndpointState) -> None:
        if state.effects:
            raise Violation(f"still owed: {[effect.id for effect in state.effects]}")
        if state.attempt:
            raise Violation(f"attempt {state.attempt.number} is still open: {state.attempt}")
        if state.tending:
            raise Violation("nobody knows what stands around the endpoint")

    def _every_outcome_was_announced(self) -> None:
        ids = {each.id for each in self._world.memory.bus.announced}
        state = self._state()
        for closed in self._states.history(GROUP):
            kind = _ANNOUNCED.get(closed.outcome)
            if kind is None or (closed.target is None and kind is not Kind.ENDPOINT_DELETED) or state is None:
                continue
            if state.news(kind, "", closed.number).announcement.id not in ids:
                raise Violation(f"attempt {closed.number} ended {closed.outcome}, and nobody was told")
        numbers = [closed.number for closed in self._states.history(GROUP)]
        if state and sorted(numbers) != list(range(1, state.attempts_made + 1)):
            raise Violation(f"attempts {numbers} ended, and {state.attempts_made} were made")

    def _what_serves_is_what_is_live(self, state: EndpointState) -> None:
        self._sagemaker.serves(GROUP)
        there = self._sagemaker.endpoint(GROUP)
        if there is None and state.release:
            raise Violation("a release is live, and there is no endpoint")
        live = state.release.config if state.release else ""
        if there and live and there.config != live:
            raise Violation(f"{live} is live, and {there.config} serves")

    def _nothing_is_left_over(self, state: EndpointState) -> None:
        there = self._sagemaker.endpoint(GROUP)
        kept = {release.config for release in state.releases[:3]}
        if there:
            kept.add(there.config)
        left = (set(self._sagemaker.configs) | set(self._sagemaker.models)) - kept
        if left:
            raise Violation(f"left over: {sorted(left)}")

    def _what_stands_around_follows_the_policy(self, state: EndpointState) -> None:
        there = self._sagemaker.endpoint(GROUP)
        target = state.release.target if state.release else None
        if there is None:
            if self._sagemaker.scalable or self._sagemaker.alarms:
                raise Violation("autoscaling or alarms are left over, and there is no endpoint")
            return
        if target is None or there.config != (state.release.config if state.release else ""):
            return
        if self._sagemaker.scalable.get(GROUP) != target.policy.autoscaling:
            raise Violation(f"autoscaling is {self._sagemaker.scalable}, not {target.policy.autoscaling}")
        if bool(self._sagemaker.alarms) != bool(target.policy.alarms):
            raise Violation(f"the alarms are {self._sagemaker.alarms}, not {target.policy.alarms}")
        if there.tags != target.policy.tags:
            raise Violation(f"the tags are {there.tags}, not {target.policy.tags}")

    def _what_failed_is_rejected(self, state: EndpointState) -> None:
        truth = self._world.truth
        for version in self._sagemaker.versions(GROUP):
            attempts = self._attempts_at(version)
            failed = [each for each in attempts if each.outcome is Outcome.FAILED]
            live = [each for each in attempts if each.outcome is Outcome.LIVE]
            if not failed or live or not self._is_approved(version):
                continue
            last = failed[-1].target
            if last is None or state.is_frozen:
                continue
            touched = [*truth.approvals_of(version), truth.edits.get(version, last.decided_at)]
            if any(at > last.decided_at for at in touched):
                continue  # somebody decided again, or may have
            if state.is_over(last.decided_at):
                continue  # nobody asks any more
            if any(suspect.effect.version == version for suspect in state.unexcused):
                raise Violation(f"version {version} is suspected for ever")
            policy = last.policy
            carried = any(
                release.target and release.target.policy.digest == policy.digest
                for release in self._states.history(GROUP)
                if release.is_release
            )
            if works(policy) and carried:
                raise Violation(f"version {version} failed on its first way, and is not rejected")

    def _what_is_desired_serves(self, state: EndpointState) -> None:
        truth, served = self._world.truth, self._sagemaker.serves(GROUP)
        if state.is_frozen:
            return
        good_releases = [
            release.target.version
            for release in state.releases
            if release.target
            and not state.is_over(release.target.decided_at)
            and self._is_approved(release.target.version)
            and release.target.version not in truth.unlucky
            and not self._is_bad(release.target.version)
        ]
        if served and (self._is_bad(served) or not self._is_approved(served)) and good_releases:
            raise Violation(f"version {served} serves, though {good_releases[0]} could")
        if served is None and good_releases:
            raise Violation(f"nothing serves, though version {good_releases[0]} could")
        self._the_last_approval_serves(state, served)

    def _the_last_approval_serves(self, state: EndpointState, served: int | None) -> None:
        truth, last = self._world.truth, self._world.truth.last_approval
        policy = state.policy
        if last is None or policy is None or not works(policy) or state.pin:
            return
        if self._is_bad(last.version) or not self._is_approved(last.version):
            return
        if state.is_over(last.at):
            return
        if last.version in truth.unlucky or self._order_is_unknown():
            return
        if last.version != served:
            raise Violation(f"version {last.version} was approved last, and {served} serves")
        accepted = DEPLOYMENTS[truth.policy]
        there = self._sagemaker.endpoint(GROUP)
        config = self._sagemaker.configs.get(there.config) if there else None
        if accepted and works(accepted) and config and config.digest != accepted.digest:
            raise Violation(f"version {served} serves under another policy than the present one")

    def _order_is_unknown(self) -> bool:
        """The registry keeps no history: what no event told of counts from the package's last change."""
        truth, last = self._world.truth, self._world.truth.last_approval
        for version in (truth.lost | truth.late) - {0}:
            approvals = truth.approvals_of(version)
            if last and version == last.version and truth.lost_of[version] > 1:
                return True
            if last and version == last.version and self._was_approved_before(version):
                return True
            if last and approvals and truth.edits.get(version, last.at) > last.at:
                return True
        return False

    def _was_approved_before(self, version: int) -> bool:
        """Whether the last approval found the version approved already, so that it changed nothing."""
        decided = [each.approval for each in self._world.truth.decisions if each.version == version]
        return decided[-2:] == ["Approved", "Approved"]

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def _state(self) -> EndpointState | None:
        return self._states.load(GROUP)

    def _attempts_at(self, version: int) -> list[Closed]:
        return [
            each for each in self._states.history(GROUP) if each.target and each.target.version == version
        ]

    def _is_approved(self, version: int) -> bool:
        return self._sagemaker.package(GROUP, version).approved

    def _is_bad(self, version: int | None) -> bool:
        return version in self._sagemaker.never_ping | self._sagemaker.answer_wrongly
