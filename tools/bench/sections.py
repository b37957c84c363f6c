"""What docs/performance.md says of each measure besides its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """A part of the page about one measure.

    Attributes:
        measure: its name for ``make bench``, and of its figures.
        told: what was measured, on what, and beside what.
        labels: of its figures, in the order in which they are listed; not for those that have a table.
    """

    measure: str
    title: str
    told: str
    labels: Mapping[str, str] = field(default_factory=dict)


EVENTS = {
    "approval": "an approval that starts an update",
    "in_service": "the event that ends it",
    "duplicate": "that event once more",
}

SECTIONS: Sequence[Section] = (
    Section(
        "cold_start",
        "Start of a function",
        "A fresh interpreter imports the function from what `make build` made, where nothing can be written, "
        "and makes the clients of its first event. Beside it: the same interpreter imports boto3 as it comes "
        "from the package index, with its byte code, and makes the same clients; the SageMaker SDK makes a "
        "`Model`; MLflow makes its client for deployments. Processor time of whole processes, net of a bare "
        "interpreter; all take turns; medians. A process that ends frees what it has made, which no function "
        "on Lambda ever comes to; `until ready` is the ratio without that. What only some events need, such "
        "as the policy when an image is there, is made by the first of them, and is on neither side.",
    ),
    Section(
        "size",
        "What is deployed",
        "The layer that `make build` makes, in MB. Beside it: the same requirements as SAM's Python build "
        "installs them.",
        {
            "layer_mb": "unzipped",
            "plain_layer_mb": "unzipped, plain build",
            "zip_mb": "zipped",
            "plain_zip_mb": "zipped, plain build",
            "zip_ratio": "zipped ÷ zipped, plain build",
            "layer_ratio": "unzipped ÷ unzipped, plain build",
            "python": "built for",
        },
    ),
    Section(
        "warm",
        "A warm function",
        "The same event many times in one process, with recorded answers in the network's place. Beside it: "
        "the calls that the handler made, made again by the same clients with the same parameters. They "
        "validate, serialise, sign and parse on both sides. Processor time of all threads; both take turns; "
        "medians.",
    ),
    Section(
        "calls",
        "Calls to AWS",
        "What the real handlers call for one event on the local cloud, under a policy that says nothing.",
    ),
    Section(
        "chain",
        "A thousand submissions",
        "Uploads of small artifacts to the local cloud, from there by real events through the real handlers "
        "into the registry, all in one process. Beside it: the calls that were made meanwhile, made again on "
        "a cloud where nobody listens.",
        {
            "submissions": "submissions",
            "groups": "groups",
            "per_second": "submissions per second",
            "efficiency": "the bare calls ÷ the chain",
            "last_over_first": "latency of the last hundred ÷ of the first hundred",
            "lost": "lost",
            "twice": "registered twice",
        },
    ),
    Section(
        "approvals",
        "Ten thousand approvals of one endpoint",
        "Approvals of a few versions in random order, on the local cloud, while the endpoint is updated.",
        {
            "approvals": "approvals",
            "updates": "updates that they came to",
            "updates_at_100": "updates that a hundred come to",
            "converged": "the version that was approved last serves",
            "seconds": "seconds",
        },
    ),
    Section(
        "inspect",
        "Reading an artifact",
        "A model.tar.gz of 1 GB of normally distributed weights, read to its end through the S3 adapter from "
        "a server on the machine. Beside it: `tar -tzf` and `igzip -t`, which read the file.",
        {
            "mb_per_s": "compressed MB per second",
            "ratio_to_tar_tzf": "speed ÷ `tar -tzf`",
            "ratio_to_igzip": "speed ÷ `igzip -t`",
            "peak_mb": "peak memory of the process in MB, of which most is the client's",
            "lacking": "not here to be compared with",
        },
    ),
    Section(
        "package",
        "Packing a source",
        "A tree of 2,000 files and 100 MB, plain and with all of it committed to git. Beside it: sm-docker.",
        {
            "time_ratio_to_smdocker": "time of sm-docker ÷ ours, the worse tree",
            "size_ratio_to_smdocker": "size of ours ÷ sm-docker's, the worse tree",
            "plain_seconds": "a plain tree: our seconds",
            "plain_seconds_smdocker": "a plain tree: sm-docker's seconds",
            "plain_time_ratio": "a plain tree: time of sm-docker ÷ ours",
            "plain_size_ratio": "a plain tree: size of ours ÷ sm-docker's",
            "with_git_seconds": "a repository: our seconds",
            "with_git_seconds_smdocker": "a repository: sm-docker's seconds",
            "with_git_time_ratio": "a repository: time of sm-docker ÷ ours",
            "with_git_size_ratio": "a repository: size of ours ÷ sm-docker's",
            "rounds": "rounds",
            "smdocker": "sm-docker was",
        },
    ),
    Section(
        "rebuild",
        "Building an image again",
        "The container of examples/decision_trees on the local cloud with a Docker Engine, from the upload "
        "of the source to the announcement of the image. Beside it: the same from nothing.",
        {
            "seconds": "seconds, when one line has changed",
            "seconds_uncached": "seconds, when it was never built",
            "ratio_to_uncached": "ratio",
            "not_measured": "not measured",
        },
    ),
)
