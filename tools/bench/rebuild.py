"""How long the second build of a changed source takes beside one from nothing, on the local cloud.

The example container is uploaded twice, as `modelgate build` packs it. The first time every layer is new,
because the Dockerfile has a label that no build had before; the second time one line of its code differs.
What is timed is all of it: from the upload of the zip to the announcement of the image.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path

from bench import ROOT
from localcloud import LocalCloud
from localcloud.engine import Engine, NoEngineError
from modelgate_cli.source_archive import pack_source

EXAMPLE = ROOT / "examples" / "decision_trees"
_LIMIT_SECONDS = 600.0


def measure() -> dict[str, float | str]:
    """The seconds of both builds, and their ratio; why there are none on a machine without an engine."""
    engine = Engine()
    try:
        engine.client.ping()
    except NoEngineError as error:
        return {"not_measured": str(error)}
    finally:
        engine.close()
    with tempfile.TemporaryDirectory() as temporary, LocalCloud(ROOT / "template.yaml") as cloud:
        folder = Path(temporary, "source")
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build"))
        dockerfile = folder / "Dockerfile"
        lines = dockerfile.read_text().splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith("FROM "))
        lines.insert(first + 1, f"LABEL measured={uuid.uuid4()}")
        dockerfile.write_text("\n".join(lines) + "\n")
        sys.stderr.write("rebuild: builds an image from nothing, which may take a minute\n")
        uncached = _built(cloud, folder)
        with (folder / "decision_trees" / "predictor.py").open("a") as code:
            code.write("# one line more\n")
        cached = _built(cloud, folder)
    return {
        "seconds": round(cached, 2),
        "seconds_uncached": round(uncached, 2),
        "ratio_to_uncached": round(cached / uncached, 3),
    }


def _built(cloud: LocalCloud, folder: Path) -> float:
    source = io.BytesIO()
    pack_source(folder, source)
    before = len(cloud.events_seen)
    began = time.perf_counter()
    cloud.client("s3").put_object(
        Bucket=cloud.outputs["Bucket"], Key="sources/trees/source.zip", Body=source.getvalue()
    )
    cloud.settle(_LIMIT_SECONDS)
    took = time.perf_counter() - began
    news = [event["detail-type"] for event in cloud.events_seen[before:] if event["source"] == "modelgate"]
    if news != ["Image Published"]:
        raise RuntimeError(f"the build came to {news}")
    return took
