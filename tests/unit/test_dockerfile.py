"""What a Dockerfile builds on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgate.builds.dockerfile import Dockerfile, read_dockerfile
from modelgate.errors import Refused


def read(text: str, **build_args: str) -> Dockerfile:
    return read_dockerfile(text, "Dockerfile", build_args, "linux/arm64")


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.13", ("python:3.13",)),
        (
            "from --platform=$BUILDPLATFORM golang:1 as build\nFROM scratch\nCOPY --from=build /a /a",
            ("golang:1",),
        ),
        ("ARG V=3.13\nFROM python:${V}-slim", ("python:3.13-slim",)),
        ('ARG BASE="python:3.13"\nFROM $BASE', ("python:3.13",)),
        ("ARG A=python\nARG B=$A:3\nFROM $B", ("python:3",)),
        ("FROM ${BASE:-alpine}", ("alpine",)),
        ("ARG TAG\nFROM alpine:${TAG:-3}", ("alpine:3",)),
        ("ARG DEBUG=1\nFROM alpine${DEBUG:+:edge}", ("alpine:edge",)),
        ("FROM alpine:$TARGETARCH", ("alpine:arm64",)),
        ("FROM a AS one\nFROM one AS two\nFROM TWO", ("a",)),
        ("FROM a\nCOPY --chown=1:1 --from=b:1 /x /x\nCOPY --from=0 /y /y", ("a", "b:1")),
        ("FROM a\nRUN --mount=type=bind,from=tools:2,target=/t true", ("a", "tools:2")),
        ("FROM a\nRUN echo \\\n  # a comment within\n\n  FROM nowhere\nCOPY --from=c / /", ("a", "c")),
        ("FROM a\nRUN <<EOF\nFROM nowhere\nEOF\nCOPY --from=d / /", ("a", "d")),
        ("FROM a\nCOPY <<-'one' <<two /x/\nFROM b\none\nFROM c\n\ttwo\n", ("a",)),
        ("# escape=`\nFROM a\nRUN dir `\n  FROM b", ("a",)),
        ("# syntax=docker/dockerfile:1\n# FROM old\nFROM a\r\n", ("a",)),
        ("\ufeffFROM a", ("a",)),
        ("FROM a\nFROM a", ("a",)),
        # An ARG behind FROM belongs to its stage, and names no image.
        ("ARG V=1\nFROM a:$V\nARG V=2\nFROM b:$V", ("a:1", "b:1")),
    ],
)
def test_the_images_that_it_builds_on(text: str, images: tuple[str, ...]) -> None:
    assert read(text).images == images


def test_build_arguments_win_over_defaults() -> None:
    assert read("ARG BASE=python\nFROM $BASE", BASE="pypy").images == ("pypy",)


def test_only_what_the_dockerfile_declares_is_taken_from_the_build_arguments() -> None:
    with pytest.raises(Refused, match="no value for BASE"):
        read("FROM $BASE", BASE="pypy")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "has no FROM line"),
        ("RUN true", "has no FROM line"),
        ("FROM", "a FROM without an image"),
        ("ARG BASE\nFROM ${BASE}", "FROM ${BASE} has no value for BASE"),
        ("FROM a\nARG X=b\nCOPY --from=$X / /", "takes files from $X"),
    ],
)
def test_one_that_cannot_be_built_says_why(text: str, found: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text)
    assert found in str(refused.value)


def test_stages_are_found_by_name_in_any_case_and_by_number() -> None:
    found = read("FROM a AS Build\nFROM b")
    assert [found.has_stage(target) for target in ("build", "BUILD", "0", "1")] == [True] * 4
    assert [found.has_stage(target) for target in ("2", "test")] == [False, False]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert read(text).stages
    except Refused as refused:
        assert refused.problems
