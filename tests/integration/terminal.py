"""The command at a terminal, and a local cloud beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from typer.testing import CliRunner, Result

from modelgate_cli.main import app
from tests.simulation.chain import SCRIPT as ANSWERS

ROOT = Path(__file__).parents[2]
# In a process of its own: the command's output and that of the functions must not meet.
CLOUD = """
import json, sys
from pathlib import Path
from localcloud import LocalCloud
with LocalCloud(Path("template.yaml")) as cloud:
    faults = cloud.faults
    wishes = {
        "approvals fail": lambda: faults.throttle("dynamodb:GetItem", times=1000, function="ApprovalChanged"),
        "a policy is lost": lambda: faults.refuse_delivery(
            lambda delivery: delivery.function == "PolicyUploaded", "NO_PERMISSIONS"
        ),
        "all is well": faults.clear,
        "all is quiet": cloud.settle,
    }
    print(json.dumps({"environment": cloud.environment(), **cloud.outputs}), flush=True)
    for wish in sys.stdin:
        wishes[wish.strip()]()
        print("granted", flush=True)
"""
# Answers like the others, but to a stone.
SCRIPT = ANSWERS.replace(
    '    return f"{model}',
    "    if 'stone' in data:\n        raise ValueError('a stone is no flower')\n    return f\"{model}",
)
POLICY = "gate: {metrics: [{name: accuracy, goal: maximize, at_least: 0.9, champion_tolerance: 0.05}]}"


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.communicate("", timeout=20)


@contextmanager
def cloud_beside(program: str = CLOUD) -> Iterator[Mapping[str, Any]]:
    """A local cloud in a process of its own: its environment, its outputs, and ``wish``."""
    with process(sys.executable, "-c", program) as running:
        out, into = running.stdout, running.stdin
        assert out is not None
        assert into is not None
        told: dict[str, Any] = json.loads(out.readline())

        def wish(that: str) -> None:
            into.write(f"{that}\n")
            into.flush()
            assert out.readline() == "granted\n"

        yield told | {"wish": wish}


class Terminal:
    """Somebody who works with the command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, *words: str, given: str = "") -> Result:
        return CliRunner().invoke(app, words, input=given)

    def json(self, *words: str, code: int = 0) -> Any:
        """The one document on stdout."""
        result = self.run(*words, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def pack(self, name: str, *more: str, accuracy: float = 0.95) -> str:
        """Packs a model that answers with its name."""
        folder = self._folder / name
        folder.mkdir()
        model, script = folder / "name.txt", folder / "inference.py"
        model.write_text(name)
        script.write_text(SCRIPT)
        out = str(folder / "submission")
        made = self.json(
            *("pack", str(model), "--framework", "sklearn", "--version", "1.9-0", "--script", str(script)),
            *("--metric", f"accuracy={accuracy}", "--smoke-test", "5.1,3.5", "--out", out, *more),
        )
        assert made["files"] == ["code/inference.py", "name.txt"]
        return out


def client(cloud: Mapping[str, Any], service: str) -> Any:
    session: Any = boto3
    return session.client(service, endpoint_url=cloud["environment"]["AWS_ENDPOINT_URL"])


def policy(cloud: Mapping[str, Any], group: str, text: str = POLICY) -> None:
    client(cloud, "s3").put_object(Bucket=cloud["Bucket"], Key=f"policies/{group}.yaml", Body=text.encode())
