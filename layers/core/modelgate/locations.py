"""Where the data and the code of a job lie: `s3://bucket/key`, or beside the job's document."""

from __future__ import annotations

import re

from modelgate.values import dataclass

# Amazon S3 User Guide, "General purpose bucket naming rules"; SageMaker's S3Uri has 1,024 characters.
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.*)")
_MOST_CHARACTERS = 1024
# What comes before a relative location when it is made absolute: the bucket, and names of the longest kind.
_MOST_RELATIVE = 700
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True)
class Location:
    """A place in S3; ``key`` is an object's key, or what the keys of several begin with."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def of_url(url: str) -> Location | None:
    """None where it is no URL of S3's."""
    found = _URL.fullmatch(url)
    return Location(found["bucket"], found["key"]) if found else None


def resolved(text: str, folder: Location) -> Location:
    """The place that a checked location means, for a document that lies in ``folder``."""
    return of_url(text) or Location(folder.bucket, folder.key + text)


def checked(text: str) -> str:
    """
    Raises:
        ValueError: it is neither a place in S3 nor one beside the document.
    """
    if _CONTROL.search(text):
        raise ValueError("has a line break or control character; write it in one line")
    if "://" in text:
        if of_url(text) is None or len(text) > _MOST_CHARACTERS:
            raise ValueError(f"is {text!r}, no place in S3; write s3://bucket/prefix/")
        return text
    parts = text.removesuffix("/").split("/")
    if not text or {"", ".", ".."} & set(parts) or "\\" in text:
        raise ValueError(
            f"is {text!r}, which does not lie beside job.yaml; write a path such as data/train/, or "
            "s3://bucket/prefix/"
        )
    if len(text) > _MOST_RELATIVE:
        raise ValueError(f"has more than {_MOST_RELATIVE} characters; write a shorter path")
    return text
