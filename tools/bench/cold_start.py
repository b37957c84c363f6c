"""How long a function takes to start.

A fresh interpreter imports the function and makes the clients that it uses for one event, against the same
interpreter that imports boto3 and makes the same clients. The two take turns, so that a machine that slows
down slows down both; the ratio of the medians counts. What a bare interpreter needs is taken off both.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT
from bench.interpreters import environment, processor_seconds

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


@dataclass(frozen=True)
class Start:
    """Medians over the rounds, net of a bare interpreter, in seconds of processor time."""

    ours: float
    clients_only: float

    @property
    def ratio(self) -> float:
        return self.ours / self.clients_only


def measure() -> dict[str, dict[str, float]]:
    """By function, its start beside that of its clients alone."""
    figures = {}
    for name in sorted(CLIENTS):
        start = start_of(name)
        figures[name] = {
            "ratio": round(start.ratio, 3),
            "ours_ms": round(start.ours * 1000),
            "clients_only_ms": round(start.clients_only * 1000),
        }
    return figures


def start_of(name: str, rounds: int = ROUNDS) -> Start:
    """Measures the start of one function."""
    python, variables = Path(sys.executable), environment(ROOT, ROOT / "layers" / "core")
    programs = {"bare": "pass", "ours": _function(name), "clients": _clients(name)}
    for code in programs.values():
        processor_seconds(python, ["-c", code], variables)  # byte code is written, files are in memory
    taken: dict[str, list[float]] = {program: [] for program in programs}
    for _ in range(rounds):
        for program, code in programs.items():
            taken[program].append(processor_seconds(python, ["-c", code], variables))
    median = {program: statistics.median(times) for program, times in taken.items()}
    return Start(median["ours"] - median["bare"], median["clients"] - median["bare"])


def _function(name: str) -> str:
    return (
        f"from functions.{name}.app import handler\n"
        "from modelgate import runtime\n"
        "here = runtime.current()\n"
        f"here.journal, here.{USE_CASES[name]}\n"
    )


def _clients(name: str) -> str:
    return f"import boto3\nfor service in {CLIENTS[name]!r}: boto3.client(service)\n"
