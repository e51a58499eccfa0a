"""Drives clients of one language: a command comes in, its answer goes out, each a line of flat JSON.

`client` names one of many clients in the process. The drivers of the other languages do the same.
"""

import json
import sys
from typing import TextIO

from abtest_client import Abtest

clients: dict[str, Abtest] = {}


def done(command: dict[str, str]) -> dict[str, str]:
    """Do a command; its answer."""
    name = command["client"]
    if command["do"] == "start":
        clients[name] = Abtest(
            command["url"],
            command["folder"],
            {"platform": "test"},
            timeout=float(command["timeout"]),
            send_every=float(command["send_every"]),
            pause=float(command["pause"]),
        )
        return {}
    client = clients[name]
    match command["do"]:
        case "value":
            return {"value": client.value(command["key"], command["default"])}
        case "shown":
            client.shown(command["key"], command["value"])
        case "track":
            for _ in range(int(command["times"])):
                client.track(command["name"], command.get("amount"))
        case "restart":
            client.restart()
        case "flush":
            return {"done": str(client.flush(float(command["seconds"]))).lower()}
        case "close":
            return {"done": str(client.close(float(command["seconds"]))).lower()}
    counts = {"queued": client.queued, "dropped": client.dropped, "rejected": client.rejected}
    return {"token": client.token or ""} | {name: str(count) for name, count in counts.items()}


def main(commands: TextIO, answers: TextIO) -> None:
    for line in commands:
        print(json.dumps(done(json.loads(line))), file=answers, flush=True)


main(sys.stdin, sys.stdout)
