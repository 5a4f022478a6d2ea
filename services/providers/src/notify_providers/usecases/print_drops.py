"""Which letters are in which print drop, kept in the database."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import UnitOfWork

from notify_providers.domain.print_drop import Drop, DropState
from notify_providers.store import print_drops


class KeptDrops:
    """Drops in the database. See `clients.base.PrintDrops`."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def find(self, dispatch_ids: Sequence[str]) -> list[Drop]:
        """See PrintDrops."""
        with self._uow.autocommit() as conn:
            return print_drops.find(conn, dispatch_ids)

    def plan(self, drop: Drop) -> bool:
        """See PrintDrops."""
        with self._uow.begin() as conn:
            if print_drops.insert_new(conn, drop):
                return True
            conn.rollback()
        return False

    def file_stands(self, drop_id: str) -> bool:
        """See PrintDrops."""
        with self._uow.begin() as conn:
            before = (DropState.PLANNED, DropState.FILE_STANDS)
            return print_drops.move(conn, drop_id, DropState.FILE_STANDS, before)

    def done(self, drop_id: str) -> None:
        """See PrintDrops."""
        with self._uow.begin() as conn:
            print_drops.move(conn, drop_id, DropState.DONE, (DropState.FILE_STANDS,))

    def dissolve(self, drop_id: str) -> bool:
        """See PrintDrops."""
        with self._uow.begin() as conn:
            return print_drops.delete_planned(conn, drop_id)
