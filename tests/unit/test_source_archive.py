"""Packing a source: what is in it, what is not, and the same bytes each time."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelgate.builds.source import examine
from modelgate.errors import Refused
from modelgate_cli import source_archive
from modelgate_cli.dockerignore import Ignored
from modelgate_cli.source_archive import pack_source
from tests.unit.sources import DOCKERFILE

_name = st.text(st.sampled_from("abcDE1_-. é"), min_size=1, max_size=6).filter(lambda name: name.strip(" ."))
_paths = st.lists(_name, min_size=1, max_size=3).map("/".join)


def grow(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def packed(folder: Path, options: bytes | None = None) -> bytes:
    out = io.BytesIO()
    pack_source(folder, out, options=options)
    return out.getvalue()


def content_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(_paths, st.binary(max_size=300), max_size=6), seed=st.integers(0, 1000))
def test_what_is_packed_is_what_is_there_in_the_same_bytes_each_time(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], seed: int
) -> None:
    folders = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
    files = {name: content for name, content in files.items() if name not in folders}
    first = grow(tmp_path_factory.mktemp("first"), dict(files))
    names = random.Random(seed).sample(sorted(files), len(files))
    second = grow(tmp_path_factory.mktemp("second"), {name: files[name] for name in names})
    for file in second.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert content_of(packed(first)) == files
    assert packed(first) == packed(second)


def test_large_and_incompressible_files_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_archive, "_PIECE", 100_000)
    files: dict[str, str | bytes] = {
        "text": b"all work and no play " * 20_000,
        "noise": random.Random(1).randbytes(150_000),
        "half": random.Random(2).randbytes(70_000),
        "turns": random.Random(3).randbytes(100_000) + b"all work and no play " * 5_000 + b"end",
        "two pieces": b"y" * 200_000,
        "tiny": random.Random(4).randbytes(1_000),
        "empty": b"",
        "zeros": bytes(99_000),
    }
    content = packed(grow(tmp_path, files))
    assert content_of(content) == files
    # Noise gets no larger, and all else hardly counts.
    assert len(content) < 150_000 + 70_000 + 100_000 + 15_000
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        stored = {entry.filename for entry in archive.infolist() if entry.compress_type == zipfile.ZIP_STORED}
    assert stored == {"half", "tiny", "empty"}
    if unzip := shutil.which("unzip"):
        (tmp_path / "source.zip").write_bytes(content)
        subprocess.run([unzip, "-tq", tmp_path / "source.zip"], check=True, stdout=subprocess.DEVNULL)


def test_only_who_may_run_a_file_is_kept_of_its_mode(tmp_path: Path) -> None:
    grow(tmp_path, {"run.sh": "echo", "data": ""})
    (tmp_path / "run.sh").chmod(0o700)
    (tmp_path / "data").chmod(0o666)
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path))) as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
        dates = {entry.date_time for entry in archive.infolist()}
    assert modes == {"run.sh": "0o100755", "data": "0o100644"}
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_folders_are_kept_that_nothing_is_in(tmp_path: Path) -> None:
    grow(tmp_path, {".dockerignore": "*.log\nout\n!out/a\n", "logs/a/x.log": "", "logs/b": "", "out/x": ""})
    (tmp_path / "models" / "none").mkdir(parents=True)
    grow(tmp_path, {"logs/a/.dockerignore": "", "data/x.log": ""})
    (tmp_path / "data" / "x.log").rename(tmp_path / "x.log")
    assert set(content_of(packed(tmp_path))) == {
        ".dockerignore",
        "data/",
        "logs/a/.dockerignore",
        "logs/a/x.log",
        "logs/b",
        "models/none/",
    }
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path))) as archive:
        assert oct(archive.getinfo("data/").external_attr) == oct(0o40755 << 16 | 0x10)


def test_the_stack_takes_what_is_packed(tmp_path: Path) -> None:
    grow(tmp_path, {"Dockerfile": DOCKERFILE, "app/a.py": "print()", "größe.txt": "1"})
    (tmp_path / "models").mkdir()
    source = examine(io.BytesIO(packed(tmp_path)), "source")
    assert source.files == 3


def test_options_take_the_place_of_the_folders_own(tmp_path: Path) -> None:
    grow(tmp_path, {"Dockerfile": DOCKERFILE, "build.yaml": "target: a"})
    assert content_of(packed(tmp_path))["build.yaml"] == b"target: a"
    assert content_of(packed(tmp_path, b"target: b"))["build.yaml"] == b"target: b"


def test_git_stays_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    grow(tmp_path, {".git/HEAD": "ref", ".gitignore": "x", "a": ""})
    assert set(content_of(packed(tmp_path))) == {".gitignore", "a"}
    grow(tmp_path, {".dockerignore": "!**/HEAD\n"})
    assert ".git/HEAD" not in content_of(packed(tmp_path))
    grow(tmp_path, {".dockerignore": "!.git\n"})
    assert ".git/HEAD" in content_of(packed(tmp_path))


def test_what_a_build_needs_is_in_it_whatever_is_ignored(tmp_path: Path) -> None:
    grow(tmp_path, {"Dockerfile": DOCKERFILE, "build.yaml": "", ".dockerignore": "*\n", "a/b": ""})
    assert set(content_of(packed(tmp_path))) == {"Dockerfile", "build.yaml", ".dockerignore"}


def test_a_dockerfiles_own_ignore_file_counts_before_the_folders(tmp_path: Path) -> None:
    grow(
        tmp_path,
        {
            "docker/A": DOCKERFILE,
            # As an editor on Windows writes it.
            "docker/A.dockerignore": b"\xef\xbb\xbfx\r\ndocker\r\n",
            "docker/b": "",
            ".dockerignore": "*\n",
            "x": "",
            "y": "",
        },
    )
    out = io.BytesIO()
    pack_source(tmp_path, out, dockerfile="docker/A")
    assert set(content_of(out.getvalue())) == {"docker/A", "docker/A.dockerignore", ".dockerignore", "y"}


# ── .dockerignore ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("lines", "out", "kept"),
    [
        (["a"], ["a", "a/b", "a/b/c"], ["b/a", "ab"]),
        (["/a"], ["a", "a/b"], ["b/a"]),
        (["a/"], ["a", "a/b"], ["b/a"]),
        (["*.py"], ["a.py"], ["b/a.py", "a.pyc"]),
        (["*/*.py"], ["b/a.py"], ["a.py", "c/b/a.py"]),
        (["**/*.py"], ["a.py", "c/b/a.py"], ["a.pyc"]),
        (["**/node_modules"], ["node_modules/x", "a/node_modules/x"], ["a/node_module"]),
        (["a/**"], ["a/b", "a/b/c"], ["a", "b/a"]),
        (["a/**/z"], ["a/z", "a/b/z", "a/b/c/z/y"], ["a/b", "z"]),
        (["a?c"], ["abc"], ["ac", "a/c"]),
        (["[ab]"], ["a", "b/x"], ["c", "[ab]"]),
        (["[^a]"], ["b", "c"], ["a"]),
        (["*", "!a"], ["b", "b/a"], ["a", "a/b"]),
        (["a", "!a/b", "a/b/c"], ["a/x", "a/b/c"], ["a/b/d"]),
        (["!a", "a"], ["a"], []),
        (["# a", "", "  b  "], ["b"], ["a", "# a"]),
        (["./a", "b//c", "d/../e"], ["a", "b/c", "e"], ["d"]),
        (["a.b", "c+d", "(e)"], ["a.b", "c+d", "(e)"], ["axb", "ccd", "e"]),
        ([r"\*a"], ["*a"], ["ba"]),
        ([], [".git/HEAD"], ["a/.git/HEAD", ".gitignore"]),
        (["**a"], ["a", "ba", "b/ca"], ["ab"]),
        (["**.py"], ["a.py", "b/c.py"], ["apy"]),
        (["a**"], ["a", "ab", "ab/c", "a/b"], ["b/a"]),
        (["a**b"], ["ab", "a/b", "axx/yy/b"], ["axb"]),
        (["a/b", "!a"], ["a/b"], ["a/c"]),
        (["a", "!a/b"], ["a", "a/c"], ["a/b", "a/b/c"]),
        (["*", "!**/*.py"], ["a", "b/c"], ["a.py", "b/c.py"]),
        (["*", "!a/*/c"], ["a/b/d"], ["a/b/c", "a/b/c/d"]),
        (["a[/]b", r"c\/d"], ["a/b", "c/d"], ["c", "a"]),
        ([r"[\]x]", r"[a\-c]d"], ["]", "x", "-d", "cd"], ["bd"]),
        (["[[]x"], ["[x"], ["x"]),
        ([r"\data"], [], ["data"]),
        (["a ", "\tb\r", "! a"], ["b"], ["a"]),
        ([" #a", r"\!b", "!!c"], ["#a", "!b"], ["!c"]),
        ([".", "/", "..", "../a"], [], ["a", "b/c"]),
        (["A"], ["A"], ["a"]),
        (["?"], ["ß", "ß/a"], ["ab"]),
    ],
)
def test_the_last_line_that_matches_decides(lines: list[str], out: list[str], kept: list[str]) -> None:
    ignored = Ignored(lines)
    assert {path: ignored.leaves_out(path) for path in [*out, *kept]} == {
        **dict.fromkeys(out, True),
        **dict.fromkeys(kept, False),
    }


@pytest.mark.parametrize(
    ("lines", "folder", "may"),
    [
        (["a"], "a", False),
        (["a", "!a/b"], "a", True),
        (["a", "!a/b"], "a/b", True),
        (["a", "!a/b"], "c", False),
        (["a", "!*/b"], "a", True),
        (["a", "!**/b"], "a/x/y", True),
        (["*", "!src/**"], ".git", False),
        (["*", "!**/*.py"], ".git", False),
        (["!a/b", "a"], "a", False),
        (["*", "!a[/]b"], "a", True),
        (["*", r"!a\/b"], "a", True),
    ],
)
def test_folders_that_nothing_comes_back_from_are_not_entered(
    lines: list[str], folder: str, may: bool
) -> None:
    assert Ignored(lines).may_bring_back(folder) == may


def test_lines_that_are_no_patterns_are_told_with_their_numbers() -> None:
    lines = ["fine", "[a", "!", "[b-a]", "[a-]", "[]a]", "a\\", "! /"]
    with pytest.raises(Refused) as refused:
        Ignored(lines)
    assert [problem.where for problem in refused.value.problems] == [
        f".dockerignore: line {number}" for number in range(2, len(lines) + 1)
    ]


# ── what cannot be packed ─────────────────────────────────────────────────────────────────────────
def test_links_within_the_folder_become_what_they_point_to_and_others_are_refused(tmp_path: Path) -> None:
    folder = grow(tmp_path / "source", {"a": "x", "sub/b": ""})
    (folder / "link").symlink_to("a")
    assert content_of(packed(folder))["link"] == b"x"
    (folder / "link").unlink()
    (tmp_path / "secret").write_text("s")
    (folder / "out").symlink_to("../secret")
    with pytest.raises(Refused, match=r"out: is a link to \.\./secret, which is not in the folder"):
        packed(folder)
    (folder / "out").unlink()
    (folder / "sub2").symlink_to("sub")
    with pytest.raises(Refused, match="sub2: is a link to a folder"):
        packed(folder)


def test_all_that_cannot_be_packed_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(2**32)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("")
    with pytest.raises(Refused) as refused:
        packed(tmp_path)
    assert {(problem.where, problem.found) for problem in refused.value.problems} == {
        ("pipe", "is neither a file nor a folder"),
        ("gone", "is a link to nowhere, which is not in the folder"),
        ("loop", "is a link to loop, which is not in the folder"),
        ("huge", "has 4.0 GB, and a file of a source has less than 4 GB"),
        ("?", "has a name that is not UTF-8"),
    }
    grow(tmp_path, {".dockerignore": "*\n"})
    assert set(content_of(packed(tmp_path))) == {".dockerignore"}


def test_a_file_that_changes_while_it_is_packed_is_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_archive, "_WAITING", 0)
    monkeypatch.setattr(source_archive, "_PORTION_FILES", 1)
    grow(tmp_path, {"a": "1", "b": "2"})
    for other in ("22", ""):
        (tmp_path / "b").write_text("2")

        def write_other(_: int, other: str = other) -> None:
            (tmp_path / "b").write_text(other)

        with pytest.raises(OSError, match="b was written while it was packed"):
            pack_source(tmp_path, io.BytesIO(), progress=write_other)


def test_too_much_is_refused_with_the_largest_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(tmp_path, {"data/a": random.Random(1).randbytes(3_000_000), "b": "", "c": ""})
    monkeypatch.setattr(source_archive, "MAX_FILES", 2)
    with pytest.raises(Refused, match=r"has 3 files, and 2 are allowed; .* most is in data \(3 MB\)"):
        packed(tmp_path)
    monkeypatch.setattr(source_archive, "MAX_FILES", 10)
    monkeypatch.setattr(source_archive, "MAX_ZIP_BYTES", 1_000_000)
    with pytest.raises(Refused, match="packs to more than"):
        packed(tmp_path)
