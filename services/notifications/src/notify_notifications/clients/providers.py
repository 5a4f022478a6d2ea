"""Handing texts and emails to the providers context."""

from collections.abc import Sequence

import grpc
from notify.providers.v1 import dispatch_pb2, dispatch_service_pb2
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common.rpc import enums

from notify_notifications.domain.record import Origin, Outgoing


class ProvidersClient:
    """Calls DispatchService."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = DispatchServiceStub(channel)

    def batch_dispatch(self, dispatches: Sequence[dispatch_pb2.Dispatch]) -> None:
        """Hand over, all or none; those handed over before are ignored there. Raises NotifyError."""
        self._stub.BatchDispatch(dispatch_service_pb2.BatchDispatchRequest(dispatches=dispatches))

    @staticmethod
    def sms(notification: Outgoing, origin: Origin, body: str, retention_days: int) -> dispatch_pb2.Dispatch:
        """Return a text as DispatchService takes it."""
        dispatch = _dispatch(notification, origin, retention_days)
        dispatch.sms.phone_number = notification.normalised_recipient
        dispatch.sms.sender = notification.sender
        dispatch.sms.body = body
        dispatch.sms.international = notification.international
        dispatch.sms.phone_number_as_typed = notification.recipient
        return dispatch

    @staticmethod
    def email(
        notification: Outgoing,
        origin: Origin,
        *,
        from_name: str,
        from_address: str,
        subject: str,
        plain_body: str,
        html_body: str,
        unsubscribe_url: str,
        retention_days: int,
    ) -> dispatch_pb2.Dispatch:
        """Return an email as DispatchService takes it."""
        dispatch = _dispatch(notification, origin, retention_days)
        # case kept: scripted outcomes of test keys go by it (public-api.md §5.4)
        dispatch.email.to_address = notification.recipient
        dispatch.email.from_name = from_name
        dispatch.email.from_address = from_address
        dispatch.email.reply_to_address = notification.sender
        dispatch.email.subject = subject
        dispatch.email.plain_body = plain_body
        dispatch.email.html_body = html_body
        dispatch.email.unsubscribe_url = unsubscribe_url
        return dispatch


def _dispatch(notification: Outgoing, origin: Origin, retention_days: int) -> dispatch_pb2.Dispatch:
    return dispatch_pb2.Dispatch(
        id=notification.id,
        service_id=notification.service_id,
        key_type=enums.to_proto(notification.key_type),
        origin_request_id=origin.request_id,
        traceparent=origin.traceparent,
        lane=enums.to_proto(origin.lane),
        # the range that DispatchService takes
        retention_days=min(max(retention_days, 1), 365),
        deliver_by=notification.deliver_by,
    )
