"""Gives new series their ids in the database, so that the journal needs to know nothing else of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import Engine

from storage.error import StorageError
from storage.index import Key, SeriesIndex, insert_series

logger = structlog.get_logger(__name__)

#: After the database refused, known series are written without waiting for it again for so long.
_RETRY_SECONDS = 10.0


class Registrar:
    """Used by one thread at a time."""

    def __init__(self, database: Engine, index: SeriesIndex) -> None:
        self._database = database
        self._index = index
        self._refused_until = 0.0

    def register(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The ids of series that were not known; none while the database takes nothing: they are asked for again.

        Raises ``ValueError`` (a label that is no UTF-8) without registering any.
        """
        if time.monotonic() < self._refused_until:
            return {}
        try:
            with self._database.begin() as connection:
                fresh = {key: insert_series(connection, key) for key in keys}
        except StorageError as error:
            if isinstance(error.__cause__, ValueError):
                raise ValueError(str(error)) from error
            self._refused_until = time.monotonic() + _RETRY_SECONDS
            logger.error("series_not_registered", count=len(keys), error=str(error))
            return {}
        self._index.add(fresh)
        return fresh
