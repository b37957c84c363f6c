"""Zips of sources, as tests need them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

DOCKERFILE = "FROM public.ecr.aws/docker/library/python:3.13-slim\nCOPY . /app\n"
_RUNS = 0o755
_IS_FILE = 0o100000


def zipped(
    files: Mapping[str, str | bytes],
    *,
    runs: tuple[str, ...] = (),
    date: tuple[int, int, int, int, int, int] = (1980, 1, 1, 0, 0, 0),
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """A zip of files, some of which may be run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = compression
            entry.external_attr = (_IS_FILE | (_RUNS if name in runs else 0o644)) << 16
            archive.writestr(entry, content)
    return out.getvalue()


def source(**files: str) -> bytes:
    """A source that can be built, with more files in it."""
    return zipped({"Dockerfile": DOCKERFILE, **files})
