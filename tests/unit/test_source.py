"""What is looked at of a source before it is built."""

from __future__ import annotations

import io
import stat
import zipfile
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.builds import source as module
from modelgate.builds.options import BuildOptions, read_options
from modelgate.builds.order import order
from modelgate.builds.source import Source, SourceId, examine
from modelgate.errors import Refused
from modelgate.ports import ObjectVersion
from tests.unit.sources import DOCKERFILE, source, zipped

OWN = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
_names = st.text(st.sampled_from("abcdef-_."), min_size=1, max_size=8).filter(lambda name: name.strip("."))


def look(content: bytes) -> Source:
    return examine(io.BytesIO(content), "trees.zip")


def reasons(content: bytes) -> str:
    with pytest.raises(Refused) as refused:
        look(content)
    return str(refused.value)


# ── the tag ───────────────────────────────────────────────────────────────────────────────────────
@settings(max_examples=40)
@given(st.dictionaries(_names, st.binary(max_size=50), max_size=5), st.randoms(use_true_random=False))
def test_the_same_content_has_the_same_tag_however_it_was_zipped(
    files: dict[str, bytes], random: Random
) -> None:
    content = {**files, "Dockerfile": DOCKERFILE.encode()}
    names = random.sample(sorted(content), len(content))
    again = {name: content[name] for name in names}
    first = zipped(content)
    second = zipped(again, date=(2026, 11, 22, 1, 2, 4), compression=zipfile.ZIP_STORED)
    assert look(first).tag == look(second).tag


def test_folders_in_the_zip_change_nothing_but_empty_ones_do() -> None:
    plain = zipped({"Dockerfile": DOCKERFILE, "app/a.py": ""})
    with_folder = zipped({"app/": "", "Dockerfile": DOCKERFILE, "app/a.py": ""})
    with_empty = zipped({"Dockerfile": DOCKERFILE, "app/a.py": "", "logs/": ""})
    assert look(plain).tag == look(with_folder).tag != look(with_empty).tag


@pytest.mark.parametrize(
    "other",
    [
        zipped({"Dockerfile": DOCKERFILE, "run.sh": "echo 2"}),
        zipped({"Dockerfile": DOCKERFILE, "run2.sh": "echo"}),
        zipped({"Dockerfile": DOCKERFILE, "run.sh": "echo"}, runs=("run.sh",)),
        zipped({"Dockerfile": DOCKERFILE, "run.sh": "echo", "build.yaml": "target: null"}),
    ],
    ids=["content", "name", "who may run it", "options"],
)
def test_what_differs_has_another_tag(other: bytes) -> None:
    tag = look(zipped({"Dockerfile": DOCKERFILE, "run.sh": "echo"})).tag
    assert tag.startswith("sha-")
    assert len(tag) == 44
    assert look(other).tag != tag


# ── what a zip may hold ───────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../evil", "leads out of the source"),
        ("a/../../evil", "leads out of the source"),
        ("/etc/passwd", "leads out of the source"),
        ("C:/evil", "leads out of the source"),
        ("a\\b", "is no name that a build can unpack"),
        ("a\nb", "is no name that a build can unpack"),
    ],
)
def test_names_that_lead_astray_are_refused(name: str, found: str) -> None:
    assert f"{name!r} {found}" in reasons(zipped({"Dockerfile": DOCKERFILE, name: "x"}))


def _entry(mode: int) -> bytes:
    out = io.BytesIO(source())
    with zipfile.ZipFile(out, "a") as archive:
        entry = zipfile.ZipInfo("strange")
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


def test_links_and_devices_are_refused() -> None:
    assert "'strange' is a symbolic link" in reasons(_entry(stat.S_IFLNK | 0o777))
    assert "'strange' is neither a file nor a folder" in reasons(_entry(stat.S_IFIFO | 0o644))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused() -> None:
    out = io.BytesIO(source())
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("Dockerfile", "FROM evil")
    assert "'Dockerfile' is there twice" in reasons(out.getvalue())
    assert "'a' is a file, and a folder, too" in reasons(
        zipped({"Dockerfile": DOCKERFILE, "a": "", "a/b": ""})
    )


def test_what_is_no_zip_or_a_damaged_one_is_refused() -> None:
    whole = zipped({"Dockerfile": DOCKERFILE, "data": b"0123456789" * 100}, compression=zipfile.ZIP_STORED)
    damaged = whole.replace(b"0123456789012", b"0123456789x12", 1)
    for content in (b"", b"no zip", whole[: len(whole) // 2], damaged):
        assert "is no zip that can be read to its end" in reasons(content)


def test_an_encrypted_file_is_refused() -> None:
    content = bytearray(source())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1
    assert "is encrypted" in reasons(bytes(content))


def test_limits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 100)
    told = reasons(source(a="x" * 200, b="", c=""))
    assert "has 4 files, and 2 are allowed" in told
    assert "unpacks to" in told


# ── what it builds ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"app.py": ""}, "has no Dockerfile; put it there"),
        ({"trees/Dockerfile": DOCKERFILE}, "there is trees/Dockerfile: zip what is in its folder"),
        ({"Dockerfile": "RUN true"}, "Dockerfile: has no FROM line"),
        ({"Dockerfile": "FROM Python"}, "builds on 'Python', which is no name of an image"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "tarjet: x"}, "did you mean target?"),
        ({"Dockerfile": "FROM a AS one", "build.yaml": "target: two"}, "names the stage 'two'"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "dockerfile: ../Dockerfile"}, "no path in the source"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "dockerfile: other"}, "has no other"),
        (
            {"Dockerfile": DOCKERFILE, "build.yaml": "build_args: {A B: x}"},
            "'A B', no name of a build argument",
        ),
        ({"Dockerfile": DOCKERFILE, "build.yaml": 'build_args: {A: "x\\ny"}'}, "A with a line break"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "build_args: {A: 1}"}, 'in quotes: "1"'),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "tags: [sha-1]"}, "is made of the source"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": "tags: [a b]"}, "'a b', no tag of an image"),
        ({"Dockerfile": DOCKERFILE, "build.yaml": f"build_args: {{A: {'x' * 4000}}}"}, "more than 4,000"),
        ({"Dockerfile": b"\xff\xfe"}, "Dockerfile: is not UTF-8"),
    ],
)
def test_a_source_that_cannot_be_built_says_why(files: dict[str, str | bytes], found: str) -> None:
    assert found in reasons(zipped(files))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = reasons(zipped({"Dockerfile": "RUN true", "build.yaml": "platform: windows"}))
    assert "build.yaml: platform" in told
    assert "Dockerfile: has no FROM line" in told


def test_an_image_of_awss_in_the_wrong_account_is_told_where_it_lies() -> None:
    wrong = "763104351884.dkr.ecr.ap-east-1.amazonaws.com/pytorch-training:2.5.1-cpu-py311"
    told = reasons(zipped({"Dockerfile": f"FROM {wrong}"}))
    assert "AWS keeps pytorch-training of ap-east-1 in account 871362719292" in told
    right = wrong.replace("763104351884", "871362719292")
    assert look(zipped({"Dockerfile": f"FROM {right}"})).images == (right,)


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("sources/trees/a.zip", True),
        ("sources/decision-trees_2.0/2026-11-22 final.zip", True),
        ("sources/Trees/a.zip", False),
        ("sources/t/a.zip", False),
        ("sources/-trees/a.zip", False),
        ("sources/tr__ees/a.zip", False),
        (f"sources/{'x' * 101}/a.zip", False),
    ],
)
def test_an_image_has_a_name_that_a_repository_can_have(key: str, fits: bool) -> None:
    where = SourceId.of_key(key)
    assert where.key == key
    if fits:
        where.check()
    else:
        with pytest.raises(Refused, match="is no name of an image"):
            where.check()


# ── the order ─────────────────────────────────────────────────────────────────────────────────────
def _order(options: str = "", dockerfile: str = DOCKERFILE) -> dict[str, str]:
    files = {"Dockerfile": dockerfile, **({"build.yaml": options} if options else {})}
    made = order(
        look(zipped(files)),
        ObjectVersion("sources/trees/a.zip", "v1", 1),
        image="trees",
        home=f"{OWN}/trees",
        cache=f"{OWN}/modelgate-cache/trees",
        region="eu-central-1",
        token="token",
    )
    return dict(made.variables)


def test_a_build_is_told_one_argument_a_line() -> None:
    told = _order('{target: run, build_args: {B: "$(rm -rf /)", A: a b}, tags: [v1]}', "FROM a AS run")
    tag = told["IMAGE_TAG"]
    named = [
        "--file",
        "Dockerfile",
        "--target",
        "run",
        "--build-arg",
        "A=a b",
        "--build-arg",
        "B=$(rm -rf /)",
    ]
    tags = ["--tag", f"{OWN}/trees:{tag}", "--tag", f"{OWN}/trees:v1"]
    assert told["DOCKER_ARGUMENTS"].split("\n") == [*named, "--platform", "linux/amd64", *tags]
    assert told["IMAGE_TAGS"].split("\n") == [tag, "v1"]


def test_a_build_logs_in_to_the_registries_that_it_needs_and_to_no_others() -> None:
    aws = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    dockerfile = f"FROM {aws}/pytorch-training:2 AS a\nFROM {OWN}/base\nCOPY --from=public.ecr.aws/x/y:1 / /"
    told = _order(dockerfile=dockerfile)
    assert told["REGISTRIES"].split("\n") == [f"eu-central-1 {OWN}", f"us-east-1 {aws}"]


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True), st.text(max_size=60), max_size=4
    )
)
def test_no_value_ever_becomes_two_arguments(build_args: dict[str, str]) -> None:
    try:
        options = BuildOptions(build_args=build_args)
    except ValueError:
        return
    lines = "\n".join(options.arguments).split("\n")
    assert tuple(lines) == options.arguments
    assert all("\n" not in line for line in lines)


def test_without_a_document_every_option_is_its_default() -> None:
    assert read_options(b"") == BuildOptions()
