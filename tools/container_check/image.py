"""The image itself: whether there is one, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from container_check.contract import Seen, broken, held
from modelgate.builds.options import BUILD_FILE, BuildOptions, read_options

if TYPE_CHECKING:
    from docker import DockerClient

PLATFORM = "linux/amd64"
_SHELLS = {"sh", "bash", "dash", "ash", "zsh"}
# A shell that hands over its arguments, and its place as the first process.
_HANDS_OVER = re.compile(r"^\s*exec\s.*\$(\{?[0@*1]|\{@)", re.DOTALL)
_ROOT = {"", "0", "root"}
_LAST_LINES = 6


class ImageProbe:
    """The checks of an image.

    Args:
        folder: the Dockerfile's, if the image is to be built.
        name: the image's.
        progress: is told of each line of a build.
    """

    def __init__(
        self, client: DockerClient, name: str, folder: Path | None, progress: Callable[[str], None]
    ) -> None:
        self._client = client
        self._name = name
        self._folder = folder
        self._progress = progress
        self._attributes: Mapping[str, Any] = {}

    @property
    def attempts(self) -> dict[str, Callable[[], Seen]]:
        return {
            "image.exists": self.exists,
            "image.platform": self.platform,
            "image.entry-point": self.entry_point,
            "image.user": self.user,
        }

    @property
    def is_missing(self) -> bool:
        return not self._attributes

    @property
    def id(self) -> str:
        """In the engine; only where there is an image."""
        return str(self._attributes["Id"])

    @property
    def labels(self) -> Mapping[str, str]:
        return self._config.get("Labels") or {}

    @property
    def _config(self) -> Mapping[str, Any]:
        return self._attributes.get("Config") or {}

    def exists(self) -> Seen:
        """Builds the folder, or finds or pulls the image."""
        return self._pulled() if self._folder is None else self._built(self._folder)

    def _pulled(self) -> Seen:
        from docker.errors import APIError, ImageNotFound

        try:
            self._attributes = self._client.images.get(self._name).attrs
        except ImageNotFound:
            self._progress(f"pulling {self._name}")
        else:
            return held(f"the engine has it: {self._short_id}")
        try:
            why = _error_in(self._client.api.pull(self._name, stream=True, decode=True), self._progress)
        except APIError as error:
            why = " ".join(str(error.explanation or error).split())
        if why is not None:
            return broken(f"the engine has no image {self._name}, and cannot pull it: {why}")
        self._attributes = self._client.images.get(self._name).attrs
        return held(f"pulled: {self._short_id}")

    def _built(self, folder: Path) -> Seen:
        from docker.errors import APIError

        options = _options(folder)
        if not (folder / options.dockerfile).is_file():
            return broken(
                f"there is no {options.dockerfile} in {folder}",
                f"write one, or name it in {BUILD_FILE}; an image is checked by its name",
            )
        before = {str(image.id) for image in self._client.images.list(self._name)}
        lines: list[str] = []

        def tell(line: str) -> None:
            lines.append(line)
            self._progress(line)

        try:
            told = self._client.api.build(
                path=str(folder),
                dockerfile=options.dockerfile,
                target=options.target or "",
                buildargs=options.build_args,
                platform=PLATFORM,
                tag=self._name,
                rm=True,
                forcerm=True,
                decode=True,
            )
            error = _error_in(told, tell)
        except (APIError, TypeError) as refused:  # the latter is docker-py's, of a folder that it cannot send
            error = " ".join(str(getattr(refused, "explanation", None) or refused).split())
        if error is not None:
            last = " / ".join(lines[-_LAST_LINES:])
            return broken(f"it does not build: {error}" + (f" (the log ends with: {last})" if last else ""))
        self._attributes = self._client.images.get(self._name).attrs
        self._forget(before - {self.id})
        return held(f"built from {folder}: {self._short_id}")

    def _forget(self, images: set[str]) -> None:
        """What the folder was built to before; its layers stay, as they are the cache of the next build."""
        from docker.errors import APIError

        for image in images:
            try:
                self._client.images.remove(image, noprune=True)
            except APIError:
                continue  # somebody else uses it, or gave it another name

    @property
    def _short_id(self) -> str:
        return self.id.removeprefix("sha256:")[:12]

    def platform(self) -> Seen:
        found = f"{self._attributes['Os']}/{self._attributes['Architecture']}"
        return held(f"it is {found}") if found == PLATFORM else broken(f"it is {found}")

    def entry_point(self) -> Seen:
        return judged_entry_point(self._config.get("Entrypoint") or ())

    def user(self) -> Seen:
        return judged_user(self._config.get("User") or "")


def _error_in(told: Any, tell: Callable[[str], None]) -> str | None:
    """Reads what the engine tells of a build or a pull to its end; why it failed, if it did."""
    for each in told:
        if "error" in each:
            return " ".join(str(each["error"]).split())
        for line in str(each.get("stream", "")).splitlines():
            # The engine's own notes begin so.
            if line.strip() and not line.strip().startswith("--->"):
                tell(line.strip())
    return None


def _options(folder: Path) -> BuildOptions:
    file = folder / BUILD_FILE
    return read_options(file.read_bytes()) if file.is_file() else BuildOptions()


def judged_entry_point(entry_point: Sequence[str]) -> Seen:
    """
    Args:
        entry_point: as the image has it: what is written in shell form begins with the shell.
    """
    if not entry_point:
        return held("it has none: train and serve are looked for in PATH")
    shell, *arguments = entry_point
    commands = [at for at, argument in enumerate(arguments) if re.fullmatch(r"-\w*c", argument)]
    if shell.rpartition("/")[2] not in _SHELLS or not commands:
        return held(f"it is {' '.join(entry_point)}")
    command = " ".join(arguments[commands[0] + 1 :][:1])
    if _HANDS_OVER.match(command):
        return held(f"it is a shell that hands over its arguments and its place: {command}")
    return broken(f"it is in shell form: {' '.join(entry_point)}")


def judged_user(user: str) -> Seen:
    """
    Args:
        user: as the image has it, with a group or without.
    """
    if user.partition(":")[0] in _ROOT:
        return held("it is root")
    return broken(f"it is {user}")
