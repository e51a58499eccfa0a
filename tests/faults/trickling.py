"""`python -m tests.faults.trickling PORT NUMBER PAUSE`: connections that send a byte now and then, for ever.

It runs in its own process, so that it doesn't slow down the process that measures.
"""

import asyncio
import random
import sys
from contextlib import suppress

from tests.faults.clients import GONE

HEADERS = b"GET /api/v1/experiments HTTP/1.1\r\nHost: a\r\n"
BODY = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"


async def trickle_all(port: int, number: int, pause: float) -> None:
    """Open connections, half within headers and half within a body; returns when the server has closed all."""
    await asyncio.gather(*(_trickle(port, HEADERS if each % 2 else BODY, pause) for each in range(number)))


async def _trickle(port: int, begin: bytes, pause: float) -> None:
    await asyncio.sleep(pause * random.random())  # slow clients don't move in step
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(*GONE):
        writer.write(begin)
        while not reader.at_eof():
            await asyncio.sleep(pause)
            writer.write(b"a")
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(trickle_all(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
