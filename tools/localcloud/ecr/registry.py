"""The registry that docker clients push to and pull from, by the "OCI Distribution Specification".

It is ours because no registry that could be installed knows these rules: tokens that stand for roles, a
permission for each step, repositories that have to exist, immutable tags. AWS mounts no layers of other
repositories either unless the account has turned that on, so that clients upload them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from localcloud.access import AccessControl
from localcloud.calls import Call, Caller
from localcloud.ecr import manifests
from localcloud.ecr.blobs import Blobs, Upload
from localcloud.ecr.images import Images
from localcloud.ecr.server import Answer, Extent, Request
from localcloud.ecr.tokens import Tokens
from localcloud.errors import ServiceError
from localcloud.moto_state import MotoState

# The specification's codes for what ECR's API calls otherwise.
_CODES: Mapping[str, tuple[int, str]] = {
    "Unauthorized": (401, "UNAUTHORIZED"),
    "AccessDeniedException": (403, "DENIED"),
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ImageNotFoundException": (404, "MANIFEST_UNKNOWN"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),
    "InvalidParameterException": (400, "MANIFEST_INVALID"),
    "LayersNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "InvalidLayerPartException": (416, "BLOB_UPLOAD_INVALID"),
    "LayerDigestMismatch": (400, "DIGEST_INVALID"),
    "LayerUnknown": (404, "BLOB_UNKNOWN"),
    "Unsupported": (405, "UNSUPPORTED"),
}
_NAME = r"(?P<name>(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)*[a-z0-9]+(?:[._-]+[a-z0-9]+)*)"
_MOST_OF_A_MANIFEST = 4 << 20
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class _Asked:
    """A request to a repository, by somebody who is known.

    Attributes:
        what: a digest, a tag or an upload's id; empty where the path has none.
    """

    request: Request
    caller: Caller
    name: str
    what: str


class Registry:
    """Answers the requests of docker clients."""

    def __init__(
        self,
        *,
        region: str,
        moto: MotoState,
        access: AccessControl,
        images: Images,
        blobs: Blobs,
        tokens: Tokens,
    ) -> None:
        self._region = region
        self._moto = moto
        self._access = access
        self._images = images
        self._blobs = blobs
        self._tokens = tokens
        self._routes: tuple[tuple[re.Pattern[str], Mapping[str, Callable[[_Asked], Answer]]], ...] = (
            (re.compile(rf"/v2/{_NAME}/blobs/uploads/?(?P<what>)"), {"POST": self._begin_upload}),
            (
                re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<what>[^/]+)"),
                {
                    "GET": self._tell_upload,
                    "PATCH": self._continue_upload,
                    "PUT": self._finish_upload,
                    "DELETE": self._cancel_upload,
                },
            ),
            (
                re.compile(rf"/v2/{_NAME}/blobs/(?P<what>[^/]+)"),
                {"GET": self._get_blob, "HEAD": self._head_blob},
            ),
            (
                re.compile(rf"/v2/{_NAME}/manifests/(?P<what>[^/]+)"),
                {"GET": self._get_manifest, "HEAD": self._get_manifest, "PUT": self._put_manifest},
            ),
            (re.compile(rf"/v2/{_NAME}/tags/list(?P<what>)"), {"GET": self._list_tags}),
        )

    def answer(self, request: Request) -> Answer:
        """The answer to a request, whatever it is."""
        try:
            return self._route(request, self._tokens.holder(request.headers.get("Authorization")))
        except ServiceError as error:
            return self._refusal(error)

    def _route(self, request: Request, caller: Caller) -> Answer:
        if request.path in {"/v2", "/v2/"}:
            return Answer(200, {**_VERSION, "Content-Type": "application/json"}, b"{}")
        for path, methods in self._routes:
            found = path.fullmatch(request.path)
            if found is None:
                continue
            answering = methods.get(request.method)
            if answering is None:
                raise ServiceError("Unsupported", f"ECR has no {request.method} for {request.path}.")
            return answering(_Asked(request, caller, found["name"], found["what"]))
        raise ServiceError("Unsupported", f"ECR has nothing at {request.path}.")

    @staticmethod
    def _refusal(error: ServiceError) -> Answer:
        status, code = _CODES[error.code]
        content = {"errors": [{"code": code, "message": error.message}]}
        headers = {**_VERSION, "Content-Type": "application/json; charset=utf-8"}
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="local ECR",service="ecr.amazonaws.com"'
        return Answer(status, headers, json.dumps(content).encode())

    def _repository(self, asked: _Asked, *operations: str) -> Any:
        """The repository that is asked about, to whom may do these operations of ECR's API on it.

        Raises:
            ServiceError: one of them is not allowed, or there is no such repository.
        """
        for operation in operations:
            params = {"repositoryName": asked.name}
            self._access.check(Call("ecr", operation, params, asked.caller, self._region, str(uuid.uuid4())))
        return self._images.repository(asked.name)

    # ── blobs ─────────────────────────────────────────────────────────────────────────────────────

    def _get_blob(self, asked: _Asked) -> Answer:
        return self._blob(asked, "GetDownloadUrlForLayer")

    def _head_blob(self, asked: _Asked) -> Answer:
        return self._blob(asked, "BatchCheckLayerAvailability")

    def _blob(self, asked: _Asked, operation: str) -> Answer:
        repository, digest = self._repository(asked, operation), asked.what
        path = self._blobs.find(digest) if digest in repository.layers else None
        if path is None:
            message = f"The layer with digest '{digest}' is not in the repository with name '{asked.name}'."
            raise ServiceError("LayerUnknown", message)
        size = path.stat().st_size
        headers = {
            **_VERSION,
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "Accept-Ranges": "bytes",
        }
        wanted = _RANGE.fullmatch(asked.request.headers.get("Range", ""))
        if wanted is None:
            return Answer(200, headers, Extent(path, 0, size))
        first, last = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
        if first > last:
            return Answer(416, {**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Answer(206, headers, Extent(path, first, last + 1 - first))

    def _begin_upload(self, asked: _Asked) -> Answer:
        digest = asked.request.query.get("digest")
        whole = ("UploadLayerPart", "CompleteLayerUpload") if digest else ()
        self._repository(asked, "InitiateLayerUpload", *whole)
        upload = self._blobs.begin(asked.name)
        return self._complete(asked, upload, digest) if digest else _progress(202, upload)

    def _tell_upload(self, asked: _Asked) -> Answer:
        self._repository(asked, "UploadLayerPart")
        return _progress(204, self._blobs.upload(asked.name, asked.what))

    def _continue_upload(self, asked: _Asked) -> Answer:
        self._repository(asked, "UploadLayerPart")
        upload = self._blobs.upload(asked.name, asked.what)
        told = re.match(r"(?:bytes )?(\d+)-", asked.request.headers.get("Content-Range", ""))
        upload.append(asked.request.body, int(told[1]) if told else None)
        return _progress(202, upload)

    def _finish_upload(self, asked: _Asked) -> Answer:
        last = ("UploadLayerPart",) if asked.request.has_body else ()
        self._repository(asked, *last, "CompleteLayerUpload")
        upload = self._blobs.upload(asked.name, asked.what)
        return self._complete(asked, upload, asked.request.query.get("digest", ""))

    def _complete(self, asked: _Asked, upload: Upload, digest: str) -> Answer:
        upload.append(asked.request.body)
        self._blobs.finish(upload, digest)
        with self._moto.holding("ecr"):
            self._images.repository(asked.name).layers[digest] = upload.size
        where = f"/v2/{asked.name}/blobs/{digest}"
        return Answer(201, {**_VERSION, "Location": where, "Docker-Content-Digest": digest})

    def _cancel_upload(self, asked: _Asked) -> Answer:
        self._repository(asked, "UploadLayerPart")
        self._blobs.forget(self._blobs.upload(asked.name, asked.what))
        return Answer(204, _VERSION)

    # ── manifests ─────────────────────────────────────────────────────────────────────────────────

    def _get_manifest(self, asked: _Asked) -> Answer:
        """Of the type that it was pushed with: the clients that there are accept each of them."""
        image = self._images.find(self._repository(asked, "BatchGetImage"), _image_id(asked.what))
        headers = {
            **_VERSION,
            "Content-Type": str(image.image_manifest_media_type),
            "Docker-Content-Digest": image.image_digest,
        }
        return Answer(200, headers, image.image_manifest.encode())

    def _put_manifest(self, asked: _Asked) -> Answer:
        repository = self._repository(asked, "PutImage")
        kind = asked.request.headers.get("Content-Type", "").partition(";")[0].strip()
        manifest = manifests.read(_text(asked.request), kind or None)
        image_id = _image_id(asked.what)
        if image_id.get("imageDigest", manifest.digest) != manifest.digest:
            message = f"The digest of the manifest is {manifest.digest}, and not {asked.what}."
            raise ServiceError("ImageDigestDoesNotMatchException", message)
        self._images.put(repository, manifest, image_id.get("imageTag"), pushed=True)
        where = f"/v2/{asked.name}/manifests/{manifest.digest}"
        return Answer(201, {**_VERSION, "Location": where, "Docker-Content-Digest": manifest.digest})

    def _list_tags(self, asked: _Asked) -> Answer:
        repository = self._repository(asked, "ListImages")
        query = asked.request.query
        with self._moto.holding("ecr"):
            tags = sorted(tag for image in repository.images for tag in image.image_tags)
        rest = [tag for tag in tags if tag > query.get("last", "")]
        most = int(query["n"]) if query.get("n", "").isdecimal() else len(rest)
        page = list(islice(rest, most))
        headers = {**_VERSION, "Content-Type": "application/json"}
        if page and len(page) < len(rest):
            headers["Link"] = f'</v2/{asked.name}/tags/list?n={most}&last={page[-1]}>; rel="next"'
        return Answer(200, headers, json.dumps({"name": asked.name, "tags": page}).encode())


_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


def _progress(status: int, upload: Upload) -> Answer:
    headers = {
        **_VERSION,
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.id}",
        "Docker-Upload-UUID": upload.id,
        "Range": f"0-{max(upload.size - 1, 0)}",
    }
    return Answer(status, headers)


def _image_id(reference: str) -> dict[str, str]:
    return {"imageDigest" if ":" in reference else "imageTag": reference}


def _text(request: Request) -> str:
    """
    Raises:
        ServiceError: the body is too large for a manifest, or no text.
    """
    content = b""
    for piece in request.body:
        content += piece
        if len(content) > _MOST_OF_A_MANIFEST:
            raise ServiceError("InvalidParameterException", "A manifest has at most 4 MiB.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ServiceError("InvalidParameterException", "A manifest is UTF-8.") from error
