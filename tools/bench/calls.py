"""How many calls to AWS each event costs: the real handlers, on the local cloud, under a bare policy.

What is sent is counted, so a call that a client repeats counts twice. Round trips are the longest chain of
calls that waited for one another: fewer than the calls where some are made side by side.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from bench import ROOT
from bench.deployment import GROUP, MANIFEST, SCRIPT
from localcloud import LocalCloud
from modelgate.runtime import Runtime, running_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_NEVER_LOADS = b"def model_fn(model_dir):\n    raise RuntimeError('no such file')\n"


@dataclass
class Call:
    """One request.

    Attributes:
        operation: its name in the API reference.
        chain: how many calls had to end, one after the other, before this one ended.
    """

    operation: str
    chain: int
    ended: bool = False


Calls = list[Call]


def round_trips(calls: Calls) -> int:
    """The longest chain of calls that waited for one another."""
    return max((call.chain for call in calls), default=0)


class _Noting:
    """A session whose clients note every request that they send, and its end."""

    def __init__(self, session: Any) -> None:
        self.calls: Calls = []
        self._session = session
        self._open: dict[int, Call] = {}

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)
        client.meta.events.register("before-send", self._sent)
        client.meta.events.register("response-received", self._answered)
        return client

    def _sent(self, event_name: str, **_: object) -> None:
        chain = 1 + max((call.chain for call in self.calls if call.ended), default=0)
        call = self._open[get_ident()] = Call(event_name.rpartition(".")[2], chain)
        self.calls.append(call)

    def _answered(self, **_: object) -> None:
        self._open[get_ident()].ended = True


class _Noted:
    """The surroundings of the local cloud's handlers: what each of them sends is kept.

    Attributes:
        made: by invocation in their order, the function and its calls.
    """

    def __init__(self) -> None:
        self.made: list[tuple[str, Calls]] = []

    def __call__(
        self, environ: Mapping[str, str], session: Any, _: ModuleType
    ) -> Callable[[], AbstractContextManager[object]]:
        function = Path(environ["LAMBDA_TASK_ROOT"]).name
        noting = _Noting(session)
        untyped: Any = noting
        runtime = Runtime(environ, untyped)

        @contextmanager
        def invocation() -> Iterator[None]:
            noting.calls = []
            self.made.append((function, noting.calls))
            with running_in(runtime):
                yield

        return invocation


class _Story:
    """What happens on one stack, and what each event costs."""

    def __init__(self, cloud: LocalCloud, noted: _Noted) -> None:
        self._cloud = cloud
        self._made = noted.made
        self._s3 = cloud.client("s3")
        self._sagemaker = cloud.client("sagemaker")
        self.calls: dict[str, Calls] = {}

    def upload(self, key: str, body: bytes, **what: str) -> None:
        self._happens(
            what, lambda: self._s3.put_object(Bucket=self._cloud.outputs["Bucket"], Key=key, Body=body)
        )

    def submit(self, name: str, script: bytes = SCRIPT, *, first: str = "", then: str = "") -> str:
        """The ARN of the version that comes of it."""
        prefix = f"models/{GROUP}/{name}"
        self.upload(f"{prefix}/model.tar.gz", _artifact(script), model_uploaded=first)
        self.upload(f"{prefix}/manifest.yaml", MANIFEST, model_uploaded=then)
        listed = self._sagemaker.list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Descending")
        return str(listed["ModelPackageSummaryList"][0]["ModelPackageArn"])

    def decide(self, version: str, approval: str, **what: str) -> None:
        self._happens(
            what,
            lambda: self._sagemaker.update_model_package(
                ModelPackageArn=version, ModelApprovalStatus=approval
            ),
        )

    def again(self, function: str, what: str) -> None:
        """The last event of a function, once more."""
        last = next(
            each for each in reversed(self._cloud.invocations) if each.function == _logical_id(function)
        )
        self._invoke(function, last.event, what)

    def recorded(self, function: str, event: str, what: str) -> None:
        """An event that is kept as AWS sent it."""
        self._invoke(function, json.loads((ROOT / "events" / function / f"{event}.json").read_text()), what)

    def _invoke(self, function: str, event: Any, what: str) -> None:
        self._happens({function: what}, lambda: self._cloud.invoke(_logical_id(function), event))

    @contextmanager
    def holding(self, approval: str) -> Iterator[None]:
        """Within the block, the news of such approvals stays away."""
        held = self._cloud.faults.hold(
            lambda delivery: delivery.event["detail"].get("ModelApprovalStatus") == approval
        )
        yield
        held.release()
        self._cloud.settle()

    def _happens(self, what: Mapping[str, str], happens: Callable[[], object]) -> None:
        """Does it, waits until all is quiet, and keeps what the last invocation of each function cost."""
        before = len(self._made)
        happens()
        self._cloud.settle()
        last = dict(self._made[before:])
        self.calls |= {name: last[function] for function, name in what.items() if name and function in last}


def measure() -> dict[str, object]:
    """How many there are, and which."""
    made = calls()
    return {
        **{event: len(calls) for event, calls in made.items()},
        "round_trips": {event: round_trips(calls) for event, calls in made.items()},
        "made": {event: [call.operation for call in calls] for event, calls in made.items()},
    }


def calls() -> dict[str, Calls]:
    """What is sent to AWS for each event, in the order in which it is sent."""
    noted = _Noted()
    with LocalCloud(ROOT / "template.yaml", running_in=noted) as cloud:
        story = _Story(cloud, noted)
        _registrations(story)
        _deployments(story)
        _builds(story)
        return story.calls


def _registrations(story: _Story) -> None:
    story.recorded("endpoint_changed", "in_service", "nobodys_endpoint")
    story.upload(f"policies/{GROUP}.yaml", b"{}", policy_uploaded="policy")
    refused = MANIFEST.replace(b"0.95", b"high")
    story.upload(f"models/{GROUP}/wrong/model.tar.gz", _artifact(SCRIPT))
    story.upload(f"models/{GROUP}/wrong/manifest.yaml", refused, model_uploaded="refused")


def _deployments(story: _Story) -> None:
    first = story.submit("run-1", first="first_file", then="first_registered")
    story.decide(first, "Approved", approval_changed="first_approval", endpoint_changed="first_in_service")
    second = story.submit("run-2", then="registered")
    story.again("model_uploaded", "uploaded_again")
    story.decide(second, "Approved", approval_changed="approval", endpoint_changed="in_service")
    story.again("endpoint_changed", "duplicate")
    story.again("approval_changed", "approval_again")
    story.recorded("sweep_due", "quarter_of_an_hour", "sweep_of_one_endpoint")
    bad = story.submit("run-3", _NEVER_LOADS)
    # The rejection that follows has an event of its own, whose handler would get in the way of this one.
    with story.holding("Rejected"):
        story.decide(bad, "Approved", endpoint_changed="rollback")
    story.decide(second, "Rejected", approval_changed="rejection", endpoint_changed="back_in_service")


def _builds(story: _Story) -> None:
    """Without a Docker Engine the build fails, no scan tells anything, and the same source is built again."""
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    story.upload(
        "sources/tiny/1.zip",
        source.getvalue(),
        source_uploaded="source",
        build_finished="build_finished",
        image_scanned="image_scanned",
    )
    story.upload("sources/tiny/2.zip", source.getvalue(), source_uploaded="source_again")


def _logical_id(function: str) -> str:
    return "".join(part.capitalize() for part in function.split("_"))


def _artifact(script: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (("code/inference.py", script), ("model.txt", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
