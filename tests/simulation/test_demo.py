"""The demo, as `make demo` runs it: what it tells was read back from the running system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    out = tmp_path / "demo.json"
    told = subprocess.run(
        [sys.executable, "-m", "examples.iris.demo", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "\x1b" not in told.stdout  # piped, it is plain
    assert told.stderr == ""

    result = json.loads(out.read_text())
    assert result["ok"] is True
    assert result["endpoint"] == "iris"
    assert 0 < result["seconds"] < 100
    assert result["versions"] == [
        {"version": 1, "approval": "Approved"},
        {"version": 2, "approval": "Rejected"},
    ]
    predictions = result["predictions"]
    assert {tuple(each["output"]) for each in predictions} == {("setosa",), ("versicolor",), ("virginica",)}
    assert [each["version"] for each in predictions] == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1]
    assert [each["endpoint_status"] for each in predictions].count("Updating") == 1

    announced = [each for each in result["announcements"] if each["kind"] != "Submission Waiting"]
    assert [(each["kind"], each.get("version")) for each in announced] == [
        ("Policy Accepted", None),
        ("Training Started", None),
        ("Training Finished", None),
        ("Model Registered", 1),
        ("Release Live", 1),
        ("Training Started", None),
        ("Training Finished", None),
        ("Model Registered", 2),
        ("Submission Refused", 2),
        ("Release Live", 2),
        ("Transform Started", 2),
        ("Transform Finished", 2),
        ("Submission Refused", None),
        ("Release Live", 1),
    ]
    refused = next(each for each in announced if each.get("submission") == "depth-1")
    assert len(refused["reasons"]) == 2
    assert all("accuracy" in reason for reason in refused["reasons"])
    pages = sorted(page.name for page in (tmp_path / "reports").iterdir())
    assert pages == ["iris-depth-1.html", "iris-depth-2.html", "iris-depth-4.html"]
