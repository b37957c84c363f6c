"""What a submission is made from, and what becomes of it in an artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelgate.errors import Problem, Refused

SCRIPT = "code/inference.py"
REQUIREMENTS = "code/requirements.txt"

# A file of this machine, or what a file is to hold.
Content = Path | bytes


@dataclass(frozen=True)
class Material:
    """What people have on disk, and what shall serve it.

    Attributes:
        model: the file or folder that the framework wrote; None where the container fetches its model.
        framework: whose container serves; None for an image of one's own.
        version: of the prebuilt container.
        script, requirements: files that become code/inference.py and code/requirements.txt.
        code: a folder that becomes code/.
        apart: what is never packed, though it may lie in the model's folder: the submission itself.
    """

    model: Path | None
    framework: str | None
    version: str | None = None
    script: Path | None = None
    code: Path | None = None
    requirements: Path | None = None
    apart: Path | None = None

    @property
    def has_code(self) -> bool:
        """Whether code of the user's own is to serve the model."""
        return self.script is not None or self.code is not None


@dataclass(frozen=True)
class Layout:
    """What becomes what in an artifact.

    Attributes:
        files: by their names in it; in the order in which they are packed once ``ordered``.
        generated: the names of those that were written here.
        left_out: what lay in the folders that were given and is not packed; folders end with a slash.
        notes: what the user should know, a sentence each.
        environment: what the container needs to serve exactly this.
        source_uri: where the model was tracked.
        metadata: for the registry.
    """

    files: Mapping[str, Content] = field(default_factory=dict)
    generated: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    source_uri: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def with_files(self, files: Mapping[str, Content], *, generated: Iterable[str] = ()) -> Layout:
        """With more files.

        Raises:
            Refused: one of them is there already.
        """
        twice = sorted(self.files.keys() & files.keys())
        if twice:
            mend = "give it once: in a folder, or by itself"
            raise Refused(*(Problem(name, "is given twice", mend) for name in twice))
        return replace(
            self, files={**self.files, **files}, generated=tuple(sorted({*self.generated, *generated}))
        )
