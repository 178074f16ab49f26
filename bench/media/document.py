"""The figures for people: a table in the terminal, and a part of `docs/benchmark.md`."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from bench.media.figures import Figure, Part, Result

HEADING = "## Media jobs\n"
NEXT = "## Running it\n"
TITLES = {
    Part.ACCEPT: "To accept a job",
    Part.LISTEN: "To listen to events",
    Part.MAKE: "To make a job",
    Part.BEGIN: "To order beside an account whose jobs begin",
    Part.WAIT: "To wait for a vendor",
}
_INTRODUCTION = """
Measured on {day}, {cores} cores, Python {python}, by `python -m bench.media`: one API process, PostgreSQL and Temporal
as `make dev` has them, and the tests' doubles as vendors. Other programs used the cores meanwhile: the load average was
{load}. A ratio compares what took turns in the same round. Where there were several rounds, the median is given, with
the least and the most of them.
"""
_ABOUT = {
    Part.ACCEPT: """
`POST /api/media/image/` without a worker: the hold, the job and its sealed input are one transaction. The workflow is
started after the answer. Beside it, in turns: a chat with the demo provider through the same API process; and one
insert with one `start_workflow`, directly.
""",
    Part.LISTEN: """
`GET /api/media/jobs/<uuid>/events/`, ten listeners to each job. Changes are made in the database, as a worker makes
them.
""",
    Part.MAKE: """
Jobs of a vendor that is done at the second look, half a second after the first, from the first that begins to the last
that ends. All of them wait when the workers come.
""",
    Part.BEGIN: """
One worker. An account orders hundreds of jobs, 16 at once: videos that no vendor ends, then images of a vendor that is
done half a second after its first look. Another account orders such images meanwhile, one after another, in turns with
chats, until all of those have begun.
""",
    Part.WAIT: """
Jobs at a vendor that never ends them, one worker. Another account orders quick jobs, one after another, before them and
beside them, in turns with chats.
""",
}


def table(results: Mapping[str, Result]) -> Table:
    shown = Table("", *(f"{name} (load {_load(result)})" for name, result in results.items()), title="Media jobs")
    for part in Part:
        for name, values in _rows(results, part):
            shown.add_row(name, *values)
        shown.add_section()
    return shown


def section(results: Mapping[str, Result]) -> str:
    """Of the page, with its heading."""
    first = next(iter(results.values()))
    machine = first.machine
    load = " and ".join(_load(result) for result in results.values())
    words = {"day": machine.day, "cores": machine.cores, "python": machine.python, "load": load}
    parts = [HEADING + _INTRODUCTION.format(**words)]
    for part in Part:
        if rows := list(_rows(results, part)):
            names = ("", *results) if len(results) > 1 else ("", "")
            lines = [names, ("---", *["---:"] * len(results)), *((name, *values) for name, values in rows)]
            drawn = "\n".join("| " + " | ".join(line) + " |" for line in lines)
            parts.append(f"### {TITLES[part]}\n{_ABOUT[part]}\n{drawn}\n")
    return "\n".join(parts)


def with_media(page: str, media: str) -> str:
    """The page with this section, before what follows it."""
    place = page.find(HEADING)
    if place < 0:
        head, after = page.split(NEXT, 1)
        return f"{head.rstrip()}\n\n{media.rstrip()}\n\n{NEXT}{after}"
    following = page.index("\n## ", place)
    return f"{page[:place].rstrip()}\n\n{media.rstrip()}\n{page[following:]}"


def media_of(page: str) -> str:
    """The section that a page has, with those that follow it; empty if it has none."""
    head = page.split(NEXT, 1)[0]
    return HEADING + head.split(HEADING, 1)[1] if HEADING in head else ""


def _rows(results: Mapping[str, Result], part: Part) -> Iterator[tuple[str, list[str]]]:
    of_name = {name: {one.name: one for one in each.figures if one.part is part} for name, each in results.items()}
    for figure in dict.fromkeys(one for figures in of_name.values() for one in figures):
        yield figure, [_cell(figures[figure]) if figure in figures else "" for figures in of_name.values()]


def _cell(figure: Figure) -> str:
    return f"{figure.value} ({figure.spread})" if figure.spread else figure.value


def _load(result: Result) -> str:
    return f"{min(result.machine.load):g} to {max(result.machine.load):g}"
