"""The programs that we are measured against, each the least that does its part: clients.py NAME ARGUMENTS."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

# Each imports only what it needs, and late: its start counts.


def floor(directory: str) -> None:
    """Read each answer, and decode nothing of it but the envelope."""
    import msgspec

    envelope = msgspec.defstruct("Envelope", [("data", list[msgspec.Raw])])
    decode = msgspec.json.Decoder(envelope).decode
    for path in sorted(Path(directory).glob("*_*Z.json")):
        decode(path.read_bytes())


def bare(url: str, count: str, concurrency: str) -> None:
    """Fetch as every key with aiohttp, and drop what comes."""
    import aiohttp

    async def fetch(session: aiohttp.ClientSession, key: int) -> None:
        async with session.get(url, headers={"Authorization": f"Bearer key-{key}"}) as response:
            response.raise_for_status()
            await response.read()

    async def fetch_all() -> None:
        connector = aiohttp.TCPConnector(limit=int(concurrency))
        patience = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=patience) as session,
            asyncio.TaskGroup() as group,
        ):
            for key in range(int(count)):
                group.create_task(fetch(session, key))

    asyncio.run(fetch_all())


def plain(url: str, count: str, concurrency: str) -> None:
    """Fetch as every key with httpx, and drop what comes."""
    import httpx

    async def fetch(client: httpx.AsyncClient, pace: asyncio.Semaphore, key: int) -> None:
        async with pace:
            response = await client.get(url, headers={"Authorization": f"Bearer key-{key}"})
            response.raise_for_status()

    async def fetch_all() -> None:
        at_once = int(concurrency)
        pace = asyncio.Semaphore(at_once)
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        async with httpx.AsyncClient(limits=limits, timeout=None) as client, asyncio.TaskGroup() as group:
            for key in range(int(count)):
                group.create_task(fetch(client, pace, key))

    asyncio.run(fetch_all())


if __name__ == "__main__":
    {"floor": floor, "aiohttp": bare, "httpx": plain}[sys.argv[1]](*sys.argv[2:])
