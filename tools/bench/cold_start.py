"""How long a function takes to start, from what `make build` makes.

A fresh interpreter imports the function from the artifact, and makes the use case and the clients of its
first event. Beside it, the same interpreter imports boto3 as the package index has it, with its byte code,
and makes the same clients; and the peers make what they deploy with. All take turns, so that a machine that
slows down slows down each of them; the medians count, in processor time, less what a bare interpreter needs.

Whole processes are compared, from their beginning to their end, as such figures mostly are. A process that
ends frees what it has made: that takes boto3 with its full models half as long again, and a function, whose
objects are frozen, nearly nothing. No function on Lambda ever comes to that; so `ratio_until_ready` is the
same without it, up to where the first event could be handled.

The artifact is built anew into a folder of its own, for the runtime's Python, or for this one where that is
not here. Nothing is written there: PYTHONDONTWRITEBYTECODE is set for every interpreter, as if the file
system were Lambda's, and whether anything has changed is looked at in the end.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import build
from bench import ROOT
from bench.interpreters import environment, processor_seconds
from bench.peers import PEERS, NotInstalledError, installed

ROUNDS = 12
_BARE = "a bare interpreter"
_UNTIL_READY = ", until it is ready"

_DEPLOYMENT = ("s3", "dynamodb", "sagemaker", "events")
_BUILDS = ("dynamodb", "codebuild", "ecr", "events")
# The use case of each function, and the clients that making it makes; a test holds both against the code.
STARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "approval_changed": ("decisions", _DEPLOYMENT),
    "build_finished": ("publisher", _BUILDS),
    "endpoint_changed": ("reconciler", _DEPLOYMENT),
    "image_scanned": ("publisher", _BUILDS),
    "inspection_paused": ("registrar", _DEPLOYMENT),
    "instruction_given": ("instructions", _DEPLOYMENT),
    "model_uploaded": ("registrar", _DEPLOYMENT),
    "policy_uploaded": ("policy_uploads", _DEPLOYMENT),
    "smoke_test_answered": ("reconciler", _DEPLOYMENT),
    "source_uploaded": ("builder", ("s3", *_BUILDS)),
    "sweep_due": ("sweep", _DEPLOYMENT),
    "training_requested": ("trainer", _DEPLOYMENT),
    "training_finished": ("training_follower", _DEPLOYMENT),
    "image_published": ("retrainer", ("s3", "dynamodb", "events")),
    "transform_requested": ("transformer", _DEPLOYMENT),
    "transform_finished": ("transform_follower", _DEPLOYMENT),
    "studio_requested": ("keeper", _DEPLOYMENT),
    "studio_changed": ("keeper", _DEPLOYMENT),
}


@dataclass(frozen=True)
class _Start:
    """A program that takes turns with others, and what it runs in."""

    python: Path
    program: str
    environment: dict[str, str]
    with_exit: bool = True

    def seconds(self) -> float:
        return processor_seconds(self.python, self.program, self.environment, with_exit=self.with_exit)


def measure() -> dict[str, Any]:
    """By function: its start, that of its clients alone, their ratio, and how much longer the peers take."""
    python, told = build.runtimes_or_own()
    with tempfile.TemporaryDirectory(prefix="modelgate-bench-") as temporary:
        artifact = Path(temporary)
        build.layer_for(python, artifact / "layer")
        for name in STARTS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "functions" / name, artifact / name, ignore=ignored)
        before = _files(artifact)
        starts, lacking = _starts(python, artifact)
        net = _medians(starts)
        if _files(artifact) != before:
            raise RuntimeError("a start has written into the artifact, so it was not measured as on Lambda")
    figures: dict[str, Any] = {name: _figures(name, net) for name in STARTS}
    return {**figures, "python": told, **lacking}


def _starts(python: Path, artifact: Path) -> tuple[dict[str, _Start], dict[str, str]]:
    """All that take turns; and which peers do not, with the reason."""
    plain = _plain_boto3(python)
    starts = {_BARE: _Start(python, "pass", _read_only())}
    for name, (use_case, clients) in STARTS.items():
        found = _read_only(artifact / name, artifact / "layer")
        starts[name] = _Start(python, _function(use_case), found)
        starts[_alone(clients)] = _Start(python, _clients(clients), _read_only(plain))
    starts |= {f"{name}{_UNTIL_READY}": replace(start, with_exit=False) for name, start in starts.items()}
    lacking = {}
    for peer in PEERS:
        try:
            starts[peer.name] = _Start(installed(peer, python), peer.program, _read_only())
        except NotInstalledError as why:
            lacking[peer.name] = str(why)
    return starts, lacking


def _medians(starts: Mapping[str, _Start]) -> dict[str, float]:
    """In milliseconds, less what a bare interpreter takes."""
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for number in range(ROUNDS + 1):
        sys.stderr.write(f"cold_start: round {number} of {ROUNDS}\n")
        for name, start in starts.items():
            seconds = start.seconds()
            if number:  # the first round brings the files into memory
                taken[name].append(seconds)
    median = {name: statistics.median(seconds) * 1000 for name, seconds in taken.items()}
    return {
        name: milliseconds - median[_BARE + _UNTIL_READY if name.endswith(_UNTIL_READY) else _BARE]
        for name, milliseconds in median.items()
    }


def _figures(name: str, net: Mapping[str, float]) -> dict[str, Any]:
    clients = STARTS[name][1]
    ours, alone = net[name], net[_alone(clients)]
    return {
        "ratio": round(ours / alone, 3),
        "ratio_until_ready": round(net[name + _UNTIL_READY] / net[_alone(clients) + _UNTIL_READY], 3),
        "ours_ms": round(ours),
        "clients_only_ms": round(alone),
        "clients": list(clients),
        "peers": {peer.name: round(net[peer.name] / ours, 2) for peer in PEERS if peer.name in net},
    }


def _alone(clients: tuple[str, ...]) -> str:
    return f"boto3 with {', '.join(clients)}"


def _function(use_case: str) -> str:
    return (
        "from app import handler\n"
        "from modelgate import runtime\n"
        "here = runtime.current()\n"
        f"here.journal, here.{use_case}\n"
    )


def _clients(services: tuple[str, ...]) -> str:
    return f"import boto3\nfor service in {services!r}: boto3.client(service)\n"


def _read_only(*path: Path) -> dict[str, str]:
    return {**environment(*path), "PYTHONDONTWRITEBYTECODE": "1"}


def _files(folder: Path) -> set[tuple[str, int]]:
    return {(str(file), file.stat().st_size) for file in folder.rglob("*") if file.is_file()}


def _plain_boto3(python: Path) -> Path:
    """A folder with all that the layer requires, boto3 among it, as it comes, and with byte code."""
    folder = ROOT / "build" / "bench" / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    requirements = str(ROOT / "layers" / "core" / "requirements.txt")
    exactly = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--compile-bytecode")
    into = ("--python", str(python), "--target", str(folder))
    command = [str(build.uv()), "pip", "install", "--quiet", *exactly, *into, "-r", requirements]
    subprocess.run(command, check=True)
    return folder
