"""`python -m tests.store.postgres.asking URL NUMBER`: two servers that ask for the same devices at once."""

import asyncio
import json
import random
import sys

from abtest.enrolment import EnrolmentService, Limits
from abtest.store.postgres import PostgresStore
from tests.scenes import tokens, values_by_key

DEVICES = 10_000


async def ask(url: str, order: str) -> dict[str, dict[str, str]]:
    """The values of each device, when devices are asked for in this order."""
    store = PostgresStore(url, patience=60)
    await store.open()
    asked = tokens("a", DEVICES)
    random.Random(order).shuffle(asked)
    answers = await asyncio.gather(*map(EnrolmentService(store, Limits(deadline=60)).answer, asked))
    await store.close()
    return {token: values_by_key(answer) for token, answer in zip(asked, answers, strict=True)}


async def main(url: str, number: str) -> None:
    """Print the answers that each server got."""
    print(json.dumps(await asyncio.gather(*(ask(url, f"{number} {server}") for server in range(2)))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
