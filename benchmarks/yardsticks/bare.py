"""Yardstick (a): a Tornado RequestHandler that answers a constant. It stores nothing and promises nothing."""

import asyncio
import json
import sys

from tornado.web import Application, RequestHandler

BODY = b'{"button_color":"#FF0000","price":"10"}'


FLAGS = b"""{"flags":[{"key":"button_color","value":"#FF0000","reason":"SPLIT","variant":"#FF0000"},
{"key":"price","value":"10","reason":"SPLIT","variant":"10"}]}"""


class Constant(RequestHandler):
    """What every Tornado tutorial begins with."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(BODY)


class Flags(RequestHandler):
    """The same for OFREP, after it has read the targeting key in the body."""

    def post(self) -> None:
        json.loads(self.request.body)["context"]["targetingKey"]
        self.set_header("Content-Type", "application/json")
        self.write(FLAGS)


async def main(port: int) -> None:
    """Serve until killed."""
    routes = [("/api/v1/experiments", Constant), ("/ofrep/v1/evaluate/flags", Flags)]
    Application(routes, log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
