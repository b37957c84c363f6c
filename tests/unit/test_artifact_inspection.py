"""What is in a model.tar.gz that is sound, in whatever way it was packed."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
import threading
import zlib
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelgate.artifacts import deflate, gzip_stream
from modelgate.artifacts.inspection import Deadline, OutOfTime, beginning, inspect
from modelgate.errors import AwsError, Refused
from tests.unit.archives import (
    MODEL,
    NOISE,
    SCRIPT,
    SOUND,
    Entry,
    OnlyForwards,
    Way,
    but_for_the_digest,
    folder,
    gzipped,
    hardlink,
    in_one_go,
    in_parts,
    packed,
    plain,
    refusal,
    symlink,
    tar_of,
    with_header,
)

TWO = tar_of(Entry("a", b"1"), Entry("b", b"2"))


@pytest.fixture(params=[in_one_go, in_parts], ids=["in one go", "in parts"])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def every_name(_: str) -> bool:
    return True


def no_name(_: str) -> bool:
    return False


def test_a_sound_artifact_is_listed_with_sizes_hash_and_the_scripts_text() -> None:
    artifact = in_one_go(SOUND)

    assert [(m.name, m.size, m.kind) for m in artifact.members] == [
        ("code/inference.py", len(SCRIPT.content), "file"),
        ("model.joblib", len(NOISE), "file"),
    ]
    assert dict(artifact.texts) == {"code/inference.py": SCRIPT.content.decode()}
    assert artifact.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert artifact.digest == f"sha256:{artifact.sha256}"
    assert artifact.compressed_size == len(SOUND)
    assert artifact.uncompressed_size == len(SCRIPT.content) + len(NOISE)


def test_each_file_has_its_first_bytes_by_which_its_format_is_known() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\n"
    artifact = in_one_go(packed(MODEL, Entry("lfs", pointer), Entry("empty"), folder("code"), SCRIPT))

    assert {member.name: member.head for member in artifact.members} == {
        "model.joblib": NOISE[:64],
        "lfs": pointer,
        "empty": b"",
        "code": b"",
        "code/inference.py": SCRIPT.content[:64],
    }


def test_names_as_tar_writes_them_for_a_dot_are_normalised(way: Way) -> None:
    content = packed(folder("./"), folder("./code/"), Entry("./code/inference.py"), Entry("./a"))

    artifact = way(content, gzip_stream.Limits(), no_name)

    assert [member.name for member in artifact.members] == ["code", "code/inference.py", "a"]


def test_a_document_that_is_too_large_to_be_read_is_passed_over() -> None:
    content = packed(Entry("model.index.json", bytes(2_000_000)), Entry("config.json", b"{}"))

    artifact = inspect(io.BytesIO(content), keep=lambda name: name.endswith(".json"))

    assert dict(artifact.texts) == {"config.json": "{}"}
    assert len(artifact.members) == 2


def test_only_the_texts_that_are_asked_for_are_kept() -> None:
    content = packed(Entry("config.json", b"{}"), SCRIPT, Entry("empty.json"))

    artifact = in_one_go(content, keep=lambda name: name.endswith(".json"))

    assert dict(artifact.texts) == {"config.json": "{}", "empty.json": ""}


def test_mac_files_are_tolerated_and_hidden() -> None:
    artifact = in_one_go(packed(Entry("._model"), Entry(".DS_Store"), Entry("__MACOSX/x"), Entry("model")))

    assert artifact.files() == ("model",)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(form: int, way: Way) -> None:
    deep = "/".join(["layer"] * 18) + "/weights"
    content = packed(Entry(deep, b"1"), form=form)

    assert [member.name for member in way(content, gzip_stream.Limits(), no_name).members] == [deep]


def test_a_gzip_of_several_members_is_one_stream(way: Way) -> None:
    tar = tar_of(MODEL)
    content = gzipped(tar[:1000]) + gzipped(b"") + gzipped(tar[1000:2000]) + gzipped(tar[2000:]) + bytes(512)

    assert [m.name for m in way(content, gzip_stream.Limits(), no_name).members] == ["model.joblib"]


def test_every_optional_part_of_a_gzip_header_is_understood(way: Way) -> None:
    raw = SOUND[10:]
    start = b"\x1f\x8b\x08\x1f" + bytes(6) + b"\x02\0ab" + b"model.tar\0" + b"a comment\0"
    content = start + (zlib.crc32(start) & 0xFFFF).to_bytes(2, "little") + raw

    assert plain(content) == plain(SOUND)
    assert way(content, gzip_stream.Limits(), no_name).members == in_one_go(SOUND, keep=no_name).members


@pytest.mark.parametrize("piece", [1, 7, 511, 512, 1_000_000])
def test_the_sizes_of_what_the_stream_yields_do_not_matter(piece: int) -> None:
    assert inspect(OnlyForwards(SOUND, piece)) == in_one_go(SOUND)


@pytest.mark.parametrize("piece", [1, 7, 511, 513])
def test_the_sizes_of_what_is_unpacked_do_not_matter(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = in_one_go(SOUND)
    monkeypatch.setattr(gzip_stream, "_UNPACKED_AT_ONCE", piece)

    assert in_one_go(SOUND) == whole


def test_where_there_is_no_isal_zlib_comes_to_the_same(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_stream, "fastest", deflate.by_zlib)

    assert but_for_the_digest(way(SOUND, gzip_stream.Limits(), no_name)) == but_for_the_digest(
        in_one_go(SOUND, keep=no_name)
    )
    assert "does not have the checksum" in refusal(SOUND[:-8] + bytes(4) + SOUND[-4:], way=way)
    assert "is damaged" in refusal(SOUND[:1000] + bytes(100) + SOUND[1100:], way=way)


def test_links_inside_are_fine() -> None:
    artifact = in_one_go(
        packed(
            MODEL,
            symlink("code/model", "../model.joblib"),
            hardlink("copy", "./model.joblib"),
            symlink("latest", "v1"),
            folder("v1"),
        )
    )

    assert {member.kind for member in artifact.members} == {"file", "symlink", "hardlink", "directory"}


def test_a_size_beyond_what_a_header_holds_is_taken_from_pax() -> None:
    header = tarfile.TarInfo("weights")
    header.size = 9 * 1024**3
    content = gzip.compress(header.tobuf(tarfile.PAX_FORMAT))

    assert [m.size for m in beginning(content).members] == []  # its first bytes are not there yet
    assert "unexpected end of data" in refusal(content)
    assert [m.size for m in beginning(gzip.compress(header.tobuf(tarfile.PAX_FORMAT) + NOISE)).members] == [
        9 * 1024**3
    ]


# ── how it is read ────────────────────────────────────────────────────────────────────────────────
class Breaks:
    """A stream whose connection breaks after some bytes."""

    def __init__(self, content: bytes, error: Exception) -> None:
        self._content = OnlyForwards(content)
        self._error = error

    def read(self, size: int, /) -> bytes:
        if read := self._content.read(size):
            return read
        raise self._error


@pytest.mark.parametrize(
    "error", [ConnectionResetError("by S3"), AwsError("GetObject", "SlowDown", "please")]
)
@pytest.mark.parametrize("read", [b"", SOUND[:500], SOUND])
def test_what_the_stream_raises_arrives_as_what_it_is(read: bytes, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        inspect(Breaks(read, error))
    assert raised.value is error


def test_the_stream_is_read_to_its_end() -> None:
    content = io.BytesIO(SOUND + bytes(3_000_000))

    inspect(content)

    assert content.read() == b""


@pytest.mark.parametrize("content", [SOUND, b"PK\x03\x04" + bytes(20_000_000)])
def test_no_thread_is_left_whatever_comes_of_it(content: bytes) -> None:
    before = threading.active_count()

    with contextlib.suppress(Refused):
        inspect(io.BytesIO(content))

    assert threading.active_count() == before


def test_what_is_refused_at_its_beginning_is_not_read_to_its_end() -> None:
    content = io.BytesIO(b"PK\x03\x04" + bytes(20_000_000))

    with pytest.raises(Refused):
        inspect(content)

    assert content.tell() < 5_000_000


def test_a_deadline_ends_it_and_says_how_far_it_came() -> None:
    content = gzip.compress(tar_of(Entry("weights", b"".join(NOISE[n:] + NOISE[:n] for n in range(1000)))), 0)

    with pytest.raises(OutOfTime) as late:
        inspect(io.BytesIO(content), deadline=Deadline(count(100).__next__, 105))

    assert late.value.read_bytes == 5 * 256 * 1024
    assert late.value.seconds == 5
    assert "model.tar.gz: 0.0 GB were read in 5 s, at 0 MB/s" in str(late.value)
    assert late.value.mb_per_s == pytest.approx(0.262144)


def test_a_deadline_that_is_kept_changes_nothing() -> None:
    assert inspect(io.BytesIO(SOUND), deadline=Deadline(lambda: 0.0, 1.0)) == in_one_go(SOUND)


# ── its beginning ─────────────────────────────────────────────────────────────────────────────────
def test_the_beginning_shows_the_members_and_the_texts_that_are_there_already() -> None:
    first = packed(SCRIPT, folder("data"), MODEL, Entry("config.json", b"{}"))[:2500]

    begun = beginning(first)

    assert [(m.name, m.size, m.head) for m in begun.members] == [
        ("code/inference.py", len(SCRIPT.content), SCRIPT.content[:64]),
        ("data", 0, b""),
        ("model.joblib", len(NOISE), NOISE[:64]),
    ]
    assert dict(begun.texts) == {"code/inference.py": SCRIPT.content.decode()}


@given(st.integers(0, len(SOUND)))
@settings(deadline=None)
def test_a_beginning_is_never_refused_for_being_cut_and_shows_nothing_but_what_is_there(length: int) -> None:
    begun, whole = beginning(SOUND[:length]), in_one_go(SOUND)

    assert begun.members == whole.members[: len(begun.members)]
    assert begun.texts.items() <= whole.texts.items()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"PK\x03\x04" + bytes(300), "is a zip"),
        (packed(Entry("../x"), MODEL)[:1000], "../x: would be unpacked outside"),
        (gzipped(with_header(tar_of(MODEL), size=b"\xff" * 12))[:800], "claims to have -1 bytes"),
        (gzipped(NOISE)[:1000], "is not a sound tar"),
    ],
)
def test_what_is_wrong_for_certain_is_refused_at_the_beginning(first: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        beginning(first)
    assert reason in str(refused.value)


# ── whatever there may be ─────────────────────────────────────────────────────────────────────────
SAFE = st.text(st.characters(categories=("L", "N"), exclude_characters="\\/"), min_size=1, max_size=40)
NAMES = st.lists(SAFE, min_size=1, max_size=4).map("/".join)
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def no_file_is_a_folder(files: dict[str, bytes]) -> bool:
    return not any(other.startswith(f"{name}/") for name in files for other in files)


FILES = st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=8).filter(no_file_is_a_folder)


@given(FILES, FORMATS, st.sampled_from(["", "./"]), st.integers(0, 9))
@settings(deadline=None)
def test_any_good_tar_is_accepted_and_listed_exactly(
    files: dict[str, bytes], form: int, start: str, level: int
) -> None:
    tar = tar_of(*(Entry(f"{start}{name}", content) for name, content in files.items()), form=form)
    content = gzipped(tar, level)

    artifact = in_one_go(content, keep=no_name)

    assert [(m.name, m.size, m.head) for m in artifact.members] == [
        (name, len(content), content[:64]) for name, content in files.items()
    ]
    assert artifact.uncompressed_size == sum(map(len, files.values()))
    assert but_for_the_digest(in_parts(content, keep=no_name)) == but_for_the_digest(artifact)


# RFC 1952: the flag that only hints at text, the time, the compressor's level and the system tell nothing
# of the content, and nothing protects them.
UNPROTECTED = 10
SMALL = packed(SCRIPT, Entry("model.joblib", NOISE[:2000]))


def agreed(content: bytes) -> str | None:
    """Why both ways refuse it; None if both accept it."""
    try:
        one_go = in_one_go(content)
    except Refused as refused:
        reasons = str(refused)
        assert refusal(content, way=in_parts) == reasons
        return reasons
    assert but_for_the_digest(in_parts(content)) == but_for_the_digest(one_go)
    return None


def harmless(damaged: bytes) -> bool:
    """Whether zlib finds the very same content in it, or nothing wrong but codes that are incomplete."""
    try:
        return plain(damaged) == plain(SMALL)
    except zlib.error as error:
        return "invalid distances set" in str(error) or "invalid literal/lengths set" in str(error)


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
@example(3, 0b1)
@example(0, 0xFF)
@settings(deadline=None, max_examples=200)
def test_any_flipped_byte_is_refused(position: int, flip: int) -> None:
    damaged = SMALL[:position] + bytes([SMALL[position] ^ flip]) + SMALL[position + 1 :]

    if agreed(damaged) is None:
        assert position < UNPROTECTED or harmless(damaged)
        assert in_one_go(damaged).members == in_one_go(SMALL).members


@given(st.integers(0, len(SMALL) - 1))
@settings(deadline=None)
def test_any_truncation_is_refused(length: int) -> None:
    assert agreed(SMALL[:length])


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Some bytes taken out, put in, doubled, or turned around."""
    kind = draw(st.sampled_from(["cut", "insert", "double", "turn"]))
    share, length = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 300))
    junk = draw(st.binary(min_size=1, max_size=30))

    def damage(content: bytes) -> bytes:
        at = int(share * len(content))
        piece, rest = content[at : at + length], content[at + length :]
        instead = {"cut": b"", "insert": junk + piece, "double": piece * 2, "turn": piece[::-1]}
        return content[:at] + instead[kind] + rest

    return damage


@given(damages())
@settings(deadline=None, max_examples=100)
def test_no_damage_to_the_gzip_is_accepted_unless_the_content_is_what_it_was(
    damage: Callable[[bytes], bytes],
) -> None:
    damaged = damage(SMALL)

    if agreed(damaged) is None:
        assert damaged == SMALL or harmless(damaged)
        assert in_one_go(damaged).members == in_one_go(SMALL).members


@given(damages())
@settings(deadline=None, max_examples=100)
def test_nothing_but_a_refusal_comes_of_any_damage_to_the_tar(damage: Callable[[bytes], bytes]) -> None:
    agreed(gzipped(damage(TWO)))


@given(st.integers(0, len(TWO) - 1), st.binary(min_size=1, max_size=12))
@settings(deadline=None, max_examples=100)
def test_nothing_but_a_refusal_comes_of_junk_in_the_tar(position: int, junk: bytes) -> None:
    agreed(gzipped((TWO[:position] + junk + TWO[position + len(junk) :])[: len(TWO)]))


@given(st.binary(max_size=3000), st.sampled_from([bytes, gzipped]))
@settings(deadline=None)
def test_nothing_but_a_refusal_comes_of_any_bytes(content: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert agreed(pack(content))
