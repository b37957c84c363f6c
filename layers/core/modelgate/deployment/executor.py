"""Carries out the planner's steps, one after the other, and decides nothing.

What a step changes in the state is written before the next call to AWS, and an outcome together with
its effects; so a crash at any point leaves an item from which the next invocation goes on.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from modelgate.deployment import planner
from modelgate.deployment.container_log import LogExcerpt, excerpt
from modelgate.deployment.facts import PATIENCE, Attempt, Decision, Outcome, Target
from modelgate.deployment.naming import name_of
from modelgate.deployment.smoke import SmokeResult
from modelgate.deployment.state import EndpointState
from modelgate.effects import Announce, Reject
from modelgate.errors import (
    AlreadyExists,
    AwsError,
    Forbidden,
    Invalid,
    LimitReached,
    NotYet,
    StaleRevision,
    Throttled,
    TimedOut,
)
from modelgate.ports import Change
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from modelgate.deployment.smoke import SmokeTester
    from modelgate.deployment.states import EndpointStates
    from modelgate.invocation import Invocation
    from modelgate.manifest import SmokeTest
    from modelgate.ports import Bus, ContainerLogs, Hosting, Registry, Scaling, Watch
    from modelgate.registry.package import ModelPackage

_AMENDMENTS = 5
# Where these calls say that a quota is reached or a permission lacks, the attempt is blocked.
_MAKING = frozenset({"CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"})


@dataclass(frozen=True)
class Surroundings:
    """What the work on endpoints needs from AWS.

    Args:
        scaling, watch, container_logs: make the clients when they are needed; most invocations never get
            there.
        clock: the time, in UTC.
    """

    states: EndpointStates
    registry: Registry
    hosting: Hosting
    scaling: Callable[[], Scaling]
    watch: Callable[[], Watch]
    container_logs: Callable[[], ContainerLogs]
    smoke_tester: SmokeTester
    bus: Bus
    clock: Callable[[], datetime]


class Execution:
    """One invocation's work on one endpoint.

    Attributes:
        state: the state as it is by now; written or about to be.
        packages: by version, what the registry has, as far as it was looked up; None for what is gone.
        vouched: what is taken for approved without a look at the registry; see `EndpointState.vouched`.
        reloaded: whether the state is newer than what was observed of AWS, so that nothing may be planned
            on both together.
    """

    def __init__(self, state: EndpointState, surroundings: Surroundings, invocation: Invocation) -> None:
        self.state = state
        self.packages: dict[int, ModelPackage | None] = {}
        self.vouched: Target | None = None
        self.reloaded = False
        self._written = state
        self._waiting: set[str] = set()
        self._aws = surroundings
        self._invocation = invocation

    def package(self, version: int) -> ModelPackage | None:
        """The version as the registry has it, looked up once."""
        if version not in self.packages:
            self.packages[version] = self._aws.registry.describe(self.state.group, version)
        return self.packages[version]

    def carry_out(self, steps: planner.Steps) -> planner.Steps:
        """Carries out the steps in their order; returns those that were done.

        The rest is left when AWS lacks something, or refuses what the policy says: that closes the
        attempt, and what to do next has to be planned anew.

        Raises:
            NotYet: a step says to come back; what was changed before it is written.
            StaleRevision: somebody else wrote the item; read it again and plan anew.
        """
        for number, step in enumerate(steps):
            try:
                self._do(step)
            except (LimitReached, Forbidden) as error:
                if error.operation not in _MAKING:
                    raise
                self._close(Outcome.BLOCKED, str(error))
                return steps[:number]
            except Invalid as error:
                # A config is made from the policy alone; other calls may be refused for the moment's state.
                if error.operation != "CreateEndpointConfig":
                    raise
                reason = f"SageMaker refuses the policy's endpoint config: {error.message}"
                self._close(Outcome.FAILED, reason, blames_policy=True)
                return steps[:number]
        return steps

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
        began = self._open_attempt().started_at
        log = self._end_of_log(began, of_new=True) if step.of_containers else None
        self._close(step.outcome, step.reason, log=log)

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
        self.state = self.state.serving(step.release).credited(step.policy)

    @_do.register
    def _(self, _: planner.Blame) -> None:
        self.state = self.state.blamed()

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
        attempt, target = self._ready_for_attempt()
        # The name carries the attempt's number: if it is there, this attempt has made it.
        with suppress(AlreadyExists):
            self._aws.hosting.make_model(attempt.config, self.state.group, target.version, target.policy)

    @_do.register
    def _(self, _: planner.MakeConfig) -> None:
        attempt, target = self._ready_for_attempt()
        with suppress(AlreadyExists):
            self._aws.hosting.make_config(attempt.config, self.state.name, target.policy)

    @_do.register
    def _(self, _: planner.CreateEndpoint) -> None:
        wanted = self._open_attempt().target
        self.state = self.state.tagged(wanted.policy.tags if wanted else {})
        attempt, target = self._ready_for_attempt()
        self._aws.hosting.create(self.state.name, attempt.config, target.policy)
        self._mark_called(attempt)

    @_do.register
    def _(self, step: planner.UpdateEndpoint) -> None:
        attempt, _target = self._ready_for_attempt()
        alarms = self._aws.watch().quiet(self.state.name, step.alarms) if step.alarms else ()
        change = Change(step.rollout, alarms, step.keeps_counts)
        self._aws.hosting.update(self.state.name, attempt.config, change)
        self._mark_called(attempt)

    @_do.register
    def _(self, _: planner.DeleteEndpoint) -> None:
        self._ready_to_call()
        attempt = self._open_attempt()
        self._aws.hosting.delete(self.state.name)
        self._mark_called(attempt)

    # ── the smoke test ────────────────────────────────────────────────────────────────────────
    @_do.register
    def _(self, _: planner.SmokeTest) -> None:
        attempt, target = self._ready_for_attempt()
        tester = self._aws.smoke_tester
        with self._counting_undecided(attempt):
            test = self._smoke_test(attempt, target)
            result = test if isinstance(test, SmokeResult) else tester.test(self.state.name, test)
        self._judge(result)

    @_do.register
    def _(self, _: planner.AskSmokeTest) -> None:
        attempt, target = self._ready_for_attempt()
        tester = self._aws.smoke_tester
        with self._counting_undecided(attempt):
            test = self._smoke_test(attempt, target)
            name, number = self.state.name, attempt.number
            asked = test if isinstance(test, SmokeResult) else tester.ask(name, number, test)
        if isinstance(asked, SmokeResult):
            self._judge(asked)
        else:
            self._amend(lambda state: state.asked(attempt.number, asked))

    @_do.register
    def _(self, _: planner.ReadSmokeTest) -> None:
        attempt, target = self._ready_for_attempt()
        if attempt.asked is None:
            raise ValueError(f"attempt {attempt.number} of {self.state.name} has asked nothing")
        test = self._smoke_test(attempt, target)
        tester = self._aws.smoke_tester
        result = test if isinstance(test, SmokeResult) else tester.read(attempt.asked, test)
        if result:
            self._judge(result)

    # ── what stands around the endpoint, and what is left over ────────────────────────────────
    @_do.register
    def _(self, step: planner.PutAlarms) -> None:
        self._ready_to_tend({})
        self._aws.watch().put(self.state.name, step.alarms)

    @_do.register
    def _(self, _: planner.SuspendScaling) -> None:
        self._ready_to_tend({})
        self._aws.scaling().deregister(self.state.name)

    @_do.register
    def _(self, step: planner.Tend) -> None:
        unsure, before, after = self.state.tending is not None, self.state.upkeep, step.upkeep
        self._ready_to_tend(after.tags)
        name = self.state.name
        if after.alarms and (unsure or after.alarms != before.alarms):
            self._aws.watch().put(name, after.alarms)
        elif not after.alarms and (unsure or before.alarms):
            self._aws.watch().delete(name)
        if after.autoscaling and (unsure or after.autoscaling != before.autoscaling):
            self._aws.scaling().register(name, after.autoscaling)
        elif not after.autoscaling and (unsure or before.autoscaling):
            self._aws.scaling().deregister(name)
        if unsure or after.tags != before.tags:
            self._aws.hosting.retag(name, after.tags, sorted(before.tags.keys() - after.tags.keys()))
        self.state = self.state.tended(after)

    @_do.register
    def _(self, step: planner.Prune) -> None:
        self._ready_to_call()
        for name in step.names:
            self._aws.hosting.remove(name)
        self.state = self.state.pruned(step.names)

    # ── inside ────────────────────────────────────────────────────────────────────────────────
    def _attempt_to(self, target: Target | None, number: int, config: str) -> Attempt:
        """An attempt of this invocation's, that begins now."""
        package = self.package(target.version) if target else None
        return Attempt(
            number,
            target,
            config,
            owner=self._invocation.id,
            started_at=self._aws.clock(),
            owned_until=self._invocation.until,
            package_modified_at=package.modified_at if package else None,
            first_way=target is not None and target.version not in self.state.ever_live,
            forward=target is not None and self.state.is_forward(target),
            smoke_test=package.smoke_test if package else "",
        )

    def _open_attempt(self) -> Attempt:
        if self.state.attempt is None:
            raise ValueError(f"no attempt of {self.state.name} is open")
        return self.state.attempt

    def _ready_to_call(self) -> None:
        """Whatever is to be called: first comes the writing down, then what is owed, then the call."""
        self._write()
        if self.state.effects:
            self.state = self._carry_out_effects()(self.state)

    def _ready_for_attempt(self) -> tuple[Attempt, Target]:
        self._ready_to_call()
        attempt = self._open_attempt()
        if attempt.target is None:
            raise ValueError(f"attempt {attempt.number} of {self.state.name} is a deletion")
        return attempt, attempt.target

    def _ready_to_tend(self, tags: Mapping[str, str]) -> None:
        self.state = self.state.tending_to(self._invocation.id, self._invocation.until, tags)
        self._ready_to_call()

    def _smoke_test(self, attempt: Attempt, target: Target) -> SmokeTest | SmokeResult:
        return self._aws.smoke_tester.find(attempt, lambda: self._tried(target))

    def _tried(self, target: Target) -> ModelPackage:
        package = self.package(target.version)
        if package is None:
            raise NotYet(f"version {target.version} of {self.state.group} has just gone")
        return package

    @contextmanager
    def _counting_undecided(self, attempt: Attempt) -> Iterator[None]:
        """What keeps a smoke test from being carried out is counted, and raised."""
        try:
            yield
        except (Throttled, TimedOut):
            self._amend(lambda state: state.smoke_test_undecided() if state.attempt == attempt else state)
            raise

    def _judge(self, result: SmokeResult) -> None:
        since = result.logged_since
        log = self._end_of_log(since, of_new=False) if since else None
        self._close(Outcome.LIVE if result.passed else Outcome.FAILED, result.reason, log=log)

    def _end_of_log(self, since: datetime, *, of_new: bool) -> LogExcerpt:
        """What the endpoint's containers wrote last. The outcome stands without it, and waits for nothing."""
        logs, name = self._aws.container_logs(), self.state.name
        group = logs.group_of(name)
        try:
            return excerpt(group, logs.read(name, since, of_new=of_new))
        except AwsError as error:
            return LogExcerpt(group, trouble=f"{error.operation}: {error.code}")

    def _close(
        self, outcome: Outcome, reason: str, *, blames_policy: bool = False, log: LogExcerpt | None = None
    ) -> None:
        now = self._aws.clock()
        self.state = self.state.closed_as(outcome, reason, now, blames_policy=blames_policy, log=log)

    def _mark_called(self, attempt: Attempt) -> None:
        self._amend(lambda state: state.called(attempt.number))

    def _write(self) -> None:
        if self.state == self._written:
            return
        before = {closed.number for closed in self._written.closed}
        newly_closed = tuple(closed for closed in self.state.closed if closed.number not in before)
        self.state = self._written = self._aws.states.save(self.state, newly_closed)

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
                self._written = self._aws.states.load(self.state.name) or self._written
                self.reloaded = True
                self.state = change(self._written)
        return self._write()

    def _carry_out_effects(self) -> Callable[[EndpointState], EndpointState]:
        """Carries out what is owed, and returns the change that notes it."""
        owed = tuple(effect for effect in self.state.effects if effect.id not in self._waiting)
        again = [self._reject(effect) for effect in owed if isinstance(effect, Reject)]
        announcements = [effect.announcement for effect in owed if isinstance(effect, Announce)]
        if announcements:
            self._aws.bus.announce(*announcements)
        done = frozenset(effect.id for effect in owed) - self._waiting

        def noted(state: EndpointState) -> EndpointState:
            for decision in again:
                if decision:
                    state = state.decided_again(decision.version, decision.approved_at, decision.by)
            return state.ticked(done)

        return noted

    def _reject(self, effect: Reject) -> Decision | None:
        """Rejects the package; or returns the decision, if somebody has approved it again since.

        Nothing is decided yet while the event that explains why the package has changed is on its way.
        """
        group, version = self.state.group, effect.version
        # Looked up anew: somebody may have decided while the attempt was under way.
        package = self.packages[version] = self._aws.registry.describe(group, version)
        if package is None or not package.approved:
            return None
        again = self.state.approved_since(version, effect.package_modified_at)
        if again is None and not self.state.is_explained(
            version, package.modified_at, effect.package_modified_at
        ):
            if self._aws.clock() - package.modified_at < PATIENCE:
                self._waiting.add(effect.id)
                return None
            again = package.modified_at
        if again:
            return Decision(version, again, package.modified_by)
        self._aws.registry.reject(group, version, effect.reason)
        del self.packages[version]
        return None
