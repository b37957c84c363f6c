"""The images of repositories, and ECR's rules for them, whichever way an image comes."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from localcloud.calls import ACCOUNT
from localcloud.ecr.manifests import Manifest
from localcloud.ecr.scans import Scans
from localcloud.errors import ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState

if TYPE_CHECKING:
    from moto.ecr.models import Repository

    from localcloud.ecr.stored_image import StoredImage


class Images:
    """Puts, finds and deletes images, and announces it. Every method raises ServiceError in ECR's words."""

    def __init__(self, moto: MotoState, events: EventBridge, scans: Scans) -> None:
        self._moto = moto
        self._events = events
        self._scans = scans

    def repository(self, name: str, registry: str | None = None) -> Repository:
        """
        Raises:
            ServiceError: there is none.
        """
        found = self._moto.repository(name) if registry in {None, ACCOUNT} else None
        if found is None:
            message = (
                f"The repository with name '{name}' does not exist in the registry with id "
                f"'{registry or ACCOUNT}'"
            )
            raise ServiceError("RepositoryNotFoundException", message)
        return found

    def find(self, repository: Repository, image_id: Mapping[str, str]) -> StoredImage:
        """The image of an ImageIdentifier: a digest, a tag, or both.

        Raises:
            ServiceError: there is none.
        """
        found = self._found(repository, image_id)
        if found is None:
            digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
            message = (
                f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within "
                f"the repository with name '{repository.name}' in the registry with id '{ACCOUNT}'"
            )
            raise ServiceError("ImageNotFoundException", message)
        return found

    def put(self, repository: Repository, manifest: Manifest, tag: str | None, *, pushed: bool) -> bool:
        """Keep an image under a tag, which it takes from whichever image has it.

        Args:
            tag: None for an image that is known by its digest only.
            pushed: its config and its layers have to be there. Who calls PutImage need not bring them: in
                the API nothing keeps a layer's bytes.

        Returns:
            Whether that changed anything.

        Raises:
            ServiceError: the tag is immutable and another image's, or parts of a pushed image are missing.
        """
        with self._moto.holding("ecr"):
            _refuse_incomplete(repository, manifest, pushed=pushed)
            known = self._found(repository, {"imageDigest": manifest.digest})
            owner = self._found(repository, {"imageTag": tag}) if tag else None
            if known is not None and (tag is None or owner is known):
                return False
            if owner is not None and tag is not None:
                _refuse_immutable(repository, tag)
                owner.remove_tag(tag)
            image = known or self._moto.add_image(
                repository, manifest.text, manifest.media_type, manifest.digest, _size(repository, manifest)
            )
            if tag is not None:
                image.update_tag(tag)
            is_scanned = known is None and not manifest.is_index and _scans_on_push(repository)
            if is_scanned:
                self._scans.begin(image)
        self._announce("PUSH", repository, manifest.digest, tag)
        if is_scanned:
            self._scans.end_later(repository, image)
        return True

    def delete(self, repository: Repository, image_id: Mapping[str, str]) -> list[dict[str, str]]:
        """Delete an image by its digest, or take a tag from it; who loses the last tag is deleted.

        Returns:
            The identifiers that are gone.

        Raises:
            ServiceError: there is no such image, or an index needs it. The code is BatchDeleteImage's.
        """
        if not image_id:
            message = "Invalid request parameters: both tag and digest cannot be null"
            raise ServiceError("MissingDigestAndTag", message)
        with self._moto.holding("ecr"):
            image = self._found(repository, image_id)
            if image is None:
                raise ServiceError("ImageNotFound", "Requested image not found")
            digest, tag = str(image.image_digest), image_id.get("imageTag")
            if "imageDigest" not in image_id and tag is not None and len(image.image_tags) > 1:
                image.remove_tag(tag)
                gone: list[str] = [tag]
            else:
                _refuse_referenced(repository, digest)
                repository.images.remove(image)
                gone = list(image.image_tags)
        identifiers = [{"imageDigest": digest, "imageTag": each} for each in gone] or [
            {"imageDigest": digest}
        ]
        for identifier in identifiers:
            self._announce("DELETE", repository, digest, identifier.get("imageTag"))
        return identifiers

    def _found(self, repository: Repository, image_id: Mapping[str, str]) -> StoredImage | None:
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        for image in self._moto.images(repository):
            if digest in {None, image.image_digest} and (tag is None or tag in image.image_tags):
                return image
        return None

    def _announce(self, action: str, repository: Repository, digest: str, tag: str | None) -> None:
        detail: dict[str, Any] = {
            "result": "SUCCESS",
            "repository-name": repository.name,
            "image-digest": digest,
            "action-type": action,
        }
        if tag is not None:
            detail["image-tag"] = tag
        self._events.announce("aws.ecr", "ECR Image Action", detail, [])


def _refuse_incomplete(repository: Repository, manifest: Manifest, *, pushed: bool) -> None:
    where = f"into repository with name '{repository.name}' in the registry with id '{ACCOUNT}' do not exist"
    if pushed and not manifest.is_index and not manifest.layers:
        message = "Invalid parameter at 'imageManifest' failed to satisfy constraint: 'an image has a config'"
        raise ServiceError("InvalidParameterException", message)
    missing = [digest for digest, _ in manifest.layers if digest not in repository.layers] if pushed else []
    if missing:
        message = f"Layers with digests '{missing}' required for pushing image {where}"
        raise ServiceError("LayersNotFoundException", message)
    held = {image.image_digest for image in repository.images}
    absent = [digest for digest in manifest.images if digest not in held]
    if absent:
        message = f"Images with digests '{absent}' required for pushing image {where}"
        raise ServiceError("ReferencedImagesNotFoundException", message)


def _refuse_immutable(repository: Repository, tag: str) -> None:
    filters = repository.image_tag_mutability_exclusion_filters or []
    is_exception = any(fnmatchcase(tag, each["filter"]) for each in filters)
    if repository.is_tag_immutable() != is_exception:
        message = (
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be "
            "overwritten because the tag is immutable."
        )
        raise ServiceError("ImageTagAlreadyExistsException", message)


def _refuse_referenced(repository: Repository, digest: str) -> None:
    by = [image.image_digest for image in repository.images if digest in image.image_manifest]
    if by:
        message = f"Requested image referenced by manifest list: {by}"
        raise ServiceError("ImageReferencedByManifestList", message)


def _scans_on_push(repository: Repository) -> bool:
    """The repository says so, or a rule of the registry."""
    own: Any = repository.image_scanning_configuration
    return bool(own.get("scanOnPush")) or repository.scanning_config["scanFrequency"] == "SCAN_ON_PUSH"


def _size(repository: Repository, manifest: Manifest) -> int:
    """As ImageDetail in the Amazon ECR API Reference counts: of an index, its largest image."""
    if manifest.is_index:
        sizes = [i.image_size_in_bytes or 0 for i in repository.images if i.image_digest in manifest.images]
        return max(sizes, default=0)
    return sum(size for _, size in manifest.layers)
