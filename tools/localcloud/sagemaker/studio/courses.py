"""The course of what takes time: a creation, an update or a deletion, from its state to the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from localcloud import calls
from localcloud.faults import Faults, StudioChange, StudioKind
from localcloud.pace import Pace
from localcloud.sagemaker.studio import refusals
from localcloud.sagemaker.studio.entities import Entity, Kind
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.states import Happening
from localcloud.schedule import Scheduler

_SUCCEEDS: dict[StudioChange, Happening] = {
    "create": "creation succeeds",
    "update": "update succeeds",
    "delete": "deletion succeeds",
}
_FAILS: dict[StudioChange, Happening] = {
    "create": "creation fails",
    "update": "update fails",
    "delete": "deletion fails",
}
_ASKED: dict[Literal["update", "delete"], Happening] = {
    "update": "update is asked for",
    "delete": "deletion is asked for",
}
_KINDS: dict[Kind, StudioKind] = {
    "Domain": "domain",
    "UserProfile": "user profile",
    "Space": "space",
    "App": "app",
}


class Courses:
    """Carries changes out, each after a while; what fails was asked to."""

    def __init__(self, estate: Estate, scheduler: Scheduler, faults: Faults, pace: Pace) -> None:
        self._estate = estate
        self._scheduler = scheduler
        self._faults = faults
        self._pace = pace

    def creation(self, entity: Entity, in_the_end: Callable[[], object] = lambda: None) -> None:
        """What was made is Pending for a while; ``in_the_end`` is done if it succeeds."""
        self._run(entity, "create", in_the_end)

    def update(self, entity: Entity, in_the_end: Callable[[], object]) -> None:
        """``in_the_end`` makes the change, unless it fails.

        Raises:
            ServiceError: it is in no state to be updated.
        """
        self._ask(entity, "update")
        self._run(entity, "update", in_the_end)

    def deletion(self, entity: Entity, in_the_end: Callable[[], object]) -> None:
        """``in_the_end`` takes it away, unless the deletion fails.

        Raises:
            ServiceError: it is in no state to be deleted.
        """
        self._ask(entity, "delete")
        self._run(entity, "delete", in_the_end)

    def _ask(self, entity: Entity, change: Literal["update", "delete"]) -> None:
        with self._estate.lock:
            if entity.after(_ASKED[change]) is None:
                raise refusals.in_status(change, entity)
            entity.move(_ASKED[change], calls.now())

    def _run(self, entity: Entity, change: StudioChange, in_the_end: Callable[[], object]) -> None:
        def over() -> None:
            self._faults.studio_may_go_on()
            reason = self._faults.studio_fails(_KINDS[entity.kind], entity.answers_to, change)
            if reason is not None:
                with self._estate.lock:
                    entity.move(_FAILS[change], calls.now(), reason)
                return
            # Outside of the lock: a file system is made by a call to this cloud.
            in_the_end()
            with self._estate.lock:
                entity.move(_SUCCEEDS[change], calls.now())

        self._scheduler.after(self._pace.studio, f"{change} {entity.kind} {entity.name}", over)
