"""Whatever an artifact holds, nothing of it lands outside its container, on any Python."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from localcloud.serving import _refuse_what_leaves


def tar_with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarFile:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        tar.addfile(member)
    packed.seek(0)
    return tarfile.open(fileobj=packed)


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../out", tarfile.REGTYPE, ""),
        ("/etc/out", tarfile.REGTYPE, ""),
        ("code/../../out", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "../out"),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("link", tarfile.LNKTYPE, "../out"),
        ("null", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_what_would_leave_the_folder_is_refused(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    with tar_with(name, kind, link) as tar, pytest.raises(tarfile.TarError, match="does not stay inside"):
        _refuse_what_leaves(tar, tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [("model.bin", tarfile.REGTYPE, ""), ("code/link", tarfile.SYMTYPE, "../model.bin")],
)
def test_what_stays_inside_is_unpacked(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    with tar_with(name, kind, link) as tar:
        _refuse_what_leaves(tar, tmp_path)
