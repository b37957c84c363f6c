"""Every way in which a model.tar.gz can be wrong, as a gzip and as a tar."""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib

import pytest

from modelgate.artifacts.gzip_stream import Limits
from modelgate.artifacts.inspection import LIMITS
from tests.unit.archives import (
    MODEL,
    NOISE,
    SCRIPT,
    SOUND,
    Entry,
    folder,
    gzipped,
    hardlink,
    in_one_go,
    in_parts,
    packed,
    record,
    refusal,
    symlink,
    tar_of,
    with_header,
    with_pax,
)

TWO = tar_of(Entry("a", b"1"), Entry("b", b"2"))
GNU_LONG = tar_of(Entry("n" * 300), form=tarfile.GNU_FORMAT)
HALF = len(SOUND) // 2
BODY = SOUND[10:-8]


def header_of(flags: int, *parts: bytes, method: int = 8) -> bytes:
    return b"\x1f\x8b" + bytes([method, flags]) + bytes(6) + b"".join(parts)


def referring_to(before: bytes) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=before)
    return packing.compress(before[:500]) + packing.flush()


NOT_A_GZIP = {
    "nothing": (b"", "model.tar.gz: is empty"),
    "a byte": (b"\x1f", "is not a gzip"),
    "text": (b"hello, I am a model", "is not a gzip"),
    "zeros": (bytes(1000), "is not a gzip"),
    "a plain tar": (tar_of(MODEL), "is a tar that is not compressed"),
    "a zip": (b"PK\x03\x04" + bytes(50), "is a zip"),
    "xz": (b"\xfd7zXZ\0" + bytes(50), "is compressed with xz"),
    "bzip2": (b"BZh91AY&SY" + bytes(50), "is compressed with bzip2"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00" + bytes(500), "is compressed with zstd"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(50), "is compressed with lz4"),
    "compress": (b"\x1f\x9d\x90" + bytes(50), "is compressed with compress"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "is a 7z archive"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "is an HDF5 file"),
    "a login page": (b"<!DOCTYPE html><html><title>Sign in</title></html>", "is an HTML page"),
    "an error page": (b"<HTML><body>404</body></HTML>", "is an HTML page"),
    "an error of S3": (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "is an XML document"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "is a Git LFS pointer in place of the file; fetch the file: git lfs pull",
    ),
}
BAD_GZIP = {
    "cut in the mark": (SOUND[:1], "is not a gzip"),
    "cut in the header": (SOUND[:7], "is truncated"),
    "only a header": (SOUND[:10], "is truncated"),
    "cut in a block": (SOUND[:HALF], "is truncated"),
    "cut before the trailer": (SOUND[:-8], "is truncated"),
    "cut in the checksum": (SOUND[:-6], "is truncated"),
    "cut before the length": (SOUND[:-4], "is truncated"),
    "cut in the length": (SOUND[:-1], "is truncated"),
    "cut in an extra field": (header_of(4, b"\xff\xff", bytes(99)), "is truncated"),
    "cut in a name": (header_of(8, b"model"), "is truncated"),
    "cut in a comment": (header_of(24, b"model\0by"), "is truncated"),
    "cut in the header's checksum": (header_of(2, b"\0"), "is truncated"),
    "a name without end": (header_of(8, b"n" * 70_000), "is damaged (its header has no end)"),
    "a wrong checksum of the header": (
        header_of(2, b"\0\0", BODY, SOUND[-8:]),
        "is damaged (its header does not have the checksum",
    ),
    "unknown flags": (header_of(0x40, BODY, SOUND[-8:]), "has flags that the format does not know"),
    "an unknown method": (header_of(0, BODY, SOUND[-8:], method=7), "by a method that is not deflate"),
    "a block of no kind": (
        header_of(0, b"\x07", bytes(20)),
        "is damaged (what is compressed makes no sense)",
    ),
    "a stored block of two lengths": (header_of(0, b"\x01\x05\0\0\0hello", bytes(8)), "makes no sense"),
    "a distance from before the beginning": (header_of(0, referring_to(NOISE), bytes(8)), "makes no sense"),
    "a flipped bit": (
        SOUND[:HALF] + bytes([SOUND[HALF] ^ 16]) + SOUND[HALF + 1 :],
        "is damaged",
    ),
    "swapped bytes": (SOUND[:HALF] + SOUND[HALF : HALF + 9][::-1] + SOUND[HALF + 9 :], "is damaged"),
    "a wrong checksum": (SOUND[:-8] + bytes(4) + SOUND[-4:], "does not have the checksum that it should"),
    "a wrong length": (SOUND[:-4] + bytes(4), "does not have the length that it should"),
    "text after the gzip": (SOUND + b"and more", "something else after the end of the gzip"),
    "one byte after the gzip": (SOUND + b"\n", "something else after the end of the gzip"),
    "text after the padding": (SOUND + bytes(3000) + b"x", "something else after the end of the gzip"),
    "a zip after the gzip": (SOUND + b"PK\x03\x04", "something else after the end of the gzip"),
    "a wrong gzip after the gzip": (SOUND + header_of(0xE0), "something else after the end of the gzip"),
    "half a mark after the gzip": (SOUND + b"\x1f", "something else after the end of the gzip"),
    "half a gzip after the gzip": (SOUND + SOUND[:300], "is truncated"),
    "cut between two members": (gzipped(TWO[:700]), "is not a sound tar (unexpected end of data)"),
    "cut in the second member": ((gzipped(TWO[:700]) + gzipped(TWO[700:]))[:-9], "is truncated"),
    "damage in the second member": (
        gzipped(TWO[:700]) + gzipped(TWO[700:])[:-8] + bytes(8),
        "is damaged (its content does not have the checksum",
    ),
    "a gzip after the gzip": (SOUND + SOUND, "something else after the end of the tar"),
    "a gzip in the gzip": (gzipped(SOUND), "is not a sound tar"),
}
BAD_TAR = {
    "nothing": (gzipped(b""), "is not a sound tar (it is empty)"),
    "text": (gzipped(b"not a tar" * 200), "is not a sound tar"),
    "a short text": (gzipped(b"x"), "is not a sound tar (truncated header)"),
    "a zip": (gzipped(b"PK\x03\x04" + bytes(999)), "is not a sound tar"),
    "no members": (packed(), "holds no files"),
    "only folders": (packed(folder("code")), "holds no files"),
    "cut in a header": (gzipped(TWO[:1300]), "is not a sound tar (truncated header)"),
    "cut in a file": (gzipped(tar_of(MODEL)[:2000]), "is not a sound tar (unexpected end of data)"),
    "cut in a file's padding": (gzipped(TWO[:900]), "is not a sound tar (unexpected end of data)"),
    "cut in a script": (gzipped(tar_of(SCRIPT)[:530]), "is not a sound tar (unexpected end of data)"),
    "cut after a file": (gzipped(TWO[:1024]), "lacks the end of the tar"),
    "cut in a long name": (gzipped(GNU_LONG[:600]), "is not a sound tar (unexpected end of data)"),
    "cut after a long name": (gzipped(GNU_LONG[:1024]), "(an extended header without a member)"),
    "ended after a long name": (
        gzipped(GNU_LONG[:1024] + bytes(1024)),
        "is not a sound tar (an extended header without a member)",
    ),
    "a tar after the tar": (gzipped(TWO + TWO), "something else after the end of the tar"),
    "a tar far after the tar": (gzip.compress(TWO + bytes(600_000) + TWO), "after the end of the tar"),
    "a byte after the tar": (gzipped(TWO + b"\n"), "something else after the end of the tar"),
    "a wrong checksum": (gzipped(TWO[:1024] + b"z" + TWO[1025:]), "is not a sound tar (bad checksum)"),
    "a checksum that is no number": (gzipped(TWO[:148] + b"wrong" + TWO[153:]), "is not a sound tar"),
    "a size that is no number": (gzipped(with_header(TWO, size=b"many bytes!\0")), "is not a sound tar"),
    "a size that no file has": (
        gzipped(with_header(TWO, size=b"\x80\0\0\0\x7f" + bytes(7))),
        "'a' claims to have 9,151,314,442,816,847,872 bytes",
    ),
    "a size below zero": (gzipped(with_header(TWO, size=b"\xff" * 12)), "'a' claims to have -1 bytes"),
    "more bytes than there are": (
        gzipped(with_header(TWO, size=b"77777777777\0")),
        "is not a sound tar (unexpected end of data)",
    ),
    "fewer bytes than there are": (
        gzipped(with_header(tar_of(MODEL), size=b"00000001000\0")),
        "is not a sound tar",
    ),
    "a long name that is endless": (
        gzipped(with_header(GNU_LONG, size=b"77777777777\0")),
        "an extended header of 8,589,934,591 bytes",
    ),
    "a long name of a parent folder": (
        gzipped(GNU_LONG[:512] + b"../" * 99 + GNU_LONG[512 + 297 :]),
        "would be unpacked outside",
    ),
    "a header of 100 KB": (with_pax(record("comment", "c" * 100_000)), "an extended header of 100,"),
}
BAD_PAX = {
    "a length of zero": (with_pax(b"0 x=y\n"), "an extended header that is not well formed"),
    "a length that is none": (with_pax(b"ab x=y\n"), "an extended header that is not well formed"),
    "a length below zero": (with_pax(b"-7 x=y\n"), "an extended header that is not well formed"),
    "a length that is too large": (with_pax(b"99 x=y\n"), "an extended header that is not well formed"),
    "a length that is too small": (with_pax(b"5 x=y\n"), "an extended header that is not well formed"),
    "no equals sign": (with_pax(b"6 xyz\n"), "an extended header that is not well formed"),
    "no key": (with_pax(b"5 =y\n"), "an extended header that is not well formed"),
    "no end of the line": (with_pax(b"6 x=yz"), "an extended header that is not well formed"),
    "a size that no file has": (with_pax(record("size", "9223372036854775807")), "claims to have"),
    "a size below zero": (
        with_pax(record("size", "-1")),
        "'model.joblib' has a size that is no number: '-1'",
    ),
    "a size that is no number": (with_pax(record("size", "1e3")), "has a size that is no number: '1e3'"),
    "a size in other digits": (with_pax(record("size", "١٢")), "has a size that is no number"),
    "a size of very many digits": (with_pax(record("size", "1" * 5000)), "has a size that is no number"),
    "another size than the header's": (
        with_pax(record("size", "7")),
        f"'model.joblib' has two sizes, {len(NOISE):,} and 7 bytes",
    ),
    "a path to a parent folder": (
        with_pax(record("path", "../model")),
        "../model: would be unpacked outside",
    ),
    "an absolute path": (with_pax(record("path", "/etc/passwd")), "/etc/passwd: has an absolute name"),
    "a path for all, to a parent folder": (
        with_pax(record("path", "../x"), kind=tarfile.XGLTYPE),
        "../x: would be unpacked outside",
    ),
    "one path for all": (
        packed(Entry("g", record("path", "x"), kind=tarfile.XGLTYPE), MODEL, SCRIPT),
        "x: is in the archive twice",
    ),
    "a path that is no UTF-8": (with_pax(b"11 path=\xff\xfe\n"), "has a name that is not printable UTF-8"),
    "a path with a zero in it": (with_pax(record("path", "a\0b")), "has a name that is not printable"),
    "a link that leads out": (
        with_pax(record("linkpath", "../b"), entry=symlink("a", "b")),
        "a: is a link out of the archive, to '../b'",
    ),
}
SPARSE = {
    "GNU 0.0": with_pax(
        record("GNU.sparse.size", "9000"),
        record("GNU.sparse.numblocks", "1"),
        record("GNU.sparse.offset", "0"),
        record("GNU.sparse.numbytes", str(len(NOISE))),
    ),
    "GNU 0.1": with_pax(
        record("GNU.sparse.map", f"0,{len(NOISE)}"), record("GNU.sparse.name", "model.joblib")
    ),
    "GNU 1.0": with_pax(
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "model.joblib"),
        record("GNU.sparse.realsize", "1099511627776"),
        entry=Entry("GNUSparseFile.1/model.joblib", b"1\n0\n512\n".ljust(512, b"\0") + bytes(512)),
    ),
    "GNU 1.0 for all": with_pax(record("GNU.sparse.major", "1"), kind=tarfile.XGLTYPE),
    "old GNU": gzipped(with_header(tar_of(MODEL, form=tarfile.GNU_FORMAT), type=b"S")),
}
BAD_MEMBERS = {
    "a parent folder": (packed(Entry("../model")), "../model: would be unpacked outside"),
    "a parent folder within": (packed(Entry("code/../../x")), "would be unpacked outside"),
    "an absolute name": (packed(Entry("/etc/passwd")), "/etc/passwd: has an absolute name"),
    "backslashes": (packed(Entry("code\\inference.py")), "has a backslash"),
    "a control character": (packed(Entry("a\x1b[2J")), r"'a\x1b[2J': has a name that is not printable"),
    "a name too long": (packed(Entry("n" * 5000)), "has a name that is not printable UTF-8 of at most"),
    "a file without a name": (packed(Entry("./"), MODEL), "./: is a file without a name"),
    "a device": (packed(Entry("null", kind=tarfile.CHRTYPE)), "null: is a device"),
    "a disk": (packed(Entry("sda", kind=tarfile.BLKTYPE)), "sda: is a device"),
    "a pipe": (packed(Entry("queue", kind=tarfile.FIFOTYPE)), "queue: is a pipe"),
    "an unknown type": (packed(Entry("strange", kind=b"Z")), "strange: is neither file, folder nor link"),
    "a volume of several": (
        packed(Entry("rest", NOISE, kind=b"M")),
        "rest: is neither file, folder nor link",
    ),
    "a link out": (packed(MODEL, symlink("a", "../b")), "a: is a link out of the archive, to '../b'"),
    "an absolute link": (packed(MODEL, symlink("a", "/etc/passwd")), "is a link out of the archive"),
    "a link out by a link": (
        packed(MODEL, folder("d"), folder("d/e"), symlink("in", "d/e"), symlink("a", "in/../../../x")),
        "a: is a link out of the archive",
    ),
    "a link to a link out": (packed(MODEL, symlink("a", "b"), symlink("b", "/x")), "a: is a link out"),
    "a link to itself": (packed(MODEL, symlink("a", "a")), "a: is a link out of the archive"),
    "a hard link out": (packed(MODEL, hardlink("a", "../b")), "a: is a hard link out of the archive"),
    "an absolute hard link": (packed(MODEL, hardlink("a", "/b")), "a: is a hard link out of the archive"),
    "a hard link to nothing": (packed(MODEL, hardlink("a", "b")), "which is no file before it"),
    "a hard link to itself": (packed(MODEL, hardlink("a", "a")), "which is no file before it"),
    "a file through a link": (
        packed(symlink("d", "e"), folder("e"), Entry("d/x")),
        "d/x: lies in d, which is a symlink",
    ),
    "a file in a file": (packed(Entry("d"), Entry("d/x")), "d/x: lies in d, which is a file"),
    "the same name twice": (packed(MODEL, Entry("./model.joblib")), "is in the archive twice"),
    "a folder and a file": (packed(folder("a"), Entry("a")), "is in the archive twice"),
    "a script that is too large": (packed(Entry("code/x.py", bytes(2_000_000))), "has 2,000,000 bytes"),
    "a script that is no text": (packed(Entry("code/x.py", b"\xff\xfe")), "is not UTF-8 (at byte 0)"),
}
FEW = Limits(
    members=10,
    unpacked_bytes=100_000,
    ratio=20,
    ratio_from_bytes=30_000,
    kept_bytes=500,
    kept_total_bytes=900,
)
BEYOND_LIMITS = {
    "a bomb of zeros": (packed(Entry("zeros", bytes(90_000))), "unpacks to more than 20 times its size"),
    "a bomb behind the tar": (gzipped(TWO + bytes(50_000)), "unpacks to more than 20 times its size"),
    "a bomb before the tar": (gzipped(bytes(50_000) + TWO), "unpacks to more than 20 times its size"),
    "a bomb in a second member": (gzipped(TWO) + gzipped(bytes(50_000)), "more than 20 times its size"),
    "a bomb of empty members": (
        packed(*(Entry(f"shard-{number}") for number in range(11))),
        "has more than 10 members",
    ),
    "a bomb of wrong members": (packed(*(Entry(f"../{n}") for n in range(11))), "has more than 10 members"),
    "a large artifact": (packed(Entry("model", NOISE * 30)), "unpacks to more than 100,000 bytes"),
    "a claim that is too large": (
        gzipped(with_header(TWO, size=b"00000400000\0")),
        "'a' claims to have 131,072 bytes",
    ),
    "a claim in a header for all": (
        with_pax(record("size", "200000"), kind=tarfile.XGLTYPE),
        "'model.joblib' claims to have 200,000 bytes",
    ),
    "a script that is large": (
        packed(Entry("a.py", bytes(600))),
        "a.py: has 600 bytes, which is much for a script",
    ),
    "scripts that are large together": (
        packed(*(Entry(f"code/m{number}.py", bytes(400)) for number in range(3))),
        "code/m2.py: brings the texts that are read over 900 bytes",
    ),
}
WITHIN_LIMITS = {
    "ten members": packed(*(Entry(f"shard-{number}") for number in range(10))),
    "zeros of a small size": packed(Entry("zeros", bytes(9_000))),
    "scripts of a small size": packed(Entry("a.py", bytes(450)), Entry("b.py", bytes(450))),
}


def refused_both_ways(content: bytes, limits: Limits = LIMITS) -> str:
    reasons = refusal(content, limits)
    assert refusal(content, limits, in_parts) == reasons
    return reasons


@pytest.mark.parametrize(("content", "reason"), NOT_A_GZIP.values(), ids=NOT_A_GZIP.keys())
def test_what_is_no_gzip_is_called_by_its_name(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content)


@pytest.mark.parametrize(("content", "reason"), BAD_GZIP.values(), ids=BAD_GZIP.keys())
def test_a_gzip_that_is_not_whole_and_sound_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content)


@pytest.mark.parametrize(("content", "reason"), BAD_TAR.values(), ids=BAD_TAR.keys())
def test_a_tar_that_is_not_whole_and_sound_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content)


@pytest.mark.parametrize(("content", "reason"), BAD_PAX.values(), ids=BAD_PAX.keys())
def test_a_pax_header_that_says_what_cannot_be_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content)


@pytest.mark.parametrize("content", SPARSE.values(), ids=SPARSE.keys())
def test_a_sparse_file_of_any_format_is_refused(content: bytes) -> None:
    assert "is stored as a sparse file" in refused_both_ways(content)


@pytest.mark.parametrize(("content", "reason"), BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
def test_a_member_that_should_never_be_unpacked_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content)


@pytest.mark.parametrize(("content", "reason"), BEYOND_LIMITS.values(), ids=BEYOND_LIMITS.keys())
def test_what_no_real_model_has_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused_both_ways(content, FEW)


@pytest.mark.parametrize("content", WITHIN_LIMITS.values(), ids=WITHIN_LIMITS.keys())
def test_what_just_keeps_the_limits_is_accepted(content: bytes) -> None:
    assert in_one_go(content, FEW).members


def test_the_default_limits_let_real_models_pass_and_no_bomb() -> None:
    bomb = gzip.compress(tar_of(Entry("weights", bytes(50_000_000))))

    assert in_one_go(bomb).uncompressed_size == 50_000_000  # small enough to be no matter
    assert "more than 200 times its size" in refusal(bomb, Limits(ratio_from_bytes=10_000_000))


def test_every_problem_is_told_not_only_the_first() -> None:
    reasons = refused_both_ways(packed(Entry("/a"), Entry("../b"), Entry("c", kind=tarfile.FIFOTYPE), MODEL))

    assert [line.split(": ")[1] for line in reasons.splitlines()] == ["/a", "../b", "c"]


def test_an_artifact_full_of_problems_tells_twenty_of_them() -> None:
    assert len(refusal(packed(*(Entry(f"../{n}") for n in range(500)))).splitlines()) == 20


def test_damage_to_the_gzip_is_what_is_told_even_where_it_shows_in_the_tar_first() -> None:
    damaged = gzipped(TWO[:1024] + b"z" + TWO[1025:])

    assert "is damaged" in refused_both_ways(damaged[:-8] + struct.pack("<II", 1, len(TWO)))


def test_the_mend_says_how_to_pack() -> None:
    assert "tar -C model -czf model.tar.gz ." in refusal(b"")
