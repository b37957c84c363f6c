"""How many calls to AWS a deployment takes: the real handlers, on the local cloud, under a bare policy."""

from __future__ import annotations

from typing import Any

from bench.deployment import deployment


class _Counting:
    """A session whose clients note every call that is made."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.made: list[str] = []

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)
        client.meta.events.register("before-call", lambda model, **_: self.made.append(model.name))
        return client


def measure() -> dict[str, object]:
    """How many there are, and which."""
    made = calls()
    return {**{event: len(names) for event, names in made.items()}, "made": made}


def calls() -> dict[str, list[str]]:
    """What is called for the approval that starts an update, the event that ends it, and one for nothing."""
    return {event: handled.session.made for event, handled in deployment(_Counting).items()}
