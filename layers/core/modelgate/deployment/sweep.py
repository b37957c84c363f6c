"""Every quarter of an hour: finds what is not as it should be, and every event that was lost, and repairs it.

It does what an event would have done, and nothing else. Where all is as it should be, it only reads.
"""

from __future__ import annotations

from dataclasses import field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from modelgate.announcements import Kind, id_of
from modelgate.deployment.facts import PATIENCE
from modelgate.deployment.governing import Governed
from modelgate.deployment.reconcile import Report
from modelgate.errors import AwsError, NotYet, Refused
from modelgate.restarting import restarting
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from modelgate.deployment.executor import Execution
    from modelgate.deployment.governing import Governor
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.states import EndpointStates
    from modelgate.directory import Directory
    from modelgate.invocation import Invocation
    from modelgate.ports import Registry

# Longer than any update may take (MaximumExecutionTimeoutInSeconds is eight hours at most).
STUCK_AFTER = timedelta(hours=9)
_NO_REPAIRS = {"Serving", "Tell"}


@dataclass(frozen=True)
class SweepReport:
    """What a sweep came to.

    Attributes:
        visited: the endpoints.
        repaired: by endpoint, the planner's steps that were carried out.
        trouble: by endpoint or group, what kept it from being visited to the end.
        counts: figures for CloudWatch: ``Stuck`` endpoints are those that a person should look at.
        finished: by kind of work, what was at its end without anybody having heard of it: the images of
            builds, the runs of training and transform jobs, and the domains that had to be moved.
    """

    visited: tuple[str, ...]
    repaired: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    finished: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Sweep:
    """The use case of `sweep_due`.

    Args:
        work: what else could have lost an event, by its name: a look after all of it, for all groups, which
            returns what was at its end.
        stack: the stack's name; versions that it registered are deployed under the default policy too.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        governor: Governor,
        states: EndpointStates,
        directory: Directory,
        registry: Registry,
        work: Mapping[str, Callable[[Sequence[str], Invocation], Sequence[str]]],
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._reconciler = reconciler
        self._governor = governor
        self._states = states
        self._directory = directory
        self._registry = registry
        self._work = work
        self._stack = stack
        self._clock = clock

    def run(self, invocation: Invocation) -> SweepReport:
        """Visits every group, every endpoint, and the last jobs; the trouble of one keeps no other waiting.

        Raises:
            AwsError: the directory cannot be read.
        """
        seen: dict[str, tuple[Report, bool]] = {}
        trouble: dict[str, str] = {}

        def visit(name: str, look: Callable[[], Execution | None]) -> None:
            try:
                report, overdue = self._visit(look, invocation)
            except NotYet as later:
                trouble[name] = str(later)
            except AwsError as error:
                trouble[name] = str(error)
                stuck.add(name)
            else:
                if report.endpoint:
                    seen[report.endpoint.lower()] = (report, overdue)

        stuck: set[str] = set()
        groups = self._directory.groups()
        for group in groups:
            visit(group, partial(self._of_group, group, invocation))
        for endpoint in self._directory.endpoints():
            if endpoint.lower() not in seen:
                visit(endpoint, partial(self._of_endpoint, endpoint, invocation))
        finished = self._look_after_work(groups, invocation, trouble)
        reports = [report for report, _ in seen.values()]
        stuck |= {report.endpoint for report, overdue in seen.values() if overdue or "Tell" in report.did}
        repaired = {each.endpoint: each.did for each in reports if set(each.did) - _NO_REPAIRS}
        counts = {"Stuck": len(stuck), "Visited": len(reports)}
        visited = tuple(each.endpoint for each in reports)
        return SweepReport(visited, repaired, trouble, counts, finished)

    def _look_after_work(
        self, groups: Sequence[str], invocation: Invocation, trouble: dict[str, str]
    ) -> dict[str, tuple[str, ...]]:
        finished = {}
        for name, look in self._work.items():
            try:
                if found := look(groups, invocation):
                    finished[name] = tuple(found)
            except (AwsError, NotYet) as error:
                trouble[name] = str(error)
        return finished

    def _visit(self, look: Callable[[], Execution | None], invocation: Invocation) -> tuple[Report, bool]:
        overdue = False

        def once() -> Report:
            nonlocal overdue
            execution = look()
            if execution is None:
                return Report("")
            report = self._reconciler.reconcile(execution, invocation)
            attempt = execution.state.attempt
            overdue = attempt is not None and self._clock() - attempt.started_at > STUCK_AFTER
            return report

        return restarting(once), overdue

    def _of_endpoint(self, endpoint: str, invocation: Invocation) -> Execution | None:
        state = self._states.load(endpoint)
        return self._reconciler.begin(state, invocation) if state else None

    def _of_group(self, group: str, invocation: Invocation) -> Execution | None:
        try:
            governed = self._governor.governed(group)
        except Refused as refused:
            known = self._governor.last_known(group)
            if known is None:
                return None
            message = f"Endpoint {known.state.name} stays under the policy before, because: {refused}"
            told = known.state.telling(Kind.POLICY_REFUSED, message, id_of("policy", refused))
            governed = Governed(known.loaded, told)
        execution = self._reconciler.begin(governed.loaded, invocation, governed.state)
        self._find_lost_approvals(execution)
        never_approved = execution.state.revision == 0 and execution.state.decision is None
        return None if never_approved else execution

    def _find_lost_approvals(self, execution: Execution) -> None:
        """The registry keeps no history: an approval that no event told of counts from the last edit."""
        for version in self._registry.approved_versions(execution.state.group):
            if execution.state.sighting(version).tells_of_approval:
                continue
            package = execution.package(version)
            if package is None or not package.approved:
                continue
            if self._clock() - package.modified_at < PATIENCE:
                continue  # its event may still be on its way, and knows better when that was
            if not execution.state.policy_is_own and not package.registered_by(self._stack):
                continue
            found = execution.state.approved(version, package.modified_at, package.modified_by)
            execution.state = found.looked(version, package.modified_at)
