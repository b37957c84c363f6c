"""The account's own images in the local cloud's ECR: pushed, pulled, judged and deleted."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import LocalCloud, LocalCloudError
from localcloud.calls import Caller
from localcloud.ecr import tokens
from localcloud.eventbridge import Event
from tests.integration.test_local_cloud_permissions import call
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

ECR = "arn:aws:ecr:eu-central-1:123456789012:repository"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
PUSHING = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
]
CALLS_ECR = """
session = environ = None

def handler(event, context):
    client = session.client("ecr")
    try:
        answer = getattr(client, event["operation"])(**event["params"])
    except client.exceptions.ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    granted = answer.get("authorizationData", [{}])[0]
    return {"code": "ok", "message": "", "token": granted.get("authorizationToken", "")}
"""
REPOSITORY = """
  Oaks:
    Type: AWS::ECR::Repository
    Properties:
      RepositoryName: oaks
      ImageTagMutability: IMMUTABLE
      ImageScanningConfiguration: {ScanOnPush: true}
      EncryptionConfiguration: {EncryptionType: KMS, KmsKey: alias/oaks}
      LifecyclePolicy:
        LifecyclePolicyText: |
          {"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
            "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3}}]}
      Tags: [{Key: stack, Value: !Ref AWS::StackName}]
Outputs:
  Oaks: {Value: !GetAtt Oaks.RepositoryUri}"""
_NUMBERS = count()


@dataclass(frozen=True)
class Answer:
    """What the registry says."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        (told,) = json.loads(self.body)["errors"]
        return self.status, told["code"], told["message"]


class Registry:
    """Speaks with the registry as a docker client does, over one connection."""

    def __init__(self, connection: HTTPConnection, token: str) -> None:
        self._connection = connection
        self._token = token

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str
    ) -> Answer:
        """Send a request; an iterable body goes in chunks."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token:
            sent["Authorization"] = f"Basic {self._token}"
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        return Answer(response.status, dict(response.headers.items()), response.read())

    def upload(self, name: str, *pieces: bytes) -> Answer:
        """Push a blob in pieces; what the last request is answered."""
        begun = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        if begun.status != 202:
            return begun
        sent = self.ask("PATCH", begun.headers["Location"], iter(pieces))
        if sent.status != 202:
            return sent
        return self.ask("PUT", f"{sent.headers['Location']}?digest={digest(b''.join(pieces))}")

    def put(self, name: str, reference: str, content: bytes, kind: str = MANIFEST_TYPE) -> Answer:
        """Push a manifest."""
        return self.ask("PUT", f"/v2/{name}/manifests/{reference}", content, Content_Type=kind)

    def push(self, name: str, tag: str, *layers: bytes) -> bytes:
        """Push an image; its manifest."""
        config = json.dumps({"architecture": "amd64", "tag": tag}).encode()
        for blob in (config, *layers):
            assert self.upload(name, blob).status == 201
        content = manifest(config, *layers)
        assert self.put(name, tag, content).status == 201
        return content


def digest(content: bytes) -> str:
    """The digest of a content, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest(config: bytes, *layers: bytes) -> bytes:
    """The manifest of an image that is made of these."""

    def described(kind: str, blob: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "size": len(blob), "digest": digest(blob)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": described("application/vnd.docker.container.image.v1+json", config),
            "layers": [described("application/vnd.docker.image.rootfs.diff.tar.gzip", it) for it in layers],
        }
    ).encode()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    template = TEMPLATE.replace("Outputs:", REPOSITORY.lstrip("\n"))
    with small_stack(tmp_path_factory.mktemp("images"), CALLS_ECR, template) as running:
        yield running


@pytest.fixture
def name(cloud: LocalCloud) -> str:
    """A repository of the test's own, with a slash in its name."""
    made = f"trees/{next(_NUMBERS)}"
    cloud.client("ecr").create_repository(repositoryName=made)
    return made


def host_of(cloud: LocalCloud) -> str:
    """Host and port of the registry."""
    (granted,) = cloud.client("ecr").get_authorization_token()["authorizationData"]
    return str(granted["proxyEndpoint"]).removeprefix("http://")


def registry_for(cloud: LocalCloud, token: str) -> Iterator[Registry]:
    with closing(HTTPConnection(host_of(cloud), timeout=10)) as connection:
        yield Registry(connection, token)


@pytest.fixture
def registry(cloud: LocalCloud) -> Iterator[Registry]:
    """The registry as the user sees it, who may do everything."""
    (granted,) = cloud.client("ecr").get_authorization_token()["authorizationData"]
    yield from registry_for(cloud, granted["authorizationToken"])


@pytest.fixture
def stranger(cloud: LocalCloud) -> Iterator[Registry]:
    yield from registry_for(cloud, "")


@pytest.fixture
def worker(cloud: LocalCloud) -> Iterator[Registry]:
    """The registry as the function's role sees it, which may ask for a token and nothing else."""
    allow(cloud, "ecr:GetAuthorizationToken", resource="*", policy="token")
    yield from registry_for(cloud, call(cloud, "ecr", "get_authorization_token")["token"])


def allow(
    cloud: LocalCloud, *actions: str, resource: str, policy: str = "images", **condition: dict[str, str]
) -> None:
    """From now on the function's role may do this, and not what it was allowed so before."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, "Condition": condition}
    cloud.client("iam").put_role_policy(
        RoleName=cloud.function("Worker").role,
        PolicyName=policy,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def described(cloud: LocalCloud, repository: str, **image: str) -> dict[str, Any]:
    """What DescribeImages tells of one image."""
    (told,) = cloud.client("ecr").describe_images(repositoryName=repository, imageIds=[image])["imageDetails"]
    return dict(told)


def events(cloud: LocalCloud, repository: str) -> list[tuple[str, list[str], dict[str, Any]]]:
    """ECR's events of a repository: detail type, resources, and the detail but for the repository's name."""
    return [
        (
            event["detail-type"],
            event["resources"],
            {key: value for key, value in event["detail"].items() if key != "repository-name"},
        )
        for event in cloud.events_seen
        if event["source"] == "aws.ecr" and event["detail"]["repository-name"] == repository
    ]


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# ── by the API ────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_found_by_its_tag_and_its_digest_is_that_of_its_manifest(
    cloud: LocalCloud, name: str
) -> None:
    ecr, first, second = cloud.client("ecr"), manifest(b"1"), manifest(b"2")

    def put(content: bytes, tag: str) -> None:
        ecr.put_image(repositoryName=name, imageManifest=content.decode(), imageTag=tag)

    def found(**image: str) -> tuple[str, list[str]]:
        told = described(cloud, name, **image)
        return told["imageDigest"], told.get("imageTags", [])

    put(first, "1.0")
    put(second, "2.0")
    put(second, "latest")
    assert found(imageTag="1.0") == (digest(first), ["1.0"])
    assert (
        found(imageTag="latest") == found(imageDigest=digest(second)) == (digest(second), ["2.0", "latest"])
    )
    put(first, "latest")
    assert found(imageTag="latest")[0] == digest(first)
    answer = ecr.batch_get_image(
        repositoryName=name, imageIds=[{"imageTag": "2.0"}, {"imageTag": "3.0"}], acceptedMediaTypes=["x/y"]
    )
    (image,) = answer["images"]
    assert (image["imageManifest"].encode(), image["imageId"]["imageTag"]) == (second, "2.0")
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        found(imageTag="3.0")
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        put(second, "2.0")
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="unsupported media type"):
        put(b"{}", "4.0")
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName="none")
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        ecr.describe_images(repositoryName="Trees")


def test_who_loses_its_tag_to_another_image_stays_without_one(cloud: LocalCloud, name: str) -> None:
    ecr = cloud.client("ecr")
    for content in (manifest(b"1"), manifest(b"2")):
        ecr.put_image(repositoryName=name, imageManifest=content.decode(), imageTag="latest")
    assert "imageTags" not in described(cloud, name, imageDigest=digest(manifest(b"1")))
    assert described(cloud, name, imageTag="latest")["imageDigest"] == digest(manifest(b"2"))


def test_a_function_needs_permission_for_the_repository_whose_images_it_looks_at(
    cloud: LocalCloud, name: str
) -> None:
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="nets")
    for each in (name, "nets"):
        ecr.put_image(repositoryName=each, imageManifest=manifest(b"1").decode(), imageTag="1.0")
    asked = {"repositoryName": name, "imageIds": [{"imageTag": "1.0"}]}
    denied = call(cloud, "ecr", "describe_images", **asked)
    assert f"perform: ecr:DescribeImages on resource: {ECR}/{name} because" in denied["message"]

    allow(cloud, "ecr:DescribeImages", resource=f"{ECR}/{name}")
    assert call(cloud, "ecr", "describe_images", **asked)["code"] == "ok"
    other = call(cloud, "ecr", "describe_images", **{**asked, "repositoryName": "nets"})
    assert other["code"] == "AccessDeniedException"
    elsewhere = call(cloud, "ecr", "describe_images", **asked, registryId="111122223333")
    assert f"ecr:eu-central-1:111122223333:repository/{name}" in elsewhere["message"]


# ── by the registry ───────────────────────────────────────────────────────────────────────────────────


def test_a_repository_lies_where_docker_clients_reach_it(cloud: LocalCloud) -> None:
    ecr = cloud.client("ecr")
    made = ecr.create_repository(repositoryName="nets/deep")["repository"]
    (told,) = ecr.describe_repositories(repositoryNames=["nets/deep"])["repositories"]
    assert made["repositoryUri"] == told["repositoryUri"] == f"{host_of(cloud)}/nets/deep"
    assert cloud._started.ecr.holds(f"{made['repositoryUri']}@{digest(b'1')}")
    assert not cloud._started.ecr.holds("123456789012.dkr.ecr.eu-central-1.amazonaws.com/nets/deep:1")


def test_what_was_pushed_is_pulled_as_it_was(cloud: LocalCloud, registry: Registry, name: str) -> None:
    layers = [os.urandom(300_000), b"small"]
    pushed = registry.push(name, "1.0", *layers)

    for reference in ("1.0", digest(pushed)):
        pulled = registry.ask("GET", f"/v2/{name}/manifests/{reference}")
        assert (pulled.body, pulled.headers["Content-Type"]) == (pushed, MANIFEST_TYPE)
        head = registry.ask("HEAD", f"/v2/{name}/manifests/{reference}")
        assert (head.headers["Docker-Content-Digest"], head.body) == (digest(pushed), b"")
    for layer in layers:
        where = f"/v2/{name}/blobs/{digest(layer)}"
        assert registry.ask("HEAD", where).headers["Content-Length"] == str(len(layer))
        assert registry.ask("GET", where).body == layer
        part = registry.ask("GET", where, Range="bytes=2-")
        assert (part.status, part.body) == (206, layer[2:])
        assert part.headers["Content-Range"] == f"bytes 2-{len(layer) - 1}/{len(layer)}"
        assert registry.ask("GET", where, Range=f"bytes={len(layer)}-").status == 416

    parts = json.loads(pushed)
    told = described(cloud, name, imageTag="1.0")
    assert told["imageSizeInBytes"] == sum(map(len, layers)) + parts["config"]["size"]
    assert told["imageManifestMediaType"] == MANIFEST_TYPE
    assert dt.datetime.now(dt.UTC) - told["imagePushedAt"] < dt.timedelta(minutes=1)


@given(pieces=st.lists(st.binary(max_size=2000), max_size=5))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_layer_is_the_same_in_whatever_pieces_it_comes(
    registry: Registry, name: str, pieces: list[bytes]
) -> None:
    whole = b"".join(pieces)
    uploaded = registry.upload(name, *pieces)
    assert (uploaded.status, uploaded.headers["Docker-Content-Digest"]) == (201, digest(whole))
    assert registry.ask("GET", f"/v2/{name}/blobs/{digest(whole)}").body == whole


def test_an_upload_goes_on_where_it_stopped(registry: Registry, name: str) -> None:
    where = registry.ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    assert registry.ask("PATCH", where, b"abc", Content_Range="0-2").headers["Range"] == "0-2"
    status, code, message = registry.ask("PATCH", where, b"x", Content_Range="7-7").error
    assert (status, code) == (416, "BLOB_UPLOAD_INVALID")
    assert "3 bytes have arrived" in message
    assert registry.ask("GET", where).headers["Range"] == "0-2"
    assert registry.ask("PUT", f"{where}?digest={digest(b'abcde')}", b"de").status == 201
    assert registry.ask("GET", f"/v2/{name}/blobs/{digest(b'abcde')}").body == b"abcde"

    again = registry.ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    assert registry.ask("DELETE", again).status == 204
    assert registry.ask("PATCH", again, b"abc").error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    at_once = registry.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest(b'one')}", b"one")
    assert at_once.status == 201


def test_what_is_not_what_its_digest_says_is_refused(registry: Registry, name: str) -> None:
    where = registry.ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    refused = registry.ask("PUT", f"{where}?digest={digest(b'right')}", b"wrong")
    assert refused.error[:2] == (400, "DIGEST_INVALID")
    assert registry.ask("GET", f"/v2/{name}/blobs/{digest(b'right')}").error[:2] == (404, "BLOB_UNKNOWN")
    assert registry.ask("PATCH", where, b"more").error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")

    pushed = registry.push(name, "1.0")
    assert registry.put(name, digest(b"another"), pushed).error[:2] == (400, "DIGEST_INVALID")


def test_an_image_is_refused_while_parts_of_it_are_missing(registry: Registry, name: str) -> None:
    registry.upload(name, b"config")
    status, code, message = registry.put(name, "1.0", manifest(b"config", b"layer")).error
    assert (status, code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert digest(b"layer") in message
    assert digest(b"config") not in message
    assert registry.ask("GET", f"/v2/{name}/manifests/1.0").error[:2] == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        (b"{", MANIFEST_TYPE, "Invalid JSON"),
        (b"[]", MANIFEST_TYPE, "a JSON object"),
        (b"\xff", MANIFEST_TYPE, "UTF-8"),
        (b"{}", "text/plain", "unsupported media type 'text/plain'"),
        (b'{"layers": []}', MANIFEST_TYPE, "an image has a config"),
        (b'{"config": {}}', MANIFEST_TYPE, "a digest and a size"),
        (b'{"layers": 3}', MANIFEST_TYPE, "layers is a list"),
        (manifest(b"1"), INDEX_TYPE, "and was sent as"),
        (b" " * (4 * 2**20 + 1), MANIFEST_TYPE, "at most 4 MiB"),
    ],
    ids=[
        "no JSON",
        "no object",
        "no text",
        "other type",
        "no config",
        "no digest",
        "no layers",
        "two types",
        "too large",
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(
    registry: Registry, name: str, content: bytes, kind: str, told: str
) -> None:
    status, code, message = registry.put(name, "1.0", content, kind).error
    assert (status, code) == (400, "MANIFEST_INVALID")
    assert told in message


def test_nothing_is_made_by_pushing_to_a_repository_that_does_not_exist(registry: Registry) -> None:
    refused = (404, "NAME_UNKNOWN")
    words = "The repository with name 'elms' does not exist in the registry with id '123456789012'"
    assert registry.upload("elms", b"layer").error == (*refused, words)
    assert registry.put("elms", "1.0", manifest(b"1")).error == (*refused, words)
    assert registry.ask("GET", "/v2/elms/tags/list").error == (*refused, words)


def test_layers_belong_to_their_repository(cloud: LocalCloud, registry: Registry, name: str) -> None:
    cloud.client("ecr").create_repository(repositoryName=f"{name}/more")
    registry.upload(name, b"layer")
    there = f"/v2/{name}/more/blobs"
    assert registry.ask("HEAD", f"{there}/{digest(b'layer')}").status == 404
    # As where the account has not turned the sharing of layers on: the client has to upload it.
    assert registry.ask("POST", f"{there}/uploads/?mount={digest(b'layer')}&from={name}").status == 202

    cloud.client("ecr").delete_repository(repositoryName=name)
    cloud.client("ecr").create_repository(repositoryName=name)
    assert registry.ask("HEAD", f"/v2/{name}/blobs/{digest(b'layer')}").status == 404


def test_an_immutable_tag_stays_with_its_image(cloud: LocalCloud, registry: Registry, name: str) -> None:
    ecr = cloud.client("ecr")
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    first = registry.push(name, "1.0", b"first")
    assert registry.put(name, "1.0", first).status == 201
    assert registry.put(name, "1.1", first).status == 201

    registry.upload(name, b"second")
    second = manifest(b"second")
    words = f"The image tag '1.0' already exists in the '{name}' repository and cannot be overwritten because"
    assert registry.put(name, "1.0", second).error == (400, "TAG_INVALID", f"{words} the tag is immutable.")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException, match="immutable"):
        ecr.put_image(repositoryName=name, imageManifest=second.decode(), imageTag="1.0")
    assert described(cloud, name, imageTag="1.0")["imageTags"] == ["1.0", "1.1"]

    ecr.put_image_tag_mutability(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "*.1"}],
    )
    assert registry.put(name, "1.1", second).status == 201
    assert registry.put(name, "1.0", second).error[1] == "TAG_INVALID"


def test_tags_are_listed_page_by_page(registry: Registry, name: str) -> None:
    pushed = registry.push(name, "c")
    for tag in ("a", "b"):
        registry.put(name, tag, pushed)
    first = registry.ask("GET", f"/v2/{name}/tags/list?n=2")
    assert json.loads(first.body) == {"name": name, "tags": ["a", "b"]}
    rest = registry.ask("GET", first.headers["Link"].split(">")[0].lstrip("<"))
    assert json.loads(rest.body)["tags"] == ["c"]
    assert "Link" not in rest.headers


def test_an_index_needs_its_images_and_keeps_them(cloud: LocalCloud, registry: Registry, name: str) -> None:
    image = registry.push(name, "amd64", b"layer")

    def index(*digests: str) -> bytes:
        listed = [{"mediaType": MANIFEST_TYPE, "size": 1, "digest": each} for each in digests]
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}).encode()

    refused = registry.put(name, "1.0", index(digest(image), digest(b"other")), INDEX_TYPE)
    assert refused.error[:2] == (400, "MANIFEST_BLOB_UNKNOWN")
    assert registry.put(name, "1.0", index(digest(image)), INDEX_TYPE).status == 201
    size = described(cloud, name, imageTag="amd64")["imageSizeInBytes"]
    assert described(cloud, name, imageTag="1.0")["imageSizeInBytes"] == size

    asked = [{"imageDigest": digest(image)}]
    kept = cloud.client("ecr").batch_delete_image(repositoryName=name, imageIds=asked)
    assert [failure["failureCode"] for failure in kept["failures"]] == ["ImageReferencedByManifestList"]


def test_what_was_deleted_cannot_be_pulled(cloud: LocalCloud, registry: Registry, name: str) -> None:
    ecr, pushed = cloud.client("ecr"), registry.push(name, "1.0")
    registry.put(name, "latest", pushed)

    def delete(**image: str) -> Any:
        return ecr.batch_delete_image(repositoryName=name, imageIds=[image])

    assert delete(imageTag="1.0")["imageIds"] == [{"imageDigest": digest(pushed), "imageTag": "1.0"}]
    assert registry.ask("GET", f"/v2/{name}/manifests/1.0").status == 404
    assert registry.ask("GET", f"/v2/{name}/manifests/latest").status == 200
    assert delete(imageTag="latest")["imageIds"] == [{"imageDigest": digest(pushed), "imageTag": "latest"}]
    assert registry.ask("GET", f"/v2/{name}/manifests/{digest(pushed)}").status == 404
    assert delete(imageTag="latest")["failures"][0]["failureCode"] == "ImageNotFound"

    assert registry.put(name, digest(pushed), pushed).status == 201
    assert delete(imageDigest=digest(pushed))["imageIds"] == [{"imageDigest": digest(pushed)}]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_what_ecr_has_no_request_for_is_unsupported(registry: Registry, name: str, method: str) -> None:
    assert registry.ask(method, f"/v2/{name}/manifests/1.0").error[:2] == (405, "UNSUPPORTED")
    assert registry.ask("GET", "/v2/_catalog").error[:2] == (405, "UNSUPPORTED")


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_gets_in_without_a_token_of_this_registry(
    stranger: Registry, registry: Registry, name: str
) -> None:
    assert registry.ask("GET", "/v2/").status == 200
    pinged = stranger.ask("GET", "/v2/")
    assert (pinged.status, pinged.headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
    assert stranger.upload(name, b"layer").error[:2] == (401, "UNAUTHORIZED")
    for wrong in ("Bearer x", "Basic !", basic("AWS", "made-up"), basic("root", "made-up")):
        assert stranger.ask("GET", "/v2/", Authorization=wrong).error[:2] == (401, "UNAUTHORIZED")


def test_a_token_is_good_for_twelve_hours(
    cloud: LocalCloud, stranger: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (granted,) = cloud.client("ecr").get_authorization_token()["authorizationData"]
    header, expires = f"Basic {granted['authorizationToken']}", granted["expiresAt"]
    left = expires - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=11, minutes=59) < left <= dt.timedelta(hours=12)
    assert stranger.ask("GET", "/v2/", Authorization=header).status == 200
    monkeypatch.setattr(tokens, "now", lambda: expires)
    status, code, message = stranger.ask("GET", "/v2/", Authorization=header).error
    assert (status, code) == (403, "DENIED")
    assert "expired" in message


def test_pushing_needs_every_permission_that_pushing_needs(
    cloud: LocalCloud, worker: Registry, name: str
) -> None:
    def needed() -> str:
        uploaded = worker.upload(name, b"config")
        answer = uploaded if uploaded.status != 201 else worker.put(name, "1.0", manifest(b"config"))
        if answer.status == 201:
            return "nothing"
        status, code, message = answer.error
        assert (status, code) == (403, "DENIED")
        assert f"{cloud.function('Worker').name} is not authorized to perform: " in message
        return message.split("perform: ")[1].split(" because")[0]

    granted: list[str] = []
    for action in (*PUSHING[1:], "ecr:PutImage"):
        allow(cloud, "ecr:DescribeImages", *granted, resource=f"{ECR}/{name}")
        assert needed() == f"{action} on resource: {ECR}/{name}"
        granted.append(action)
    allow(cloud, *granted, resource=f"{ECR}/{name}")
    assert needed() == "nothing"


def test_a_role_may_push_only_into_repositories_that_carry_the_tag(
    cloud: LocalCloud, worker: Registry, name: str
) -> None:
    tagged = {"aws:ResourceTag/stack": "small"}
    allow(cloud, *PUSHING, "ecr:PutImage", resource=f"{ECR}/*", StringEquals=tagged)
    assert worker.upload(name, b"config").error[1] == "DENIED"
    tags = [{"Key": "stack", "Value": "small"}]
    cloud.client("ecr").tag_resource(resourceArn=f"{ECR}/{name}", tags=tags)
    worker.push(name, "1.0")


def test_a_role_may_make_only_repositories_that_carry_the_tag(cloud: LocalCloud) -> None:
    given = {"aws:RequestTag/stack": "small"}
    allow(cloud, "ecr:CreateRepository", "ecr:TagResource", resource=f"{ECR}/*", StringEquals=given)
    denied = call(cloud, "ecr", "create_repository", repositoryName="firs")
    assert f"perform: ecr:CreateRepository on resource: {ECR}/firs" in denied["message"]
    tags = [{"Key": "stack", "Value": "small"}]
    assert call(cloud, "ecr", "create_repository", repositoryName="firs", tags=tags)["code"] == "ok"
    allow(cloud, "ecr:CreateRepository", resource=f"{ECR}/*", StringEquals=given)
    untaggable = call(cloud, "ecr", "create_repository", repositoryName="pines", tags=tags)
    assert "perform: ecr:TagResource" in untaggable["message"]


def test_pulling_needs_permission_too(
    cloud: LocalCloud, registry: Registry, worker: Registry, name: str
) -> None:
    registry.push(name, "1.0", b"layer")
    for action, path in (
        ("ecr:BatchGetImage", "manifests/1.0"),
        ("ecr:GetDownloadUrlForLayer", f"blobs/{digest(b'layer')}"),
        ("ecr:ListImages", "tags/list"),
    ):
        allow(cloud, "ecr:PutImage", resource=f"{ECR}/{name}")
        assert f"perform: {action} on" in worker.ask("GET", f"/v2/{name}/{path}").error[2]
        allow(cloud, action, resource=f"{ECR}/{name}")
        assert worker.ask("GET", f"/v2/{name}/{path}").status == 200


def test_an_engine_pulls_with_the_rights_of_a_role(cloud: LocalCloud, stranger: Registry, name: str) -> None:
    role = cloud.outputs["ServingRole"].rpartition("/")[2]
    given = cloud._started.ecr.auth_config(Caller("arn:aws:sts::123456789012:assumed-role/r/s", role=role))
    header = basic(given["username"], given["password"])
    assert stranger.ask("GET", "/v2/", Authorization=header).status == 200
    assert stranger.ask("GET", f"/v2/{name}/tags/list", Authorization=header).error[1] == "DENIED"


# ── what it tells of ──────────────────────────────────────────────────────────────────────────────────


def test_pushes_and_deletions_are_announced_as_ecr_announces_them(
    cloud: LocalCloud, registry: Registry, name: str
) -> None:
    pushed = registry.push(name, "1.0")
    registry.put(name, "1.0", pushed)  # changes nothing, and tells nothing
    ecr = cloud.client("ecr")
    ecr.put_image(repositoryName=name, imageManifest=manifest(b"2").decode(), imageTag="2.0")
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1.0"}])

    def action(kind: str, content: bytes, tag: str) -> tuple[str, list[str], dict[str, Any]]:
        told = {"result": "SUCCESS", "action-type": kind, "image-digest": digest(content), "image-tag": tag}
        return "ECR Image Action", [], told

    assert events(cloud, name) == [
        action("PUSH", pushed, "1.0"),
        action("PUSH", manifest(b"2"), "2.0"),
        action("DELETE", pushed, "1.0"),
    ]


def scanned_repository(cloud: LocalCloud, repository: str) -> None:
    cloud.client("ecr").put_image_scanning_configuration(
        repositoryName=repository, imageScanningConfiguration={"scanOnPush": True}
    )


def test_a_scan_begins_with_the_push_and_finds_what_it_was_told(
    cloud: LocalCloud, registry: Registry, name: str
) -> None:
    scanned_repository(cloud, name)
    cloud.scans_find(name, {"CRITICAL": 1, "LOW": 3})
    when_pushed: list[Any] = []

    def look(event: Event, _: str) -> None:
        detail = event["detail"]
        if (detail.get("action-type"), detail["repository-name"]) == ("PUSH", name):
            when_pushed.append(described(cloud, name, imageTag="1.0")["imageScanStatus"])

    cloud.on_event(look)
    pushed = registry.push(name, "1.0")
    cloud.settle()

    assert when_pushed == [{"status": "IN_PROGRESS"}]
    assert events(cloud, name)[-1] == (
        "ECR Image Scan",
        [f"{ECR}/{name}"],
        {
            "scan-status": "COMPLETE",
            "image-digest": digest(pushed),
            "image-tags": ["1.0"],
            "finding-severity-counts": {"CRITICAL": 1, "LOW": 3},
        },
    )
    told = described(cloud, name, imageTag="1.0")
    asked = {"repositoryName": name, "imageId": {"imageTag": "1.0"}}
    findings = cloud.client("ecr").describe_image_scan_findings(**asked)
    assert told["imageScanStatus"] == findings["imageScanStatus"]
    assert told["imageScanStatus"]["status"] == "COMPLETE"
    assert told["imageScanFindingsSummary"]["findingSeverityCounts"] == {"CRITICAL": 1, "LOW": 3}
    assert findings["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 1, "LOW": 3}
    with pytest.raises(cloud.client("ecr").exceptions.LimitExceededException, match="scan quota"):
        cloud.client("ecr").start_image_scan(**asked)


def test_a_scan_can_fail(cloud: LocalCloud, registry: Registry, name: str) -> None:
    scanned_repository(cloud, name)
    cloud.scans_find(name, {}, "FAILED")
    registry.push(name, "1.0")
    cloud.settle()
    kind, _, detail = events(cloud, name)[-1]
    assert (kind, detail["scan-status"]) == ("ECR Image Scan", "FAILED")
    assert "finding-severity-counts" not in detail
    told = described(cloud, name, imageTag="1.0")
    assert told["imageScanStatus"]["status"] == "FAILED"
    assert "imageScanFindingsSummary" not in told


def test_a_scan_begins_when_it_is_asked_for(cloud: LocalCloud, registry: Registry, name: str) -> None:
    ecr, asked = cloud.client("ecr"), {"repositoryName": name, "imageId": {"imageTag": "1.0"}}
    registry.push(name, "1.0")
    with pytest.raises(ecr.exceptions.ScanNotFoundException):
        ecr.describe_image_scan_findings(**asked)
    assert ecr.start_image_scan(**asked)["imageScanStatus"]["status"] == "IN_PROGRESS"
    cloud.settle()
    assert ecr.describe_image_scan_findings(**asked)["imageScanFindings"]["findingSeverityCounts"] == {}


def test_a_severity_that_ecr_does_not_know_cannot_be_found(cloud: LocalCloud) -> None:
    with pytest.raises(LocalCloudError, match="no severity BAD"):
        cloud.scans_find("trees", {"BAD": 1})


def test_a_repository_of_the_template_is_as_the_template_has_it(cloud: LocalCloud) -> None:
    ecr = cloud.client("ecr")
    (told,) = ecr.describe_repositories(repositoryNames=["oaks"])["repositories"]
    assert told["imageScanningConfiguration"] == {"scanOnPush": True}
    assert told["imageTagMutability"] == "IMMUTABLE"
    assert told["repositoryUri"] == cloud.outputs["Oaks"]
    assert told["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": "alias/oaks"}
    tags = ecr.list_tags_for_resource(resourceArn=told["repositoryArn"])["tags"]
    assert tags == [{"Key": "stack", "Value": "small"}]
    assert "imageCountMoreThan" in ecr.get_lifecycle_policy(repositoryName="oaks")["lifecyclePolicyText"]
