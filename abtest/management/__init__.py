"""What people change, and which change is allowed when; and the journal of all changes."""

from abtest.management.access_tokens import AccessTokenService
from abtest.management.applying import Proposal, Step
from abtest.management.apps import AppService, app_option
from abtest.management.declared import (
    Declared,
    DeclaredVariant,
    as_declared,
    parse_declared,
    parse_toml,
    read_declared,
    read_variants,
    write_toml,
)
from abtest.management.describing import (
    described,
    described_access_token,
    described_app,
    described_entry,
    described_group,
    described_holdout,
    described_person,
    described_session,
    described_shared_link,
    described_test_device,
    table_of_entries,
)
from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction
from abtest.management.groups import GroupService, HoldoutService
from abtest.management.journal import JournalService
from abtest.management.lifecycle import POSSIBLE, possible
from abtest.management.people import Link, PeopleService
from abtest.management.scheduling import keep_schedule
from abtest.management.sharing import SharedLinkService
from abtest.management.signing_in import SignInService
from abtest.management.test_devices import TestDeviceService

__all__ = [
    "DEMO",
    "POSSIBLE",
    "AccessTokenService",
    "AppService",
    "Declared",
    "DeclaredVariant",
    "ExperimentService",
    "GroupService",
    "HoldoutService",
    "JournalService",
    "Link",
    "PeopleService",
    "Proposal",
    "Question",
    "SharedLinkService",
    "SignInService",
    "Step",
    "TestDeviceService",
    "app_option",
    "as_declared",
    "ask_direction",
    "described",
    "described_access_token",
    "described_app",
    "described_entry",
    "described_group",
    "described_holdout",
    "described_person",
    "described_session",
    "described_shared_link",
    "described_test_device",
    "keep_schedule",
    "parse_declared",
    "parse_toml",
    "possible",
    "read_declared",
    "read_variants",
    "table_of_entries",
    "write_toml",
]
