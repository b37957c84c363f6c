"""What docker itself leaves out of a build, beside what is packed."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from modelgate_cli.source_archive import pack_source
from tests.docker.conftest import BASE_IMAGE

CLIENT = shutil.which("docker") or "docker"
DOCKERFILE = (
    f"FROM {BASE_IMAGE}\nCOPY . /arrived/\nRUN cd /arrived && find . -mindepth 1 -printf '%y=%P=\\n'\n"
)
# In the zip whatever is ignored: the build needs them.
ALWAYS = {"Dockerfile", ".dockerignore"}

# Each rule has names of its own, so that one build tells of all of them. What versions of docker disagree on
# is not here: tests/unit/test_source_archive.py has it as BuildKit does it.
RULES = {
    "# comment\n\n  \n": ["# comment"],
    "trimmed  ": ["trimmed"],
    "/rooted": ["rooted", "in/rooted"],
    "slash/": ["slash/a", "slash/b/c", "in/slash"],
    "./dot//twice/../file": ["dot/file", "dot/twice/file"],
    "*.one": ["a.one", "in/a.one"],
    "*/*.two": ["a.two", "in/a.two", "in/in/a.two"],
    "**/*.any": ["a.any", "in/a.any", "in/in/a.any"],
    "**/cache": ["cache/a", "in/cache/a", "in/cached"],
    "below/**": ["below/a", "below/b/c"],
    "between/**/end": ["between/end", "between/a/b/end", "between/a/other"],
    "wh?t": ["what", "wh/t", "wht"],
    "[abc]set": ["aset", "dset"],
    "[^abc]not": ["anot", "dnot"],
    "[0-4]range": ["3range", "5range"],
    r"\*star": ["*star", "astar"],
    "dot.txt": ["dot.txt", "dot_txt"],
    "ümläut": ["ümläut", "in/ümläut"],
    "*.md\n!README*.md\nREADME-secret.md": ["a.md", "README.md", "README-secret.md"],
    "back\n!back/kept": ["back/kept/a", "back/gone", "back/other/a"],
    "again\n!again/kept\nagain/kept/gone": ["again/kept/a", "again/kept/gone", "again/gone"],
    "!early\nearly": ["early/a"],
    "Dockerfile\n.dockerignore": [],
    "emptied/*": ["emptied/a"],
}
ONLY = {
    "*\n!src\n!in/one/file\nsrc/**/*.tmp": ["a", "src/a", "src/b/c", "src/b/c.tmp", "in/one/file", "in/two"]
}


def grown(folder: Path, rules: dict[str, list[str]]) -> Path:
    """A folder with the rules, the files that they are about, and an empty folder."""
    (folder / "empty" / "inside").mkdir(parents=True)
    for name in (name for names in rules.values() for name in names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / ".dockerignore").write_text("\n".join(rules) + "\n")
    return folder


def arrived(folder: Path) -> set[str]:
    """What COPY found: files, and folders with a slash behind them."""
    command = [CLIENT, "build", "--force-rm", "--no-cache", str(folder)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    built = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found = [line.split("=") for line in built.stdout.splitlines() if line[:2] in {"f=", "d="}]
    image = built.stdout.rpartition("Successfully built ")[2].strip()
    subprocess.run([CLIENT, "rmi", "--force", image], check=True, capture_output=True)
    return {f"{name}/" if kind == "d" else name for kind, name, _ in found}


def with_folders(names: Iterable[str]) -> set[str]:
    """The names, and those of the folders that they are in."""
    return {f"{parent}/" for name in names for parent in list(Path(name).parents)[:-1]} | set(names)


@pytest.mark.parametrize("rules", [RULES, ONLY], ids=["many rules", "only what is named"])
def test_a_zip_holds_what_docker_sends_and_builds_the_same(
    tmp_path: Path, rules: dict[str, list[str]]
) -> None:
    source = grown(tmp_path / "source", rules)
    sent = arrived(source)
    unpacked = tmp_path / "unpacked"
    with (tmp_path / "source.zip").open("w+b") as stream:
        pack_source(source, stream)
        with zipfile.ZipFile(stream) as archive:
            names = set(archive.namelist())
            archive.extractall(unpacked)
    assert with_folders(names) - ALWAYS == sent - ALWAYS
    assert arrived(unpacked) == sent
