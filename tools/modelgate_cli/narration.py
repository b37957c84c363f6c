"""The planner's steps as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from modelgate.deployment import planner
from modelgate.deployment.facts import Upkeep
from modelgate.deployment.naming import name_of

if TYPE_CHECKING:
    from modelgate.deployment.facts import Target
    from modelgate.deployment.state import EndpointState
    from modelgate.policy import Alarms, Autoscaling, DeploymentPolicy, Rollout


@dataclass(frozen=True)
class _Attempt:
    """The attempt that the steps are about: the open one, or the one that they open."""

    number: int
    target: Target | None
    config: str


class Narrator:
    """Tells steps in their order: what one opens, those after it are about.

    Args:
        state: the endpoint as it was when they were planned.
    """

    def __init__(self, state: EndpointState) -> None:
        self._state = state
        attempt = state.attempt
        self._attempt = _Attempt(attempt.number, attempt.target, attempt.config) if attempt else None

    @singledispatchmethod
    def in_words(self, step: object) -> str:
        """What carrying out the step would do, as the end of "it would …".

        Raises:
            TypeError: it is no step.
        """
        raise TypeError(f"{step!r} is no step")

    # ── attempts ──────────────────────────────────────────────────────────────────────────────
    @in_words.register
    def _(self, step: planner.Close) -> str:
        return f"close attempt {self._number} as {step.outcome.value}: {_one_line(step.reason)}"

    @in_words.register
    def _(self, step: planner.Open) -> str:
        number, version = self._state.attempts_made + 1, step.target.version
        config = step.config or name_of(self._state.group, version, number)
        self._attempt = _Attempt(number, step.target, config)
        if step.config:
            return f"open attempt {number} for version {version}, which serves already with {config}"
        return f"open attempt {number}, to version {version}"

    @in_words.register
    def _(self, _: planner.OpenDeletion) -> str:
        self._attempt = _Attempt(self._state.attempts_made + 1, None, "")
        return f"open attempt {self._number}, to delete the endpoint"

    @in_words.register
    def _(self, step: planner.Renew) -> str:
        goal = f"to version {step.target.version}" if step.target else "to delete the endpoint"
        return f"take up attempt {self._number} again, {goal}: whoever opened it is gone"

    @in_words.register
    def _(self, step: planner.Serving) -> str:
        if step.release is None:
            return "note that nothing serves"
        return f"note that the release of attempt {step.release} serves{self._what_is_noted(step)}"

    @in_words.register
    def _(self, _: planner.Blame) -> str:
        versions = ", ".join(str(suspect.effect.version) for suspect in self._state.suspects)
        return f"reject what failed on its first way, for nothing else is to blame: version {versions}"

    # ── the endpoint ──────────────────────────────────────────────────────────────────────────
    @in_words.register
    def _(self, _: planner.MakeModel) -> str:
        return f"create the model {self._config} from version {self._version}"

    @in_words.register
    def _(self, _: planner.MakeConfig) -> str:
        target = self._attempt.target if self._attempt else None
        machines = f", {_machines(target.policy)}" if target else ""
        return f"create the endpoint config {self._config}{machines}"

    @in_words.register
    def _(self, _: planner.CreateEndpoint) -> str:
        return f"create the endpoint {self._state.name} with the config {self._config}"

    @in_words.register
    def _(self, step: planner.UpdateEndpoint) -> str:
        how = [_way(step.rollout)]
        if step.alarms:
            how.append(f"rolled back by {_counted(_thresholds(step.alarms))}")
        if step.keeps_counts:
            how.append("keeping as many instances as autoscaling has set")
        return f"update the endpoint to the config {self._config}: {', '.join(how)}"

    @in_words.register
    def _(self, _: planner.DeleteEndpoint) -> str:
        return f"delete the endpoint {self._state.name}"

    # ── the smoke test ────────────────────────────────────────────────────────────────────────
    @in_words.register
    def _(self, _: planner.SmokeTest) -> str:
        judged = f"the answer closes attempt {self._number}"
        return f"ask the endpoint what the manifest of version {self._version} says: {judged}"

    @in_words.register
    def _(self, _: planner.AskSmokeTest) -> str:
        what = f"ask the endpoint what the manifest of version {self._version} says"
        return f"{what}: it answers later, in the bucket"

    @in_words.register
    def _(self, _: planner.ReadSmokeTest) -> str:
        return f"look whether the smoke test is answered: the answer closes attempt {self._number}"

    # ── what stands around the endpoint ───────────────────────────────────────────────────────
    @in_words.register
    def _(self, step: planner.PutAlarms) -> str:
        return f"put {_alarms(step.alarms)}"

    @in_words.register
    def _(self, _: planner.SuspendScaling) -> str:
        return "deregister the autoscaling, under which SageMaker changes no instance type"

    @in_words.register
    def _(self, step: planner.Tend) -> str:
        before, after, unsure = self._state.upkeep, step.upkeep, self._state.tending is not None
        changes = _changes_of(before, after, unsure=unsure)
        return "; ".join(changes) or "see that alarms, autoscaling and tags are as they should be"

    @in_words.register
    def _(self, step: planner.Prune) -> str:
        return f"delete the models and endpoint configs that nothing needs: {', '.join(step.names)}"

    # ── the rest ──────────────────────────────────────────────────────────────────────────────
    @in_words.register
    def _(self, step: planner.Tell) -> str:
        return f"tell the operator: {_one_line(step.message)}"

    @in_words.register
    def _(self, step: planner.ComeBack) -> str:
        return f"come back later: {_one_line(step.reason)}"

    # ── inside ────────────────────────────────────────────────────────────────────────────────
    @property
    def _number(self) -> int:
        return self._attempt.number if self._attempt else self._state.attempts_made

    @property
    def _config(self) -> str:
        return self._attempt.config if self._attempt else ""

    @property
    def _version(self) -> str:
        return str(self._attempt.target.version) if self._attempt and self._attempt.target else "none"

    def _what_is_noted(self, step: planner.Serving) -> str:
        served = self._state.serving(step.release)
        release = served.release
        after = served.credited(step.policy).release
        if release is None or after is None or release.target is None or after.target is None:
            return ""
        if release.target.policy != after.target.policy:
            return ", under the present policy"
        return ", for the last approval" if release.target != after.target else ""


def _way(rollout: Rollout | None) -> str:
    if rollout is None or rollout.strategy == "all_at_once":
        watched = rollout.wait_seconds if rollout else 0
        return f"all at once, watched for {watched} s" if watched else "all at once"
    size = f"{rollout.percent} %" if rollout.percent is not None else _instances(rollout.instances or 0)
    share = {"canary": f"{size} first", "linear": f"{size} a step", "rolling": f"{size} a batch"}
    return f"{rollout.strategy}, {share[rollout.strategy]}, {rollout.wait_seconds} s"


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _thresholds(alarms: Alarms) -> list[str]:
    found = []
    if alarms.error_rate_percent is not None:
        found.append(f"errors above {alarms.error_rate_percent:g} %")
    if alarms.p99_latency_ms is not None:
        found.append(f"p99 latency above {alarms.p99_latency_ms:g} ms")
    return found


def _counted(alarms: list[str]) -> str:
    return "1 alarm" if len(alarms) == 1 else f"{len(alarms)} alarms"


def _alarms(alarms: Alarms) -> str:
    thresholds = _thresholds(alarms)
    return f"{_counted(thresholds)}: {', '.join(thresholds)}"


def _machines(policy: DeploymentPolicy) -> str:
    if policy.serverless:
        return f"serverless with {policy.serverless.memory_mb} MB"
    return f"{policy.instances.count} × {policy.instances.type}" if policy.instances else ""


def _changes_of(before: Upkeep, after: Upkeep, *, unsure: bool) -> list[str]:
    changes = []
    if after.alarms and (unsure or after.alarms != before.alarms):
        changes.append(f"put {_alarms(after.alarms)}")
    elif not after.alarms and (unsure or before.alarms):
        changes.append("take the alarms away")
    if after.autoscaling and (unsure or after.autoscaling != before.autoscaling):
        changes.append(f"register the autoscaling, {_range(after.autoscaling)}")
    elif not after.autoscaling and (unsure or before.autoscaling):
        changes.append("deregister the autoscaling")
    if after.tags != before.tags:
        changes.append(
            f"put the tags {', '.join(after.tags)}" if after.tags else "take the policy's tags away"
        )
    return changes


def _range(autoscaling: Autoscaling) -> str:
    return f"{autoscaling.min} to {autoscaling.max} instances"


def _one_line(text: str) -> str:
    return " ".join(text.split())
