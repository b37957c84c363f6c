"""Layers and configs on disk, and the uploads that they come by. Nothing is ever whole in memory."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from localcloud.errors import ServiceError


class Upload:
    """A blob on its way in; its bytes come in any number of pieces, one after the other."""

    def __init__(self, repository: str, folder: Path) -> None:
        self.id = str(uuid.uuid4())
        self.repository = repository
        self.size = 0
        self.path = folder / self.id
        self._hash = hashlib.sha256()
        self._lock = Lock()
        self.path.touch()

    def append(self, pieces: Iterator[bytes], first: int | None = None) -> None:
        """
        Args:
            first: where the client believes that the pieces begin.

        Raises:
            ServiceError: they begin elsewhere.
        """
        with self._lock:
            if first is not None and first != self.size:
                message = f"The part begins at byte {first}, and {self.size} bytes have arrived."
                raise ServiceError("InvalidLayerPartException", message, 416)
            with self.path.open("ab") as file:
                for piece in pieces:
                    file.write(piece)
                    self._hash.update(piece)
                    self.size += len(piece)

    @property
    def digest(self) -> str:
        """Of what has arrived."""
        return f"sha256:{self._hash.hexdigest()}"


class Blobs:
    """Keeps blobs by their digests in a folder of its own, until it is closed."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="localcloud-ecr-")
        self._lock = Lock()
        self._uploads: dict[str, Upload] = {}

    def begin(self, repository: str) -> Upload:
        """A new upload."""
        upload = Upload(repository, Path(self._folder.name))
        with self._lock:
            self._uploads[upload.id] = upload
        return upload

    def upload(self, repository: str, id_: str) -> Upload:
        """
        Raises:
            ServiceError: the repository has no such upload, or not any more.
        """
        with self._lock:
            found = self._uploads.get(id_)
        if found is None or found.repository != repository:
            message = f"Upload with id '{id_}' does not exist in the repository with name '{repository}'"
            raise ServiceError("UploadNotFoundException", message, 404)
        return found

    def finish(self, upload: Upload, digest: str) -> None:
        """Keep what was uploaded.

        Raises:
            ServiceError: it is not what ``digest`` says; the upload is over all the same.
        """
        self.forget(upload, keep=upload.digest == digest)
        if upload.digest != digest:
            message = f"The digest of what was uploaded is {upload.digest}, and not {digest}."
            raise ServiceError("LayerDigestMismatch", message)

    def forget(self, upload: Upload, *, keep: bool = False) -> None:
        """End an upload. What is kept lies under its own digest from now on."""
        with self._lock:
            known = self._uploads.pop(upload.id, None) is not None
        if not known:
            return
        if keep:
            upload.path.replace(self._path(upload.digest))
        else:
            upload.path.unlink()

    def find(self, digest: str) -> Path | None:
        """The file of a blob; None if it was never uploaded."""
        path = self._path(digest)
        return path if path.is_file() else None

    def _path(self, digest: str) -> Path:
        return Path(self._folder.name) / digest.replace(":", "-")

    def close(self) -> None:
        """Delete everything."""
        self._folder.cleanup()
