"""Known faults, put in one at a time: each must be noticed, or the invariants are worth nothing.

Each mutant replaces a piece of the real code with what a plausible mistake would have made of it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from modelgate.deployment import outcomes, planner, sweep
from modelgate.deployment.executor import Execution
from modelgate.deployment.facts import Attempt, Decision, Outcome, Sighting, Target
from modelgate.deployment.planner import Close, Prune, SmokeTest
from modelgate.deployment.reconcile import Reconciler
from modelgate.deployment.state import EndpointState
from modelgate.deployment.states import EndpointStates
from modelgate.effects import Reject
from modelgate.events.sagemaker import ModelPackageStateChange
from tests.chaos.tasks import current_task
from tests.fakes.aws import FakeTable
from tests.fakes.sagemaker import FakeSageMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Patch = AbstractContextManager[object]

_arriving = planner._arriving
_settled = planner._settled
_desire = planner.desire
_update = planner._update
_failed = outcomes.failed
_write = Execution._write


def _success_by_status_alone() -> Iterator[Patch]:
    """In service is success, whichever config serves."""

    def arriving(endpoint: Any, state: Any, wish: Any, attempt: Attempt, moment: Any) -> Any:
        if attempt.target and attempt.called and attempt.config != endpoint.config:
            return (SmokeTest(),)
        return _arriving(endpoint, state, wish, attempt, moment)

    yield patch.object(planner, "_arriving", arriving)


def _highest_version() -> Iterator[Patch]:
    """The latest approved version is desired, not the one that was approved last."""

    def newer(self: Any, other: Any) -> bool:
        return other is None or self.version >= other.version

    yield patch.object(Decision, "newer_than", newer)


def _arrival_order() -> Iterator[Patch]:
    """The decision that arrives last wins."""
    yield patch.object(Decision, "newer_than", lambda *_: True)


def _rejection_hides_approval() -> Iterator[Patch]:
    """An approval is not seen any more once a rejection was, be it one that was made before."""

    def standing(self: Sighting) -> Any:
        return None if self.rejected_at else self.approved_at

    yield patch.object(Sighting, "standing_approval", property(standing))


def _attempt_not_written() -> Iterator[Patch]:
    """The attempt is written down after the calls, not before them."""

    def write(self: Execution) -> None:
        attempt = self.state.attempt
        if attempt and not attempt.called and self._written.attempt != attempt:
            return
        _write(self)

    yield patch.object(Execution, "_write", write)


def _config_deleted_first() -> Iterator[Patch]:
    """The old config is deleted before the update to the new one."""

    def update(state: EndpointState, serves: Any, wish: Target) -> Any:
        steps = _update(state, serves, wish)
        return (Prune((serves.config,)), *steps) if serves else steps

    yield patch.object(planner, "_update", update)


def _edits_are_approvals() -> Iterator[Patch]:
    """Whatever is edited on an approved package counts as an approval."""
    yield patch.object(ModelPackageStateChange, "is_decision", new=True)


def _no_revision_check() -> Iterator[Patch]:
    """The table takes every write."""

    def put(self: FakeTable, records: Any) -> None:
        for record in records:
            self._items[(record.pk, record.sk)] = replace(record, facts=tuple(sorted(record.facts)))

    yield patch.object(FakeTable, "_put", put)


def _effects_not_written() -> Iterator[Patch]:
    """The outcome is written without what is owed for it."""

    def write(self: Execution) -> None:
        owed, self.state = self.state.effects, replace(self.state, effects=())
        _write(self)
        self.state = replace(self.state, effects=owed)
        self._written = self.state

    yield patch.object(Execution, "_write", write)


def _guarded_way_back() -> Iterator[Patch]:
    """Going back keeps the rollout and its alarms."""
    yield patch.object(EndpointState, "is_forward", lambda *_: True)


def _bad_policy_rejects() -> Iterator[Patch]:
    """Whatever fails is rejected, whoever is to blame."""

    def failed(
        state: EndpointState, attempt: Attempt, target: Target, reason: str, **_: Any
    ) -> EndpointState:
        after = _failed(state, attempt, target, reason, blames_policy=False)
        at = attempt.package_modified_at
        return after.owing(Reject(attempt.number, target.version, reason, at)) if at else after

    yield patch.object(outcomes, "failed", failed)


def _describes_first() -> Iterator[Patch]:
    """AWS is described before the item is read."""
    get, describe = EndpointStates.load, FakeSageMaker.describe_endpoint
    there: list[FakeSageMaker] = []
    init = FakeSageMaker.__init__

    def noted(self: FakeSageMaker, *args: Any) -> None:
        init(self, *args)
        there[:] = [self]

    def load(self: EndpointStates, endpoint: str) -> EndpointState | None:
        task = current_task()
        if task:
            task.seen = [describe(there[0], endpoint)]  # type: ignore[attr-defined]  # a mutant's own
        return get(self, endpoint)

    def described(self: FakeSageMaker, name: str) -> Any:
        seen: list[Any] = getattr(current_task(), "seen", [])
        return seen.pop() if seen else describe(self, name)

    yield patch.object(FakeSageMaker, "__init__", noted)
    yield patch.object(EndpointStates, "load", load)
    yield patch.object(FakeSageMaker, "describe_endpoint", described)


def _prunes_a_listing() -> Iterator[Patch]:
    """Pruning deletes everything that SageMaker lists and the item does not keep."""
    listed: list[FakeSageMaker] = []
    init = FakeSageMaker.__init__

    def noted(self: FakeSageMaker, *args: Any) -> None:
        init(self, *args)
        listed[:] = [self]

    class Listing(tuple[str, ...]):
        """What SageMaker lists when it is asked for, without what is kept."""

        __slots__ = ()

        def __bool__(self) -> bool:
            return True

        def __iter__(self) -> Iterator[str]:
            names = sorted({*listed[0].configs, *listed[0].models})
            return iter([name for name in names if not self.__contains__(name)])

    def superfluous(self: EndpointState, serving: str) -> tuple[str, ...]:
        return Listing((serving, *(release.config for release in self.releases[:3])))

    yield patch.object(FakeSageMaker, "__init__", noted)
    yield patch.object(EndpointState, "superfluous", superfluous)


def _rejects_anyway() -> Iterator[Patch]:
    """What failed is rejected, though it was approved anew meanwhile."""
    yield patch.object(EndpointState, "approved_since", lambda *_: None)
    yield patch.object(EndpointState, "is_explained", lambda *_: True)


# ── faults that the design's list does not have ───────────────────────────────────────────────────
def _called_is_not_marked() -> Iterator[Patch]:
    """Nobody notes that the call was made, so a rollback is taken for a call that never was."""
    yield patch.object(EndpointState, "called", lambda self, _: self)


def _takes_over_at_once() -> Iterator[Patch]:
    """Another invocation's attempt is taken over while that is still at it."""
    yield patch.object(planner.Moment, "is_anothers", lambda *_: False)


def _scaling_stays_off() -> Iterator[Patch]:
    """Nobody notes that autoscaling was taken away for a change of the instance type."""
    yield patch.object(EndpointState, "tending_to", lambda self, *_: self)


def _no_lost_approvals() -> Iterator[Patch]:
    """The sweep looks at what it knows, and not at the registry."""
    yield patch.object(sweep.Sweep, "_find_lost_approvals", lambda *_: None)


def _suspects_are_rejected() -> Iterator[Patch]:
    """A version that fails under a policy that never worked is rejected at once."""
    yield patch.object(EndpointState, "has_carried", lambda *_: True)


def _lack_of_capacity_is_a_failure() -> Iterator[Patch]:
    """A rollback for want of instances is held against the version."""

    def failure(endpoint: Any, what: str) -> Close:
        return Close(Outcome.FAILED, f"{what}: {endpoint.failure_reason}")

    yield patch.object(planner, "_failure", failure)


def _one_way_back_only() -> Iterator[Patch]:
    """The way back is tried under the present policy only."""
    candidates = EndpointState.candidates

    def present(self: EndpointState, serving: str = "") -> Iterator[Target]:
        for target in candidates(self, serving):
            if self.policy and target.policy.digest == self.policy.digest:
                yield target

    yield patch.object(EndpointState, "candidates", present)


def _attempts_outlive_rejections() -> Iterator[Patch]:
    """The event that ends an attempt takes its version for approved, whatever was heard since it began."""

    def vouched(self: EndpointState) -> Target | None:
        return self.attempt.target if self.attempt and self.attempt.called else None

    yield patch.object(EndpointState, "vouched", property(vouched))


def _nobody_looks() -> Iterator[Patch]:
    """The sweep, too, takes the open attempt at its word."""
    begin = Reconciler.begin

    def trusting(self: Reconciler, loaded: EndpointState, *more: Any) -> Execution:
        execution = begin(self, loaded, *more)
        execution.vouched = loaded.vouched
        return execution

    yield patch.object(Reconciler, "begin", trusting)


_MUTANTS: dict[str, Callable[[], Iterator[Patch]]] = {
    "success-by-status-alone": _success_by_status_alone,
    "highest-version": _highest_version,
    "arrival-order": _arrival_order,
    "rejection-hides-approval": _rejection_hides_approval,
    "attempt-not-written-first": _attempt_not_written,
    "config-deleted-first": _config_deleted_first,
    "edits-are-approvals": _edits_are_approvals,
    "no-revision-check": _no_revision_check,
    "effects-not-written": _effects_not_written,
    "guarded-way-back": _guarded_way_back,
    "bad-policy-rejects": _bad_policy_rejects,
    "describes-first": _describes_first,
    "prunes-a-listing": _prunes_a_listing,
    "rejects-anyway": _rejects_anyway,
    "called-is-not-marked": _called_is_not_marked,
    "takes-over-at-once": _takes_over_at_once,
    "scaling-stays-off": _scaling_stays_off,
    "no-lost-approvals": _no_lost_approvals,
    "suspects-are-rejected": _suspects_are_rejected,
    "lack-of-capacity-is-a-failure": _lack_of_capacity_is_a_failure,
    "one-way-back-only": _one_way_back_only,
    "attempts-outlive-rejections": _attempts_outlive_rejections,
    "nobody-looks": _nobody_looks,
}
NAMES = tuple(_MUTANTS)


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """Within the block, the code has that fault; None for none.

    Raises:
        KeyError: there is no such mutant.
    """
    with ExitStack() as patches:
        for change in _MUTANTS[name]() if name else ():
            patches.enter_context(change)
        yield
