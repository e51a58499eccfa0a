"""The figures: as JSON, to which each run adds, and as the tables of docs/performance.md."""

import os
import platform
from pathlib import Path

import msgspec
import pysqlite3
import tornado
from msgspec import Struct

from benchmarks.cases import CASES
from benchmarks.plans import Result

BEGIN = "<!-- written by python -m benchmarks --report -->"
END = "<!-- end of what is written -->"


class Case(Struct, frozen=True):
    """One case of a run: when it ran, by which plan, how long it took, and its results."""

    date: str
    plan: str
    seconds: float
    results: list[Result]


class Run(Struct, frozen=True):
    """The last run of each case on this machine, by the name of the case."""

    machine: str
    cases: dict[str, Case]


def machine() -> str:
    """Processor, system and versions, in a line."""
    cpu = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    versions = f"Python {platform.python_version()}, Tornado {tornado.version}, SQLite {pysqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores of {cpu}, {platform.system()} {platform.release()}, {versions}"


def read(path: Path) -> Run:
    """The run in this file. Raises OSError, or msgspec's DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


def write(path: Path, run: Run) -> None:
    """Write a run to this file. Raises OSError."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")


def rewrite(path: Path, run: Run) -> None:
    """Put the tables between the marks of a page. Raises ValueError if it has no marks."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the tables: {BEGIN} ... {END}")
    path.write_text(f"{before}{BEGIN}\n\n{tables(run)}\n{END}{after}", encoding="utf-8")


def tables(run: Run) -> str:
    """The tables in Markdown: first the figures with goals, then all figures, case by case."""
    there = [run.cases[case.__name__] for case in CASES if case.__name__ in run.cases]
    goals = [_row(result) for case in there for result in case.results if result.goal]
    lines = [f"Machine: {run.machine}.", "", "### Goals", "", *_table(goals)]
    for case in CASES:
        lines += ["", f"### {_title(case.__doc__)}", ""]
        found = run.cases.get(case.__name__)
        if found is None:
            lines.append(f"Not yet run (`--case {case.__name__}`).")
        else:
            lines += [f"`--case {case.__name__}`, the {found.plan} plan, {found.date}, {found.seconds:.0f} s.", ""]
            lines += _table([_row(result) for result in found.results])
    return "\n".join(lines) + "\n"


def _title(doc: str | None) -> str:
    return (doc or "").splitlines()[0].rstrip(".")


def _row(result: Result) -> str:
    met = {None: "", True: "met", False: "**missed**"}[result.met]
    space = "" if result.unit == "%" else " "
    value = f"{result.value:.2f}{space}{result.unit}"
    return f"| {result.name} | {value} | {result.goal or ''} | {met} | {result.note} |"


def _table(rows: list[str]) -> list[str]:
    return ["| figure | measured | goal | | absolute |", "|---|--:|--:|---|---|", *rows]
