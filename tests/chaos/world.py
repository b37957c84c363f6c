"""Carries a schedule out: operators, time, EventBridge, Lambda, SageMaker, and what goes wrong with them."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from modelgate.deployment.states import EndpointStates
from modelgate.directory import entry_of_group
from modelgate.errors import ModelgateError
from modelgate.registry import package as on_package
from modelgate.runtime import running_in
from tests.chaos import events
from tests.chaos.schedule import VERSIONS
from tests.chaos.tasks import Delivery, Fate, TakingTurns, Task, current_task
from tests.fakes.aws import Crash
from tests.fakes.deployment import MANIFEST, smoke_test_of
from tests.fakes.runtime import STACK, Memory, MemoryRuntime, context_of
from tests.fakes.sagemaker import PackageEvent
from tests.simulation.chain import artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelgate.registry.package import ModelPackage
    from tests.chaos.schedule import Move, Schedule

GROUP = "iris"
TOO_SMALL, REFUSED_TYPE, SCARCE = "ml.t2.medium", "ml.r5.large", "ml.m5.xlarge"
POLICIES: tuple[str, ...] = (
    "{}",
    """deployment:
      instances: {count: 2}
      rollout: {strategy: canary, percent: 50, wait_seconds: 60}
      alarms: {error_rate_percent: 1}""",
    f"""deployment:
      instances: {{type: {SCARCE}, count: 2}}
      autoscaling: {{min: 2, max: 4, invocations_per_instance: 100}}""",
    f"deployment: {{instances: {{type: {TOO_SMALL}}}}}",
    "gate: 3",
    f"deployment: {{instances: {{type: {REFUSED_TYPE}}}}}",
    "deployment: {frozen: true}",
    """deployment:
      instances: {count: 2}
      tags: {team: ml}
      rollout: {strategy: all_at_once, wait_seconds: 120}
      alarms: {p99_latency_ms: 200}
      autoscaling: {min: 2, max: 4, invocations_per_instance: 100}""",
    "deployment: {when_nothing_is_approved: delete}",
)
REFUSED_POLICIES = frozenset({4})
LIMITS = {"policy_uploaded": 300, "sweep_due": 300, "model_uploaded": 900}
RETRIES = 2
# What the sweep may do where all is as it should be.
READS = frozenset(
    {
        "GetItem",
        "Query",
        "GetObject",
        "HeadObject",
        "DescribeModelPackage",
        "DescribeEndpoint",
        "ListModelPackages",
        "ListTags",
        "DescribeAlarms",
        "ListBuildsForProject",
    }
)


class Violation(Exception):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Decided:
    """What an operator really did, and when."""

    at: datetime
    version: int
    approval: str


@dataclass
class Truth:
    """What really happened, whatever the handlers make of it.

    Attributes:
        decisions: what operators approved and rejected, oldest first.
        edits: by version, when something else was edited last.
        lost: versions of which an approval event never arrived.
        lost_of: by version, how many events of any kind never arrived.
        late: versions that a sweep went by while an approval event was on its way.
        policy: the number of the policy that lies in the bucket.
        policies: the numbers of all that ever lay there.
        failed: versions that failed themselves under a policy that works, and when the last time.
        retired: whether an operator ever had the endpoint deleted.
        instructions: whether operators ever told more than approvals.
    """

    decisions: list[Decided] = field(default_factory=list)
    edits: dict[int, datetime] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    lost_of: Counter[int] = field(default_factory=Counter)
    late: set[int] = field(default_factory=set)
    policy: int = 0
    policies: list[int] = field(default_factory=list)
    failed: dict[int, datetime] = field(default_factory=dict)
    unlucky: set[int] = field(default_factory=set)
    retired: bool = False
    instructions: list[str] = field(default_factory=list)

    def approvals_of(self, version: int) -> list[datetime]:
        return [each.at for each in self.decisions if each.version == version and each.approval == "Approved"]

    @property
    def last_approval(self) -> Decided | None:
        approvals = [each for each in self.decisions if each.approval == "Approved"]
        return max(approvals, key=lambda each: (each.at, each.version), default=None)


class World:
    """One AWS in memory with Modelgate on it.

    Attributes:
        memory: the AWS.
        truth: what really happened.
        pending: events on their way, oldest first.
        tasks: the handlers that are running.
        watch: called after every call to AWS and every move; raises `Violation`.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.calls = TakingTurns()
        self.memory = Memory(self.calls)
        self.sagemaker = self.memory.sagemaker
        self.clock = self.memory.clock
        self.truth = Truth()
        self.pending: list[Delivery] = []
        self.tasks: list[Task] = []
        # By version: the last news of its approval, and how new the news is that was handled to the end.
        self._news: dict[int, PackageEvent] = {}
        self._handled: dict[int, datetime] = {}
        self.watch: Callable[[str], None] = lambda _: None
        self.calls.after = self._called
        self._note_looks()
        self._crash_after: int | None = None
        self._ids = count(1)
        self._uploads = count(1)
        self.sagemaker.never_ping |= schedule.never_ping
        self.sagemaker.answer_wrongly |= schedule.answer_wrongly
        self.sagemaker.too_small.add(TOO_SMALL)
        self.sagemaker.refused_types.add(REFUSED_TYPE)
        self._put_policy(schedule.first_policy)
        self.memory.table.put(entry_of_group(GROUP))  # as the registration of its first version does
        for version in range(1, VERSIONS + 1):
            manifest = self.memory.bucket.put(f"registered/{GROUP}/run/manifest.yaml", MANIFEST)
            metadata = {
                on_package.STACK: STACK,
                on_package.SUBMISSION: "run",
                on_package.MANIFEST: manifest.key,
            }
            # The test of one of them is too long for its package.
            if version != VERSIONS:
                metadata[on_package.SMOKE_TEST[0]] = smoke_test_of(MANIFEST)
            self.sagemaker.add_package(GROUP, **metadata)
        self._moves: Mapping[str, Callable[[Move], object]] = {
            "approve": lambda move: self._decide(move.which, "Approved"),
            "reject what serves": lambda _: self._reject_what_serves(),
            "approve again": lambda _: self._approve_again(),
            "reject": lambda move: self._decide(move.which, "Rejected"),
            "edit": self._edit,
            "policy": lambda move: self._upload_policy(move.which),
            "upload": lambda _: self._upload_model(),
            "pin": lambda move: self._instruct("pin", self._version(move.which)),
            "unpin": lambda _: self._instruct("unpin"),
            "freeze": lambda _: self._instruct("freeze"),
            "unfreeze": lambda _: self._instruct("unfreeze"),
            "retry": lambda _: self._instruct("retry"),
            "retire": lambda _: self._instruct("retire"),
            "deliver": self._deliver,
            "start": self._start,
            "cut": self._cut,
            "duplicate": self._duplicate,
            "lose": self._lose,
            "step": lambda move: self._go_on(move, Fate.GOES_WELL),
            "run": self._run_on,
            "throttle": lambda move: self._go_on(move, Fate.THROTTLED),
            "refuse answer": lambda move: self._go_on(move, Fate.ANSWER_LOST),
            "die": lambda move: self._go_on(move, Fate.DIES_BEFORE),
            "die after": lambda move: self._go_on(move, Fate.DIES_AFTER),
            "sweep": lambda move: self._go_some_way(self._sweep(to_the_end=False), move.which + move.much),
            "advance": lambda _: self.advance(),
            "alarm": self._alarm,
            "calm": lambda _: self.sagemaker.set_alarms(GROUP, "OK"),
            "wait": self._wait,
            "stock": self._stock,
            "quota": self._quota,
        }

    def _called(self, name: str) -> None:
        self.watch(name)

    def _note_looks(self) -> None:
        """Remembers which handler has looked at which package, and when."""
        describe = self.sagemaker.describe

        def noted(group: str, version: int) -> ModelPackage | None:
            package = describe(group, version)
            task = current_task()
            if task:
                task.looked_at[version] = self.clock.now
            return package

        self.sagemaker.describe = noted  # type: ignore[method-assign]

    # ── the run ───────────────────────────────────────────────────────────────────────────────
    def play(self, schedule: Schedule) -> None:
        for move in schedule.moves:
            self._moves[move.kind](move)
            self.clock.forward(0.01)
            self._collect()
            self.watch(move.kind)

    def settle(self, *, for_good: bool = True) -> int:
        """Nothing goes wrong any more, nobody decides; until all is quiet. The number of updates it took.

        Args:
            for_good: whether what is blocked gets its time as well.

        Raises:
            Violation: it never becomes quiet.
        """
        self.sagemaker.out_of_stock.clear()
        self.sagemaker.quota_reached = False
        self.sagemaker.set_alarms(GROUP, "OK")
        before = len(self.calls.made)
        pauses = [timedelta(hours=26)] * for_good + [timedelta(minutes=1)]
        for _ in range(60):
            self._deliver_all()
            made = len(self.calls.made)
            if not pauses:
                break
            self.clock.forward(timedelta(minutes=20).total_seconds())
            self._sweep(to_the_end=True)
            self._deliver_all()
            if set(self.calls.made[made:]) <= READS:
                self.clock.forward(pauses.pop(0).total_seconds())
        else:
            raise Violation(f"it never becomes quiet; the last calls: {self.calls.made[-30:]}")
        return sum(call in {"CreateEndpoint", "UpdateEndpoint"} for call in self.calls.made[before:])

    def _deliver_all(self) -> None:
        for _ in range(300):
            if self.tasks:
                self._finish(self.tasks[0])
            elif self.pending:
                self._begin(self.pending.pop(0), to_the_end=True)
            elif not self.advance():
                return
            self._collect()
        raise Violation(f"events never end; the last calls: {self.calls.made[-30:]}")

    # ── people ────────────────────────────────────────────────────────────────────────────────
    def _version(self, which: int) -> int:
        versions = self.sagemaker.versions(GROUP)
        return versions[which % len(versions)]

    def _decide(self, which: int, approval: str) -> None:
        version = self._version(which)
        self.clock.forward(1)
        self.sagemaker.decide(GROUP, version, approval)
        if any(task.delivery.function == "sweep_due" for task in self.tasks):
            self.truth.late.add(version)
        self.truth.decisions.append(
            Decided(self.sagemaker.package(GROUP, version).modified_at, version, approval)
        )

    def _approve_again(self) -> None:
        """Somebody approves what is being tried, or was approved last, once more."""
        last = self.truth.last_approval
        if last:
            self._decide(self.sagemaker.versions(GROUP).index(last.version), "Approved")

    def _reject_what_serves(self) -> None:
        version = self.sagemaker.serves(GROUP)
        if version:
            self._decide(self.sagemaker.versions(GROUP).index(version), "Rejected")

    def _edit(self, move: Move) -> None:
        version = self._version(move.which)
        self.clock.forward(1)
        self.sagemaker.edit(GROUP, version)
        self.truth.edits[version] = self.sagemaker.package(GROUP, version).modified_at

    def _put_policy(self, number: int) -> None:
        self.truth.policy = number
        self.truth.policies.append(number)
        self.memory.bucket.put(f"policies/{GROUP}.yaml", POLICIES[number].encode())

    def _upload_policy(self, which: int) -> None:
        self._put_policy(which % len(POLICIES))
        self._send("policy_uploaded", events.uploaded(f"policies/{GROUP}.yaml", self.clock.now))

    def _upload_model(self) -> None:
        name = f"upload-{next(self._uploads)}"
        for file, body in (("model.tar.gz", _ARTIFACT), ("manifest.yaml", MANIFEST)):
            key = f"models/{GROUP}/{name}/{file}"
            self.memory.bucket.put(key, body)
            self._send("model_uploaded", events.uploaded(key, self.clock.now))

    def _instruct(self, instruction: str, version: int | None = None) -> None:
        if instruction == "retire":
            self.truth.retired = True
        self.truth.instructions.append(instruction)
        event = {"instruction": instruction, "group": GROUP, "version": version, "by": "operator"}
        # Nobody retries it: whoever gave the instruction sees that it failed.
        delivery = Delivery("instruction_given", event, f"request-{next(self._ids)}", RETRIES)
        self._begin(delivery, to_the_end=False)

    # ── time ──────────────────────────────────────────────────────────────────────────────────
    def _wait(self, move: Move) -> None:
        steps = (1, 5, 30, 61, 61, 130, 1200, 4000, 30_000, 86_400)
        self.clock.forward(steps[move.much])
        for task in list(self.tasks):
            if self.clock.now >= task.until:
                self._end(task, Fate.DIES_BEFORE)  # Lambda ends it, whatever it is doing

    def advance(self) -> bool:
        """SageMaker comes a step further with the endpoint; False if it has nothing to do."""
        there = self.sagemaker.endpoint(GROUP)
        coming = there.coming if there else ""
        moved = self.sagemaker.advance(GROUP)
        there = self.sagemaker.endpoint(GROUP)
        if moved and there and coming and not there.coming:
            self._note_failure(coming, there.failure_reason)
        self._collect()
        self.watch("advance")
        return moved

    def _note_failure(self, config: str, reason: str) -> None:
        """Who is to blame for what SageMaker says: the version, an alarm in its time, or something else."""
        model, policy = self.sagemaker.models.get(config), self.sagemaker.configs.get(config)
        if not reason or not model or not policy or policy.instance_type == TOO_SMALL:
            return
        if model.version in self.sagemaker.never_ping or "alarm" in reason:
            self.truth.failed[model.version] = self.clock.now
        if "alarm" in reason and not self._goes_back(model.version):
            self.truth.unlucky.add(model.version)

    def _goes_back(self, version: int) -> bool:
        """Whether another version serves, and this one had been live and was not approved since."""
        if self.sagemaker.serves(GROUP) == version:
            return False  # it is rolled out again, under a new policy
        live = [
            each.closed_at
            for each in EndpointStates(self.memory.table).history(GROUP)
            if each.is_release and each.target and each.target.version == version
        ]
        return bool(live) and not any(at > live[-1] for at in self.truth.approvals_of(version))

    # ── deliveries ────────────────────────────────────────────────────────────────────────────
    def _send(self, function: str, event: dict[str, Any], version: int = 0) -> None:
        self.pending.append(Delivery(function, event, f"request-{next(self._ids)}", version=version))

    def _collect(self) -> None:
        """What AWS has sent by now is on its way."""
        sent, self.sagemaker.events = self.sagemaker.events, []
        for event in sent:
            tells_approval = isinstance(event, PackageEvent) and event.approval == "Approved"
            version = event.version if isinstance(event, PackageEvent) and tells_approval else 0
            if isinstance(event, PackageEvent) and "ModelApprovalStatus" in event.updated_fields:
                self._news[event.version] = event
            self._send(*events.function_and_event(event, self.clock.now), version)

    def _deliver(self, move: Move) -> None:
        self._collect()
        if self.pending:
            self._begin(self._taken(move), to_the_end=True)

    def _start(self, move: Move) -> Task | None:
        """The handler of an event makes a few calls, and then others have their turn."""
        self._collect()
        if not self.pending:
            return None
        task = self._begin(self._taken(move), to_the_end=False)
        self._go_some_way(task, move.much)
        return task

    def _chosen(self, move: Move) -> int:
        """The place of the event that a move is about: 9 is the newest, 8 the one before it."""
        from_the_end = {9: -1, 8: -2}
        return from_the_end.get(move.which, move.which) % len(self.pending)

    def _taken(self, move: Move) -> Delivery:
        return self.pending.pop(self._chosen(move))

    def _go_some_way(self, task: Task, much: int) -> None:
        for _ in range(100 if much > 8 else much):
            if not task.over:
                self._step(task, Fate.GOES_WELL)

    def _cut(self, move: Move) -> None:
        """The handler of an event dies after a few calls."""
        task = self._start(move)
        if task and not task.over:
            self._step(task, Fate.DIES_AFTER if move.which % 2 else Fate.DIES_BEFORE)

    def _duplicate(self, move: Move) -> None:
        self._collect()
        if self.pending:
            again = self.pending[self._chosen(move)]
            task = self._begin(replace(again, request_id=f"request-{next(self._ids)}"), to_the_end=False)
            self._go_some_way(task, move.much)

    def _lose(self, move: Move) -> None:
        # Mostly what hurts most: the news of an approval.
        approvals = [each for each in self.pending if each.version] if move.much > 3 else []
        among = approvals or self.pending
        if among:
            lost = among[-1 if move.which == 9 else move.which % len(among)]
            self.pending.remove(lost)
            self._note_loss(lost)

    def _note_loss(self, delivery: Delivery) -> None:
        self.truth.lost.add(delivery.version)
        about = delivery.event.get("detail", {}).get("ModelPackageVersion")
        self.truth.lost_of[about or 0] += 1

    def _sweep(self, *, to_the_end: bool) -> Task:
        self.truth.late |= {delivery.version for delivery in self.pending}
        self.truth.late |= {task.delivery.version for task in self.tasks}
        delivery = Delivery("sweep_due", events.sweep_due(self.clock.now), f"request-{next(self._ids)}")
        return self._begin(delivery, to_the_end=to_the_end)

    # ── handlers ──────────────────────────────────────────────────────────────────────────────
    def _begin(self, delivery: Delivery, *, to_the_end: bool) -> Task:
        limit = LIMITS.get(delivery.function, 60)
        handler = importlib.import_module(f"functions.{delivery.function}.app").handler
        context = context_of(delivery.request_id, limit * 1000)

        def run() -> None:
            with running_in(MemoryRuntime(self.memory)):
                handler(delivery.event, context)

        task = Task(delivery, self.clock.now + timedelta(seconds=limit), run)
        self.tasks.append(task)
        self._end(task, Fate.GOES_WELL) if to_the_end else self._step(task, Fate.GOES_WELL)
        return task

    def _go_on(self, move: Move, fate: Fate) -> None:
        if self.tasks:
            self._step(self.tasks[move.which % len(self.tasks)], fate)

    def _run_on(self, move: Move) -> None:
        if self.tasks:
            self._finish(self.tasks[-1 if move.which == 9 else move.which % len(self.tasks)])

    def _finish(self, task: Task) -> None:
        self._end(task, Fate.GOES_WELL)

    def _end(self, task: Task, fate: Fate) -> None:
        while not task.over:
            self._step(task, fate)

    def crash_after(self, call: int | None) -> None:
        """The handler that makes the n-th call from now on dies right after it."""
        self._crash_after = None if call is None else len(self.calls.made) + call

    def _step(self, task: Task, fate: Fate) -> None:
        if self._crash_after == len(self.calls.made) + 1 and task.waits_for and fate is Fate.GOES_WELL:
            fate, self._crash_after = Fate.DIES_AFTER, None
        task.go_on(fate)
        if not task.over:
            return
        self.tasks.remove(task)
        error = task.error
        if error is None:
            self._note_news(task.delivery)
            if task.delivery.version and EndpointStates(self.memory.table).load(GROUP) is None:
                # Refused for want of a policy: nobody remembers when it was approved.
                self._note_loss(task.delivery)
            return
        if not isinstance(error, ModelgateError | Crash):
            raise error
        again = task.delivery
        if again.retries < RETRIES:
            self.pending.append(replace(again, retries=again.retries + 1))
        else:
            self._note_loss(again)  # a dead letter

    def is_known_to_be_rejected(self, version: int) -> bool:
        """Whether the last news of its approval is a rejection, and was handled to the end."""
        news = self._news.get(version)
        return news is not None and news.approval == "Rejected" and self._handled.get(version) == news.at

    def _note_news(self, delivery: Delivery) -> None:
        if delivery.function == "approval_changed":
            detail = delivery.event["detail"]
            version, at = detail["ModelPackageVersion"], datetime.fromisoformat(detail["LastModifiedTime"])
            self._handled[version] = max(at, self._handled.get(version, at))

    # ── what AWS lacks ────────────────────────────────────────────────────────────────────────
    def _alarm(self, move: Move) -> None:
        """An alarm goes off, and stays so; or only while SageMaker does what it is at."""
        self.sagemaker.set_alarms(GROUP, "ALARM")
        if move.much > 4:
            self.advance()
            self.advance()
            self.sagemaker.set_alarms(GROUP, "OK")

    def _stock(self, move: Move) -> None:
        if move.much > 2:
            self.sagemaker.out_of_stock.add("ml.m5.large" if move.which % 3 else SCARCE)
        else:
            self.sagemaker.out_of_stock.clear()

    def _quota(self, move: Move) -> None:
        self.sagemaker.quota_reached = move.much > 6


_ARTIFACT = artifact("chaos")
