"""Hyperparameters as a training job is given them: texts, all of them.

SageMaker Training Toolkit, README, "Hyperparameters": the toolkit reads each value as JSON, and takes what is
its own by names that begin with ``sagemaker_``. An algorithm, and an image without the toolkit, gets texts as
they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# CreateTrainingJob, HyperParameters.
MOST = 100
MOST_NAME = 256
MOST_VALUE = 2500
# What the toolkit is told beside the script's own.
OF_TOOLKIT = (
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
)
_RESERVED = "sagemaker_"
_LOG_LEVEL = 20  # Python's INFO
_LINE_BREAK = re.compile(r"[\r\n\x85\u2028\u2029]")


def encoded(given: Mapping[str, Any], *, for_script: bool) -> dict[str, str]:
    """The values as texts: for the toolkit as JSON, else texts as they are and the rest as JSON."""
    return {
        name: value if isinstance(value, str) and not for_script else json.dumps(value, sort_keys=True)
        for name, value in given.items()
    }


def of_toolkit(*, program: str, source: str, region: str, job: str) -> dict[str, str]:
    """What the toolkit is told: which program of which source to run.

    Args:
        source: the tarball, in S3 or in the container.
    """
    values: tuple[object, ...] = (program, source, region, _LOG_LEVEL, job)
    return {name: json.dumps(value) for name, value in zip(OF_TOOLKIT, values, strict=True)}


def checked(given: Mapping[str, Any], *, for_script: bool) -> None:
    """
    Raises:
        ValueError: SageMaker would not take them, or the script would not get what was written.
    """
    most = MOST - (len(OF_TOOLKIT) if for_script else 0)
    if len(given) > most:
        raise ValueError(
            f"are {len(given)}, and a job takes {most} of one's own; put the rest into a file of a channel"
        )
    for name, value in given.items():
        if not 1 <= len(name) <= MOST_NAME or _LINE_BREAK.search(name):
            raise ValueError(
                f"have the name {name[:40]!r}, which SageMaker does not take; use 1 to {MOST_NAME} "
                "characters in one line"
            )
        if name.startswith(_RESERVED):
            raise ValueError(
                f"have {name!r}, and what begins with {_RESERVED} is told to the toolkit by Modelgate; "
                "choose another name, or write script instead"
            )
        if value is None:
            raise ValueError(f"have {name} without a value; give it one, or leave it out")
        try:
            text = encoded({name: value}, for_script=for_script)[name]
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"have {name} with what is no JSON ({error}); write a finite number") from error
        if len(text) > MOST_VALUE or _LINE_BREAK.search(text):
            raise ValueError(
                f"have {name} with more than {MOST_VALUE:,} characters or a line break; put it into a file "
                "of a channel"
            )
