"""What a job is made of, as it was when the job was started."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from modelgate.ports import NewObject
from modelgate.submission import MAX_METADATA
from modelgate.training.job import OWN_ENTRIES, OWN_METADATA
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.locations import Location
    from modelgate.ports import ObjectVersion
    from modelgate.run import TrainingId
    from modelgate.training.job import TrainingJob
    from modelgate.training.order import TrainingOrder

LINEAGE_FILE = "lineage.json"
# Objects of a channel that are named one by one; the digest is over all of them.
MOST_NAMED = 1000
# So many are listed at all: a hundred calls.
MOST_LISTED = 100_000
_MOST_OF_VALUE = 256
_NOT_IN_METADATA = re.compile(r"[^\w.:/=+\-@ ]")


@dataclass(frozen=True)
class Source:
    """The tarball of a script.

    Attributes:
        place: where the job takes it from.
        uploaded: where it was uploaded, with its S3 version; None where it lies in another bucket.
        sha256: of its bytes; empty where nobody here could read it.
    """

    place: Location
    uploaded: ObjectVersion | None = None
    sha256: str = ""

    @property
    def name(self) -> str:
        """The object as people call it, with the version behind it."""
        return f"{self.uploaded.key}@{self.uploaded.version}" if self.uploaded else self.place.url


@dataclass(frozen=True)
class Contents:
    """What lies in a channel.

    Attributes:
        objects: by their keys, at most `MOST_LISTED`.
        all: whether these are all.
    """

    objects: tuple[ObjectVersion, ...]
    all: bool = True

    @property
    def size(self) -> int:
        return sum(each.size for each in self.objects)

    @property
    def sha256(self) -> str:
        """Names exactly these versions of these objects."""
        whole = hashlib.sha256()
        for each in self.objects:
            whole.update(f"{each.key}\0{each.version}\0{each.etag}\n".encode(errors="surrogatepass"))
        return whole.hexdigest()


def document(
    run: TrainingId,
    order: TrainingOrder,
    version: str,
    source: Source | None,
    channels: Mapping[str, Contents],
) -> NewObject:
    """The long form, beside what comes of the run.

    Args:
        version: the S3 version of the `job.yaml`.
        channels: what lies in those whose data is in the intake bucket.
    """
    data: dict[str, Any] = {}
    for channel in order.channels:
        data[channel.name] = {"location": channel.location.url}
        if found := channels.get(channel.name):
            data[channel.name] |= {
                "count": len(found.objects),
                "bytes": found.size,
                "sha256": found.sha256,
                "objects": [_named(each) for each in found.objects[:MOST_NAMED]],
            }
            if not found.all:
                data[channel.name]["more"] = True
    content: dict[str, Any] = {
        "job": order.name,
        "run": str(run),
        "document": {"key": run.key("job.yaml"), "version": version},
        "image": order.image,
        "hyperparameters": dict(order.hyperparameters),
        "data": data,
    }
    if source is not None:
        content["code"] = {"name": source.name, "location": source.place.url, "sha256": source.sha256}
    body = json.dumps(content, indent=1).encode()
    return NewObject(run.trained_key(LINEAGE_FILE), body, "application/json")


def metadata(
    job: TrainingJob, order: TrainingOrder, source: Source | None, channels: Mapping[str, Contents]
) -> tuple[tuple[str, str], ...]:
    """The short form, for the version: as many channels as there is room for beside what people wrote."""
    values = (order.name, order.image, source.name if source else "")
    entries = {key: value for key, value in zip(OWN_ENTRIES, values, strict=True) if value}
    room = MAX_METADATA - len(OWN_ENTRIES) - (len(job.serve.metadata) if job.serve else 0)
    for channel in [each for each in order.channels if each.name in job.data][:room]:
        found = channels.get(channel.name)
        what = f" {len(found.objects)} objects sha256:{found.sha256[:16]}" if found else ""
        place = channel.location.url[: _MOST_OF_VALUE - len(what)]
        entries[f"{OWN_METADATA}data.{channel.name}"] = place + what
    return tuple((key, _NOT_IN_METADATA.sub("_", value)[:_MOST_OF_VALUE]) for key, value in entries.items())


def _named(found: ObjectVersion) -> dict[str, object]:
    return {
        "key": found.key,
        "version": found.version,
        "etag": found.etag.strip('"'),
        "bytes": found.size,
    }


def contents(listed: Sequence[ObjectVersion]) -> Contents:
    """Of what was listed with a limit of `MOST_LISTED`; without the folders of S3's console."""
    return Contents(
        tuple(each for each in listed[:MOST_LISTED] if not (each.key.endswith("/") and each.size == 0)),
        all=len(listed) <= MOST_LISTED,
    )
