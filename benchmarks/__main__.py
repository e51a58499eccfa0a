"""`python -m benchmarks`: measure, compare with the goals, print a table; on request write JSON, a plot, a page."""

import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.cases import CASES
from benchmarks.plans import FULL, QUICK, Result
from benchmarks.plot import plot
from benchmarks.report import Case, Run, machine, read, rewrite, write


@click.command()
@click.option("--quick", is_flag=True, help="Take two minutes: few connections, small databases.")
@click.option("--case", "names", multiple=True, type=click.Choice([case.__name__ for case in CASES]))
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    help="Write every figure to this file. Cases in it that are not run now stay as they are.",
)
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Write an SVG of latency against load to this file."
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(exists=True, path_type=Path),
    help="Put the tables between the marks of this page.",
)
@click.option("--no-run", is_flag=True, help="Measure nothing: plot and report the figures of the file of --json.")
def main(
    quick: bool,
    names: tuple[str, ...],
    json_file: Path | None,
    plot_file: Path | None,
    report_file: Path | None,
    no_run: bool,
) -> None:
    """Measure abtest and yardsticks in the same rounds. Exit 1 if a goal was missed or an answer was wrong."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux"), ("cc", "gcc")):
        if not no_run and shutil.which(program) is None:
            raise click.ClickException(f"{program} is needed: apt-get install {package}")
    run = read(json_file) if json_file and json_file.exists() else Run(machine(), {})
    chosen = [] if no_run else [case for case in CASES if not names or case.__name__ in names]
    measured: list[Result] = []
    try:
        for case in chosen:
            began = time.monotonic()
            results: list[Result] = []
            try:
                for result in case(QUICK if quick else FULL, lambda text: click.echo(f"... {text}", err=True)):
                    results.append(result)
                    click.echo(line(result))
            finally:  # keep what was measured before a case failed
                measured += results
                if results:
                    seconds = time.monotonic() - began
                    run.cases[case.__name__] = Case(today(), "quick" if quick else "full", seconds, results)
    finally:
        if json_file:
            write(json_file, run)
        if plot_file:
            plot_file.write_text(plot(run), encoding="utf-8")
        if report_file:
            rewrite(report_file, run)
    missed = [result for result in measured if result.met is False]
    click.echo(f"{len(measured)} figures, {len(missed)} goals missed")
    sys.exit(bool(missed))


def line(result: Result) -> str:
    """One line of the table."""
    goal = "" if result.goal is None else f"goal {result.goal}: {'met' if result.met else 'MISSED'}"
    return f"{result.name:<88} {result.value:>8.2f} {result.unit:<2}  {goal:<18} {result.note}".rstrip()


def today() -> str:
    """The date in UTC."""
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    main()
