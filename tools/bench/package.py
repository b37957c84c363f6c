"""How fast a source is packed, and how small, beside a stored zip of everything as sm-docker makes it.

The tree has 2,000 files and 100 MB: half of the bytes are data as text (CSV), a fifth Python and JSON, and
the rest compressed already (images, model files). Once it lies there as it is, and once it is a repository
with all of it committed. The two ways take turns, so that a machine that slows down slows down both; medians
count.

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
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from modelgate_cli.source_archive import pack_source

ROUNDS = 15
_MEGABYTE = 1_000_000
# By ending: how many files, and how many bytes all of them have.
_MIX = {".py": (1_400, 12), ".json": (300, 8), ".csv": (180, 50), ".png": (110, 18), ".bin": (10, 12)}


def measure() -> dict[str, float | int]:
    """The figures of both trees; the headlines are those of the worse one."""
    figures: dict[str, float | int] = {}
    for name, with_git in (("plain", False), ("with_git", True)):
        with tempfile.TemporaryDirectory(prefix="modelgate-bench-") as temporary:
            tree = Path(temporary, "source")
            _grow(tree)
            if with_git and not _commit(tree):
                continue
            ours, theirs, our_size, their_size = _compare(tree)
        figures |= {
            f"{name}_seconds": round(ours, 3),
            f"{name}_seconds_smdocker": round(theirs, 3),
            f"{name}_time_ratio": round(theirs / ours, 2),
            f"{name}_size_ratio": round(our_size / their_size, 3),
        }
    times = [value for key, value in figures.items() if key.endswith("_time_ratio")]
    sizes = [value for key, value in figures.items() if key.endswith("_size_ratio")]
    headlines = {"time_ratio_to_smdocker": min(times), "size_ratio_to_smdocker": max(sizes)}
    return {**headlines, **figures, "rounds": ROUNDS}


def _compare(tree: Path) -> tuple[float, float, int, int]:
    """The median seconds of each, and the bytes that each makes."""

    def ours(out: io.BufferedRandom) -> object:
        return pack_source(tree, out)

    def theirs(out: io.BufferedRandom) -> None:
        _stored_zip(tree, out)

    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    sizes: dict[str, int] = {}
    for number in range(ROUNDS + 1):
        for name, way in (("ours", ours), ("theirs", theirs)):
            seconds, sizes[name] = _timed(way)
            if number:  # the first round brings the files into memory
                taken[name].append(seconds)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return medians["ours"], medians["theirs"], sizes["ours"], sizes["theirs"]


def _timed(way: Callable[[io.BufferedRandom], object]) -> tuple[float, int]:
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        way(out)
        out.flush()
        return time.perf_counter() - began, out.seek(0, io.SEEK_END)


def _stored_zip(tree: Path, out: io.BufferedRandom) -> None:
    """Every file as it is, under its name behind the folder's: nothing that sm-docker does not do, either."""
    behind = len(f"{tree}/")
    with zipfile.ZipFile(out, "w") as archive:
        for folder, _, names in os.walk(tree):
            for name in names:
                path = f"{folder}/{name}"
                archive.write(path, path[behind:])


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
