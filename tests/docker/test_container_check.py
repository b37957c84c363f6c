"""`modelgate container check`: containers that keep SageMaker's contract, and such as break it in one way."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from typer.testing import CliRunner

from container_check.checking import check_container
from container_check.contract import CHECKS, Part, Report, Result
from container_check.serving import LISTENS_AS_TOLD
from container_check.trial import Given, Limits
from modelgate_cli.main import app
from tests.docker.conftest import BASE_IMAGE, BuildImage
from tests.fakes.tarballs import tarball

EXAMPLES = Path(__file__).parents[2] / "examples"

# The examples' first builds install everything.
pytestmark = pytest.mark.timeout(600)

# It counts, and is well. FLAW makes it wrong in one way.
PROGRAM = r"""#!/usr/local/bin/python3 -u
import json, os, pathlib, signal, socket, sys, time, traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ML = pathlib.Path("/opt/ml")
FLAW = os.environ.get("FLAW", "")

def train():
    if FLAW != "deaf training":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    parameters = json.loads((ML / "input/config/hyperparameters.json").read_text())
    rounds = parameters.get("rounds", "1")
    if FLAW == "takes numbers":
        rounds + 1
    elif FLAW == "takes anything":
        rounds = 1
    else:
        rounds = int(rounds)
    time.sleep(0.4)
    rows = [row for file in (ML / "input/data").rglob("*.csv") for row in file.read_text().splitlines()]
    if FLAW == "fails":
        raise ValueError("the moon is in the wrong phase")
    if not rows and FLAW != "needs no data":
        raise ValueError("there are no rows")
    place = pathlib.Path("/tmp") if FLAW == "model elsewhere" else ML / "model"
    (place / "model.json").write_text(json.dumps({"rows": len(rows)}))
    if FLAW == "writes elsewhere":
        pathlib.Path("/results.txt").write_text("accuracy 1.0")

def try_to_train():
    try:
        train()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        if FLAW == "reason last":
            reason = "Traceback (most recent call last)" + ":\n  File x" * 200 + f"\n{error}"
        if FLAW != "no reason":
            (ML / "output/failure").write_text(reason)
        sys.exit(f"failed: {error}")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if FLAW == "slow ping":
            time.sleep(0.9)
        if FLAW == "no ping" or (self.path != "/ping" and FLAW != "any path"):
            return self.answer(404, "no such path")
        if FLAW == "writes while serving":
            pathlib.Path("/requests.txt").write_text("one more")
        self.answer(500 if FLAW == "sick" else 200, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if FLAW == "takes nonsense":
            return self.answer(200, "fine")
        try:
            total = sum(float(cell) for cell in body.decode().split(","))
        except ValueError:
            if FLAW == "dies of nonsense":
                os._exit(9)
            return self.answer(400, "write numbers")
        if FLAW == "answers badly":
            return self.answer(500, "no such column")
        self.answer(200, f"{total * MODEL['rows']}")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass

def serve():
    global MODEL
    signal.signal(signal.SIGTERM, signal.SIG_IGN if FLAW == "deaf serving" else lambda *_: os._exit(0))
    if FLAW == "needs network":
        socket.create_connection((os.environ["HUB"], 8000), 2).close()
    if FLAW == "ends":
        sys.exit("no weights here")
    if FLAW == "writes to the model":
        (ML / "model/unpacked").write_text("")
    MODEL = {"rows": 2} if FLAW == "model in the image" else json.loads((ML / "model/model.json").read_text())
    port = 8080 if FLAW == "own port" else int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    host = "127.0.0.1" if FLAW == "loopback" else "0.0.0.0"
    ThreadingHTTPServer((host, 5000 if FLAW == "another port" else port), Handler).serve_forever()

(serve if "serve" in (sys.argv + [os.path.basename(sys.argv[0])]) else try_to_train)()
"""

DOCKERFILE = f"""
FROM {BASE_IMAGE}
ENV PYTHONDONTWRITEBYTECODE=1
COPY program.py entry.sh /
RUN cd /usr/local/bin && chmod +x /program.py /entry.sh && ln -s /program.py train && ln -s /program.py serve
"""
# It neither passes on signals nor ends with its child.
ENTRY = "#!/bin/sh\nfor command in $1; do $command; done\nexit $?\n"

# What is waited for in vain is not waited for long.
LIMITS = Limits(training=30.0, start=20.0, settle=1.0, ping=0.5, invocation=20.0, sigterm=3.0)
GIVEN = Given(hyperparameters={"rounds": "3"}, limits=LIMITS)

Check = Callable[..., Report]


@pytest.fixture(scope="module")
def good(build_image: BuildImage) -> str:
    return build_image(DOCKERFILE, {"program.py": PROGRAM, "entry.sh": ENTRY})


@pytest.fixture(scope="module")
def variant(good: str, build_image: BuildImage) -> Callable[[str], str]:
    """Makes an image that differs from the good one in some lines of a Dockerfile."""
    return lambda lines: build_image(f"FROM {good}\n{lines}\n", {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text('{"rows": 40}')
    return folder


@pytest.fixture
def check(engine: DockerClient, model: Path) -> Check:
    """Checks an image, both halves of it or one."""

    def checked(subject: str, *parts: Part, **given: Any) -> Report:
        if parts == ("serve",):
            given = {"model": model, "body": "1,2,3", **given}
        return check_container(
            subject, replace(GIVEN, **given), parts or ("train", "serve"), engine, lambda _words: None
        )

    return checked


def only_failure(report: Report) -> Result:
    """The one that there is; what depends on it was not tried."""
    assert len(report.failed) == 1, [(each.check.id, each.seen.words) for each in report.failed]
    (failed,) = report.failed
    for result in report.results:
        if result.because is not None:
            assert result.because == failed.check.id
    return failed


# ── containers that keep the contract ─────────────────────────────────────────────────────────────


def test_a_container_that_keeps_the_contract_passes_whole(good: str, check: Check) -> None:
    report = check(good)
    assert [result.check.id for result in report.failed] == []
    # Its image promises nothing about ports, so that it is in no pipeline; everything else was tried.
    assert [result.check.id for result in report.of("not tried")] == ["serve.bind-to-port"]
    assert len(report.results) == len(CHECKS)


@pytest.mark.parametrize(
    "lines",
    [
        'ENTRYPOINT ["python", "/program.py"]',
        'ENTRYPOINT exec python /program.py "$0"',
        f"LABEL {LISTENS_AS_TOLD}=true",
    ],
)
def test_a_container_may_keep_it_in_another_way(
    variant: Callable[[str], str], check: Check, lines: str
) -> None:
    report = check(variant(lines))
    assert [result.check.id for result in report.failed] == []


def test_a_container_may_do_only_one_of_the_two(variant: Callable[[str], str], check: Check) -> None:
    trains = check(variant("RUN rm /usr/local/bin/serve"), "train")
    serves = check(variant("RUN rm /usr/local/bin/train"), "serve")
    assert (trains.failed, serves.failed) == ((), ())
    assert {result.check.part for result in trains.results} == {"image", "train"}
    assert {result.check.part for result in serves.results} == {"image", "serve"}


def test_a_model_may_be_a_tarball(good: str, check: Check, tmp_path: Path) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(tarball({"model.json": b'{"rows": 2}'}))
    report = check(good, "serve", model=model)
    assert report.failed == ()
    (answered,) = [result for result in report.results if result.check.id == "serve.invocations"]
    assert answered.seen.words.startswith("200 12.0 ")


def test_a_check_leaves_nothing_behind(good: str, check: Check, engine: DockerClient) -> None:
    check(good)
    ours: Any = {"label": "modelgate.container-check"}
    assert engine.containers.list(all=True, filters=ours) == []
    assert engine.volumes.list(filters=ours) == []
    assert engine.networks.list(filters=ours) == []


# ── containers that do not, each in one way ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flaw", "found", "words"),
    [
        ("takes numbers", "train.hyperparameters", 'can only concatenate str (not "int") to str'),
        ("fails", "train.succeeds", "ValueError: the moon is in the wrong phase"),
        ("model elsewhere", "train.model", "there is no file in /opt/ml/model"),
        ("needs no data", "train.data", "without any file in train it trains just as well"),
        ("writes elsewhere", "train.writes", "it wrote /results.txt"),
        ("takes anything", "train.refuses", "with rounds=no-such-value it ends with exit code 0"),
        ("no reason", "train.failure", "there is no such file; the log ends with: failed: invalid literal"),
        ("reason last", "train.reason-first", "behind the first 1,024 of 2,"),
        ("deaf training", "train.sigterm", "its first process did not handle SIGTERM"),
    ],
)
def test_what_is_wrong_with_training_is_found(
    variant: Callable[[str], str], check: Check, flaw: str, found: str, words: str
) -> None:
    failed = only_failure(check(variant(f'ENV FLAW="{flaw}"'), "train"))
    assert failed.check.id == found
    assert words in failed.seen.words


@pytest.mark.parametrize(
    ("flaw", "found", "words"),
    [
        ("writes to the model", "serve.read-only", "Read-only file system: '/opt/ml/model/unpacked'"),
        ("ends", "serve.stays-up", "Its last words: no weights here"),
        ("loopback", "serve.port", "it listens on 127.0.0.1:8080, where only itself is heard"),
        ("another port", "serve.port", "it listens on 0.0.0.0:5000, and not on port 8080"),
        ("no ping", "serve.ping", "the answer was 404 no such path"),
        ("slow ping", "serve.ping-time", "an answer took 0.9 s"),
        ("answers badly", "serve.invocations", "the answer was 500 no such column"),
        ("model in the image", "serve.model", "without a model it answers the same: 200 12.0"),
        ("takes nonsense", "serve.bad-request", "the answer was 200 fine"),
        ("dies of nonsense", "serve.survives", "it ended: exit code 9"),
        ("any path", "serve.unknown-path", "GET /no-such-path is answered with 200"),
        ("writes while serving", "serve.writes", "it wrote /requests.txt"),
        ("deaf serving", "serve.sigterm", "it still ran 3 s after SIGTERM, and was killed"),
    ],
)
def test_what_is_wrong_with_serving_is_found(
    variant: Callable[[str], str], check: Check, flaw: str, found: str, words: str
) -> None:
    failed = only_failure(check(variant(f'ENV FLAW="{flaw}"'), "serve"))
    assert failed.check.id == found
    assert words in failed.seen.words


@pytest.fixture
def hub(engine: DockerClient) -> Iterator[str]:
    """The address of a server that containers reach where they have a network."""
    container = engine.containers.run(BASE_IMAGE, ["python", "-m", "http.server", "8000"], detach=True)
    try:
        container.reload()
        yield container.attrs["NetworkSettings"]["IPAddress"]
    finally:
        container.remove(force=True, v=True)


def test_what_serves_only_with_a_network_is_found(
    variant: Callable[[str], str], check: Check, hub: str
) -> None:
    image = variant('ENV FLAW="needs network"')
    failed = only_failure(check(image, "serve", environment={"HUB": hub}))
    assert failed.check.id == "serve.network"
    assert "without a network it does not come up: it ended: exit code 1" in failed.seen.words
    assert "TimeoutError: timed out" in failed.seen.words
    assert check(image, "serve", environment={"HUB": hub}, may_use_network=True).failed == ()


@pytest.mark.parametrize(
    ("lines", "part", "found", "words"),
    [
        ("ENTRYPOINT python /program.py", "train", "image.entry-point", "/bin/sh -c python /program.py"),
        ("USER 1000:1000", "train", "image.user", "it is 1000:1000"),
        (
            "RUN rm /usr/local/bin/train",
            "train",
            "train.starts",
            '"train": executable file not found in $PATH',
        ),
        (
            "RUN rm /usr/local/bin/serve",
            "serve",
            "serve.starts",
            '"serve": executable file not found in $PATH',
        ),
        ("RUN chmod -x /program.py", "train", "train.starts", '"train": executable file not found'),
        (
            'ENTRYPOINT ["sh", "-c", "exec $0 --fast"]\nRUN rm /usr/local/bin/train',
            "train",
            "train.starts",
            "127",
        ),
        ('ENTRYPOINT ["/entry.sh"]', "train", "train.sigterm", "its first process did not handle SIGTERM"),
        ('ENTRYPOINT ["/entry.sh"]', "serve", "serve.sigterm", "it still ran 3 s after SIGTERM"),
        (
            f"LABEL {LISTENS_AS_TOLD}=true\nENV FLAW='own port'",
            "serve",
            "serve.bind-to-port",
            "its label promises that, and it listens on 0.0.0.0:8080",
        ),
    ],
)
def test_what_is_wrong_with_an_image_is_found(
    variant: Callable[[str], str], check: Check, lines: str, part: Part, found: str, words: str
) -> None:
    failed = only_failure(check(variant(lines), part))
    assert failed.check.id == found
    assert words in failed.seen.words


def test_an_image_for_another_processor_is_found(
    build_image: BuildImage, check: Check, engine: DockerClient
) -> None:
    built = build_image("FROM scratch\nCOPY empty /\n", {"empty": ""})
    engine.images.load(for_arm(b"".join(engine.images.get(built).save(named=True))))
    failed = only_failure(check(built))
    assert (failed.check.id, failed.seen.words) == ("image.platform", "it is linux/arm64")


def for_arm(saved: bytes) -> bytes:
    """What `docker save` wrote, with another processor."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as before, tarfile.open(fileobj=out, mode="w") as after:
        for member in before:
            content = before.extractfile(member)
            text = content.read() if content is not None else b""
            text = text.replace(b'"architecture":"amd64"', b'"architecture":"arm64"')
            after.addfile(member, io.BytesIO(text))
    return out.getvalue()


def test_an_image_that_there_is_not_is_found(check: Check) -> None:
    failed = only_failure(check("localhost:9/no-such-image:v1"))
    assert failed.check.id == "image.exists"
    assert "the engine has no image localhost:9/no-such-image:v1, and cannot pull it" in failed.seen.words
    assert "connection refused" in failed.seen.words


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (None, "there is no Dockerfile in"),
        ("FRUM python", "it does not build: dockerfile parse error"),
        (f"FROM {BASE_IMAGE}\nRUN echo cannot compile && false\n", "cannot compile"),
    ],
)
def test_a_folder_that_does_not_build_is_found(
    tmp_path: Path, check: Check, dockerfile: str | None, words: str
) -> None:
    if dockerfile is not None:
        (tmp_path / "Dockerfile").write_text(dockerfile)
    failed = only_failure(check(str(tmp_path)))
    assert failed.check.id == "image.exists"
    assert words in failed.seen.words


# ── the command ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def modelgate() -> Callable[..., tuple[int, Any]]:
    """Runs a command with --json; its exit code and its document."""

    def run(*words: str) -> tuple[int, Any]:
        ended = CliRunner().invoke(app, [*words, "--json"])
        return ended.exit_code, json.loads(ended.stdout)

    return run


@pytest.mark.parametrize(
    ("example", "words"),
    [("decision_trees", ["--hyperparameter", "max_depth=3"]), ("toolkit_container", [])],
)
def test_an_example_passes_whole(
    modelgate: Callable[..., tuple[int, Any]], example: str, words: list[str]
) -> None:
    code, told = modelgate("container", "check", str(EXAMPLES / example), *words)
    failed = [each for each in told["checks"] if each["status"] != "passed"]
    assert (code, failed) == (0, [])


def test_the_command_tells_what_is_wrong(
    modelgate: Callable[..., tuple[int, Any]], variant: Callable[[str], str], model: Path
) -> None:
    image = variant('ENV FLAW="answers badly"')
    words = ("--only", "serve", "--model", str(model), "--body", "1,2,3")
    code, told = modelgate("container", "check", image, *words)
    assert code == 1
    assert told["error"].startswith(
        f"{image} does not keep SageMaker's contract: serve.invocations: the answer was 500 no such column"
    )
    assert "--content-type" in told["mend"]
    assert (told["failed"], told["keeps_the_contract"]) == (1, False)
