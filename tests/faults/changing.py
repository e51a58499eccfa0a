"""`python -m tests.faults.changing DATABASE [DEFECT]`: change an experiment until killed, one line per change.

Two such processes never refuse each other's changes, since each change begins a phase.
"""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

from abtest.domain import Variant
from abtest.management import ExperimentService
from tests.faults.broken import DEFECTS
from tests.scenes import ANNA, opened

WEIGHTS = [Variant("red", Decimal(1)), Variant("green", Decimal(2)), Variant("blue", Decimal(3))]


async def change(database: Path) -> None:
    """Change the experiment for ever."""
    async with opened(database) as store:
        service = ExperimentService(store, by=ANNA)
        while True:
            await service.reweight("color", WEIGHTS)
            print("changed", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        DEFECTS[sys.argv[2]]()
    asyncio.run(change(Path(sys.argv[1])))
