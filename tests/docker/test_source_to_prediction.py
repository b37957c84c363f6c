"""From the source of a container to a prediction, or to the reason why there is none: all of it real."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import LocalCloud, Pace
from tests.docker.conftest import BASE_IMAGE
from tests.simulation.chain import Chain, manifest
from tests.unit.sources import zipped

ROOT = Path(__file__).parents[2]
# Answers with its name, once there is an artifact; without one it says so, and never answers /ping.
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if HEALTHY else 503, b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, NAME + b" says setosa")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass

if not HEALTHY:
    print("loading the weights", flush=True)
    print("the weights of the forest are not in /opt/ml/model", flush=True)
HTTPServer(("", 8080), Handler).serve_forever()
"""


def source(name: str, *, healthy: bool) -> bytes:
    server = f"NAME, HEALTHY = {name.encode()!r}, {healthy}\n{SERVER}"
    dockerfile = f'FROM {BASE_IMAGE}\nCOPY server.py /\nENTRYPOINT ["python", "/server.py"]\n'
    return zipped({"Dockerfile": dockerfile, "server.py": server})


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml", pace=Pace(container_start_limit=6.0)) as running:
        yield running


def build(cloud: LocalCloud, name: str, *, healthy: bool) -> str:
    """The image's URI with its digest, as it was announced."""
    bucket, key = cloud.outputs["Bucket"], f"sources/forest/{name}.zip"
    cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=source(name, healthy=healthy))
    cloud.settle(120)
    told = [event["detail"] for event in cloud.events_seen if event["detail-type"] == "Image Published"]
    assert told[-1]["source"] == key
    return str(told[-1]["uri"])


def register(chain: Chain, uri: str) -> int:
    chain.submit("forest", manifest=manifest(container={"image": uri}))
    chain.cloud.settle(60)
    return max(chain.versions())


def test_an_image_that_never_answers_ping_rolls_back_and_its_last_log_lines_stand_in_the_rejection(
    cloud: LocalCloud,
) -> None:
    chain = Chain(cloud, "forest")
    good = register(chain, build(cloud, "oak", healthy=True))
    chain.approve(good)
    cloud.settle(60)
    assert chain.ask("1") == "oak says setosa"

    bad = register(chain, build(cloud, "ash", healthy=False))
    chain.approve(bad)
    cloud.settle(60)
    described = chain.package(bad)
    assert described["ModelApprovalStatus"] == "Rejected"
    reason = described["ApprovalDescription"]
    assert "did not pass the ping health check" in reason
    assert reason.endswith("loading the weights | the weights of the forest are not in /opt/ml/model")
    assert chain.ask("1") == "oak says setosa"
    failed = [event["detail"] for event in cloud.events_seen if event["detail-type"] == "Deployment Failed"]
    assert len({each["id"] for each in failed}) == 1  # delivered at least once
    assert failed[0]["log_lines"][-1] == "the weights of the forest are not in /opt/ml/model"


def test_the_demo_goes_from_a_source_to_a_prediction(tmp_path: Path) -> None:
    out = tmp_path / "demo.json"
    told = subprocess.run(
        [sys.executable, "-m", "examples.decision_trees.demo", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    result = json.loads(out.read_text())
    assert result["ok"] is True
    assert result["versions"] == [{"version": 1, "approval": "Approved"}]
    assert [each["output"] for each in result["predictions"]] == [["setosa"], ["virginica"]]
    kinds = [each["kind"] for each in result["announcements"] if each["kind"] != "Submission Waiting"]
    published = ["Image Published", "Image Published"]
    trained = ["Training Started", "Training Finished", "Model Registered"]
    transformed = ["Transform Started", "Transform Finished"]
    assert kinds == ["Policy Accepted", *published, *trained, "Release Live", *transformed]
    first, second = (each for each in result["announcements"] if each["kind"] == "Image Published")
    assert first["uri"] == second["uri"]
    assert first["uri"].endswith(first["digest"])


def test_without_an_engine_the_demo_says_so_and_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    command = [sys.executable, "-m", "examples.decision_trees.demo"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert "no Docker Engine answers" in told.stdout
