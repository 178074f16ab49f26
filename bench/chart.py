"""The result as an SVG for the README: plain shapes and text, readable on light and on dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.result import Result, Subject

WIDTH = 860
LEFT, RIGHT = 190, 150
ROW, BAR = 30, 16
_STYLE = """
  .bg { fill: #ffffff; stroke: #d0d7de } .t { fill: #1f2328 } .q { fill: #59636e }
  .ours { fill: #2563eb } .theirs { fill: #b45309 } .plain { fill: #94a3b8 } .track { fill: #eef1f4 }
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .h { font-size: 15px; font-weight: 600 } .b { font-weight: 600 } .s { font-size: 12px }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #0d1117; stroke: #30363d } .t { fill: #e6edf3 } .q { fill: #9198a1 }
    .ours { fill: #60a5fa } .theirs { fill: #f59e0b } .plain { fill: #6e7681 } .track { fill: #1b222b }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float
    label: str
    look: str


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    note: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return 62 + ROW * len(self.bars)


def draw(result: Result) -> str:
    panels = [_rates(result), _cpu(result), _chunks(result)]
    parts, y = [], 24
    for panel in panels:
        parts.append(_panel(panel, y))
        y += panel.height
    for line in _footer(result):
        parts.append(_text(28, y, "q s", line))
        y += 19
    height = y + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(_summary(result))}">\n<style>{_STYLE}</style>\n'
        f'<rect class="bg" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _rates(result: Result) -> Panel:
    bars = [Bar("Yout", result.yout.best.rate, f"{result.yout.best.rate:,.0f}", "ours")]
    bars += [
        Bar(name, rate, f"{rate:,.0f}", "theirs") for name, subject in _others(result) if (rate := subject.best.rate)
    ]
    note = "one process each; Yout holds, charges and fsyncs every call, the others bill nothing"
    return Panel("Calls per second", note, bars)


def _cpu(result: Result) -> Panel:
    ours = min(result.yout.levels, key=lambda level: level.cpu)
    bars = [Bar("Yout", ours.cpu, _time(ours.cpu), "ours")]
    bars.append(Bar("its PostgreSQL", ours.postgres_cpu, _time(ours.postgres_cpu), "plain"))
    for name, subject in _others(result):
        theirs = min(level.cpu for level in subject.levels)
        bars.append(Bar(name, theirs, _time(theirs), "theirs"))
    return Panel("CPU time per call", "less is better", bars)


def _chunks(result: Result) -> Panel:
    bars = []
    for name, subject in (("Yout", result.yout), *_others(result)):
        if subject.chunks and subject.chunks.chunks:
            look = "ours" if subject is result.yout else "theirs"
            bars.append(Bar(name, subject.chunks.cpu, _time(subject.chunks.cpu), look))
    return Panel("CPU time per streamed chunk", "50 chunks a second in each stream; less is better", bars)


def _footer(result: Result) -> list[str]:
    held, books = result.streams, result.books
    machine = result.machine
    return [
        f"{held.at_once:,} streams at once, a chunk every 500 ms each: {held.errors} errors, "
        f"{held.cores:.2f} cores, {held.kib_each:.0f} KiB each.",
        f"{books.charged:,} calls charged, {books.usage_rows:,} usage rows, audit "
        f"{'clean' if books.clean else 'NOT clean'}; fsync and synchronous_commit on.",
        f"{machine['cores']} shared cores ({machine['cpu']}) for load, gateway, PostgreSQL and upstream together.",
    ]


def _summary(result: Result) -> str:
    others = "".join(f"; {name}: {subject.best.rate:,.0f}" for name, subject in _others(result))
    return f"Yout: {result.yout.best.rate:,.0f} calls per second{others}"


def _others(result: Result) -> list[tuple[str, Subject]]:
    return [(peer.name, peer.subject) for peer in result.peers if peer.subject]


def _panel(panel: Panel, top: int) -> str:
    highest = max((bar.value for bar in panel.bars), default=1.0) or 1.0
    width = WIDTH - LEFT - RIGHT
    parts = [
        f'<text x="28" y="{top + 12}" class="t h">{escape(panel.title)}'
        f'<tspan class="q s" dx="10" font-weight="400">{escape(panel.note)}</tspan></text>'
    ]
    for number, bar in enumerate(panel.bars):
        y = top + 28 + number * ROW
        length = max(3.0, width * bar.value / highest)
        parts += [
            _text(28, y + 13, "t", bar.name),
            f'<rect class="track" x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="4"/>',
            f'<rect class="{bar.look}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="4"/>',
            _text(LEFT + width + 14, y + 13, "t b", bar.label),
        ]
    return "\n".join(parts)


def _text(x: int, y: int, look: str, content: str) -> str:
    return f'<text x="{x}" y="{y}" class="{look}">{escape(content)}</text>'


def _time(microseconds: float) -> str:
    return f"{microseconds / 1000:,.1f} ms" if microseconds >= 1000 else f"{microseconds:,.0f} µs"
