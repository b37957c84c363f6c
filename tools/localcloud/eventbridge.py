"""EventBridge: which rules an event meets, and its way to each target, with retries and dead letters.

moto keeps buses, rules, archives and replays, and matches patterns. What it cannot do is done here: call
Lambda functions, shape the input of a target, retry, and give up into a queue.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import ACCOUNT, Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.event_input import InputError, target_input
from localcloud.faults import Faults
from localcloud.moto_state import EventPattern, MotoState, Replay
from localcloud.pace import Pace
from localcloud.schedule import Scheduler

Event = dict[str, Any]

# AWS's own: 185 times in 24 hours.
_MOST_RETRIES = 185
_OLDEST = 86400.0
# Errors that no retry mends go to the dead-letter queue at once.
_FINAL = frozenset({"NO_PERMISSIONS", "NO_RESOURCE", "INVALID_JSON", "SDK_CLIENT_ERROR"})
_LARGEST_PUT = 1_048_576
_MOST_HOPS = 5


@dataclass(frozen=True)
class Delivery:
    """An event on its way to one target of one rule.

    Attributes:
        target: as PutTargets was given it.
        function: the logical id of the function that the target is, if it is one of the stack's.
        attempt: how often it was tried before.
    """

    event: Event
    rule_name: str
    rule_arn: str
    target: Mapping[str, Any]
    function: str | None = None
    attempt: int = 0
    hops: int = 0
    since: dt.datetime | None = None

    @property
    def target_arn(self) -> str:
        """Where it goes."""
        return str(self.target["Arn"])

    def __str__(self) -> str:
        where = self.function or self.target_arn.rsplit(":", 1)[-1]
        attempt = f"rule {self.rule_name}, attempt {self.attempt + 1}"
        return f"event {self.event['detail-type']!r} → {where} ({attempt})"


class DeliveryError(Exception):
    """A target did not take an event. ``code`` is EventBridge's, as its dead letters tell it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Targets(Protocol):
    """What an event can be handed to. Each raises DeliveryError when it does not take it."""

    def function(self, arn: str) -> str | None:
        """The logical id of the function of this ARN."""

    def deliver(self, delivery: Delivery, content: Any) -> None:
        """Hand ``content`` to the target."""

    def dead_letter(self, queue_arn: str, body: str, attributes: Mapping[str, str]) -> None:
        """Put a message into a dead-letter queue."""


class EventBridge:
    """The event buses.

    Args:
        seen: called with each event that is put on a bus, and the bus's name.
    """

    def __init__(
        self,
        *,
        moto: MotoState,
        scheduler: Scheduler,
        faults: Faults,
        pace: Pace,
        region: str,
        targets: Targets,
        seen: Callable[[Event, str], None],
    ) -> None:
        self._moto = moto
        self._scheduler = scheduler
        self._faults = faults
        self._pace = pace
        self._region = region
        self._targets = targets
        self._seen = seen
        faults.bind(self.schedule)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered here; moto answers the rest of EventBridge."""
        return {
            "PutEvents": self._put_events,
            "StartReplay": self._start_replay,
            "TestEventPattern": self._test_event_pattern,
        }

    # ── events ────────────────────────────────────────────────────────────────────────────────────

    def announce(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]
    ) -> None:
        """An event of an AWS service, on the default bus."""
        self.publish(self._event(source, detail_type, detail, resources, calls.now()), "default")

    def publish(self, event: Event, bus_name: str, hops: int = 0) -> None:
        """Send ``event`` to every target whose rule it meets."""
        self._seen(event, bus_name)
        bus = self._moto.bus(bus_name)
        if bus is None:
            return
        self._archive(event, bus_name)
        for rule in list(bus.rules.values()):
            if rule.state != "ENABLED" or rule.managed_by or not self._meets(rule, event):
                continue
            for target in list(rule.targets):
                self.schedule(
                    Delivery(
                        event=event,
                        rule_name=rule.name,
                        rule_arn=rule.arn,
                        target=target,
                        function=self._targets.function(target["Arn"]),
                        hops=hops,
                        since=calls.now(),
                    )
                )

    def fire(self, rule_name: str) -> None:
        """The time of a scheduled rule has come.

        Raises:
            ServiceError: there is no such rule, or it has no schedule.
        """
        bus = self._moto.bus("default")
        rule = bus.rules.get(rule_name) if bus is not None else None
        if rule is None or not rule.scheduled_expression:
            raise ServiceError(
                "ResourceNotFoundException", f"Rule {rule_name} does not exist, or has no schedule."
            )
        event = self._event("aws.events", "Scheduled Event", {}, [rule.arn], calls.now())
        self._seen(event, "default")
        for target in list(rule.targets):
            function = self._targets.function(target["Arn"])
            self.schedule(Delivery(event, rule.name, rule.arn, target, function=function, since=calls.now()))

    def schedule(self, delivery: Delivery) -> None:
        """Deliver soon."""
        self._scheduler.after(self._pace.event_delay, str(delivery), lambda: self._deliver(delivery))

    def _event(
        self,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: list[str],
        time: dt.datetime,
    ) -> Event:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": resources,
            "detail": detail,
        }

    @staticmethod
    def _meets(rule: Any, event: Event) -> bool:
        # moto takes a rule without a pattern, which is a schedule, to meet every event.
        return bool(rule.event_pattern.get_pattern()) and bool(rule.event_pattern.matches_event(event))

    # ── delivery ──────────────────────────────────────────────────────────────────────────────────

    def _deliver(self, delivery: Delivery) -> None:
        try:
            times = self._faults.on_delivery(delivery)
            for _ in range(times):
                self._hand_over(delivery)
        except ServiceError as refused:
            self._failed(delivery, DeliveryError(refused.code, refused.message))
        except DeliveryError as error:
            self._failed(delivery, error)

    def _hand_over(self, delivery: Delivery) -> None:
        try:
            content = target_input(delivery.target, delivery.event, delivery.rule_arn, delivery.rule_name)
        except InputError as error:
            raise DeliveryError("INVALID_JSON", str(error)) from error
        arn = delivery.target_arn
        if ":event-bus/" in arn:
            if delivery.hops >= _MOST_HOPS:
                raise DeliveryError("THIRD_ACCOUNT_HOP_DETECTED", "The event goes in circles between buses.")
            self.publish(delivery.event, arn, delivery.hops + 1)
            return
        self._targets.deliver(delivery, content)

    def _failed(self, delivery: Delivery, error: DeliveryError) -> None:
        policy = delivery.target.get("RetryPolicy") or {}
        most = int(policy.get("MaximumRetryAttempts", _MOST_RETRIES))
        oldest = float(policy.get("MaximumEventAgeInSeconds", _OLDEST))
        age = (calls.now() - (delivery.since or calls.now())).total_seconds()
        if error.code not in _FINAL and delivery.attempt < most and age < oldest:
            again = replace(delivery, attempt=delivery.attempt + 1)
            pause = min(self._pace.target_retry * 2**delivery.attempt, self._pace.target_retry * 64)
            self._scheduler.after(pause, str(again), lambda: self._deliver(again))
            return
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            attributes = {
                "RULE_ARN": delivery.rule_arn,
                "TARGET_ARN": delivery.target_arn,
                "ERROR_CODE": error.code,
                "ERROR_MESSAGE": error.message,
            }
            if error.code not in _FINAL:
                spent = delivery.attempt >= most
                attributes["EXHAUSTED_RETRY_CONDITION"] = (
                    "MaximumRetryAttempts" if spent else "MaximumEventAgeInSeconds"
                )
                attributes["RETRY_ATTEMPTS"] = str(delivery.attempt)
            self._targets.dead_letter(queue, json.dumps(delivery.event), attributes)

    # ── archives ──────────────────────────────────────────────────────────────────────────────────

    def _archive(self, event: Event, bus_name: str) -> None:
        if "replay-name" in event:
            return
        name = bus_name.rsplit("/", 1)[-1]
        for archive in self._moto.archives.values():
            if archive.event_bus_name == name and archive.event_pattern.matches_event(event):
                archive.events.append(event)

    def _start_replay(self, call: Call) -> Reply:
        events = self._moto.events
        archive_arn, destination = call.params["EventSourceArn"], call.params["Destination"]
        archive = self._moto.archives.get(archive_arn.rsplit("/", 1)[-1])
        if archive is None:
            name = archive_arn.rsplit("/", 1)[-1]
            raise invalid(f"Parameter EventSourceArn is not valid. Reason: Archive {name} does not exist.")
        if destination["Arn"] != archive.source_arn:
            raise invalid(
                "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."
            )
        start, end = call.params["EventStartTime"], call.params["EventEndTime"]
        if start >= end:
            raise invalid(
                "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
            )
        name = call.params["ReplayName"]
        if name in events.replays:
            raise ServiceError("ResourceAlreadyExistsException", f"Replay {name} already exists.")
        replay = Replay(
            ACCOUNT,
            self._region,
            name,
            call.params.get("Description", ""),
            archive_arn,
            _epoch(start),
            _epoch(end),
            destination,
        )
        events.replays[name] = replay
        chosen = [dict(event) for event in archive.events if start <= _time(event) <= end]
        self._scheduler.after(
            self._pace.event_delay, f"replay {name}", lambda: self._replay(replay, chosen, destination)
        )
        return Reply({"ReplayArn": replay.arn, "State": "STARTING", "ReplayStartTime": calls.now()})

    def _replay(self, replay: Replay, chosen: list[dict[str, Any]], destination: Mapping[str, Any]) -> None:
        bus = self._moto.bus(destination["Arn"])
        wanted = destination.get("FilterArns")
        for event in chosen:
            again = {**event, "replay-name": replay.name}
            self._seen(again, destination["Arn"].rsplit("/", 1)[-1])
            for rule in list(bus.rules.values()) if bus is not None else []:
                if rule.managed_by or (wanted and rule.arn not in wanted) or not self._meets(rule, again):
                    continue
                for target in list(rule.targets):
                    function = self._targets.function(target["Arn"])
                    self.schedule(
                        Delivery(again, rule.name, rule.arn, target, function=function, since=calls.now())
                    )
        state = type(replay.state)
        replay.state = state.COMPLETED
        replay.end_time = calls.now().timestamp()

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    def _put_events(self, call: Call) -> Reply:
        entries = call.params["Entries"]
        size = sum(len(json.dumps(entry, default=str)) for entry in entries)
        if size > _LARGEST_PUT:
            raise invalid("Total size of the entries in the request is over the limit.")
        results = [self._put(entry) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        return Reply({"FailedEntryCount": failed, "Entries": results})

    def _put(self, entry: Mapping[str, Any]) -> dict[str, str]:
        for member in ("Source", "DetailType", "Detail"):
            if not entry.get(member):
                reason = f"Parameter {member} is not valid. Reason: {member} is a required argument."
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
        if str(entry["Source"]).startswith("aws."):
            return {
                "ErrorCode": "NotAuthorizedForSourceException",
                "ErrorMessage": "Not authorized for the source.",
            }
        try:
            detail = json.loads(entry["Detail"])
        except json.JSONDecodeError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        time = entry.get("Time")
        when = time.replace(tzinfo=time.tzinfo or dt.UTC) if isinstance(time, dt.datetime) else calls.now()
        event = self._event(
            str(entry["Source"]), str(entry["DetailType"]), detail, list(entry.get("Resources") or []), when
        )
        self.publish(event, str(entry.get("EventBusName") or "default"))
        return {"EventId": str(event["id"])}

    @staticmethod
    def _test_event_pattern(call: Call) -> Reply:
        pattern = EventPattern.load(call.params["EventPattern"])
        return Reply({"Result": bool(pattern.matches_event(json.loads(call.params["Event"])))})


def _epoch(moment: dt.datetime) -> str:
    return str(moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp())


def _time(event: Event) -> dt.datetime:
    """When an event was, as botocore's parser tells times: in UTC, and without saying so."""
    return dt.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007  compared with naive ones
