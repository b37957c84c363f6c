"""How fast a model.tar.gz is inspected, beside ``tar -tzf`` and ``igzip -t``.

The artifact is 1 GB of float32 weights, normally distributed, which gzip takes to 93 % of that; random bytes
would be stored and not compressed, and a measurement on them would mean nothing. Ours is read through the
real adapter for S3 and an unmodified client, from a server on this machine; the other two read the file. All
three take turns, and the medians count.

The time is that of the inspection itself, from opening the object to the verdict, in a fresh process; the
memory is the peak of that whole process, interpreter and client included.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, cast

from bench import ROOT
from bench.interpreters import environment

ROUNDS = 5
WEIGHTS = 2**28  # of four bytes each
AT_ONCE = 2**22
SEED = 20261122
SCRIPT = b"def model_fn(model_dir):\n    return model_dir\n"

PROGRAM = """
import pathlib, sys, time
from modelgate.artifacts.inspection import inspect
from modelgate.aws.s3 import S3Bucket
from modelgate.aws.session import of_this_process
from modelgate.ports import ObjectVersion

bucket = S3Bucket(of_this_process().client("s3", endpoint_url=sys.argv[1]), "intake")
began = time.perf_counter()
stream = bucket.open(ObjectVersion("model.tar.gz", "1", int(sys.argv[2])))
artifact = inspect(stream)
seconds = time.perf_counter() - began
assert artifact.files() == ("weights.bin",)
# Linux's own count; that of getrusage begins with what the process had before its program was started.
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(seconds, status["VmHWM"].split()[0])
"""


OTHERS = {"tar": ("tar", "-tzf"), "igzip": ("igzip", "-t")}
_FROM = {"igzip": "igzip, which is in the package isal (apt-get install isal)"}


def lacking() -> list[str]:
    """The programs that are not here to be compared with, and where they come from."""
    return [_FROM.get(name, name) for name in OTHERS if not shutil.which(name)]


@dataclass(frozen=True)
class Inspection:
    """Medians over the rounds.

    Attributes:
        mb_per_s: compressed megabytes of a million bytes.
        ratio_to_tar_tzf, ratio_to_igzip: how many times as fast as they are; None without that program.
        peak_mb: of the whole process, in megabytes of 2²⁰ bytes.
    """

    mb_per_s: float
    ratio_to_tar_tzf: float | None
    ratio_to_igzip: float | None
    peak_mb: float


def measure() -> dict[str, float | list[str] | None]:
    """The figures, and which of the other programs are not here."""
    told = inspected(environment(ROOT, ROOT / "layers" / "core"))
    return asdict(told) | {"lacking": lacking()}


def inspected(variables: Mapping[str, str], rounds: int = ROUNDS) -> Inspection:
    """Measures inspection; makes the artifact if there is none yet.

    Args:
        variables: the environment of the process that inspects.
    """
    artifact = _artifact(ROOT / "build" / "bench" / "model.tar.gz")
    size = artifact.stat().st_size
    others = {name: [*command, str(artifact)] for name, command in OTHERS.items() if shutil.which(name)}
    taken: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
    peaks = []
    with _served(artifact) as address:
        # The first round only brings the file and the byte code into memory.
        for _ in range(rounds + 1):
            for name, command in others.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                taken[name].append(time.perf_counter() - began)
            ours = subprocess.run(
                [sys.executable, "-c", PROGRAM, address, str(size)],
                env=dict(variables),
                check=True,
                capture_output=True,
                text=True,
            )
            seconds, peak = ours.stdout.split()
            taken["ours"].append(float(seconds))
            peaks.append(int(peak) / 1024)
    median = {name: statistics.median(times[1:]) for name, times in taken.items()}
    ratio = {name: round(median[name] / median["ours"], 2) for name in others}
    return Inspection(
        mb_per_s=round(size / 1e6 / median["ours"], 1),
        ratio_to_tar_tzf=ratio.get("tar"),
        ratio_to_igzip=ratio.get("igzip"),
        peak_mb=round(max(peaks[1:]), 1),
    )


def _artifact(file: Path) -> Path:
    """The artifact, made once: it takes half a minute."""
    if not file.exists():
        import numpy as np

        sys.stderr.write("inspect: makes an artifact of 1 GB, which takes half a minute\n")

        file.parent.mkdir(parents=True, exist_ok=True)
        parts = file.with_name("weights.bin"), file.with_name("inference.py"), file.with_name("model.tar")
        weights, script, archive = parts
        random = np.random.default_rng(SEED)
        with weights.open("wb") as stream:
            for _ in range(WEIGHTS // AT_ONCE):
                stream.write(random.standard_normal(AT_ONCE, dtype=np.float32).tobytes())
        script.write_bytes(SCRIPT)
        with tarfile.open(archive, "w") as tar:
            tar.add(script, "code/inference.py")
            tar.add(weights, "weights.bin")
        subprocess.run(["gzip", "-6", "--no-name", "--force", str(archive)], check=True)
        weights.unlink()
        script.unlink()
        archive.with_name("model.tar.gz").replace(file)
    return file


@contextmanager
def _served(file: Path) -> Iterator[str]:
    """The address of a server with the file, which is a process of its own."""
    command = [sys.executable, "-m", "bench.inspection", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield cast("IO[str]", server.stdout).readline().strip()
        finally:
            server.terminate()


def _serve(file: Path) -> None:
    """Answers every GET with the file, or with the range that is asked for, as S3 would."""
    size = file.stat().st_size

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), int(asked[2] or size - 1)) if asked else (0, size - 1)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(last + 1 - first))
            self.send_header("ETag", '"1"')
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            with file.open("rb") as content:
                self.connection.sendfile(content, first, last + 1 - first)

        def log_message(self, *_: object) -> None:
            """Standard output is for the address."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
