"""An SVG of latency against load: p99 in milliseconds by requests per second, with a line for each load."""

import re
from collections import defaultdict

from benchmarks.cases import LOADS
from benchmarks.report import Run

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 360, 60, 40
COLOURS = dict(zip(LOADS.values(), ("#2457c5", "#b3541e", "#3f7d3a"), strict=True))
NAME = re.compile(rf"({'|'.join(LOADS.values())}), (\d+) connections?: ")


def plot(run: Run) -> str:
    """The plot of the case `one_process`; empty axes if it was not run."""
    lines: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in run.cases["one_process"].results if "one_process" in run.cases else ():
        if (named := NAME.match(result.name)) and result.absolute is not None:
            lines[named[1]][int(named[2])].append(result.absolute)
    points = {
        case: [(rate, p99, connections) for connections, (rate, p99) in sorted(by.items())]
        for case, by in lines.items()
    }
    most_rate = max((rate for each in points.values() for rate, _, _ in each), default=1) * 1.1
    most_p99 = max((p99 for each in points.values() for _, p99, _ in each), default=1) * 1.1

    def place(rate: float, p99: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 20) * rate / most_rate
        return round(x, 1), round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 20) * p99 / most_p99, 1)

    drawn = []
    for row, (case, each) in enumerate(points.items()):
        places = [place(rate, p99) for rate, p99, _ in each]
        colour = COLOURS[case]
        path = " ".join(f"{x},{y}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), (_, _, connections) in zip(places, each, strict=True):
            drawn.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
            drawn.append(f'<text x="{x + 7}" y="{y - 5}" fill="{colour}">{connections}</text>')
        drawn.append(f'<text x="{LEFT + 15}" y="{30 + 18 * row}" fill="{colour}">{case}</text>')
    right, base = place(most_rate, 0)
    _, top = place(0, most_p99)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M{LEFT},{top} V{base} H{right}" fill="none" stroke="#555"/>'
        f'<text x="{LEFT - 8}" y="{top + 10}" text-anchor="end">{most_p99:.0f}</text>'
        f'<text x="{LEFT - 8}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{right}" y="{HEIGHT - 12}" text-anchor="end">requests per second, up to {most_rate:,.0f}</text>'
        f'<text x="{LEFT - 45}" y="{HEIGHT - 12}">p99, ms; points: connections</text>' + "".join(drawn) + "</svg>\n"
    )
