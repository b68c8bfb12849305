"""A bounded channel from the node's hub to one or more consumers in any thread.

The node puts and never waits: what does not fit is dropped and counted. A consumer that
is a greenlet waits cooperatively; one in a plain thread waits natively.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from serfcompat.errors import ForkedError
from serfcompat.runtime.surroundings import monotonic
from serfcompat.runtime.waiting import Wake, waiter

T = TypeVar("T")


class Channel(Generic[T]):
    """Iterating takes items until the channel is closed and empty."""

    def __init__(self, home_thread: int, maxsize: int = 0) -> None:
        """`maxsize` 0 is unbounded: only for channels whose producer is bounded itself.

        `home_thread` is the native thread whose hub runs the node.
        """
        self.maxsize = maxsize
        self._home_thread = home_thread
        self.dropped = 0
        "Items that did not fit."
        self._items: deque[T] = deque()
        self._wakers: list[Wake] = []
        self.closed = False
        self._parent: int | None = None
        "In a forked child: the process that the items come to."

    def put(self, item: T) -> bool:
        """Append an item; False if it was dropped."""
        if self.closed:
            return False
        if self.maxsize and len(self._items) >= self.maxsize:
            self.dropped += 1
            return False
        self._items.append(item)
        self._wake()
        return True

    def close(self) -> None:
        """No more items will come; those there can still be taken."""
        self.closed = True
        self._wake()

    def abandon(self) -> None:
        """In a forked child: what comes goes to the parent. Wakes nobody: whoever waits here is a mere copy."""
        self._parent = os.getppid()
        self.closed = True
        self._items.clear()
        self._wakers.clear()

    def get(self, timeout: float | None = None) -> T:
        """The next item.

        Raises:
            ForkedError: It was opened by the parent process.
            EOFError: The channel is closed and empty.
            TimeoutError: Nothing came within `timeout` seconds.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                if self._parent is not None:
                    raise ForkedError(
                        f"this was opened in process {self._parent}, this is {os.getpid()}: open one after the fork"
                    ) from None
                if self.closed:
                    raise EOFError("closed") from None
            wait, wake = waiter(self._home_thread)
            self._wakers.append(wake)
            try:
                # Anything that came between the look above and now has woken nobody.
                if not self._items and not self.closed:
                    left = None if deadline is None else deadline - monotonic()
                    if left is not None and left <= 0:
                        raise TimeoutError(f"nothing came within {timeout} s")
                    wait(left)
            finally:
                self._wakers.remove(wake)

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.get()
            except EOFError:
                return

    def __len__(self) -> int:
        return len(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        for wake in list(self._wakers):
            wake()
