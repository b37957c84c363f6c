"""Endpoints whose containers are run by the machine's Docker Engine, as SageMaker runs them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from docker import DockerClient

from localcloud import LocalCloud, Pace
from localcloud.calls import Caller
from tests.docker.conftest import BASE_IMAGE, BuildImage
from tests.fakes.tarballs import tarball
from tests.integration.test_local_cloud_inference import Inference
from tests.integration.test_local_cloud_sagemaker import refusal
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

# It answers with what it finds in its container; BEHAVIOUR makes it fail.
SERVER = """
import json, os, signal, socket, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEHAVIOUR = os.environ.get("BEHAVIOUR", "")

def cgroup(*names):
    found = [Path("/sys/fs/cgroup", name) for name in names if Path("/sys/fs/cgroup", name).exists()]
    return found[0].read_text().split()

def reaches(address):
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True

def look():
    model = Path("/opt/ml/model")
    try:
        (model / "written").touch()
        writable = True
    except OSError:
        writable = False
    shm = os.statvfs("/dev/shm")
    return {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "host": socket.gethostname(),
        "model": {path.name: path.read_text() for path in model.iterdir()},
        "writable": writable,
        "memory": cgroup("memory.max", "memory/memory.limit_in_bytes"),
        "shm": shm.f_frsize * shm.f_blocks,
        "privileges": [line for line in Path("/proc/self/status").open() if "NoNew" in line],
    }

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(503 if BEHAVIOUR == "sick" else 200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if body == "look":
            self.answer(200, json.dumps(look()).encode())
        elif body.startswith("reach "):
            host, port = body.split()[1:]
            self.answer(200, json.dumps(reaches((host, int(port)))).encode())
        elif body == "eat":
            eaten = [bytearray(os.urandom(1 << 24)) for _ in range(128)]
        else:
            self.answer(200, f"{body} > {os.environ.get('NAME', 'tiny')}".encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

def end(*_):
    print("told to end", flush=True)
    os._exit(0)

if BEHAVIOUR == "broken":
    print("no weights here", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, signal.SIG_IGN if BEHAVIOUR == "deaf" else end)
port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
print("serving: größer\\nsecond line", flush=True)
ThreadingHTTPServer(("", port), Handler).serve_forever()
"""
LABEL = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"
DOCKERFILE = f"""
FROM {BASE_IMAGE}
COPY server.py /
{LABEL}
STOPSIGNAL SIGQUIT
ENTRYPOINT ["python", "/server.py"]
CMD ["overridden"]
"""
# As the small stack, but that the execution role writes answers, and pulls images.
PULLS = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: [s3:GetObject, s3:PutObject], Resource: !Sub "${Inbox.Arn}/*"}
              - Effect: Allow
                Action: [ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer]
                Resource: "*\"""",
)
ARTIFACT = tarball({"weights": b"0.5"})
SERVERLESS = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}


class Serving(Inference):
    """Endpoints of images of one's own."""

    def __init__(self, cloud: LocalCloud, image: str) -> None:
        super().__init__(cloud)
        self.image = image

    def container(self, image: str = "", **environment: str) -> dict[str, Any]:
        """A container of a model; of the tiny image, unless another one is named."""
        url = self.put("artifacts/tiny", ARTIFACT)
        return {"Image": image or self.image, "ModelDataUrl": url, "Environment": environment}

    def create_model(self, name: str, *containers: dict[str, Any], **more: Any) -> None:
        """CreateModel with a container, or with those of a pipeline."""
        of = {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": [*containers]}
        self.client.create_model(
            ModelName=name, ExecutionRoleArn=self.cloud.outputs["ServingRole"], **of, **more
        )

    def serve_model(self, name: str, *containers: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Model, config and endpoint of one name; what is told of the endpoint when it has settled."""
        self.create_model(name, *containers or [self.container()], **more)
        self.endpoint(name, self.config(name, name, InstanceType="ml.t2.medium"))
        return self.told(name)

    def told(self, name: str) -> dict[str, Any]:
        """DescribeEndpoint."""
        found: dict[str, Any] = {**self.client.describe_endpoint(EndpointName=name)}
        return found

    def look(self, name: str) -> dict[str, Any]:
        """What an endpoint's container finds."""
        found: dict[str, Any] = json.loads(self.invoke(name, "look"))
        return found

    def log(self, name: str) -> list[str]:
        """The lines of an endpoint's log."""
        group = f"/aws/sagemaker/Endpoints/{name}"
        events = self.cloud.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events]

    def delete(self, name: str) -> None:
        """DeleteEndpoint, to its end."""
        self.client.delete_endpoint(EndpointName=name)
        self.cloud.settle(60)


def containers(engine: DockerClient, endpoint: str) -> list[str]:
    """The names of an endpoint's containers, whether they run or not."""
    found = engine.containers.list(all=True, filters={"label": f"modelgate.endpoint={endpoint}"})
    return [str(container.name) for container in found]


def address(engine: DockerClient, endpoint: str) -> str:
    """Where an endpoint's container is in its network."""
    (name,) = containers(engine, endpoint)
    (network,) = engine.containers.get(name).attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


@pytest.fixture(scope="module")
def tiny(build_image: BuildImage) -> str:
    return build_image(DOCKERFILE, {"server.py": SERVER})


@pytest.fixture(scope="module")
def serving(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One cloud for most tests; each has an endpoint of its own."""
    pace = Pace(container_start_limit=6.0, container_stop_grace=2.0)
    with small_stack(tmp_path_factory.mktemp("serving"), template=PULLS, pace=pace) as cloud:
        yield Serving(cloud, tiny)


# ── as SageMaker runs it ──────────────────────────────────────────────────────────────────────────


def test_a_container_finds_what_sagemaker_gives_it(serving: Serving, engine: DockerClient) -> None:
    told = serving.serve_model("finds", serving.container(THRESHOLD="0.7"))
    assert told["EndpointStatus"] == "InService"

    found = serving.look("finds")
    assert found["arguments"] == ["serve"]
    assert (found["model"], found["writable"]) == ({"weights": "0.5"}, False)
    memory = min(4 << 30, engine.info()["MemTotal"])
    assert found["memory"] == [str(memory)]
    assert found["shm"] == memory // 2
    assert found["privileges"] == ["NoNewPrivs:\t1\n"]
    environment = found["environment"]
    assert (environment["THRESHOLD"], environment["AWS_REGION"]) == ("0.7", "eu-central-1")
    # Of the machine's own environment nothing is seen, and no credentials of the user's.
    assert not {name for name in environment if "PROXY" in name.upper() or "ACCESS" in name}
    (container,) = engine.containers.list(filters={"label": "modelgate.endpoint=finds"})
    assert container.attrs["HostConfig"]["NanoCpus"] == min(2, engine.info()["NCPU"]) * 10**9

    assert serving.log("finds") == ["serving: größer", "second line"]
    serving.delete("finds")
    assert serving.log("finds")[-1] == "told to end"
    assert containers(engine, "finds") == []
    assert not os.path.exists(container.attrs["Mounts"][0]["Source"])  # noqa: PTH110 - as the engine tells it


def test_who_does_not_end_when_told_to_is_killed(serving: Serving, engine: DockerClient) -> None:
    serving.serve_model("deaf", serving.container(BEHAVIOUR="deaf"))
    assert len(containers(engine, "deaf")) == 1
    began = time.monotonic()
    serving.delete("deaf")
    assert time.monotonic() - began >= serving.cloud.pace.container_stop_grace
    assert containers(engine, "deaf") == []
    assert serving.log("deaf") == ["serving: größer", "second line"]


def test_who_needs_more_memory_than_there_is_ends_and_says_why(
    serving: Serving, engine: DockerClient
) -> None:
    serving.create_model("hungry", serving.container())
    serving.make("hungry", model="hungry", variant={"ServerlessConfig": SERVERLESS})
    serving.endpoint("hungry", "hungry")
    assert serving.look("hungry")["memory"] == [str(1 << 30)]

    with pytest.raises(ClientError, match=r"Received server error \(500\) from primary"):
        serving.invoke("hungry", "eat")
    serving.delete("hungry")
    assert (
        serving.log("hungry")[-1]
        == "The container exited with 137: it needs more than its 1024 MiB of memory."
    )
    assert containers(engine, "hungry") == []


def test_an_isolated_container_reaches_nobody_and_answers(serving: Serving, engine: DockerClient) -> None:
    serving.serve_model("open")
    serving.serve_model("isolated", EnableNetworkIsolation=True)
    serving.serve_model("isolated-too", EnableNetworkIsolation=True)
    assert serving.invoke("isolated", "in") == "in > tiny"
    neighbour, its_like = (f"reach {address(engine, name)} 8080" for name in ("open", "isolated-too"))
    assert serving.invoke("open", neighbour) == "true"
    assert serving.invoke("isolated", neighbour) == "false"
    assert serving.invoke("isolated", its_like) == "false"


def test_an_asynchronous_endpoint_answers_into_s3(serving: Serving) -> None:
    serving.create_model("later", serving.container())
    output = {"S3OutputPath": f"s3://{serving.bucket}/out"}
    serving.serve("later", model="later", AsyncInferenceConfig={"OutputConfig": output})
    accepted = serving.runtime.invoke_endpoint_async(
        EndpointName="later", InputLocation=serving.put("in/one", b"asked"), ContentType="text/csv"
    )
    serving.cloud.settle(30)
    assert serving.object(accepted["OutputLocation"]) == "asked > tiny"


# ── pipelines ─────────────────────────────────────────────────────────────────────────────────────


def test_containers_of_a_pipeline_listen_where_they_are_told_to(serving: Serving) -> None:
    scale = {**serving.container(NAME="scale"), "ContainerHostname": "scale"}
    predict = {**serving.container(NAME="predict"), "ContainerHostname": "predict"}
    assert serving.serve_model("pipeline", scale, predict)["EndpointStatus"] == "InService"
    assert serving.invoke("pipeline", "in") == "in > scale > predict"
    streams = serving.cloud.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/Endpoints/pipeline"
    )["logStreams"]
    assert sorted(each["logStreamName"].rpartition("/")[2] for each in streams) == ["predict", "scale"]


def test_a_pipeline_takes_only_images_that_promise_to(serving: Serving, build_image: BuildImage) -> None:
    silent = build_image(DOCKERFILE.replace(LABEL, ""), {"server.py": SERVER})
    told = serving.serve_model("promises", serving.container(), serving.container(silent))
    assert told["EndpointStatus"] == "Failed"
    assert told["FailureReason"] == (
        f"Your Ecr Image {silent} does not contain required "
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true Docker label(s)."
    )


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────


def test_who_never_answers_ping_takes_nothing_over(serving: Serving, engine: DockerClient) -> None:
    serving.serve_model("well")
    before = containers(engine, "well")
    serving.create_model("sick", serving.container(BEHAVIOUR="sick"))
    serving.client.update_endpoint(EndpointName="well", EndpointConfigName=serving.config("sick", "sick"))
    serving.cloud.settle(60)
    told = serving.told("well")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "well")
    assert told["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert serving.invoke("well", "in") == "in > tiny"
    assert containers(engine, "well") == before


def test_who_ends_at_once_fails_at_once(serving: Serving, engine: DockerClient) -> None:
    began = time.monotonic()
    told = serving.serve_model("broken", serving.container(BEHAVIOUR="broken"))
    assert time.monotonic() - began < serving.cloud.pace.container_start_limit / 2
    assert told["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in told["FailureReason"]
    assert serving.log("broken") == ["no weights here", "The container exited with 3."]
    assert containers(engine, "broken") == []


def test_an_image_that_cannot_serve_says_so_in_its_log(serving: Serving, engine: DockerClient) -> None:
    told = serving.serve_model("cannot", serving.container(BASE_IMAGE))
    assert told["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in told["FailureReason"]
    (line,) = serving.log("cannot")
    assert 'exec: "serve": executable file not found in $PATH' in line
    assert containers(engine, "cannot") == []


def test_an_image_that_is_nowhere_fails_with_where_it_could_be(serving: Serving) -> None:
    told = serving.serve_model("nowhere", serving.container("modelgate-test-nowhere:1"))
    assert told["EndpointStatus"] == "Failed"
    assert "no stand-in for the image modelgate-test-nowhere:1" in told["FailureReason"]
    assert "image store of the machine's Docker Engine, which has none of this name." in told["FailureReason"]


# ── images of the local cloud's own ECR ───────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Repository:
    """A repository of the local cloud's own ECR.

    Attributes:
        first: the digest of the tiny image, which was pushed first.
    """

    name: str
    uri: str
    arn: str
    first: str


def pushed(serving: Serving, engine: DockerClient, image: str, uri: str, tag: str) -> str:
    """Push an image under a tag; its digest."""
    login = serving.cloud._started.ecr.auth_config(Caller("arn:aws:iam::123456789012:root"))
    engine.api.tag(image, uri, tag, force=True)
    lines = list(engine.api.push(uri, tag, stream=True, decode=True, auth_config=login))
    engine.images.remove(f"{uri}:{tag}")
    (digest,) = [line["aux"]["Digest"] for line in lines if "aux" in line]
    return str(digest)


@pytest.fixture(scope="module")
def repository(serving: Serving, engine: DockerClient) -> Repository:
    # Even of this name: a stand-in is for AWS's own image only.
    name = "sagemaker-scikit-learn"
    made = serving.cloud.client("ecr").create_repository(repositoryName=name)["repository"]
    first = pushed(serving, engine, serving.image, made["repositoryUri"], "1")
    return Repository(name, made["repositoryUri"], made["repositoryArn"], first)


def test_a_role_that_may_not_pull_makes_no_model_and_serves_none(
    serving: Serving, repository: Repository
) -> None:
    serving.create_model("secret", serving.container(f"{repository.uri}:1"))
    role = serving.cloud.outputs["ServingRole"].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "ecr:BatchGetImage", "Resource": repository.arn}
    iam = serving.cloud.client("iam")
    iam.put_role_policy(
        RoleName=role,
        PolicyName="secret",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
    )
    with pytest.raises(ClientError) as refused:
        serving.create_model("too-late", serving.container(f"{repository.uri}:1"))
    serving.endpoint("secret", serving.config("secret", "secret"))
    iam.delete_role_policy(RoleName=role, PolicyName="secret")

    assert refusal(refused)[0] == "ValidationException"
    assert "does not have BatchGetImage permission for the image" in refusal(refused)[1]
    reason = serving.told("secret")["FailureReason"]
    assert "has permissions to access them" in reason
    assert "does not have BatchGetImage permission for the image" in reason


def test_an_endpoint_runs_what_a_tag_meant_when_its_model_was_made(
    serving: Serving, engine: DockerClient, repository: Repository, build_image: BuildImage
) -> None:
    serving.create_model("tagged", serving.container(f"{repository.uri}:1"))
    later = build_image(f"{DOCKERFILE}ENV NAME=later\n", {"server.py": SERVER})
    assert pushed(serving, engine, later, repository.uri, "1") != repository.first

    first = f"{repository.uri}@{repository.first}"
    serving.endpoint("tagged", serving.config("tagged", "tagged"))
    assert serving.invoke("tagged", "in") == "in > tiny"
    (variant,) = serving.told("tagged")["ProductionVariants"]
    (image,) = variant["DeployedImages"]
    assert (image["SpecifiedImage"], image["ResolvedImage"]) == (f"{repository.uri}:1", first)

    serving.cloud.client("ecr").batch_delete_image(
        repositoryName=repository.name, imageIds=[{"imageDigest": repository.first}]
    )
    serving.endpoint("tagged-too", "tagged")
    reason = serving.told("tagged-too")["FailureReason"]
    assert reason.startswith("Please make sure all images included in the model for the production variant")
    # The engine has it, and still nobody gets it.
    assert engine.images.get(first)
