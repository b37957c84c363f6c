"""ECR's API beside what moto answers of it, and all parts of ECR made and wired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.access import AccessControl
from localcloud.calls import Call, Caller, Operation, Reply
from localcloud.ecr import manifests
from localcloud.ecr.blobs import Blobs
from localcloud.ecr.images import Images
from localcloud.ecr.registry import Registry
from localcloud.ecr.scans import Scans
from localcloud.ecr.server import RegistryServer
from localcloud.ecr.tokens import USER_NAME, Tokens
from localcloud.errors import ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState
from localcloud.pace import Pace
from localcloud.schedule import Scheduler

if TYPE_CHECKING:
    from moto.ecr.models import Repository

    from localcloud.ecr.stored_image import StoredImage


class Ecr:
    """ECR of the account: its registry answers from when this is made until ``stop``.

    Args:
        broke: called with what goes wrong in the registry itself.
    """

    def __init__(
        self,
        *,
        region: str,
        moto: MotoState,
        events: EventBridge,
        scheduler: Scheduler,
        pace: Pace,
        access: AccessControl,
        broke: Callable[[BaseException], None],
    ) -> None:
        self.scans = Scans(moto, events, scheduler, pace)
        self._images = Images(moto, events, self.scans)
        self._blobs = Blobs()
        self._tokens = Tokens()
        registry = Registry(
            region=region,
            moto=moto,
            access=access,
            images=self._images,
            blobs=self._blobs,
            tokens=self._tokens,
        )
        self._server = RegistryServer(registry.answer, broke)
        moto.put_repositories_at(self.host)

    @property
    def host(self) -> str:
        """Host and port of the registry: what the URIs of its images begin with."""
        return self._server.host

    def holds(self, uri: str) -> bool:
        """Whether an image's URI is one of this registry's."""
        return uri.startswith(f"{self.host}/")

    def auth_config(self, caller: Caller) -> dict[str, str]:
        """What docker-py takes as ``auth_config`` to push and pull with the rights of ``caller``."""
        return {"username": USER_NAME, "password": self._tokens.issue(caller).password}

    def stop(self) -> None:
        """Answer no more, and delete every layer."""
        self._server.stop()
        self._blobs.close()

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered here; moto answers the rest of ECR."""
        return {
            "GetAuthorizationToken": self._authorization_token,
            "PutImage": self._put_image,
            "BatchGetImage": self._batch_get_image,
            "BatchDeleteImage": self._batch_delete_image,
            "StartImageScan": self._start_scan,
            "DescribeImageScanFindings": self._scan_findings,
        }

    def _authorization_token(self, call: Call) -> Reply:
        token = self._tokens.issue(call.caller)
        data = {
            "authorizationToken": token.basic,
            "expiresAt": token.expires,
            "proxyEndpoint": f"http://{self.host}",
        }
        return Reply({"authorizationData": [data]})

    def _repository(self, call: Call) -> Repository:
        return self._images.repository(call.params["repositoryName"], call.params.get("registryId"))

    def _put_image(self, call: Call) -> Reply:
        repository, tag = self._repository(call), call.params.get("imageTag")
        manifest = manifests.read(call.params["imageManifest"], call.params.get("imageManifestMediaType"))
        if call.params.get("imageDigest", manifest.digest) != manifest.digest:
            asked = call.params["imageDigest"]
            message = f"The digest of the manifest is {manifest.digest}, and not {asked}."
            raise ServiceError("ImageDigestDoesNotMatchException", message)
        if not self._images.put(repository, manifest, tag, pushed=False):
            message = (
                f"Image with digest '{manifest.digest}' and tag '{tag}' already exists in the repository "
                f"with name '{repository.name}' in registry with id '{repository.registry_id}'"
            )
            raise ServiceError("ImageAlreadyExistsException", message)
        image_id = {"imageDigest": manifest.digest, **({"imageTag": tag} if tag else {})}
        return Reply({"image": _told(repository, self._images.find(repository, image_id), image_id)})

    def _batch_get_image(self, call: Call) -> Reply:
        repository = self._repository(call)
        images, failures = [], []
        for asked in call.params["imageIds"]:
            try:
                image = self._images.find(repository, asked)
            except ServiceError:
                failures.append(_failure(asked, "ImageNotFound", "Requested image not found"))
            else:
                images.append(_told(repository, image, {**asked, "imageDigest": image.image_digest}))
        return Reply({"images": images, "failures": failures})

    def _batch_delete_image(self, call: Call) -> Reply:
        repository = self._repository(call)
        gone, failures = [], []
        for asked in call.params["imageIds"]:
            try:
                gone += self._images.delete(repository, asked)
            except ServiceError as error:
                failures.append(_failure(asked, error.code, error.message))
        return Reply({"imageIds": gone, "failures": failures})

    def _start_scan(self, call: Call) -> Reply:
        repository = self._repository(call)
        image = self._images.find(repository, call.params["imageId"])
        self.scans.begin(image)
        self.scans.end_later(repository, image)
        return Reply({**_scanned(repository, image), "imageScanStatus": {"status": "IN_PROGRESS"}})

    def _scan_findings(self, call: Call) -> Reply:
        repository = self._repository(call)
        image = self._images.find(repository, call.params["imageId"])
        if image.image_scan_status is None:
            message = (
                f"Image scan does not exist for the image with digest '{image.image_digest}' in the "
                f"repository with name '{repository.name}' in the registry with id '{repository.registry_id}'"
            )
            raise ServiceError("ScanNotFoundException", message)
        reply = {**_scanned(repository, image), "imageScanStatus": image.image_scan_status}
        if image.image_scan_findings_summary is not None:
            reply["imageScanFindings"] = image.image_scan_findings_summary
        return Reply(reply)


def _told(repository: Repository, image: StoredImage, image_id: Mapping[str, str]) -> dict[str, Any]:
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": dict(image_id),
        "imageManifest": image.image_manifest,
        "imageManifestMediaType": image.image_manifest_media_type,
    }


def _failure(asked: Mapping[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": dict(asked), "failureCode": code, "failureReason": reason}


def _scanned(repository: Repository, image: StoredImage) -> dict[str, Any]:
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": image.image_digest},
    }
