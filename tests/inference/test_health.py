import pytest
from scipy import stats

from abtest.inference.health import exposure
from abtest.inference.moments import Moments, Stratum


def stratum(*counts: tuple[int, int]) -> Stratum:
    """(exposed, assigned) per variant."""
    return tuple(Moments(assigned, exposed) for exposed, assigned in counts)


def test_one_phase_is_pearsons_test() -> None:
    found = exposure([stratum((900, 1_000), (870, 1_000), (95, 100))])
    table = [[900, 100], [870, 130], [95, 5]]
    assert found.p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    assert (found.missing, found.worst) == ((100, 130, 5), None)


def test_the_variant_that_misses_most_is_named() -> None:
    found = exposure([stratum((9_900, 10_000), (9_100, 10_000), (9_890, 10_000))])
    assert (found.worst, found.worst_part) == (1, 0.09)
    assert found.others_part == pytest.approx(0.0105)


def test_a_phase_that_has_no_devices_yet_changes_nothing() -> None:
    full, empty = stratum((9_900, 10_000), (9_100, 10_000)), stratum((0, 0), (0, 0))
    assert exposure([full, empty]) == exposure([full])


def test_an_app_that_never_reports_is_not_distrusted() -> None:
    assert exposure([stratum((0, 10_000), (0, 10_000))]).p is None
    assert exposure([stratum((0, 0), (0, 0))]).p is None
    assert exposure([]).missing == ()


def test_an_app_that_learns_to_report_when_the_shares_change_is_not_distrusted() -> None:
    silent, heard = stratum((0, 99_000), (0, 1_000)), stratum((4_500, 5_000), (4_510, 5_000))
    found = exposure([silent, heard])
    assert found.worst is None
    assert found.missing == (99_500, 1_490)
    assert exposure([stratum((0, 99_000), (500, 1_000)), heard]).worst == 0


def test_a_few_reports_are_not_tested() -> None:
    """The first of the 1 % to report would have a p of 0.00002."""
    assert exposure([stratum((4, 990), (1, 10))]).p is None


def test_a_variant_with_few_devices_does_not_keep_the_others_from_being_tested() -> None:
    found = exposure([stratum((900, 1_000), (700, 1_000), (0, 2))])
    table = [[900, 100], [700, 300]]
    assert found.p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    assert found.worst == 1


@pytest.mark.parametrize("n", [10**6, 10**12])
def test_huge_counts(n: int) -> None:
    found = exposure([stratum((n * 9 // 10, n), (n * 9 // 10 + 10, n))])
    assert found.p is not None
    assert found.p > 0.9
