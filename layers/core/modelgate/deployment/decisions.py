"""An operator approves or rejects a version: that sets what is desired, and the endpoint is moved there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.deployment.reconcile import Report
from modelgate.errors import Refused
from modelgate.restarting import restarting

if TYPE_CHECKING:
    from modelgate.deployment.governing import Governor
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.state import EndpointState
    from modelgate.events.sagemaker import ModelPackageStateChange
    from modelgate.invocation import Invocation
    from modelgate.ports import Bus, Registry


class Decisions:
    """The use case of `approval_changed`.

    Args:
        stack: the stack's name; versions that it registered are deployed under the default policy too.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        governor: Governor,
        registry: Registry,
        bus: Bus,
        stack: str,
    ) -> None:
        self._reconciler = reconciler
        self._governor = governor
        self._registry = registry
        self._bus = bus
        self._stack = stack

    def changed(self, event: ModelPackageStateChange, invocation: Invocation) -> Report:
        """An event tells of a version whose approval may have changed.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        if not event.is_decision:
            return restarting(lambda: self._edited(event, invocation))
        try:
            return restarting(lambda: self._decide(event, invocation))
        except Refused as refused:
            return self._without_a_policy(event, refused)

    def _decide(self, event: ModelPackageStateChange, invocation: Invocation) -> Report:
        detail = event.detail
        governed = self._governor.decided(detail.group)
        state = governed.state
        execution = self._reconciler.begin(governed.loaded, invocation, state)
        package = execution.package(detail.version)
        if package and not state.policy_is_own and not package.registered_by(self._stack):
            return Report(state.name, note="registered elsewhere, and its group has no policy of its own")
        approved = package is not None and package.approved
        rejected = detail.approval_status == "Rejected"
        known = state.revision > 0 and (state.has_heard_of(detail.version) or rejected)
        if not approved and not known:
            return Report(state.name, note="never approved, so nothing hangs on it")
        said_approved = detail.approval_status == "Approved"
        after = state.sighted(detail.version, approved=said_approved, at=event.decided_at)
        # An approval that only the registry tells of has its own event on its way, with its own time; where
        # that is lost, the sweep goes by what the registry has.
        standing = after.sighting(detail.version).standing_approval
        if package and approved and standing:
            after = after.decided_again(detail.version, standing, package.modified_by)
        execution.state = after
        return self._reconciler.reconcile(execution, invocation)

    def _edited(self, event: ModelPackageStateChange, invocation: Invocation) -> Report:
        """Remembered while a version is tried: an edit moves the package's time, as an approval does."""
        version = event.detail.version
        governed = self._governor.remembered(event.detail.group)
        if governed is None or not _may_be_rejected(governed.state, version):
            return Report("", note="the approval has not changed")
        edited = governed.state.edited(version, event.decided_at)
        execution = self._reconciler.begin(governed.loaded, invocation, edited)
        return self._reconciler.reconcile(execution, invocation)

    def _without_a_policy(self, event: ModelPackageStateChange, refused: Refused) -> Report:
        detail = event.detail
        package = self._registry.describe(detail.group, detail.version)
        if package is None or not package.approved or not package.registered_by(self._stack):
            return Report("", note=f"not Modelgate's to deploy: {refused}")
        message = f"Version {detail.version} of {detail.group} is approved and cannot be deployed: {refused}"
        identity = id_of(Kind.DEPLOYMENT_REFUSED, detail.group, detail.version, event.decided_at, refused)
        facts: dict[str, object] = {"version": detail.version}
        self._bus.announce(Announcement(Kind.DEPLOYMENT_REFUSED, identity, message, detail.group, facts))
        return Report("", note=str(refused))


def _may_be_rejected(state: EndpointState, version: int) -> bool:
    """Whether an attempt at this version is open, or its rejection is owed."""
    target = state.attempt.target if state.attempt else None
    owed = (*state.effects, *(suspect.effect for suspect in state.suspects))
    return bool(target and target.version == version) or any(
        effect.kind == "reject" and effect.version == version for effect in owed
    )
