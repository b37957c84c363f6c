"""Which files of a folder are packed: what its links mean, without what is nobody's model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modelgate.errors import Problem, Refused

_LEFT_OUT = frozenset(("__pycache__", "__MACOSX"))
_BYTE_CODE = (".pyc", ".pyo")
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Found:
    """A folder's files by their names in it, and what is left out; folders among that end with a slash."""

    files: dict[str, Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def files_in(
    folder: Path,
    *,
    apart: Path | None = None,
    leave_out: Callable[[str], bool] = lambda _: False,
) -> Found:
    """Looks through a folder. Links are followed where they stay inside it.

    Args:
        apart: a folder that may lie in it and is passed over.
        leave_out: names of files, and of folders with a slash behind them, that shall not be packed; hidden
            ones, byte code and virtual environments never are.

    Raises:
        Refused: a link leads out of the folder, to nothing or into a circle, or something is neither file nor
            folder.
    """
    looking = _Looking(folder.resolve(), apart.resolve() if apart else None, leave_out)
    looking.look(looking.root, "", (looking.root,))
    if looking.problems:
        raise Refused(*looking.problems[:_MOST_PROBLEMS])
    return looking.found


@dataclass
class _Looking:
    root: Path
    apart: Path | None
    leave_out: Callable[[str], bool]
    found: Found = field(default_factory=Found)
    problems: list[Problem] = field(default_factory=list)

    def look(self, folder: Path, prefix: str, above: tuple[Path, ...]) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name, path = f"{prefix}{entry.name}", Path(entry.path)
            if path == self.apart:
                continue
            if self._is_left_out(path, name):
                self.found.left_out.append(f"{name}/" if path.is_dir() else name)
            elif (followed := self._followed(path, name) if entry.is_symlink() else path) is not None:
                self._take(followed, name, above)

    def _is_left_out(self, path: Path, name: str) -> bool:
        if path.name.startswith(".") or path.name in _LEFT_OUT:
            return True
        if path.is_dir():
            return (path / "pyvenv.cfg").is_file() or self.leave_out(f"{name}/")
        return path.suffix in _BYTE_CODE or self.leave_out(name)

    def _take(self, path: Path, name: str, above: tuple[Path, ...]) -> None:
        if path.is_file():
            self.found.files[name] = path
        elif not path.is_dir():
            self._refuse(name, "is neither a file nor a folder", "leave it out: a model is made of files")
        elif path in above:
            self._refuse(name, "is a link to a folder that it lies in", "remove the link")
        else:
            self.look(path, f"{name}/", (*above, path))

    def _followed(self, link: Path, name: str) -> Path | None:
        try:
            path = link.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a circle of links, before Python 3.13
            self._refuse(name, f"is a link to {str(link.readlink())!r}, where nothing is", "remove the link")
            return None
        if not path.is_relative_to(self.root):
            mend = "copy the folder with the files that its links mean (cp -rL), and pack the copy"
            self._refuse(name, f"is a link out of the folder, to {str(path)!r}", mend)
            return None
        return path

    def _refuse(self, name: str, found: str, mend: str) -> None:
        self.problems.append(Problem(f"{self.root.name}/{name}", found, mend))
