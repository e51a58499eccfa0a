"""Yardstick (a): a Tornado RequestHandler that answers a constant. Stores nothing, promises nothing."""

import asyncio
import sys

from tornado.web import Application, RequestHandler

BODY = b'{"button_color":"#FF0000","price":"10"}'


class Constant(RequestHandler):
    """What every Tornado tutorial begins with."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(BODY)


async def main(port: int) -> None:
    """Serve until killed."""
    Application([("/api/v1/experiments", Constant)], log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
