"""Reading a model.tar.gz in parts: what is carried from one to the next."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.artifacts import long_inspection
from modelgate.artifacts.deflate import WINDOW, Deflate, by_zlib, fastest, starts
from modelgate.artifacts.inspection import Artifact
from modelgate.artifacts.long_inspection import Paused, fits, inspect_part
from modelgate.errors import AwsError, Refused
from tests.unit.archives import (
    NOISE,
    SCRIPT,
    SOUND,
    Entry,
    OnlyForwards,
    but_for_the_digest,
    folder,
    gzipped,
    in_one_go,
    packed,
    parts_of,
    record,
    symlink,
    tar_of,
)

WORDS = " ".join(str(number * number) for number in range(8000)).encode()
LARGE = tar_of(
    SCRIPT,
    folder("data"),
    Entry("data/words", WORDS),
    Entry("noise", NOISE * 9),
    symlink("latest", "noise"),
    Entry("code/last.py", WORDS[:3000]),
)


def test_an_artifact_that_is_read_in_many_parts_is_what_it_is_in_one_go() -> None:
    content = gzipped(LARGE)

    artifact, pauses = parts_of(content)

    assert but_for_the_digest(artifact) == but_for_the_digest(in_one_go(content))
    assert len(pauses) > 20
    assert [pause.read_bytes for pause in pauses] == sorted({pause.read_bytes for pause in pauses})


@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_gzip_makes_has_places_to_pause_at(level: int) -> None:
    digits = b"".join(hashlib.sha512(n.to_bytes(2)).hexdigest().encode() for n in range(4000))
    content = gzip.compress(tar_of(Entry("digits", digits)), level)

    artifact, pauses = parts_of(content, chunk=140_000)

    assert but_for_the_digest(artifact) == but_for_the_digest(in_one_go(content))
    assert pauses


def test_the_digest_is_that_of_the_digests_of_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_inspection, "PIECE", 1000)
    content = gzipped(LARGE)
    pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)]
    expected = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces)).hexdigest()

    once, _ = parts_of(content, ask_every=len(content))
    artifact, pauses = parts_of(content, chunk=1700)

    assert artifact.digest == once.digest == f"sha256-64m:{expected}"
    assert len(pauses) > 5


def test_a_part_that_dies_is_done_again_from_the_same_state() -> None:
    content = gzipped(LARGE)
    _, pauses = parts_of(content)
    before = pauses[len(pauses) // 2]

    class Dies(OnlyForwards):
        def read(self, size: int, /) -> bytes:
            if found := super().read(size):
                return found
            raise AwsError("GetObject", "SlowDown", "please")

    with pytest.raises(AwsError):
        inspect_part(
            lambda at: Dies(content[at : before.read_bytes + 5000]), lambda: False, state=before.state
        )
    last = inspect_part(lambda at: OnlyForwards(content[at:]), lambda: False, state=before.state)

    assert isinstance(last, Artifact)
    assert but_for_the_digest(last) == but_for_the_digest(in_one_go(content))


def test_only_what_is_not_done_with_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_inspection, "PIECE", 1000)
    content, opened = gzipped(LARGE), []

    def open_at(offset: int) -> OnlyForwards:
        opened.append(offset)
        return OnlyForwards(content[offset:])

    paused = inspect_part(open_at, lambda: True, ask_every=20_000, chunk=1000)
    assert isinstance(paused, Paused)
    inspect_part(open_at, lambda: False, state=paused.state)

    assert opened == [0, paused.read_bytes // 1000 * 1000]


def test_problems_of_every_part_are_told_together() -> None:
    content = packed(Entry("../a"), Entry("one", NOISE), Entry("/b"), Entry("two", NOISE), symlink("c", "/"))

    with pytest.raises(Refused) as refused:
        parts_of(content)

    assert [problem.where.partition(": ")[2] for problem in refused.value.problems] == ["../a", "/b", "c"]


def test_a_name_that_is_no_text_and_a_header_for_all_are_carried_on() -> None:
    content = packed(
        Entry("g", record("linkpath", "noise"), kind=b"g"),
        Entry("noise", NOISE * 2),
        symlink("link", "/elsewhere"),
        Entry("bad\udcff", b"1"),
        Entry("more", NOISE),
    )
    with pytest.raises(Refused) as in_parts:
        parts_of(content)
    with pytest.raises(Refused) as in_one:
        in_one_go(content)

    assert str(in_parts.value) == str(in_one.value)
    assert "link" not in str(in_parts.value)


def test_the_state_stays_small_whatever_was_read() -> None:
    _, pauses = parts_of(gzipped(LARGE))
    pieces = 500 * 10**9 // long_inspection.PIECE

    assert max(len(pause.state) for pause in pauses) < 50_000
    assert 32 * pieces < 250_000  # the digests of 500 GB


def test_pausing_is_asked_for_only_so_often() -> None:
    content, asked = gzipped(LARGE), []
    inspect_part(
        lambda at: OnlyForwards(content[at:]),
        lambda: bool(asked.append(1)),  # type: ignore[func-returns-value]
        ask_every=10_000,
        chunk=1000,
    )

    assert len(content) // 11_000 - 1 <= len(asked) <= len(content) // 10_000


def test_what_is_one_block_of_many_megabytes_cannot_be_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_inspection, "_MOST_SEARCHED", 20_000)
    packing = zlib.compressobj(6, zlib.DEFLATED, 31, strategy=zlib.Z_FIXED)
    content = packing.compress(LARGE) + packing.flush()

    assert in_one_go(content).members
    with pytest.raises(
        Refused, match="too large to be read in one go, and compressed in blocks of more than"
    ):
        parts_of(content)


@pytest.mark.parametrize(
    ("size", "seconds", "expected"), [(20e9, 840, True), (54e9, 840, False), (0, 0, True)]
)
def test_what_fits_an_invocation_follows_from_a_stated_rate(
    size: float, seconds: float, expected: bool
) -> None:
    assert fits(int(size), seconds) is expected


def test_a_state_is_readable_by_no_code_that_it_could_run() -> None:
    _, pauses = parts_of(SOUND)

    assert json.loads(zlib.decompress(pauses[0].state))["gzip"]["packed_bytes"] == pauses[0].read_bytes


# ── where blocks start ────────────────────────────────────────────────────────────────────────────
def in_blocks(*contents: bytes) -> bytes:
    """Deflate with a block of its own for each, which may start at any bit."""
    packing = zlib.compressobj(6, zlib.DEFLATED, -15)
    blocks = [packing.compress(content) + packing.flush(zlib.Z_PARTIAL_FLUSH) for content in contents]
    return b"".join(blocks) + packing.flush()


@pytest.mark.parametrize("library", [fastest(), by_zlib()], ids=["isal", "zlib"])
@given(lengths=st.lists(st.integers(500, 5000), min_size=2, max_size=5))
@settings(deadline=None, max_examples=10)
def test_an_inflater_can_begin_where_a_block_starts_at_any_bit(library: Deflate, lengths: list[int]) -> None:
    ends = list(accumulate(lengths, initial=0))
    content = WORDS[: ends[-1]]
    deflated = in_blocks(*(WORDS[begin:end] for begin, end in pairwise(ends)))
    begun = set()
    for start in starts(deflated):
        before = zlib.decompressobj(-15).decompress(deflated[: start.offset])
        inflater = library.inflater(before[-WINDOW:])
        try:
            rest = inflater.decompress(start.lead + deflated[start.offset :], len(content))
        except library.errors:
            continue
        if inflater.eof and before + rest == content:
            begun.add(len(before))
    assert begun >= set(ends[1:-1])
