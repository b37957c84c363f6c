"""What happened, for whoever wants to look at it or be told."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.eventbridge import Event
from localcloud.functions import Invocation


class Timeline:
    """Keeps every event and every invocation, and tells those who listen."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.invocations: list[Invocation] = []
        self.event_listeners: list[Callable[[Event, str], None]] = []
        self.invocation_listeners: list[Callable[[Invocation], None]] = []
        self.log_listeners: list[Callable[[str, str], None]] = []

    def saw(self, event: Event, bus: str) -> None:
        """An event was put on a bus."""
        self.events.append(event)
        for listener in list(self.event_listeners):
            listener(event, bus)

    def ran(self, invocation: Invocation) -> None:
        """A handler has run."""
        self.invocations.append(invocation)
        for listener in list(self.invocation_listeners):
            listener(invocation)

    def logged(self, function: str, line: str) -> None:
        """A function has logged a line."""
        for listener in list(self.log_listeners):
            listener(function, line)
