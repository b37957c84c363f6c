"""Documents of batch transforms, and the functions that carry them out, on an AWS in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelgate.errors import AwsError, NotYet
from modelgate.run import TransformId
from modelgate.transform.runs import TransformRuns
from tests.fakes.aws import Crash
from tests.fakes.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelgate.run_items import Summary
    from modelgate.transform.runs import TransformRun

RUN = TransformId("iris", "june")
FOLDER = RUN.folder
# A key without a value is left out.
LINES: dict[str, Any] = {"input": {"location": "input/", "content_type": "text/csv", "split": "line"}}


def content(**changes: Any) -> dict[str, Any]:
    """A job that is right, but for the changes; None leaves a key out."""
    return {key: value for key, value in {**LINES, **changes}.items() if value is not None}


def document(**changes: Any) -> bytes:
    """The same as a text."""
    return json.dumps(content(**changes)).encode()


class Desk(Deployment):
    """The group ``iris``, and transforms with its versions."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs = self.memory.transform_jobs
        self.runs = TransformRuns(self.table)

    # ── what people do ────────────────────────────────────────────────────────────────────────
    def go_live(self) -> int:
        """A version that serves."""
        version = self.register()
        self.approve(version)
        self.settle()
        assert self.served == version
        self.bus.announced.clear()
        return version

    def upload(self, text: bytes | None = None) -> str:
        """The input, and the document last."""
        self.bucket.put(f"{FOLDER}input/a.csv", b"1,2\n3,4\n")
        self.bucket.put(f"{FOLDER}input/b.csv", b"5,6\n")
        return self.upload_document(text)

    def upload_document(self, text: bytes | None = None) -> str:
        key = f"{FOLDER}job.yaml"
        self.bucket.put(key, document() if text is None else text)
        return key

    # ── what events do ────────────────────────────────────────────────────────────────────────
    def receive(self, key: str = f"{FOLDER}job.yaml", invocation: str | None = None) -> Summary:
        return self.runtime.transformer.receive(key, self.invocation(invocation))

    def finished(self, job: str | None = None) -> Summary:
        return self.runtime.transform_follower.job_changed(job or self.started[-1])

    def sweep_transforms(self) -> list[Summary]:
        return self.runtime.transform_follower.sweep([self.group], self.invocation())

    def as_lambda_does(self, call: Callable[[str], object]) -> None:
        """With two retries, which keep the invocation's id."""
        name = f"invocation-{next(self._ids)}"
        for _ in range(3):
            try:
                call(name)
            except (AwsError, NotYet, Crash):
                self.clock.forward(90)
            else:
                return

    # ── what there is ─────────────────────────────────────────────────────────────────────────
    @property
    def started(self) -> list[str]:
        """The jobs that were started."""
        return list(self.jobs.orders)

    @property
    def item(self) -> TransformRun:
        (found,) = self.runs.of_group(self.group)
        return found

    @property
    def message(self) -> str:
        return self.bus.announced[-1].message

    @property
    def facts(self) -> dict[str, object]:
        """Of the last announcement."""
        return dict(self.bus.announced[-1].facts)
