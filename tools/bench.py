"""`make bench`: what is claimed, measured, and written to build/bench.json.

Start of a function: a fresh interpreter imports the function and makes the clients that it uses for
one event, against the same interpreter that imports boto3 and makes the same clients. The two take
turns, so that a machine that slows down slows down both; the ratio of the medians counts. What a bare
interpreter needs is taken off both.

Calls: how many requests to AWS the handlers make under a bare policy: of the approval that starts an
update, of the event that ends it, and of an event that changes nothing.

Inspection: how fast a model.tar.gz of 1 GB is read and judged; see ``bench_inspect``.

Packaging: how fast a source is packed, beside sm-docker; see ``bench_package``. Rebuilding: how long
a changed source takes beside one that is built from nothing; see ``bench_rebuild``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import bench_inspect
import bench_package
import bench_rebuild
from calls import calls

ROOT = Path(__file__).parents[1]
ROUNDS = 12

# What each function's first event makes it create; the test of this file holds it against the code.
CLIENTS = {
    "model_uploaded": ("s3", "dynamodb", "sagemaker", "events"),
    "approval_changed": ("s3", "dynamodb", "sagemaker", "events"),
    "endpoint_changed": ("s3", "dynamodb", "sagemaker", "events"),
}
USE_CASES = {
    "model_uploaded": "registrar",
    "approval_changed": "decisions",
    "endpoint_changed": "reconciler",
}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "LAMBDA_TASK_ROOT": "/var/task",
    "POWERTOOLS_METRICS_NAMESPACE": "Modelgate",
    "MODELGATE_STACK": "modelgate",
    "MODELGATE_BUCKET": "intake",
    "MODELGATE_TABLE": "state",
    "MODELGATE_BUS": "announcements",
    "MODELGATE_SAGEMAKER_ARN": "arn:aws:sagemaker:eu-central-1:123456789012",
    "MODELGATE_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/execution",
}


@dataclass(frozen=True)
class Start:
    """Medians over the rounds, net of a bare interpreter, in seconds of processor time."""

    ours: float
    clients_only: float

    @property
    def ratio(self) -> float:
        return self.ours / self.clients_only


def _environment() -> dict[str, str]:
    """Of a process that imports what a function does."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "layers" / "core")))
    return {
        **ENVIRONMENT,
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": path,
    }


def _seconds(code: str) -> float:
    """The processor time of one fresh interpreter that runs the code."""
    environment = _environment()
    before = os.times()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def _function(name: str) -> str:
    return (
        f"from functions.{name}.app import handler\n"
        "from modelgate import runtime\n"
        "here = runtime.current()\n"
        f"here.journal, here.{USE_CASES[name]}\n"
    )


def _clients(name: str) -> str:
    return f"import boto3\nfor service in {CLIENTS[name]!r}: boto3.client(service)\n"


def measure(name: str, rounds: int = ROUNDS) -> Start:
    """Measures the start of one function."""
    programs = {"bare": "pass", "ours": _function(name), "clients": _clients(name)}
    for code in programs.values():
        _seconds(code)  # byte code is written, files are in memory
    taken: dict[str, list[float]] = {program: [] for program in programs}
    for _ in range(rounds):
        for program, code in programs.items():
            taken[program].append(_seconds(code))
    median = {program: statistics.median(times) for program, times in taken.items()}
    return Start(median["ours"] - median["bare"], median["clients"] - median["bare"])


def main() -> int:
    began = time.monotonic()
    figures = {}
    for name in sorted(CLIENTS):
        start = measure(name)
        figures[name] = {
            "ratio": round(start.ratio, 3),
            "ours_ms": round(start.ours * 1000),
            "clients_only_ms": round(start.clients_only * 1000),
        }
        net = f"{start.ours * 1000:.0f} ms net, n = {ROUNDS}"
        sys.stdout.write(f"{name:<18} {start.ratio:5.2f} × boto3 and its clients ({net})\n")
    made = {event: len(names) for event, names in calls().items()}
    sys.stdout.write(json.dumps({"calls": made}) + "\n")
    for lacking in bench_inspect.lacking():
        sys.stdout.write(f"no comparison with {lacking}\n")
    inspect = asdict(bench_inspect.measure(_environment()))
    sys.stdout.write(json.dumps({"inspect": inspect}) + "\n")
    package = bench_package.package()
    sys.stdout.write(json.dumps({"package": package}) + "\n")
    rebuild = bench_rebuild.rebuild()
    sys.stdout.write(json.dumps({"rebuild": rebuild}) + "\n")
    report = ROOT / "build" / "bench.json"
    report.parent.mkdir(exist_ok=True)
    measured = {
        "cold_start": figures,
        "calls": made,
        "inspect": inspect,
        "package": package,
        "rebuild": rebuild,
    }
    report.write_text(json.dumps(measured, indent=2) + "\n")
    sys.stdout.write(f"written to {report.relative_to(ROOT)} in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
