"""Reading back every decision, to check it.

Damaged rows must not stop the check: what can't be read is given as empty.
"""

from abtest.store.relational.auditing.device_rows import TOKENS, chunk, device, ledger
from abtest.store.relational.auditing.event_rows import event_chunk, event_ledger
from abtest.store.relational.auditing.experiment_rows import experiment_records

__all__ = ["TOKENS", "chunk", "device", "event_chunk", "event_ledger", "experiment_records", "ledger"]
