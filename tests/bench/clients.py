"""The programs that modelwatch is compared with, each as small as possible: clients.py NAME ARGUMENTS."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

# Imports are local, since the time to start counts.


def floor(directory: str) -> None:
    """Read each answer and decode only its envelope."""
    import msgspec

    envelope = msgspec.defstruct("Envelope", [("data", list[msgspec.Raw])])
    decode = msgspec.json.Decoder(envelope).decode
    for path in sorted(Path(directory).glob("*_*Z.json")):
        decode(path.read_bytes())


def bare(url: str, count: str, concurrency: str) -> None:
    """Fetch with every key by aiohttp and discard the responses."""
    import aiohttp

    async def fetch(session: aiohttp.ClientSession, key: int) -> None:
        async with session.get(url, headers={"Authorization": f"Bearer key-{key}"}) as response:
            response.raise_for_status()
            await response.read()

    async def fetch_all() -> None:
        connector = aiohttp.TCPConnector(limit=int(concurrency))
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for key in range(int(count)):
                group.create_task(fetch(session, key))

    asyncio.run(fetch_all())


def plain(url: str, count: str, concurrency: str) -> None:
    """Fetch with every key by httpx and discard the responses."""
    import httpx

    async def fetch(client: httpx.AsyncClient, semaphore: asyncio.Semaphore, key: int) -> None:
        async with semaphore:
            response = await client.get(url, headers={"Authorization": f"Bearer key-{key}"})
            response.raise_for_status()

    async def fetch_all() -> None:
        at_once = int(concurrency)
        semaphore = asyncio.Semaphore(at_once)
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        async with httpx.AsyncClient(limits=limits, timeout=None) as client, asyncio.TaskGroup() as group:
            for key in range(int(count)):
                group.create_task(fetch(client, semaphore, key))

    asyncio.run(fetch_all())


if __name__ == "__main__":
    {"floor": floor, "aiohttp": bare, "httpx": plain}[sys.argv[1]](*sys.argv[2:])
