"""Make PostgreSQL seem farther away: `python -m benchmarks.distance SOCKET NEAR SECONDS` delays what it passes on."""

import asyncio
import sys
from asyncio import StreamReader, StreamWriter

AT_ONCE = 1 << 20


async def main(there: str, near: str, seconds: float) -> None:
    """Listen on the Unix socket `there` until killed. Pass on to `near` and back, each way so many seconds later."""

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        near_reader, near_writer = await asyncio.open_unix_connection(near)
        await asyncio.gather(_pass_on(reader, near_writer, seconds), _pass_on(near_reader, writer, seconds))

    async with await asyncio.start_unix_server(connected, there) as server:
        await server.serve_forever()


async def _pass_on(reader: StreamReader, writer: StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(AT_ONCE):
        loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
