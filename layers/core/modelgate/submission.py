"""What a data scientist uploads lies under a name: which names there may be, and what lies under them."""

from __future__ import annotations

import re

from modelgate.errors import Problem, Refused
from modelgate.values import dataclass

ARTIFACT = "model.tar.gz"
MANIFEST = "manifest.yaml"

# SageMaker's pattern for the names of groups, models, endpoint configs and endpoints.
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_SUBMISSION_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")
RESERVED = ("modelgate.", "metric.")
# CustomerMetadataProperties holds 50; what Modelgate writes itself and a margin come off.
MAX_METRICS = 25
MAX_METADATA = 15


@dataclass(frozen=True)
class SubmissionId:
    """Where a submission lies: ``models/<group>/<name>/``, raw as the key has it."""

    group: str
    name: str

    @classmethod
    def of_key(cls, key: str) -> SubmissionId:
        """The submission that an object under ``models/`` belongs to; a deeper key keeps the rest in it."""
        _, group, rest = key.split("/", 2)
        return cls(group, rest.rpartition("/")[0])

    def check(self) -> None:
        """Raises `Refused` when SageMaker, or the registry's metadata, would not take these names."""
        problems = []
        where = f"models/{self.group}/{self.name}/"
        if not SAGEMAKER_NAME.fullmatch(self.group):
            mend = "a group has letters, digits and single hyphens, at most 63; upload under another name"
            problems.append(Problem(where, f"the group {self.group!r} is no name that SageMaker takes", mend))
        if not _SUBMISSION_NAME.fullmatch(self.name):
            mend = (
                "a submission has letters, digits, '.', '_' and '-', at most 100; upload under another name"
            )
            problems.append(Problem(where, f"the submission {self.name!r} is no name that can be used", mend))
        if problems:
            raise Refused(*problems)

    def key(self, file: str) -> str:
        return f"models/{self.group}/{self.name}/{file}"

    def report_key(self, file: str) -> str:
        return f"reports/{self.group}/{self.name}/{file}"

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"
