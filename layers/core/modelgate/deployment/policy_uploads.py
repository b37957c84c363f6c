"""A policy is uploaded: it is checked, remembered, and rolled out to the endpoints of its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.deployment.reconcile import Report
from modelgate.errors import Problem, Refused
from modelgate.policy import DEFAULT, name_of
from modelgate.restarting import restarting
from modelgate.submission import SAGEMAKER_NAME
from modelgate.turns import in_turn

if TYPE_CHECKING:
    from modelgate.deployment.governing import Governor
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.states import EndpointStates
    from modelgate.directory import Directory
    from modelgate.invocation import Invocation
    from modelgate.policies import Policies
    from modelgate.ports import Bus


class PolicyUploads:
    """The use case of `policy_uploaded`."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        governor: Governor,
        states: EndpointStates,
        policies: Policies,
        directory: Directory,
        bus: Bus,
    ) -> None:
        self._reconciler = reconciler
        self._governor = governor
        self._states = states
        self._policies = policies
        self._directory = directory
        self._bus = bus

    def received(self, key: str, invocation: Invocation) -> Report:
        """A policy was uploaded at ``key``, ``policies/<name>.yaml``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        name = name_of(key)
        if not SAGEMAKER_NAME.fullmatch(name):
            found = "is named after no group that SageMaker could have"
            return self._refuse(name, Refused(Problem(key, found, "name it policies/<group>.yaml")))
        if name != DEFAULT:
            return self._roll_out(name, invocation)
        try:
            self._policies.default()
        except Refused as refused:
            return self._refuse(name, refused)
        reports = in_turn(self._under_default(), lambda group: self._roll_out(group, invocation))
        did = tuple(step for report in reports for step in report.did)
        names = ", ".join(report.endpoint for report in reports if report.endpoint)
        return Report(names, did, "" if reports else "no group is under the default policy yet")

    def _under_default(self) -> list[str]:
        return [group for group in self._directory.groups() if not self._policies.has_own(group)]

    def _roll_out(self, group: str, invocation: Invocation) -> Report:
        def once() -> Report:
            governed = self._governor.governed(group, uploaded=True)
            for other in self._governor.given_up(group, governed.state.name):
                self._states.save(other)
            execution = self._reconciler.begin(governed.loaded, invocation, governed.state)
            return self._reconciler.reconcile(execution, invocation)

        try:
            return restarting(once)
        except Refused as refused:
            return self._refuse(group, refused)

    def _refuse(self, name: str, refused: Refused) -> Report:
        message = f"The policy {name} is refused, and what was accepted before it goes on: {refused}"
        identity = id_of(Kind.POLICY_REFUSED, name, refused)
        facts: dict[str, object] = {"problems": [str(problem) for problem in refused.problems]}
        self._bus.announce(Announcement(Kind.POLICY_REFUSED, identity, message, name, facts))
        return Report("", refused=tuple(str(problem) for problem in refused.problems))
