"""Calls that are made side by side: in any order, with their results and errors in the order of the calls."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from threading import Barrier, get_ident
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgate.aws.s3 import S3Bucket
from modelgate.aws.side_by_side import side_by_side
from modelgate.ports import NewObject


@given(st.lists(st.integers(), max_size=40))
def test_what_was_returned_comes_in_the_order_of_the_calls(numbers: list[int]) -> None:
    assert side_by_side([partial(abs, number) for number in numbers]) == [abs(each) for each in numbers]


def test_ten_are_under_way_at_the_same_time() -> None:
    # None of them goes on before all ten wait there.
    barrier = Barrier(10, timeout=10)
    assert sorted(side_by_side([barrier.wait] * 10)) == list(range(10))


def test_a_single_call_takes_no_thread() -> None:
    assert side_by_side([get_ident]) == [get_ident()]


def test_the_first_error_in_the_order_of_the_calls_is_raised_once_all_have_ended() -> None:
    both, ended = Barrier(2, timeout=10), []

    def fails(name: str) -> None:
        both.wait()
        ended.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        side_by_side([lambda: fails("first"), lambda: fails("second")])
    assert sorted(ended) == ["first", "second"]


def test_after_an_error_nothing_more_is_begun() -> None:
    begun = []

    def fails() -> None:
        begun.append("one")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        side_by_side([fails] * 100)
    assert len(begun) <= 10


def test_the_threads_see_the_context_of_who_asked() -> None:
    running: ContextVar[str] = ContextVar("running")
    running.set("here")
    both = Barrier(2, timeout=10)

    def look() -> str:
        both.wait()
        return running.get("nowhere")

    assert side_by_side([look, look]) == ["here", "here"]


def test_what_is_written_into_the_bucket_is_written_side_by_side() -> None:
    both, written = Barrier(2, timeout=10), []

    class Client:
        """Answers no call before the other has come."""

        def put_object(self, *, Key: str, **_: object) -> None:  # noqa: N803 - AWS's name
            both.wait()
            written.append(Key)

    client: Any = Client()
    S3Bucket(client, "intake").write(*(NewObject(key, b"", "text/plain") for key in ("a", "b")))
    assert sorted(written) == ["a", "b"]
