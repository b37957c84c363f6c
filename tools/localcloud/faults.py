"""What can be made to go wrong.

Calls: the n-th call of an operation is throttled, refused, loses its answer, or the handler that makes it
dies there. Events: a delivery is dropped, doubled or held back, and let go later in any order.

    cloud.faults.throttle("sagemaker:CreateModel")                       # the next one
    cloud.faults.throttle_every(5, times=10)                             # every fifth call of the functions
    cloud.faults.lose_answer("sagemaker:UpdateEndpoint", nth=2)          # took effect, nobody hears of it
    cloud.faults.die("dynamodb:PutItem", function="ApprovalChanged")     # the handler dies before the call
    cloud.faults.die("dynamodb:PutItem", when="after")                   # … or right after it
    cloud.faults.drop(lambda delivery: delivery.function == "EndpointChanged")
    held = cloud.faults.hold(lambda delivery: delivery.event["source"] == "aws.s3")
    held.release(reverse=True)

Endpoints: there are no instances of a type for a while, or a rollback does not succeed.

    cloud.faults.no_capacity("ml.m5.large")                              # for the next that asks for some
    cloud.faults.rollback_fails("iris")                                  # it is UpdateRollbackFailed then

Training: the instances of a spot job are taken away, when it trains or when its log says something.

    cloud.faults.interrupt_spot("iris-")                                 # whose name begins so
    cloud.faults.interrupt_spot("iris-", at="epoch 2")                   # at a line with these words

Studio: what is made, changed or deleted ends in Failed, Update_Failed or Delete_Failed, with a FailureReason.

    cloud.faults.fail_studio("space", "ada-lab", "No capacity.")         # the next one made of that name
    cloud.faults.fail_studio("domain", "team", "No rights.", doing="delete")
    cloud.faults.hold_studio()                                           # whoever wants to see Pending

Operations are named with IAM's name of the service and the API's of the operation: ``s3:HeadObject``,
``sagemaker:InvokeEndpoint``, ``dynamodb:TransactWriteItems``. Each attempt of a client that retries is a
call of its own: with ``times`` a fault outlasts a client's retries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Literal

from localcloud.calls import Call
from localcloud.errors import ConnectionLost, LocalCloudError, ServiceError

if TYPE_CHECKING:
    from localcloud.eventbridge import Delivery

_THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "s3": "SlowDown",
    "sqs": "RequestThrottled",
}

When = Literal["before", "after"]
StudioKind = Literal["domain", "user profile", "space", "app"]
StudioChange = Literal["create", "update", "delete"]


class HandlerDied(BaseException):
    """Raised in a handler's thread: its execution environment is gone. No handler can catch its own death."""


@dataclass
class _CallFault:
    operation: str
    function: str | None
    skip: int
    times: int
    kind: Literal["refuse", "lose", "die before", "die after"]
    error: ServiceError | None = None

    def meets(self, operation: str, function: str | None) -> bool:
        """Whether this call is the one; counts it."""
        if operation != self.operation or (self.function is not None and function != self.function):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times <= 0:
            return False
        self.times -= 1
        return True


@dataclass
class _EventFault:
    predicate: Callable[[Delivery], bool]
    kind: Literal["drop", "duplicate", "hold", "refuse"]
    times: int
    held: Held | None = None
    error: ServiceError | None = None


@dataclass
class Held:
    """Deliveries that are held back. What is held does not count as in flight."""

    _release: Callable[[Delivery], None]
    _faults: Faults
    deliveries: list[Delivery] = field(default_factory=list)

    def release(self, *, reverse: bool = False) -> None:
        """Deliver what is held, and hold nothing more; ``reverse`` lets the last go first."""
        self._faults.forget_hold(self)
        waiting, self.deliveries = list(self.deliveries), []
        for delivery in reversed(waiting) if reverse else waiting:
            self._release(delivery)

    def discard(self) -> None:
        """Lose what is held, and hold nothing more."""
        self._faults.forget_hold(self)
        self.deliveries = []


@dataclass
class _SpotFault:
    job: str
    at: str
    times: int


@dataclass
class _StudioFault:
    kind: StudioKind
    name: str
    doing: StudioChange
    reason: str
    times: int


@dataclass
class _Throttling:
    """Of the calls that functions make, every n-th."""

    every: int
    times: int
    function: str | None
    calls: int = 0

    def meets(self, function: str | None) -> bool:
        """Whether this call is one; counts it."""
        if function is None or self.function not in {None, function} or self.times <= 0:
            return False
        self.calls += 1
        if self.calls % self.every:
            return False
        self.times -= 1
        return True


class Faults:
    """The faults that are to come. Those of one operation come in the order in which they were asked for.

    Args:
        handlers_can_die: whether handlers run where one can be ended at a call.
    """

    def __init__(self, *, handlers_can_die: bool = True) -> None:
        self._handlers_can_die = handlers_can_die
        self._lock = Lock()
        self._calls: list[_CallFault] = []
        self._throttlings: list[_Throttling] = []
        self._events: list[_EventFault] = []
        self._short_of: Counter[str] = Counter()
        self._failing_rollbacks: Counter[str] = Counter()
        self._spot: list[_SpotFault] = []
        self._studio: list[_StudioFault] = []
        self._studio_goes_on = Event()
        self._studio_goes_on.set()
        self._spot_changed: Callable[[], None] = lambda: None
        self._deliver: Callable[[Delivery], None] | None = None

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    def throttle(self, operation: str, *, nth: int = 1, times: int = 1, function: str | None = None) -> None:
        """The n-th call from now on, and ``times`` in a row, is throttled."""
        self._add(operation, nth, times, function, "refuse", _throttled(operation))

    def throttle_every(self, nth: int, *, times: int, function: str | None = None) -> None:
        """Of all the calls that functions make, every n-th is throttled; ``times`` in all."""
        with self._lock:
            self._throttlings.append(_Throttling(nth, times, function))

    def refuse(
        self,
        operation: str,
        code: str,
        message: str = "Refused, as was asked for.",
        *,
        status: int = 400,
        nth: int = 1,
        times: int = 1,
        function: str | None = None,
    ) -> None:
        """The n-th call from now on is refused with AWS's error ``code``, and has no effect."""
        self._add(operation, nth, times, function, "refuse", ServiceError(code, message, status))

    def lose_answer(
        self, operation: str, *, nth: int = 1, times: int = 1, function: str | None = None
    ) -> None:
        """The n-th call from now on takes effect, and the connection closes without an answer."""
        self._add(operation, nth, times, function, "lose", None)

    def die(
        self,
        operation: str,
        *,
        when: When = "before",
        nth: int = 1,
        times: int = 1,
        function: str | None = None,
    ) -> None:
        """The handler that makes the n-th call from now on dies before it, or after its answer has come.

        Raises:
            LocalCloudError: handlers run in containers.
        """
        if not self._handlers_can_die:
            raise LocalCloudError(
                "handlers run in containers, where none can be ended at a call: "
                "let them run in this process, or lose the answer of the call instead"
            )
        self._add(operation, nth, times, function, "die before" if when == "before" else "die after", None)

    # ── events ────────────────────────────────────────────────────────────────────────────────────

    def drop(self, predicate: Callable[[Delivery], bool], *, times: int = 1) -> None:
        """The next ``times`` deliveries that the predicate is true of never happen."""
        self._add_event(_EventFault(predicate, "drop", times))

    def duplicate(self, predicate: Callable[[Delivery], bool], *, times: int = 1) -> None:
        """The next ``times`` deliveries that the predicate is true of happen twice."""
        self._add_event(_EventFault(predicate, "duplicate", times))

    def refuse_delivery(
        self, predicate: Callable[[Delivery], bool], code: str = "THROTTLING", *, times: int = 1
    ) -> None:
        """The target refuses the next ``times`` deliveries; EventBridge retries by the target's policy."""
        error = ServiceError(code, "Refused, as was asked for.")
        self._add_event(_EventFault(predicate, "refuse", times, error=error))

    def hold(self, predicate: Callable[[Delivery], bool]) -> Held:
        """Hold back every delivery that the predicate is true of, until it is released."""
        if self._deliver is None:
            raise RuntimeError("the local cloud has not started")
        held = Held(self._deliver, self)
        self._add_event(_EventFault(predicate, "hold", 0, held=held))
        return held

    # ── endpoints ─────────────────────────────────────────────────────────────────────────────────

    def no_capacity(self, instance_type: str, *, times: int = 1) -> None:
        """The next ``times`` that an endpoint asks for instances of this type, AWS has none."""
        with self._lock:
            self._short_of[instance_type] += times

    def rollback_fails(self, endpoint: str, *, times: int = 1) -> None:
        """The next ``times`` that this endpoint is RollingBack, it ends as UpdateRollbackFailed."""
        with self._lock:
            self._failing_rollbacks[endpoint.lower()] += times

    # ── training ──────────────────────────────────────────────────────────────────────────────────

    def interrupt_spot(self, job: str, *, at: str = "", times: int = 1) -> None:
        """The next ``times`` that a spot job trains whose name begins so, its instances are taken away.

        Args:
            at: a text: when the job logs a line with it. Without one, at once.
        """
        with self._lock:
            self._spot.append(_SpotFault(job, at, times))
        self._spot_changed()

    # ── studio ────────────────────────────────────────────────────────────────────────────────────

    def fail_studio(
        self,
        kind: StudioKind,
        name: str,
        reason: str,
        *,
        doing: StudioChange = "create",
        times: int = 1,
    ) -> None:
        """The next ``times`` that something in Studio is made, or changed, or deleted, it does not succeed.

        Args:
            name: of a domain, its id too; of an app, that of its user profile or space too.
            reason: the FailureReason.

        Raises:
            LocalCloudError: apps are not updated, and no state says that their deletion failed.
        """
        if kind == "app" and doing != "create":
            raise LocalCloudError("only the creation of an app can fail: SageMaker has no state for more")
        with self._lock:
            self._studio.append(_StudioFault(kind, name, doing, reason, times))

    def hold_studio(self) -> None:
        """Nothing that is Pending, Updating or Deleting in Studio comes to its end until `release_studio`."""
        self._studio_goes_on.clear()

    def release_studio(self) -> None:
        """What was held comes to its end."""
        self._studio_goes_on.set()

    def clear(self) -> None:
        """No fault is to come any more. What is held stays held."""
        with self._lock:
            self._calls.clear()
            self._throttlings.clear()
            self._short_of.clear()
            self._failing_rollbacks.clear()
            self._spot.clear()
            self._studio.clear()
            self._events = [fault for fault in self._events if fault.kind == "hold"]

    # ── where they strike; called by the local cloud ──────────────────────────────────────────────

    def bind(self, deliver: Callable[[Delivery], None]) -> None:
        """``deliver`` is what releases a held delivery."""
        self._deliver = deliver

    def bind_spot(self, changed: Callable[[], None]) -> None:
        """``changed`` is called when the spot jobs that train are to be looked at."""
        self._spot_changed = changed

    def forget_hold(self, held: Held) -> None:
        """Hold no more for ``held``."""
        with self._lock:
            self._events = [fault for fault in self._events if fault.held is not held]

    def is_short_of(self, instance_type: str) -> bool:
        """Whether there are no instances of this type, this time."""
        return self._count_down(self._short_of, instance_type)

    def fails_to_roll_back(self, endpoint: str) -> bool:
        """Whether the endpoint's rollback fails, this time."""
        return self._count_down(self._failing_rollbacks, endpoint.lower())

    def takes_spot(self, job: str, line: str | None) -> bool:
        """Whether a spot job loses its instances, this time; ``line`` is what it logged, if it did."""
        with self._lock:
            for fault in self._spot:
                if job.startswith(fault.job) and (not fault.at or fault.at in (line or "")):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._spot.remove(fault)
                    return True
        return False

    def studio_may_go_on(self) -> None:
        """Returns when nothing holds Studio."""
        self._studio_goes_on.wait()

    def studio_fails(
        self, kind: StudioKind, answers_to: Callable[[str], bool], doing: StudioChange
    ) -> str | None:
        """Why a change in Studio fails, this time; None if it does not."""
        with self._lock:
            for fault in self._studio:
                if (fault.kind, fault.doing) == (kind, doing) and answers_to(fault.name):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._studio.remove(fault)
                    return fault.reason
        return None

    def _count_down(self, faults: Counter[str], what: str) -> bool:
        with self._lock:
            if faults[what] <= 0:
                return False
            faults[what] -= 1
            return True

    def before(self, call: Call) -> None:
        """Raise what is to come instead of this call."""
        fault = self._strike(call.name, call.caller.function, "refuse")
        if fault is not None and fault.error is not None:
            raise fault.error
        with self._lock:
            throttled = any(each.meets(call.caller.function) for each in self._throttlings)
        if throttled:
            raise _throttled(call.name)

    def after(self, call: Call) -> None:
        """Raise what is to come instead of the answer."""
        if self._strike(call.name, call.caller.function, "lose") is not None:
            raise ConnectionLost(f"the answer of {call.name} is lost, as was asked for")

    def in_handler(self, operation: str, function: str, when: When) -> None:
        """Die, if that is to come."""
        if self._strike(operation, function, "die before" if when == "before" else "die after") is not None:
            raise HandlerDied(f"the handler of {function} died {when} {operation}, as was asked for")

    def on_delivery(self, delivery: Delivery) -> int:
        """How often this delivery is to happen: 0, 1 or 2.

        Raises:
            ServiceError: the target is to refuse it.
        """
        with self._lock:
            fault = next((fault for fault in self._events if fault.predicate(delivery)), None)
            if fault is None:
                return 1
            if fault.held is not None:
                fault.held.deliveries.append(delivery)
                return 0
            fault.times -= 1
            if fault.times <= 0:
                self._events.remove(fault)
        if fault.error is not None:
            raise fault.error
        return 0 if fault.kind == "drop" else 2

    def _strike(self, operation: str, function: str | None, kind: str) -> _CallFault | None:
        with self._lock:
            for fault in self._calls:
                if fault.kind == kind and fault.meets(operation, function):
                    if fault.times <= 0:
                        self._calls.remove(fault)
                    return fault
        return None

    def _add(
        self,
        operation: str,
        nth: int,
        times: int,
        function: str | None,
        kind: Literal["refuse", "lose", "die before", "die after"],
        error: ServiceError | None,
    ) -> None:
        if ":" not in operation:
            raise ValueError(f"an operation is named service:Operation, not {operation!r}")
        with self._lock:
            self._calls.append(_CallFault(operation, function, nth - 1, times, kind, error))

    def _add_event(self, fault: _EventFault) -> None:
        with self._lock:
            self._events.append(fault)


def _throttled(operation: str) -> ServiceError:
    """How the service of an operation says that there were too many calls."""
    code = _THROTTLED.get(operation.split(":", 1)[0], "ThrottlingException")
    return ServiceError(code, "Rate exceeded", 503 if code == "SlowDown" else 400)
