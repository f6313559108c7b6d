"""Blocking work in threads that nobody waits for: a name server or a network disk that hangs costs whoever
asked its deadline, never the command its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class _Threads(ThreadPoolExecutor):
    """A thread for each job, and nobody waits for its end: neither the loop nor the interpreter."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a waiter may go away, the job cannot be called back

        def job() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                future.set_exception(error)

        threading.Thread(target=job, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to wait for."""


def run_without_waiting(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run whose end waits for no thread, those of name look-ups included."""

    async def inside() -> T:
        asyncio.get_running_loop().set_default_executor(_Threads())
        return await main

    return asyncio.run(inside())
