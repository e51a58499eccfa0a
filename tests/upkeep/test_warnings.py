"""What operators are warned of, and when."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import structs

from abtest import clock
from abtest.store import Condition, Process, Upkeep
from abtest.upkeep.warnings import growth, warnings

NOW = 1_000 * clock.DAY
MINUTE = 60_000
GIGABYTE = 1_000_000_000
SERVER = Process("server", "alpha", 11, "1.9.0", NOW - clock.HOUR, NOW - 2_000, stats_interval=5, free_disk=100)
WORKER = structs.replace(SERVER, kind="worker", pid=12)
WELL = Upkeep(
    engine="SQLite 3.53.4",
    schema=17,
    newest_schema=17,
    created_at=NOW - 100 * clock.DAY,
    devices=600,
    newest_at=NOW - 1_000,
    folded=600,
    as_of=NOW - 4_000,
    backups_known=True,
    backed_up_at=NOW - clock.DAY,
    sizes=(),
    processes=(SERVER, WORKER),
)
ROOMY = Condition(database_bytes=GIGABYTE, log_bytes=0, free_bytes=50 * GIGABYTE)


def found(condition: Condition = ROOMY, **changed: Any) -> dict[str, bool]:
    """The codes of the warnings, and whether each is urgent."""
    return {each.code: each.urgent for each in warnings(structs.replace(WELL, **changed), condition, NOW)}


def said(condition: Condition = ROOMY, **changed: Any) -> str:
    """The one warning."""
    (warning,) = warnings(structs.replace(WELL, **changed), condition, NOW)
    return warning.says


def seen(process: Process, milliseconds_ago: int, **changed: Any) -> Process:
    return structs.replace(process, seen_at=NOW - milliseconds_ago, **changed)


def free(megabytes: float, **changed: Any) -> Condition:
    return structs.replace(ROOMY, free_bytes=int(megabytes * 1_000_000), **changed)


def test_there_is_no_warning_when_all_is_well() -> None:
    assert found() == {}


def test_a_worker_that_is_not_running_is_a_problem_after_a_minute() -> None:
    assert found(processes=(SERVER,), as_of=NOW - MINUTE) == {}
    assert found(processes=(SERVER,), as_of=NOW - MINUTE - 1) == {"worker_stopped": True}
    assert "it has never updated the statistics" in said(processes=(SERVER,), as_of=None)


def test_a_worker_that_runs_but_does_not_finish_is_another_problem() -> None:
    assert found(as_of=NOW - 5 * MINUTE) == {"worker_late": True}
    assert said(as_of=NOW - 5 * MINUTE) == "The stats worker is running, but the statistics are 5 minutes old."


def test_a_worker_has_a_minute_for_its_first_update() -> None:
    started = structs.replace(WORKER, started_at=NOW - MINUTE)
    assert found(processes=(SERVER, started), as_of=None) == {}


def test_figures_are_late_by_the_interval_that_was_set() -> None:
    slow = structs.replace(WORKER, stats_interval=600)
    assert found(processes=(SERVER, slow), as_of=NOW - 30 * MINUTE) == {}
    assert found(processes=(SERVER, slow), as_of=NOW - 30 * MINUTE - 1) == {"worker_late": True}


def test_no_server_is_a_problem_and_says_when_one_was_seen() -> None:
    assert found(processes=(WORKER,)) == {"no_server": True}
    assert said(processes=(seen(SERVER, 3 * clock.HOUR), WORKER)) == (
        "No server is running. The last one was seen 3 hours ago."
    )


def test_a_process_that_was_not_seen_for_half_a_minute_is_lost() -> None:
    other = structs.replace(SERVER, pid=13)
    assert found(processes=(seen(other, 29_000), SERVER, WORKER)) == {}
    assert found(processes=(seen(other, 30_000), SERVER, WORKER)) == {"process_lost": False}
    assert said(processes=(seen(other, 3 * MINUTE), SERVER, WORKER)) == (
        "The server with process id 13 on alpha has not been seen for 3 minutes: it was killed, or it hangs."
    )
    lost = (seen(other, 3 * MINUTE), seen(other, 2 * MINUTE, pid=14))
    assert said(processes=(*lost, SERVER, WORKER)).startswith("2 processes have not been seen for 2 minutes")
    (warning,) = warnings(structs.replace(WELL, processes=(*lost, SERVER, WORKER)), ROOMY, NOW)
    assert warning.do.startswith("Look at their logs")


def test_several_versions_at_once_are_named_in_order() -> None:
    newer = structs.replace(SERVER, pid=13, version="1.10.0")
    assert said(processes=(newer, SERVER, WORKER)) == "Several versions of abtest run at once: 1.9.0 and 1.10.0."
    assert found(processes=(seen(newer, MINUTE), SERVER, WORKER)) == {"process_lost": False}


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ({"busy": 12, "invalid_token": 3}, {"refused_busy": True}),
        ({"internal_error": 1}, {"refused_internal_error": True}),
        ({"database_away": 2, "answers_lost": 1}, {"refused_database_away": True, "refused_answers_lost": True}),
        ({"database_read_only": 1}, {"refused_database_read_only": True}),
        ({"too_many_new_devices": 5}, {"refused_too_many_new_devices": False}),
        ({"invalid_token": 3, "not_found": 9, "draining": 1}, {}),
    ],
)
def test_refused_requests_are_a_warning_where_an_operator_can_help(
    refused: Mapping[str, int], expected: dict[str, bool]
) -> None:
    assert found(processes=(structs.replace(SERVER, refused_lately=refused), WORKER)) == expected
    assert found(processes=(structs.replace(SERVER, refused=refused), WORKER)) == {}


def test_requests_that_several_servers_refused_are_counted_together() -> None:
    servers = [structs.replace(SERVER, pid=pid, refused_lately={"busy": 600}) for pid in (13, 14)]
    assert said(processes=(*servers, WORKER)) == (
        "1,200 requests were refused in the last 5 minutes with the code `busy`."
    )


def test_a_disk_is_full_below_the_servers_own_setting() -> None:
    strict = structs.replace(SERVER, free_disk=5_000)
    assert found(free(5_000), processes=(strict, WORKER)) == {}
    assert found(free(4_999), processes=(strict, WORKER)) == {"disk_full": True}
    assert found(free(99), processes=()) == {"disk_full": True, "no_server": True}


def test_what_a_full_disk_refuses_is_said_once() -> None:
    refusing = structs.replace(SERVER, refused_lately={"storage_full": 5})
    assert found(processes=(refusing, WORKER)) == {"refused_storage_full": True}
    assert found(free(99), processes=(refusing, WORKER)) == {"disk_full": True}


def test_nothing_is_said_of_processes_when_there_is_no_room_for_them_to_say_that_they_run() -> None:
    assert found(free(9), processes=(seen(SERVER, clock.HOUR), WORKER)) == {"disk_full": True}


def test_a_growing_database_is_a_warning_two_weeks_before_the_disk_is_full() -> None:
    growing = ((NOW - 4 * clock.DAY, GIGABYTE - 400_000_000),)  # 100 MB a day
    assert found(free(1_501), sizes=growing) == {}
    assert found(free(1_499), sizes=growing) == {"disk_filling": False}
    assert found(free(299), sizes=growing) == {"disk_filling": True}
    assert said(free(1_300), sizes=growing).startswith("The disk will be full in about 12 days: 1.3 GB is free")


def test_a_disk_without_room_for_a_second_copy_is_a_warning() -> None:
    assert found(free(999)) == {"disk_small": False}


def test_a_large_log_is_a_warning() -> None:
    assert found(structs.replace(ROOMY, log_bytes=64 << 20)) == {}
    assert found(structs.replace(ROOMY, log_bytes=(64 << 20) + 1)) == {"log_large": False}


def test_a_week_without_a_backup_is_a_warning() -> None:
    assert found(backed_up_at=NOW - 7 * clock.DAY) == {}
    assert said(backed_up_at=NOW - 8 * clock.DAY) == "The last backup is 8 days old."
    assert said(backed_up_at=None) == "There has never been a backup."
    assert found(backed_up_at=None, created_at=NOW - 7 * clock.DAY) == {}


def test_a_time_that_has_not_come_yet_is_a_problem_of_the_clock() -> None:
    assert found(newest_at=NOW + 10_000) == {}
    assert found(newest_at=NOW + 10_001) == {"clock_behind": True}
    assert "3 hours from now" in said(as_of=NOW + 3 * clock.HOUR)


def test_a_schema_newer_than_the_program_is_a_problem() -> None:
    assert found(schema=18) == {"newer_schema": True}


def test_what_is_urgent_comes_first() -> None:
    assert list(found(backed_up_at=None, newest_at=NOW + clock.HOUR)) == ["clock_behind", "no_backup"]


def test_growth_is_measured_and_not_known_before_a_day_has_passed() -> None:
    def measured(days: float) -> tuple[float, float] | None:
        size = (NOW - int(days * clock.DAY), GIGABYTE - 700_000)
        return growth(structs.replace(WELL, sizes=(size, (NOW, 0))), ROOMY, NOW)

    assert growth(WELL, ROOMY, NOW) is None
    assert measured(0.99) is None
    assert measured(7) == (100_000, 7)
