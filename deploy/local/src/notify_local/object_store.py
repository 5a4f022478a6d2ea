"""The S3-compatible store of the local stack: nanio, with copies that honour `MetadataDirective` (ADR 0009).

nanio gives every copy the metadata of its source. S3 replaces it by that of the request where the request
says `x-amz-metadata-directive: REPLACE`, which is how clients set the metadata of an object that exists: they
copy it onto itself.
"""

from contextvars import ContextVar

from nanio.app import build_app as build_nanio
from nanio.errors import InvalidRequest
from nanio.handlers._body import extract_user_metadata
from nanio.storage.backend import ObjectInfo
from nanio.storage.filesystem import FilesystemStorage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_replacing: ContextVar[Request | None] = ContextVar("replacing", default=None)
"""The request whose headers are the metadata of the copy that it asks for; None for all others."""


class _NoteDirective:
    """Middleware that notes a request to copy with metadata of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        directive = request.headers.get("x-amz-metadata-directive", "COPY").upper()
        token = _replacing.set(request if directive == "REPLACE" else None)
        try:
            await self._app(scope, receive, send)
        finally:
            _replacing.reset(token)


class _Storage(FilesystemStorage):  # type: ignore[misc]  # nanio ships no type information
    """nanio's files, with S3's rules for the metadata of copies."""

    async def copy_object(self, src_bucket: str, src_key: str, dst_bucket: str, dst_key: str) -> ObjectInfo:
        """Copy the bytes; the metadata comes from the source, or from a request that replaces it.

        Raises:
            InvalidRequest: a copy onto itself that changes nothing, which S3 refuses.
        """
        request = _replacing.get()
        if request is None:
            if (src_bucket, src_key) == (dst_bucket, dst_key):
                raise InvalidRequest("a copy of an object onto itself must replace its metadata")
            return await super().copy_object(src_bucket, src_key, dst_bucket, dst_key)
        source = await self.get_object(src_bucket, src_key, range_start=None, range_end=None)
        headers = request.headers
        return await self.put_object(
            dst_bucket,
            dst_key,
            source.body,
            content_type=headers.get("content-type", "binary/octet-stream"),
            user_metadata=extract_user_metadata(request),
            content_encoding=headers.get("content-encoding"),
            content_disposition=headers.get("content-disposition"),
            cache_control=headers.get("cache-control"),
        )


def build_app() -> Starlette:
    """Build the ASGI application; where its data and keys are stands in nanio's environment variables."""
    app: Starlette = build_nanio()
    settings = app.state.settings
    app.state.storage = _Storage(settings.data_dir, chunk_size=settings.chunk_size)
    app.add_middleware(_NoteDirective)
    return app
