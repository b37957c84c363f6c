"""What is in a model.tar.gz, and every way in which it can be wrong."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelgate.artifacts.gzip_stream import Limits
from modelgate.artifacts.inspection import LIMITS, Artifact, inspect
from modelgate.errors import Refused

# Incompressible, and the same in every run.
NOISE = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(6000))


class OnlyForwards:
    """What an S3 body offers, and in pieces as small as it likes."""

    def __init__(self, content: bytes, piece: int = 10_000) -> None:
        self._content = io.BytesIO(content)
        self._piece = piece

    def read(self, size: int, /) -> bytes:
        return self._content.read(min(size, self._piece))


@dataclass(frozen=True)
class Entry:
    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""


def tar_of(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.size = entry.kind, entry.target, len(entry.content)
            tar.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def packed(*entries: Entry) -> bytes:
    return gzip.compress(tar_of(*entries), mtime=0)


def folder(name: str) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, target=target)


def hardlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.LNKTYPE, target=target)


def inspected(content: bytes, limits: Limits = LIMITS) -> Artifact:
    return inspect(OnlyForwards(content), limits=limits)


def refusal(content: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(Refused) as refused:
        inspected(content, limits)
    return str(refused.value)


MODEL = Entry("model.joblib", NOISE)
SCRIPT = Entry("code/inference.py", b"def model_fn(model_dir):\n    return 1\n")
SOUND = packed(SCRIPT, MODEL)


def test_a_sound_artifact_is_listed_with_sizes_hash_and_the_scripts_text() -> None:
    artifact = inspected(SOUND)

    assert [(m.name, m.size, m.kind) for m in artifact.members] == [
        ("code/inference.py", len(SCRIPT.content), "file"),
        ("model.joblib", len(NOISE), "file"),
    ]
    assert dict(artifact.texts) == {"code/inference.py": SCRIPT.content.decode()}
    assert artifact.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert artifact.compressed_size == len(SOUND)
    assert artifact.uncompressed_size == len(SCRIPT.content) + len(NOISE)


def test_names_as_tar_writes_them_for_a_dot_are_normalised() -> None:
    artifact = inspected(packed(folder("./"), folder("./code/"), Entry("./code/inference.py"), Entry("./a")))

    assert [member.name for member in artifact.members] == ["code", "code/inference.py", "a"]


def test_only_the_texts_that_are_asked_for_are_kept() -> None:
    content = packed(Entry("config.json", b"{}"), SCRIPT)

    artifact = inspect(OnlyForwards(content), keep=lambda name: name == "config.json")

    assert dict(artifact.texts) == {"config.json": "{}"}


def test_mac_files_are_tolerated_and_hidden() -> None:
    artifact = inspected(packed(Entry("._model"), Entry(".DS_Store"), Entry("__MACOSX/x"), Entry("model")))

    assert artifact.files() == ("model",)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(form: int) -> None:
    deep = "/".join(["layer"] * 18) + "/weights"
    content = gzip.compress(tar_of(Entry(deep, b"1"), form=form))

    assert [member.name for member in inspected(content).members] == [deep]


def test_a_gzip_of_several_members_is_one_stream() -> None:
    tar = tar_of(MODEL)

    content = gzip.compress(tar[:1000]) + gzip.compress(tar[1000:]) + bytes(512)

    assert [member.name for member in inspected(content).members] == ["model.joblib"]


@pytest.mark.parametrize("piece", [1, 7, 511, 512, 1_000_000])
def test_the_sizes_of_what_the_stream_yields_do_not_matter(piece: int) -> None:
    small = packed(SCRIPT)

    assert inspect(OnlyForwards(small, piece)) == inspected(small)


def test_links_inside_are_fine() -> None:
    artifact = inspected(
        packed(
            MODEL,
            symlink("code/model", "../model.joblib"),
            hardlink("copy", "./model.joblib"),
            symlink("latest", "v1"),
            folder("v1"),
        )
    )

    assert {member.kind for member in artifact.members} == {"file", "symlink", "hardlink", "directory"}


GNU_LONG = tar_of(Entry("n" * 300), form=tarfile.GNU_FORMAT)


def with_header(tar: bytes, start: int, **fields: bytes) -> bytes:
    """The tar with fields of one header replaced, and its checksum made right again."""
    places = {"size": 124, "type": 156}
    changed = bytearray(tar)
    for name, value in fields.items():
        changed[start + places[name] : start + places[name] + len(value)] = value
    changed[start + 148 : start + 156] = b" " * 8
    changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + 512])
    return bytes(changed)


def with_pax(records: bytes) -> bytes:
    return gzip.compress(tar_of(Entry("pax", records, kind=tarfile.XHDTYPE), MODEL))


TWO = tar_of(Entry("a", b"1"), Entry("b", b"2"))
BAD = {
    "empty": (b"", "model.tar.gz: is empty"),
    "text": (b"hello, I am a model", "is not a gzip"),
    "plain tar": (tar_of(MODEL), "is a tar that is not compressed"),
    "zip": (b"PK\x03\x04" + bytes(50), "is a zip"),
    "xz": (b"\xfd7zXZ\0" + bytes(50), "is compressed with xz"),
    "zeros": (bytes(100), "is not a gzip"),
    "gzip of nothing": (gzip.compress(b""), "is not a sound tar"),
    "gzip of text": (gzip.compress(b"not a tar" * 200), "is not a sound tar"),
    "gzip of a short text": (gzip.compress(b"x"), "is not a sound tar"),
    "no members": (packed(), "holds no files"),
    "only folders": (packed(folder("code")), "holds no files"),
    "only half of it": (SOUND[: len(SOUND) // 2], "is truncated"),
    "no trailer": (SOUND[:-8], "is truncated"),
    "half a trailer": (SOUND[:-3], "is truncated"),
    "only a gzip header": (SOUND[:10], "is truncated"),
    "a wrong checksum": (SOUND[:-8] + bytes(4) + SOUND[-4:], "is damaged"),
    "a wrong length": (SOUND[:-4] + bytes(4), "is damaged"),
    "a flipped bit": (SOUND[:5000] + bytes([SOUND[5000] ^ 16]) + SOUND[5001:], "is damaged"),
    "text after the gzip": (SOUND + b"and more", "something else after the end of the gzip"),
    "half a gzip after the gzip": (SOUND + SOUND[:300], "is truncated"),
    "a tar after the tar": (gzip.compress(TWO + TWO), "something else after the end of the tar"),
    "a tar far after the tar": (gzip.compress(TWO + bytes(600_000) + TWO), "after the end of the tar"),
    "a gzip after the gzip": (SOUND + SOUND, "something else after the end of the tar"),
    "a tar without end": (gzip.compress(TWO[:1024]), "lacks the end of the tar"),
    "a tar cut in a file": (gzip.compress(tar_of(MODEL)[:5000]), "is not a sound tar"),
    "a tar cut in a header": (gzip.compress(TWO[:1300]), "is not a sound tar"),
    "a damaged second header": (
        gzip.compress(TWO[:1024] + b"z" + TWO[1025:]),
        "is not a sound tar (bad checksum)",
    ),
    "a parent folder": (packed(Entry("../model")), "../model: would be unpacked outside"),
    "a parent folder within": (packed(Entry("code/../../x")), "would be unpacked outside"),
    "an absolute name": (packed(Entry("/etc/passwd")), "/etc/passwd: has an absolute name"),
    "backslashes": (packed(Entry("code\\inference.py")), "has a backslash"),
    "a control character": (packed(Entry("a\x1b[2J")), r"'a\x1b[2J': has a name that is not printable"),
    "a name too long": (packed(Entry("n" * 5000)), "has a name that is not printable UTF-8 of at most"),
    "a device": (packed(Entry("null", kind=tarfile.CHRTYPE)), "null: is a device"),
    "a disk": (packed(Entry("sda", kind=tarfile.BLKTYPE)), "sda: is a device"),
    "a pipe": (packed(Entry("queue", kind=tarfile.FIFOTYPE)), "queue: is a pipe"),
    "an unknown type": (packed(Entry("strange", kind=b"Z")), "strange: is neither file, folder nor link"),
    "a link out": (packed(MODEL, symlink("a", "../b")), "a: is a link out of the archive, to '../b'"),
    "an absolute link": (packed(MODEL, symlink("a", "/etc/passwd")), "is a link out of the archive"),
    "a link out by a link": (
        packed(MODEL, folder("d"), folder("d/e"), symlink("in", "d/e"), symlink("a", "in/../../../x")),
        "a: is a link out of the archive",
    ),
    "a link to a link out": (packed(MODEL, symlink("a", "b"), symlink("b", "/x")), "a: is a link out"),
    "a link to itself": (packed(MODEL, symlink("a", "a")), "a: is a link out of the archive"),
    "a hard link out": (packed(MODEL, hardlink("a", "../b")), "a: is a hard link out of the archive"),
    "a hard link to nothing": (packed(MODEL, hardlink("a", "b")), "which is no file before it"),
    "a file through a link": (
        packed(symlink("d", "e"), folder("e"), Entry("d/x")),
        "d/x: lies in d, which is a symlink",
    ),
    "a file in a file": (packed(Entry("d"), Entry("d/x")), "d/x: lies in d, which is a file"),
    "the same name twice": (packed(MODEL, Entry("./model.joblib")), "is in the archive twice"),
    "a folder and a file": (packed(folder("a"), Entry("a")), "is in the archive twice"),
    "a script that is too large": (packed(Entry("code/x.py", bytes(2_000_000))), "has 2,000,000 bytes"),
    "a script that is no text": (packed(Entry("code/x.py", b"\xff\xfe")), "is not UTF-8 (at byte 0)"),
    "a sparse file": (gzip.compress(with_header(tar_of(MODEL), 0, type=b"S")), "stored as a sparse file"),
    "a sparse file by pax": (
        with_pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
        "is not a sound tar",
    ),
    "a pax length that is none": (with_pax(b"0 x=y\n"), "is not a sound tar"),
    "a size that no file has": (
        gzip.compress(with_header(TWO, 0, size=b"\x80\0\0\0\x7f" + bytes(7))),
        "'a' claims to have 9,151,314,442,816,847,872 bytes",
    ),
    "a size that no file has, by pax": (with_pax(b"28 size=9223372036854775807\n"), "claims to have"),
    "a size below zero": (
        gzip.compress(with_header(TWO, 0, size=b"\xff" * 12)),
        "'a' claims to have -1 bytes",
    ),
    "more bytes than there are": (
        gzip.compress(with_header(TWO, 0, size=b"77777777777\0")),
        "is not a sound tar (unexpected end of data)",
    ),
    "a long name that is endless": (
        gzip.compress(with_header(GNU_LONG, 0, size=b"77777777777\0")),
        "an extended header of 8,589,934,591 bytes",
    ),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_artifact_is_refused_for_what_is_wrong_with_it(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


def test_every_problem_is_told_not_only_the_first() -> None:
    reasons = refusal(packed(Entry("/a"), Entry("../b"), Entry("c", kind=tarfile.FIFOTYPE), MODEL))

    assert [line.split(": ")[1] for line in reasons.splitlines()] == ["/a", "../b", "c"]


def test_an_artifact_full_of_problems_tells_twenty_of_them() -> None:
    assert len(refusal(packed(*(Entry(f"../{n}") for n in range(500)))).splitlines()) == 20


def test_the_mend_says_how_to_pack() -> None:
    assert "tar -C model -czf model.tar.gz ." in refusal(b"")


def test_a_decompression_bomb_is_refused_while_it_is_read() -> None:
    bomb = packed(Entry("weights", bytes(50_000_000)))

    reason = refusal(bomb, Limits(ratio_from_bytes=10_000_000))

    assert "unpacks to more than 200 times its size" in reason
    assert inspected(bomb).uncompressed_size == 50_000_000  # small enough to be no matter


def test_what_no_volume_can_hold_is_refused() -> None:
    assert "unpacks to more than 1,000 bytes" in refusal(SOUND, Limits(unpacked_bytes=1000))


def test_an_absurd_number_of_members_is_refused() -> None:
    content = packed(*(Entry(f"shard-{number}") for number in range(11)))

    assert "has more than 10 members" in refusal(content, Limits(members=10))
    assert len(inspected(content, Limits(members=11)).members) == 11


def test_scripts_that_are_too_large_together_are_refused() -> None:
    content = packed(*(Entry(f"code/m{number}.py", bytes(400)) for number in range(3)))

    assert "code/m2.py: brings the scripts over 1,000 bytes" in refusal(
        content, Limits(kept_total_bytes=1000)
    )


def test_a_broken_connection_is_not_held_against_the_artifact() -> None:
    class Breaks:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError(size)

    with pytest.raises(ConnectionResetError):
        inspect(Breaks())


def test_the_stream_is_read_to_its_end() -> None:
    content = io.BytesIO(SOUND + bytes(3_000_000))

    inspect(content)

    assert content.read() == b""


SAFE = st.text(st.characters(categories=("L", "N"), exclude_characters="\\/"), min_size=1, max_size=40)
NAMES = st.lists(SAFE, min_size=1, max_size=4).map("/".join)
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def no_file_is_a_folder(files: dict[str, bytes]) -> bool:
    return not any(other.startswith(f"{name}/") for name in files for other in files)


FILES = st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=8).filter(no_file_is_a_folder)


@given(FILES, FORMATS, st.sampled_from(["", "./"]), st.integers(1, 9))
@settings(deadline=None)
def test_any_good_tar_is_accepted_and_listed_exactly(
    files: dict[str, bytes], form: int, start: str, level: int
) -> None:
    tar = tar_of(*(Entry(f"{start}{name}", content) for name, content in files.items()), form=form)

    artifact = inspect(io.BytesIO(gzip.compress(tar, level)), keep=lambda _: False)

    assert {m.name: m.size for m in artifact.members} == {name: len(files[name]) for name in files}
    assert artifact.uncompressed_size == sum(map(len, files.values()))


# RFC 1952: the flag that only hints at text, the time, the compressor's level and the system tell nothing
# of the content, and nothing protects them.
UNPROTECTED = frozenset((4, 5, 6, 7, 8, 9))
SMALL = packed(SCRIPT, Entry("model.joblib", NOISE[:2000]))


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
@example(3, 0b1)
@example(0, 0xFF)
@settings(deadline=None, max_examples=300)
def test_any_flipped_byte_is_refused(position: int, flip: int) -> None:
    damaged = SMALL[:position] + bytes([SMALL[position] ^ flip]) + SMALL[position + 1 :]

    if position in UNPROTECTED or (position == 3 and flip == 0b1):
        assert inspected(damaged).members == inspected(SMALL).members
    else:
        refusal(damaged)


@given(st.integers(0, len(SMALL) - 1))
@settings(deadline=None)
def test_any_truncation_is_refused(length: int) -> None:
    refusal(SMALL[:length])


@given(st.binary(max_size=3000), st.sampled_from([bytes, gzip.compress]))
@settings(deadline=None)
def test_nothing_but_a_refusal_comes_of_any_bytes(content: bytes, pack: Callable[[bytes], bytes]) -> None:
    refusal(pack(content))


@given(st.integers(0, len(TWO) - 1), st.binary(min_size=1, max_size=12))
@settings(deadline=None, max_examples=300)
def test_nothing_but_a_refusal_comes_of_any_damage_to_the_tar(position: int, junk: bytes) -> None:
    damaged = (TWO[:position] + junk + TWO[position + len(junk) :])[: len(TWO)]
    with contextlib.suppress(Refused):
        inspected(gzip.compress(damaged))
