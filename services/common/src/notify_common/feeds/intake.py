"""Taking in what a feed has, for who is about to read what comes of it."""

import threading
from typing import Any, Final

from notify_common import current
from notify_common.errors import NotifyError
from notify_common.feeds.consumer import FeedConsumer
from notify_common.logging import get_logger

_SECONDS: Final = 1.0


class Intake:
    """Takes a feed in aside from the worker that does so all the time, so that who reads what comes of it
    sees what came just before. Safe to share between threads.

    Args:
        consumer: steps `aside`.
    """

    def __init__(self, consumer: FeedConsumer[Any]) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()

    def take_in(self) -> None:
        """Take in what there is, as far as that takes a second; failing to do so is no failure."""
        if not self._lock.acquire(timeout=_SECONDS):
            return
        try:
            left = current.time_left()
            with current.bind(
                request_id=current.request_id.get(),
                traceparent=current.traceparent.get(),
                timeout=_SECONDS if left is None else min(left / 2, _SECONDS),
            ):
                self._consumer.step()
        except NotifyError as error:
            get_logger().warning("feed not taken in aside", consumer=self._consumer.name, reason=error.reason)
        finally:
            self._lock.release()
