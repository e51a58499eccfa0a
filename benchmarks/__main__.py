"""`python -m benchmarks`: measure, compare with the goals, print a table; JSON and a plot if asked for."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.cases import CASES, FULL, QUICK, Result
from benchmarks.plot import plot


@click.command()
@click.option("--quick", is_flag=True, help="Two minutes: 32 connections, small databases.")
@click.option("--case", "names", multiple=True, type=click.Choice([case.__name__ for case in CASES]))
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every figure here.")
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Write an SVG of latency against load here."
)
def main(quick: bool, names: tuple[str, ...], json_file: Path | None, plot_file: Path | None) -> None:
    """Measure abtest beside yardsticks in the same rounds. Exit 1 if a goal is missed or an answer was wrong."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux"), ("cc", "gcc")):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is needed: apt-get install {package}")
    results: list[Result] = []
    try:
        for case in CASES:
            if names and case.__name__ not in names:
                continue
            for result in case(QUICK if quick else FULL, lambda text: click.echo(f"... {text}", err=True)):
                results.append(result)
                click.echo(line(result))
    finally:  # what was measured before a case failed is worth keeping
        if json_file:
            json_file.write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n", encoding="utf-8")
        if plot_file:
            plot_file.write_text(plot(results), encoding="utf-8")
    missed = [result for result in results if result.met is False]
    click.echo(f"{len(results)} figures, {len(missed)} goals missed")
    sys.exit(bool(missed))


def line(result: Result) -> str:
    """One line of the table."""
    goal = "" if result.goal is None else f"goal {result.goal}: {'met' if result.met else 'MISSED'}"
    return f"{result.name:<78} {result.value:>8.2f} {result.unit:<2}  {goal:<18} {result.note}".rstrip()


if __name__ == "__main__":
    main()
