"""FilesService: conversion, nothing else."""

from collections.abc import Callable, Iterator
from typing import Final

import grpc
from notify.notifications.v1 import files_service_pb2 as pb
from notify.notifications.v1 import files_service_pb2_grpc as pb_grpc
from notify.notifications.v1.notifications_service_pb2 import SendItem, SendResult
from notify_common.errors import FieldViolation, NotifyError, invalid_field

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.usecases.files import FileParts, download_file, get_file

SERVICE: Final = pb.DESCRIPTOR.services_by_name["FilesService"].full_name

SendWithFiles = Callable[[SendItem, Iterator[bytes], grpc.ServicerContext], SendResult]
"""Accepts the email of an item with its files, whose bytes the iterator brings."""


class FilesServicer(pb_grpc.FilesServiceServicer):
    """Serves notify.notifications.v1.FilesService.

    Without `files` none is taken and none is handed out: there is nowhere to keep them.
    """

    def __init__(self, files: FileParts | None, snapshots: Snapshots, send: SendWithFiles) -> None:
        self._files = files
        self._snapshots = snapshots
        self._send = send

    def SendEmailWithFiles(
        self, request_iterator: Iterator[pb.SendEmailWithFilesRequest], context: grpc.ServicerContext
    ) -> pb.SendEmailWithFilesResponse:
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "item":
            raise invalid_field(FieldViolation("item", "should come first"))
        if first.item.WhichOneof("request") != "email":
            raise invalid_field(FieldViolation("item", "should be an email"))
        chunks = (part.chunk for part in request_iterator)
        return pb.SendEmailWithFilesResponse(result=self._send(first.item, chunks, context))

    def GetFile(self, request: pb.GetFileRequest, context: grpc.ServicerContext) -> pb.GetFileResponse:
        facts = get_file(self._kept(), self._snapshots, request.service_id, request.file_id, request.key)
        shown = pb.EmailFile(
            service_name=facts.service_name,
            contact_link=facts.contact_link,
            name=facts.name,
            size_bytes=facts.stored.size_bytes,
            expire_time=facts.stored.expire_time,
            asks_for_email_address=facts.stored.address_check is not None,
        )
        return pb.GetFileResponse(file=shown)

    def DownloadFile(
        self, request: pb.DownloadFileRequest, context: grpc.ServicerContext
    ) -> pb.DownloadFileResponse:
        name, media_type, content = download_file(
            self._kept(), request.service_id, request.file_id, request.key, request.email_address
        )
        return pb.DownloadFileResponse(name=name, media_type=media_type, content=content)

    def _kept(self) -> FileParts:
        if self._files is None:
            raise NotifyError("LINK_INVALID")
        return self._files
