"""Waits of background tasks: for an event, or until a while has passed."""

import asyncio
import random


async def wait_until_set(event: asyncio.Event, *, timeout_s: float) -> None:
    """Return when `event` is set, or after `timeout_s`."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def backoff_s(attempt: int, *, base_s: float, max_s: float) -> float:
    """Return how long to wait before try number `attempt` + 1: doubling, with full jitter."""
    return random.uniform(0.5, 1.0) * min(max_s, base_s * 2.0 ** min(attempt, 16))
