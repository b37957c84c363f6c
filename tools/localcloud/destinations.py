"""What EventBridge and Lambda hand things to: functions, queues, topics, logs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.access import service_may
from localcloud.calls import ACCOUNT, now
from localcloud.clients import Clients
from localcloud.errors import ServiceError
from localcloud.eventbridge import Delivery, DeliveryError
from localcloud.functions import Invoker
from localcloud.moto_state import MotoState
from localcloud.policies import Demand

_EVENTS = "events.amazonaws.com"


# What an ARN of an on-failure destination holds; the stack refuses others when it is made.
DESTINATIONS = (":sqs:", ":sns:", ":function:")


class Destinations:
    """Hands over to what an ARN names, if what it names exists and its policy lets the sender."""

    def __init__(self, moto: MotoState, clients: Clients) -> None:
        self._moto = moto
        self._clients = clients
        self._invoker: Invoker | None = None

    def bind(self, invoker: Invoker) -> None:
        """``invoker`` is what calls functions."""
        self._invoker = invoker

    def function(self, arn: str) -> str | None:
        """The logical id of the function of this ARN."""
        if self._invoker is None or ":function:" not in arn:
            return None
        try:
            return self._invoker.settings(arn).logical_id
        except ServiceError:
            return None

    def deliver(self, delivery: Delivery, content: Any) -> None:
        """Hand an event to the target of a rule.

        Raises:
            DeliveryError: it does not exist, or does not let EventBridge.
        """
        arn = delivery.target_arn
        service = arn.split(":")[2]
        deliver = {
            "lambda": self._to_function,
            "sqs": self._to_queue,
            "sns": self._to_topic,
            "logs": self._to_log_group,
        }.get(service)
        if deliver is None:
            raise DeliveryError(
                "SDK_CLIENT_ERROR", f"The local cloud does not deliver to targets of {service}."
            )
        deliver(delivery, content)

    def dead_letter(self, queue_arn: str, body: str, attributes: Mapping[str, str]) -> None:
        """Put an event that was not delivered into a queue."""
        self._send(
            queue_arn,
            body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def failed_invocation(self, arn: str, record: Mapping[str, Any]) -> None:
        """Give the record of an invocation that failed to the end to an on-failure destination."""
        body = json.dumps(record)
        if ":sqs:" in arn:
            self._send(arn, body)
        elif ":sns:" in arn:
            self._clients.aws("sns").publish(TopicArn=arn, Message=body)
        elif self._invoker is not None:
            self._invoker.invoke_later(arn, record)

    def _to_function(self, delivery: Delivery, content: Any) -> None:
        arn = delivery.target_arn
        if self._invoker is None or self.function(arn) is None:
            raise DeliveryError("NO_RESOURCE", f"Function not found: {arn}")
        settings = self._invoker.settings(arn)
        if not any(
            principal == _EVENTS and source in {None, delivery.rule_arn}
            for principal, source in settings.allowed
        ):
            raise DeliveryError("NO_PERMISSIONS", f"{delivery.rule_arn} may not invoke {arn}.")
        self._invoker.invoke_later(arn, content)

    def _to_queue(self, delivery: Delivery, content: Any) -> None:
        arn = delivery.target_arn
        name = arn.rsplit(":", 1)[-1]
        if not self._moto.queue_exists(name):
            raise DeliveryError("NO_RESOURCE", f"The queue {arn} does not exist.")
        demand = _demand("sqs:SendMessage", arn, delivery.rule_arn)
        if not service_may(self._moto.queue_policy(name), _EVENTS, demand):
            raise DeliveryError("NO_PERMISSIONS", f"The policy of {arn} does not let EventBridge send to it.")
        group = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId")
        self._send(arn, _text(content), **({"MessageGroupId": group} if group else {}))

    def _to_topic(self, delivery: Delivery, content: Any) -> None:
        arn = delivery.target_arn
        if not self._moto.topic_exists(arn):
            raise DeliveryError("NO_RESOURCE", f"The topic {arn} does not exist.")
        demand = _demand("sns:Publish", arn, delivery.rule_arn)
        if not service_may(self._moto.topic_policy(arn), _EVENTS, demand):
            raise DeliveryError("NO_PERMISSIONS", f"The policy of {arn} does not let EventBridge publish.")
        self._clients.aws("sns").publish(TopicArn=arn, Message=_text(content))

    def _to_log_group(self, delivery: Delivery, content: Any) -> None:
        group = delivery.target_arn.split(":log-group:", 1)[-1].removesuffix(":*")
        line = (int(now().timestamp() * 1000), _text(content))
        self._moto.write_log(group, str(uuid.uuid4()), [line])

    def _send(self, queue_arn: str, body: str, **more: Any) -> None:
        name = queue_arn.rsplit(":", 1)[-1]
        sqs = self._clients.aws("sqs")
        try:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError as error:
            raise DeliveryError("NO_RESOURCE", f"The queue {queue_arn} does not exist.") from error
        sqs.send_message(QueueUrl=url, MessageBody=body, **more)


def _demand(action: str, resource: str, rule_arn: str) -> Demand:
    return Demand(action, resource, {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": rule_arn})


def _text(content: Any) -> str:
    """A message's text: JSON as EventBridge writes it. A plain string keeps its quotes, as on AWS."""
    return json.dumps(content)
