"""A keeper of documents on a Studio in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from modelgate.errors import AwsError, NotYet
from modelgate.invocation import Invocation
from modelgate.studio.document import key_of
from modelgate.studio.keeping import Keeper, Look
from modelgate.studio.records import StudioState, StudioStates
from modelgate.studio.resources import Kind, Ref
from tests.fakes.aws import Calls, Clock, Crash, FakeBucket, FakeBus, FakeTable
from tests.fakes.studio import FakeStudio
from tests.unit.studio_documents import ARN, ROLE, written

if TYPE_CHECKING:
    from modelgate.studio.planner import Plan
    from modelgate.studio.resources import There

NAME = "research"
DOMAIN = Ref(Kind.DOMAIN, NAME)
_LAMBDA_TRIES = 3
_TIMEOUT = timedelta(minutes=5)
_ids = (f"invocation-{number}" for number in count(1))


def profile(name: str) -> Ref:
    return Ref(Kind.PROFILE, name)


def space(name: str) -> Ref:
    return Ref(Kind.SPACE, name)


@dataclass
class House:
    """Everything that a document needs: bucket, table, bus, Studio and the keeper."""

    calls: Calls = field(default_factory=Calls)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.bucket = FakeBucket(self.calls)
        self.table = FakeTable(self.calls)
        self.bus = FakeBus(self.calls)
        self.studio = FakeStudio(self.calls)
        self.states = StudioStates(self.table)
        self.keeper = Keeper(
            bucket=self.bucket,
            states=self.states,
            studio=self.studio,
            bus=self.bus,
            arn=ARN,
            role=ROLE,
            stack="modelgate",
            clock=self.clock,
            own_roles={"modelgate-keeper"},
        )

    # ── what happens ──────────────────────────────────────────────────────────────────────────
    def upload(self, document: dict[str, Any], name: str = NAME) -> None:
        self.bucket.put(key_of(name), written(document))

    def look(self, name: str = NAME, invocation: str = "") -> Look:
        """The document's event arrives."""
        return self.keeper.document_changed(key_of(name), self.invocation(invocation))

    def invocation(self, name: str = "") -> Invocation:
        return Invocation(name or next(_ids), self.clock() + _TIMEOUT)

    def as_lambda_does(self, name: str = NAME) -> None:
        """The event is delivered, and Lambda comes back twice where that fails."""
        told = next(_ids)
        for _ in range(_LAMBDA_TRIES):
            try:
                self.keeper.document_changed(key_of(name), self.invocation(told))
            except (AwsError, NotYet, Crash):
                self.clock.forward(60)
            else:
                return

    def settle(self) -> None:
        """Days go by, with their sweeps; SageMaker brings everything to its end."""
        for _ in range(12):
            self.studio.advance()
            self.clock.forward(2 * 86_400)
            self.keeper.sweep(self.invocation())

    # ── what there is ─────────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> StudioState:
        state = self.states.load(NAME)
        assert state is not None
        return state

    @property
    def refs(self) -> list[str]:
        return sorted(str(each.ref) for each in self.studio.all())

    def there(self, ref: Ref) -> There:
        return next(each for each in self.studio.all() if each.ref.key == ref.key)

    def plan(self) -> Plan:
        """What lies between the document and what there is now."""
        state = self.states.load(NAME) or StudioState(NAME)
        return self.keeper.difference(state, self.keeper.asked(NAME))[1]
