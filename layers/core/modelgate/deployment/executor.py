"""Carries out the planner's steps, one after the other, and decides nothing.

What a step changes in the state is written before the next call to AWS, and an outcome together with
its effects; so a crash at any point leaves an item from which the next invocation goes on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from modelgate.deployment import planner
from modelgate.deployment.naming import name_of
from modelgate.deployment.state import Attempt, EndpointState, Outcome, Target
from modelgate.effects import Announce, Reject
from modelgate.errors import AlreadyExists, NotYet, StaleRevision, Throttled, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.deployment.smoke import SmokeTester
    from modelgate.deployment.states import EndpointStates
    from modelgate.ports import Bus, Hosting, Registry
    from modelgate.registry.package import ModelPackage

_AMENDMENTS = 5


class Execution:
    """One invocation's work on one endpoint.

    Attributes:
        state: the state as it is by now; written or about to be.
        packages: by version, what the registry has, as far as it was looked up; None for what is gone.
    """

    def __init__(
        self,
        state: EndpointState,
        *,
        states: EndpointStates,
        registry: Registry,
        hosting: Hosting,
        smoke_tester: SmokeTester,
        bus: Bus,
        invocation: str,
        clock: Callable[[], datetime],
    ) -> None:
        self.state = state
        self.packages: dict[int, ModelPackage | None] = {}
        self._written = state
        self._states = states
        self._registry = registry
        self._hosting = hosting
        self._smoke_tester = smoke_tester
        self._bus = bus
        self._invocation = invocation
        self._clock = clock

    def package(self, version: int) -> ModelPackage | None:
        """The version as the registry has it, looked up once."""
        if version not in self.packages:
            self.packages[version] = self._registry.describe(self.state.group, version)
        return self.packages[version]

    def carry_out(self, steps: planner.Steps) -> None:
        """Carries out the steps in their order.

        Raises:
            NotYet: a step says to come back; what was changed before it is written.
            StaleRevision: somebody else wrote the item; read it again and plan anew.
        """
        for step in steps:
            self._do(step)

    def finish(self) -> None:
        """Writes what is not written yet, and carries out the effects that are owed."""
        self._write()
        if self.state.effects:
            self._amend(self._carry_out_effects())

    # ── steps that change the state ───────────────────────────────────────────────────────────
    @singledispatchmethod
    def _do(self, step: object) -> None:
        raise TypeError(f"{step!r} is no step")

    @_do.register
    def _(self, step: planner.Close) -> None:
        self.state = self.state.closed_as(step.outcome, step.reason, self._clock())

    @_do.register
    def _(self, step: planner.Open) -> None:
        number = self.state.attempts_made + 1
        config = step.config or name_of(self.state.group, step.target.version, number)
        attempt = self._attempt_to(step.target, number, config)
        self.state = self.state.opened(replace(attempt, called=step.config is not None))

    @_do.register
    def _(self, _: planner.OpenDeletion) -> None:
        self.state = self.state.opened(self._attempt_to(None, self.state.attempts_made + 1, ""))

    @_do.register
    def _(self, step: planner.Renew) -> None:
        attempt = self._attempt_to(step.target, self._open_attempt().number, self._open_attempt().config)
        self.state = self.state.renewed(attempt)

    @_do.register
    def _(self, step: planner.Serving) -> None:
        self.state = self.state.serving(step.release).credited()

    @_do.register
    def _(self, step: planner.Tell) -> None:
        self.state = self.state.telling(step.kind, step.message, step.about)

    @_do.register
    def _(self, step: planner.ComeBack) -> None:
        self.finish()
        raise NotYet(step.reason)

    # ── steps that call SageMaker ─────────────────────────────────────────────────────────────
    @_do.register
    def _(self, _: planner.MakeModel) -> None:
        attempt, target = self._ready_to_call()
        # The name carries the attempt's number: if it is there, this attempt has made it.
        with suppress(AlreadyExists):
            self._hosting.make_model(attempt.config, self.state.group, target.version)

    @_do.register
    def _(self, _: planner.MakeConfig) -> None:
        attempt, target = self._ready_to_call()
        with suppress(AlreadyExists):
            self._hosting.make_config(attempt.config, target.policy)

    @_do.register
    def _(self, _: planner.CreateEndpoint) -> None:
        attempt, _target = self._ready_to_call()
        self._hosting.create(self.state.name, attempt.config)
        self._mark_called(attempt)

    @_do.register
    def _(self, _: planner.UpdateEndpoint) -> None:
        attempt, _target = self._ready_to_call()
        self._hosting.update(self.state.name, attempt.config)
        self._mark_called(attempt)

    @_do.register
    def _(self, _: planner.DeleteEndpoint) -> None:
        self._write()
        self._settle_effects()
        attempt = self._open_attempt()
        self._hosting.delete(self.state.name)
        self._mark_called(attempt)

    @_do.register
    def _(self, _: planner.SmokeTest) -> None:
        attempt, target = self._ready_to_call()
        package = self.package(target.version)
        if package is None:
            raise NotYet(f"version {target.version} of {self.state.group} has just gone")
        try:
            result = self._smoke_tester.test(self.state.name, package)
        except (Throttled, TimedOut):
            self._amend(lambda state: state.smoke_test_undecided() if state.attempt == attempt else state)
            raise
        outcome = Outcome.LIVE if result.passed else Outcome.FAILED
        self.state = self.state.closed_as(outcome, result.reason, self._clock())

    # ── inside ────────────────────────────────────────────────────────────────────────────────
    def _attempt_to(self, target: Target | None, number: int, config: str) -> Attempt:
        """An attempt of this invocation's, that begins now."""
        package = self.package(target.version) if target else None
        return Attempt(
            number,
            target,
            config,
            owner=self._invocation,
            started_at=self._clock(),
            package_modified_at=package.modified_at if package else None,
            first_way=target is not None and target.version not in self.state.ever_live,
        )

    def _open_attempt(self) -> Attempt:
        if self.state.attempt is None:
            raise ValueError(f"no attempt of {self.state.name} is open")
        return self.state.attempt

    def _ready_to_call(self) -> tuple[Attempt, Target]:
        """Whatever is to be called: first comes the writing down, then what is owed, then the call."""
        self._write()
        self._settle_effects()
        attempt = self._open_attempt()
        if attempt.target is None:
            raise ValueError(f"attempt {attempt.number} of {self.state.name} is a deletion")
        return attempt, attempt.target

    def _mark_called(self, attempt: Attempt) -> None:
        self._amend(lambda state: state.called(attempt.number))

    def _write(self) -> None:
        if self.state == self._written:
            return
        before = {closed.number for closed in self._written.closed}
        newly_closed = tuple(closed for closed in self.state.closed if closed.number not in before)
        self.state = self._written = self._states.save(self.state, newly_closed)

    def _amend(self, change: Callable[[EndpointState], EndpointState]) -> None:
        """Writes a change that holds whatever others wrote meanwhile.

        Raises:
            StaleRevision: others write without a pause.
        """
        self.state = change(self.state)
        for _ in range(_AMENDMENTS):
            try:
                return self._write()
            except StaleRevision:
                self._written = self._states.load(self.state.name) or self._written
                self.state = change(self._written)
        return self._write()

    def _settle_effects(self) -> None:
        """Carries out what is owed; what came of it is written with the next write."""
        if self.state.effects:
            self.state = self._carry_out_effects()(self.state)

    def _carry_out_effects(self) -> Callable[[EndpointState], EndpointState]:
        """Carries out what is owed, and returns the change that notes it."""
        owed = self.state.effects
        again = [self._reject(effect) for effect in owed if isinstance(effect, Reject)]
        announcements = [effect.announcement for effect in owed if isinstance(effect, Announce)]
        if announcements:
            self._bus.announce(*announcements)
        done = frozenset(effect.id for effect in owed)

        def noted(state: EndpointState) -> EndpointState:
            for package in again:
                if package:
                    state = state.decided_again(package.version, package.modified_at)
            return state.ticked(done)

        return noted

    def _reject(self, effect: Reject) -> ModelPackage | None:
        """Rejects the package; or returns it, if somebody has approved it again since."""
        group = self.state.group
        # Looked up anew: somebody may have decided while the attempt was under way.
        package = self.packages[effect.version] = self._registry.describe(group, effect.version)
        if package is None or not package.approved:
            return None
        if package.modified_at > effect.package_modified_at:
            return package
        self._registry.reject(group, effect.version, effect.reason)
        del self.packages[effect.version]
        return None
