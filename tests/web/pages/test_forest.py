"""Where the marks of lifts lie."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from abtest.inference.answers import Comparison, Lift
from abtest.inference.question import Due
from abtest.language.verdicts import Said
from abtest.results.conclusions import Look, MetricResults
from abtest.web.pages.forest import forest, history

LIFTS = st.builds(
    lambda relative, value, down, up: Lift(relative, value, value - down, value + up),
    st.just(True),
    st.floats(-2, 2),
    st.floats(0.001, 3),
    st.floats(0.001, 3),
)


def metric(*lifts: Lift | None, looks: int = 3, detectable: float | None = 0.1) -> MetricResults:
    comparisons = tuple(
        Comparison(f"value-{place}", safe=lift, decided_by="safe" if lift and lift.shown else None)
        for place, lift in enumerate(lifts)
    )
    return MetricResults(
        metric="conversion:purchase",
        role="primary",
        kind="conversion",
        event="purchase",
        window_days=None,
        less=False,
        verdict=Said("no_difference", "No difference shown"),
        variants=(),
        comparisons=comparisons,
        omnibus_p=None,
        detectable=detectable,
        detectable_devices=12_000,
        due=Due(),
        cap=None,
        capped_devices=0,
        over_time=tuple(Look(f"2026-11-{day + 1:02d}", lifts) for day in range(looks)),
        events=0,
        without_amount=0,
        lag_seconds=None,
        first_at=None,
        last_at=None,
    )


def test_zero_and_the_lifts_share_an_axis() -> None:
    found = forest(metric(Lift(True, 0.2, 0.1, 0.3), None, Lift(True, -0.1, -0.3, 0.1)))
    assert found is not None
    first, missing, last = found.marks
    assert missing is None
    assert first is not None
    assert last is not None
    assert last.low < last.at < found.zero < last.high == first.low < first.at < first.high
    assert (first.shown, last.shown) == (True, False)
    assert found.band is not None
    assert (found.band[0] + found.band[1]) / 2 == found.zero
    assert "0" in [tick.label for tick in found.ticks]


def test_the_interval_that_decided_is_drawn() -> None:
    safe, test = Lift(True, 0.1, -0.1, 0.3), Lift(True, 0.2, 0.05, 0.35)
    decided = Comparison("B", safe=safe, at_plan=test, decided_by="at_plan")
    one, other = (
        forest(structs.replace(metric(safe), comparisons=(each,))) for each in (decided, Comparison("B", safe=test))
    )
    assert one is not None
    assert other is not None
    assert one.marks == tuple(mark and structs.replace(mark, shown=True) for mark in other.marks)


def test_without_figures_there_is_nothing_to_draw() -> None:
    assert forest(metric(None, None)) is None
    assert history(metric(None)) is None
    assert history(metric(Lift(True, 0, -1, 1), looks=0)) is None


def test_a_single_look_is_drawn_over_the_whole_width() -> None:
    found = history(metric(Lift(True, 0.1, 0.0, 0.2), looks=1))
    assert found is not None
    (course,) = found.courses
    assert course.line.split()[0].startswith("0.0,")
    assert course.line.split()[-1].startswith("100.0,")


@given(st.lists(LIFTS, min_size=1, max_size=4), st.integers(1, 5))
def test_nothing_lies_outside(lifts: list[Lift], looks: int) -> None:
    plot, course = forest(metric(*lifts)), history(metric(*lifts, looks=looks))
    assert plot is not None
    assert course is not None
    places = [place for mark in plot.marks if mark for place in (mark.low, mark.at, mark.high)]
    points = [float(number) for each in course.courses for point in each.area.split() for number in point.split(",")]
    assert all(0 <= place <= 100 for place in [*places, *points, plot.zero, course.zero])
    assert len(plot.ticks) <= 7


def at_end(*lifts: Lift, before: Lift) -> MetricResults:
    """The same comparisons on two days, of which the first one knew less."""
    early = Look("2026-10-31", (before,) * len(lifts))
    return structs.replace(metric(*lifts), over_time=(early, Look("2026-11-01", lifts)))


def labels(metric: MetricResults) -> list[str]:
    found = history(metric)
    assert found is not None
    return [tick.label.replace("\N{MINUS SIGN}", "-") for tick in found.ticks]


def test_no_lift_below_nothing_left_is_labelled() -> None:
    last = Lift(True, -0.03, -0.53, 0.76)
    assert labels(metric(last)) == ["-50%", "0", "+50%"]
    assert labels(at_end(last, before=Lift(True, 0.1, -3.2, 3.4))) == ["-100%", "0", "+100%", "+200%"]


def test_lifts_of_negative_amounts_go_below_it() -> None:
    assert labels(metric(Lift(True, -1.6, -2.4, -0.8))) == ["-200%", "-100%", "0"]


def test_an_early_interval_is_cut_at_the_edge_of_the_plot() -> None:
    found = history(at_end(Lift(True, 0.1, -0.1, 0.3), before=Lift(True, 0.1, -9.0, 9.0)))
    assert found is not None
    area = found.courses[0].area.split()
    assert (area[0], area[-1]) == ("0.0,0.0", "0.0,100.0")


@given(LIFTS)
def test_a_wide_side_of_zero_is_labelled(lift: Lift) -> None:
    found = history(metric(lift))
    assert found is not None
    above, below = ([tick for tick in found.ticks if tick.label[0] == sign] for sign in "+\N{MINUS SIGN}")
    assert above or found.zero < 30
    assert below or found.zero > 70


def test_the_axis_of_a_difference_of_rates_is_in_percentage_points() -> None:
    found, course = (draw(metric(Lift(False, -0.02, -0.18, 0.16))) for draw in (forest, history))
    assert found is not None
    assert course is not None
    assert found.unit == course.unit == "percentage points"
    assert [tick.label for tick in found.ticks] == ["\N{MINUS SIGN}10", "0", "+10"]
    assert forest(metric(Lift(True, 0, -1, 1))).unit == ""  # type: ignore[union-attr]  # there are figures
