"""The worker's threads, and the queue by which they call its loop: neither ends the process where it falls short."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gunicorn.workers.gthread import PollableMethodQueue


class ThriftyPool(ThreadPoolExecutor):
    """Does with the threads that it has where the system gives it no more: the loop must not die of that."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


class LastingQueue(PollableMethodQueue):  # type: ignore[misc]  # gunicorn has no types
    """Lives as long as the process: threads that are done after the loop's end must not write into another's file."""

    def close(self) -> None:
        """Leave the pipe open; its number would be given to the next file that is opened."""
