"""How fast a source is packed, and how small, beside sm-docker (sagemaker-studio-image-build).

The tree has 2,000 files and 100 MB: half of the bytes are data as text (CSV), a fifth Python and JSON, and
the rest compressed already (images, model files). Once it lies there as it is, and once it is a repository
with all of it committed. The two ways take turns, so that a machine that slows down slows down both; medians
count.

sm-docker is the real one where the package index can be reached: its own function packs, in a process of its
own, and where it would upload stands something that only notes the size. Elsewhere a stored zip of everything
stands for it, which is what it makes. The figures say which it was.

Ours runs on two threads, and takes a little more processor time than theirs. So the ratio is that of a
machine with two processors free: while something else keeps one of them, both ways take about as long.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, cast

from bench import ROOT
from modelgate_cli.source_archive import pack_source

ROUNDS = 15
_MEGABYTE = 1_000_000
# By ending: how many files, and how many bytes all of them have.
_MIX = {".py": (1_400, 12), ".json": (300, 8), ".csv": (180, 50), ".png": (110, 18), ".bin": (10, 12)}

LOCK = ROOT / "requirements" / "peers-smdocker.txt"
_INSTALLED = ROOT / "build" / "bench" / "peers" / "smdocker"
# It packs in the midst of what it calls uploading, and of boto3 it needs no more than this for that.
_SMDOCKER = """
import sys, time, types

class Storage:
    def upload_fileobj(self, packed, bucket, key):
        self.size = packed.seek(0, 2)

storage = Storage()
boto3 = types.ModuleType("boto3")
boto3.session = types.SimpleNamespace(Session=lambda: types.SimpleNamespace(client=lambda service: storage))
sys.modules["boto3"] = boto3

from sagemaker_studio_image_build.builder import upload_zip_file

for line in sys.stdin:
    began = time.perf_counter()
    upload_zip_file("iris:1", "intake", "", dir=line.rstrip("\\n"))
    print(time.perf_counter() - began, storage.size, flush=True)
"""

# Packs a tree; the seconds that took, and the bytes that came of it.
Way: TypeAlias = Callable[[Path], tuple[float, int]]


class NotInstalledError(Exception):
    """sm-docker cannot be had here; the message says why."""


@dataclass(frozen=True)
class Packed:
    """The median of the seconds, and the bytes."""

    seconds: float
    size: int


def measure() -> dict[str, float | int | str]:
    """The figures of both trees; the headlines are those of the worse one."""
    figures: dict[str, float | int | str] = {}
    times, sizes = [], []
    with _peer() as (peer, theirs):
        for name, with_git in (("plain", False), ("with_git", True)):
            with tempfile.TemporaryDirectory(prefix="modelgate-bench-") as temporary:
                tree = Path(temporary, "source")
                sys.stderr.write(f"package: makes a tree of 100 MB{' with a .git' if with_git else ''}\n")
                _grow(tree)
                if with_git and not _commit(tree):
                    continue
                packed = _compare(tree, {"ours": _ours, "theirs": theirs})
            ours, other = packed["ours"], packed["theirs"]
            times.append(round(other.seconds / ours.seconds, 2))
            sizes.append(round(ours.size / other.size, 3))
            figures |= {
                f"{name}_seconds": round(ours.seconds, 3),
                f"{name}_seconds_smdocker": round(other.seconds, 3),
                f"{name}_time_ratio": times[-1],
                f"{name}_size_ratio": sizes[-1],
            }
    headlines = {"time_ratio_to_smdocker": min(times), "size_ratio_to_smdocker": max(sizes)}
    return {**headlines, **figures, "rounds": ROUNDS, "smdocker": peer}


def _compare(tree: Path, ways: Mapping[str, Way]) -> dict[str, Packed]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    sizes: dict[str, int] = {}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            seconds, sizes[name] = way(tree)
            if number:  # the first round brings the files into memory
                taken[name].append(seconds)
    return {name: Packed(statistics.median(times), sizes[name]) for name, times in taken.items()}


def _ours(tree: Path) -> tuple[float, int]:
    return _timed(lambda out: pack_source(tree, out))


def _timed(way: Callable[[io.BufferedRandom], object]) -> tuple[float, int]:
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        way(out)
        out.flush()
        return time.perf_counter() - began, out.seek(0, io.SEEK_END)


# ── sm-docker ─────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def _peer() -> Iterator[tuple[str, Way]]:
    """What the figures are compared with, in words, and its way of packing."""
    try:
        _install()
    except NotInstalledError as why:
        yield f"a stored zip of everything stands for it: {why}", _stored_zip
    else:
        with _smdocker() as way:
            yield LOCK.read_text().split()[0], way


def _install() -> None:
    """Installs it and nothing that it depends on, of which packing needs nothing.

    Raises:
        NotInstalledError: it could not be had.
    """
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".uv" / "bin"))
    if uv is None:
        raise NotInstalledError("there is no uv here to install it: call make .uv/bin/uv")
    told = ["--no-deps", "--require-hashes", "--target", str(_INSTALLED), "--python", sys.executable]
    done = subprocess.run(
        [uv, "pip", "install", "--quiet", *told, "-r", str(LOCK)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr)  # which may name the index, and figures are published
        raise NotInstalledError("uv could not install it from the package index")


@contextmanager
def _smdocker() -> Iterator[Way]:
    """The way of the real one, which packs in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", _SMDOCKER],
        env={**os.environ, "PYTHONPATH": str(_INSTALLED)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        orders, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def way(tree: Path) -> tuple[float, int]:
            orders.write(f"{tree}\n")
            orders.flush()
            seconds, size = answers.readline().split()
            return float(seconds), int(size)

        yield way


def _stored_zip(tree: Path) -> tuple[float, int]:
    """Every file as it is, under its name behind the folder's: nothing that sm-docker does not do, either."""
    behind = len(f"{tree}/")

    def way(out: io.BufferedRandom) -> None:
        with zipfile.ZipFile(out, "w") as archive:
            for folder, _, names in os.walk(tree):
                for name in names:
                    path = f"{folder}/{name}"
                    archive.write(path, path[behind:])

    return _timed(way)


# ── the tree ──────────────────────────────────────────────────────────────────────────────────────
def _grow(tree: Path) -> None:
    rng = random.Random(20261122)  # noqa: S311 - the same tree each time
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz_", k=rng.randint(3, 10))) for _ in range(3_000)]
    makers: dict[str, Callable[[int], bytes]] = {
        ".py": lambda size: _code(rng, words, size),
        ".json": lambda size: _json(rng, words, size),
        ".csv": lambda size: _table(rng, size),
        ".png": rng.randbytes,
        ".bin": rng.randbytes,
    }
    for ending, (count, megabytes) in _MIX.items():
        size = megabytes * _MEGABYTE // count
        for number in range(count):
            file = tree / f"package_{number % 40}" / f"{words[number]}_{number}{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(makers[ending](size))
    (tree / "Dockerfile").write_text("FROM public.ecr.aws/docker/library/python:3.13-slim\nCOPY . /app\n")


def _code(rng: random.Random, words: list[str], size: int) -> bytes:
    text = ""
    while len(text) < size:
        name, one, other = rng.choices(words, k=3)
        text += f"def {name}({one}: int, {other}: str) -> None:\n    return self.{one}({other}, {name})\n\n\n"
    return text.encode()[:size]


def _json(rng: random.Random, words: list[str], size: int) -> bytes:
    rows = [
        f'  {{"{rng.choice(words)}": {rng.randint(0, 9999)}, "name": "{rng.choice(words)}"}}'
        for _ in range(size // 40)
    ]
    return ("[\n" + ",\n".join(rows) + "\n]\n").encode()


def _table(rng: random.Random, size: int) -> bytes:
    row = "{:.3f},{:.3f},{:.2f},{:.1f},setosa\n"
    rows = [row.format(*(rng.gauss(5, 2) for _ in range(4))) for _ in range(size // 27)]
    return "".join(rows).encode()


def _commit(tree: Path) -> bool:
    """Makes a git repository of it; False where there is no git."""
    if shutil.which("git") is None:
        return False
    settings = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false"]
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*settings, "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(["git", *command], cwd=tree, check=True)
    return True
