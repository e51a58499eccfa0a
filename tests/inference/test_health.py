import pytest

from abtest.inference.health import exposure
from abtest.inference.statistics import sequence
from abtest.inference.statistics.moments import Moments, Stratum


def stratum(*counts: tuple[int, int]) -> Stratum:
    """(exposed, assigned) per variant."""
    return tuple(Moments(assigned, exposed) for exposed, assigned in counts)


def test_the_variant_that_differs_from_the_others_is_named() -> None:
    fewer = exposure([stratum((9_900, 10_000), (9_100, 10_000), (9_890, 10_000))])
    assert (fewer.differs, fewer.part, fewer.missing) == (1, 0.91, (100, 900, 110))
    assert fewer.others_part == pytest.approx(0.9895)
    more = exposure([stratum((1_800, 2_000), (1_800, 2_000), (1_960, 2_000))])
    assert (more.differs, more.part, more.others_part) == (2, 0.98, 0.9)


def test_of_two_variants_the_one_that_loses_devices_is_named() -> None:
    assert exposure([stratum((9_000, 10_000), (9_800, 10_000))]).differs == 0
    assert exposure([stratum((9_800, 10_000), (9_000, 10_000))]).differs == 1


@pytest.mark.parametrize("n", [10**6, 10**12])
def test_a_difference_that_changes_nothing_is_no_alarm(n: int) -> None:
    """9.2% against 9% of a million is sure, and does not matter."""
    found = exposure([stratum((n * 910 // 1_000, n), (n * 908 // 1_000, n))])
    assert found.differs is None
    assert found.alike


def test_it_alarms_when_the_sequence_at_a_thousandth_for_all_variants_does() -> None:
    """Of 20,000 devices in each variant, 18,000 are exposed, and fewer and fewer in the third."""
    quantile = sequence.quantile(60_000, 0.001 / 3, None)
    fewest = []
    for exposed in range(17_700, 17_000, -1):
        parts, n = (exposed / 20_000, 0.9), (20_000, 40_000)
        error = sum(part * (1 - part) / (devices - 1) for part, devices in zip(parts, n, strict=True)) ** 0.5
        ratio = 1 - parts[0] / parts[1]
        fewest.append((exposed, ratio - quantile * error / parts[1] > 0.02))
    expected = next(exposed for exposed, alarms in fewest if alarms)
    found = [
        exposure([stratum((18_000, 20_000), (18_000, 20_000), (exposed, 20_000))]).differs
        for exposed in (expected + 15, expected - 15)
    ]
    assert found == [None, 2]


def test_alike_is_said_only_when_it_is_known() -> None:
    assert not exposure([stratum((90, 100), (90, 100))]).alike
    assert not exposure([stratum((900_000, 1_000_000), (900_000, 1_000_000), (9, 10))]).alike
    assert exposure([stratum((900_000, 1_000_000), (900_000, 1_000_000), (90_000, 100_000))]).alike


def test_a_phase_that_has_no_devices_yet_changes_nothing() -> None:
    full, empty = stratum((9_900, 10_000), (9_100, 10_000)), stratum((0, 0), (0, 0))
    assert exposure([full, empty]) == exposure([full])


def test_an_app_that_never_reports_is_not_distrusted() -> None:
    silent = exposure([stratum((0, 10_000), (0, 10_000))])
    assert (silent.differs, silent.alike) == (None, False)
    assert exposure([stratum((0, 0), (0, 0))]).differs is None
    assert exposure([]).missing == ()


def test_an_app_that_learns_to_report_when_the_shares_change_is_not_distrusted() -> None:
    silent, heard = stratum((0, 99_000), (0, 1_000)), stratum((4_500, 5_000), (4_510, 5_000))
    found = exposure([silent, heard])
    assert found.differs is None
    assert found.missing == (99_500, 1_490)
    assert exposure([stratum((0, 99_000), (500, 1_000)), heard]).differs == 0


def test_over_phases_the_variant_that_loses_devices_is_named_with_its_part_in_them() -> None:
    """In all phases together b reports far more often: most of a's devices came before the app reported at all."""
    silent = stratum((0, 99_000), (0, 1_000))
    found = exposure([silent, stratum((4_900, 5_000), (4_500, 5_000))])
    assert found.differs == 1
    assert 0 < found.part < found.others_part
    three = stratum((0, 49_500), (0, 49_500), (0, 1_000)), stratum((4_900, 5_000), (4_900, 5_000), (4_500, 5_000))
    found = exposure(three)
    assert found.differs == 2
    assert 0 < found.part < found.others_part


def test_a_few_reports_are_not_tested() -> None:
    assert exposure([stratum((4, 990), (1, 10))]).differs is None


def test_a_variant_with_few_devices_does_not_keep_the_others_from_being_tested() -> None:
    assert exposure([stratum((900, 1_000), (700, 1_000), (0, 2))]).differs is not None
