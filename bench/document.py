"""`docs/benchmark.md` from a result: what was measured, how, on what, and which targets were missed."""

from collections.abc import Iterable, Sequence
from textwrap import fill

from bench.result import Beside, Result, Target

_HEAD = """# Benchmark

![Calls per second, CPU per call and per streamed chunk](benchmark.svg)

`make bench` measures all of this again, `make bench ARGS=--docs` writes this page from it. Everything runs on one
machine over loopback, in one run.

## What was measured

- **direct**: the load generator against the upstream itself. Nothing that a gateway does is in it; it is the floor that
  "added" latencies are over.
- **Yout**: one API process on an embedded PostgreSQL, every call authenticated, held, forwarded, settled and answered
  with its charge. Commits reach the disk: {durable}. PostgreSQL is asked for
  these; with one of them off, nothing is measured.
{peers}

The upstream answers at once, or streams at a given pace, with content and usage that differ from call to call; it
costs {direct:.0f} µs of CPU per call. It, the load generator, the gateway and PostgreSQL are processes of their own and
share the machine's {cores} cores, so that calls per second are what is left for a gateway beside its own load. CPU is
user and system time from `/proc`, of the process and all its children, over calls that were answered; PostgreSQL's is
counted apart.

On: {cores} cores of a shared virtual machine ({cpu}), Linux {kernel}, Python {python}, PostgreSQL {postgres}. Each
measurement took {seconds} s. The load average over the last 15 minutes was {load}{noise}
"""

_BUSY = (
    ", more than this run itself causes: other work\nshared the cores, and the ratios within the run say more than its "
    "absolute figures."
)

_RUN_AGAIN = """
## Running it

    make bench                          # about 15 minutes; the first time it installs the others into .yout/bench
    make bench ARGS=--quick             # a minute or two, to see that it runs: not to quote
    make bench ARGS="--alone --seconds 5 --calls 20000"
    .venv/bin/python -m bench.media     # media jobs; --docs writes their part of this page, --only wait measures a part
    .venv/bin/python -m bench.media --quick --against COMMIT    # that commit, then this tree, with few jobs
    .venv/bin/python -m bench.purge     # the purge alone
    .venv/bin/python -m bench.pages     # the web app's pages; --models 50, --against COMMIT: in turns with it
    .venv/bin/python -m bench.playground    # a long answer in Chromium, at 200 tokens a second; --kind for other texts
    .venv/bin/python -m bench.first_paint   # when Chromium paints the pages; --against COMMIT: in turns with it
    make bench ARGS="--against COMMIT"  # this tree beside a commit, in turns; --only chunk --turns 9 for a part of it

It prints tables and writes its result and `benchmark.svg` into `.yout/bench`. It exits with 1 when the ledger is not
right, whatever the speed. `make chaos` is the other half: the same stack under load while its processes are killed and
paused, and then every credit accounted for, call by call, and every receipt computed again from its public JSON.
"""


def write(result: Result, media: str = "") -> str:
    """The page. `media`: its section about media jobs, which `python -m bench.media --docs` writes, and about pages."""
    machine, books = result.machine, result.books
    head = _HEAD.format(
        durable=", ".join(f"`{name}` {value}" for name, value in books.durability.items()),
        peers="\n".join(_peer(peer) for peer in result.peers),
        direct=min(level.cpu for level in result.direct.levels),
        noise=_BUSY if float(machine["load"].split(" ")[0]) > float(machine["cores"]) else ".",
        **{name: machine[name] for name in ("cores", "cpu", "kernel", "python", "postgres", "seconds")},
        load=machine["load"].split(" ")[0],
    )
    return (
        "\n".join(
            [head, _targets(result.targets()), _calls(result), _streams(result), _erasure(result), _memory(result)]
        )
        + (f"\n{media.rstrip()}\n" if media else "")
        + _RUN_AGAIN
    )


def _peer(peer: Beside) -> str:
    text = f"{peer.note}: {peer.about}" if peer.subject else f"not measured ({peer.note}). No ratio is claimed."
    return fill(f"- **{peer.name}**: {text}", 120, subsequent_indent="  ", break_on_hyphens=False)


def _targets(targets: Sequence[Target]) -> str:
    missed = [target.name for target in targets if target.met is False]
    text = f"Missed: {'; '.join(missed)}." if missed else "None was missed."
    rows = [(target.name, target.wanted, target.got, f"**{target.verdict}**") for target in targets]
    return "## Targets\n\n" + _table(("", "wanted", "got", ""), rows) + f"\n\n{text}\n"


def _calls(result: Result) -> str:
    rows = []
    for name, subject in result.subjects:
        added = dict(result.added(subject))
        for level in subject.levels:
            over = added[level.connections]
            rows.append(
                (
                    *(name, f"{level.connections}", f"{level.rate:,.0f}"),
                    *(f"{level.latency.p50:.1f}", f"{level.latency.p99:.1f}", f"{over.p50:.1f}", f"{over.p99:.1f}"),
                    *(f"{level.cpu:,.0f}", f"{level.postgres_cpu:,.0f}" if level.postgres_cpu else ""),
                    *(f"{level.operations_per_commit:g}" if level.operations_per_commit else "", f"{level.errors}"),
                )
            )
    names = ("", "connections", "calls/s", "p50 ms", "p99 ms", "added p50", "added p99", "µs CPU", "µs PostgreSQL")
    text = (
        "A call is two ledger operations. With one connection each is a commit of its own, and the call waits for both "
        "of them to be on disk; with more, one commit carries what has queued up meanwhile."
    )
    return f"## Calls\n\n{_table((*names, 'operations per commit', 'errors'), rows)}\n\n{text}\n"


def _streams(result: Result) -> str:
    rows = []
    for name, subject in result.subjects:
        chunks, first = subject.chunks, subject.first_byte
        paced = (f"{chunks.cpu:.0f}", f"{chunks.streams}", f"{chunks.errors}") if chunks else ("", "", "")
        rows.append((name, f"{first.p50:.1f}", f"{first.p99:.1f}", *paced))
    held = result.streams
    text = (
        f"Held at once, each with a chunk every 500 ms: **{held.at_once:,} streams, {held.errors} errors**. Between "
        f"two chunks of one stream lay {held.gap.p50:.0f} ms (p50) and {held.gap.p99:.0f} ms (p99); the API process "
        f"took {held.cores:.2f} cores and {held.kib_each:.0f} KiB of memory for each."
    )
    names = ("", "first byte p50 ms", "p99 ms", "µs CPU per chunk", "streams", "errors")
    return f"## Streams\n\nChunks every 20 ms in each stream.\n\n{_table(names, rows)}\n\n{text}\n"


def _erasure(result: Result) -> str:
    erasure = result.erasure
    text = (
        f"An account with {erasure.calls:,} calls was erased in **{erasure.seconds:.0f} s**: its calls rolled up into "
        f"one movement, its rows deleted, counted again, the receipt signed. PostgreSQL took {erasure.postgres:.0f} s "
        f"of CPU. Meanwhile another account called 40 times a second: {erasure.beside.p50:.0f} ms (p50) and "
        f"{erasure.beside.p99:.0f} ms (p99), against {erasure.alone.p50:.0f} ms and {erasure.alone.p99:.0f} ms without "
        f"a purge. The balance after it and the audit: {'right' if erasure.right else '**not right**'}."
    )
    return f"## Purge\n\n{text}\n"


def _memory(result: Result) -> str:
    memory, books = result.memory, result.books
    quarter = memory.mib[len(memory.mib) // 4]
    return (
        f"## Memory and books\n\nOver {memory.calls:,} calls the API process went from {quarter:.0f} MiB after the "
        f"first quarter to {memory.mib[-1]:.0f} MiB at the end ({memory.growth:+.1f} MiB).\n\nAfter all of it: "
        f"{books.answered:,} calls answered, {books.charged:,} charged, {books.usage_rows:,} usage rows, and an audit "
        f"of {books.checks} checks: {'clean' if books.clean else '**not clean**'}.\n"
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] + ["---:"] * (len(names) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
