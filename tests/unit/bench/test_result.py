"""The pure parts of the measurements: figures, targets, the chart, and the reckoning after chaos."""

import os
from dataclasses import replace
from xml.etree import ElementTree as ET

import orjson
import pytest

from bench import chart, document, portkey, process, upstream
from bench.chaos.calls import Attempt, Call, note, script
from bench.chaos.reckoning import Held, Totals, violations
from bench.load import requests
from bench.plan import Plan, Spread, percentile
from bench.result import CALLS, ERASED, STREAMS, Beside, Books, Chunks, Erasure, Level, Memory, Result, Streams, Subject
from bench.stack import parse_metrics
from dev.errors import CannotStart


def subject(rate: float, cpu: float, p50: float = 1.0) -> Subject:
    level = Level(connections=16, rate=rate, latency=Spread(p50=p50, p99=2 * p50), errors=0, cpu=cpu)
    chunks = Chunks(streams=4, cadence_ms=20, chunks=100, errors=0, cpu=cpu / 5)
    return Subject(levels=[level], first_byte=Spread(p50=p50, p99=p50), chunks=chunks)


def beside(name: str, wanted: float, measured: Subject | None, note: str = "version 1") -> Beside:
    return Beside(name=name, about="one process.", wanted=wanted, subject=measured, note=note)


@pytest.fixture
def result() -> Result:
    return Result(
        machine=dict.fromkeys(("cores", "kernel", "python", "postgres", "seconds", "load"), "2")
        | {"cpu": "a <fast> one"},
        direct=subject(20_000, 30, 0.5),
        yout=subject(2_000, 400, 8.0),
        peers=[beside("LiteLLM", 35, subject(40, 20_000, 300.0)), beside("Portkey", 2, subject(800, 4_000))],
        streams=Streams(
            wanted=STREAMS,
            at_once=STREAMS,
            errors=0,
            seconds=20,
            gap=Spread(p50=500, p99=510),
            kib_each=40,
            cores=0.5,
        ),
        memory=Memory(calls=CALLS, mib=[100, 190, 191, 192, 192, 193, 192, 193]),
        erasure=Erasure(
            calls=ERASED,
            seconds=50,
            postgres=40,
            alone=Spread(p50=10, p99=20),
            beside=Spread(p50=11, p99=25),
            right=True,
        ),
        books=Books(durability={"fsync": "on"}, answered=10, charged=10, usage_rows=10, clean=True, checks=30),
    )


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([7], 99) == 7
    assert percentile([], 50) == 0


def test_every_target_is_met_by_a_good_run(result: Result) -> None:
    assert [target.verdict for target in result.targets()] == ["met"] * 8
    assert [result.ratio(peer) for peer in result.peers] == [50, 2.5]
    assert result.added(result.yout) == [(16, Spread(p50=7.5, p99=15.0))]


def test_what_was_not_measured_is_never_met(result: Result) -> None:
    absent = beside("LiteLLM", 35, None)
    measured = replace(
        result,
        peers=[absent, result.peers[1]],
        memory=replace(result.memory, calls=CALLS - 1),
        erasure=replace(result.erasure, calls=ERASED - 1),
    )
    verdicts = [target.verdict for target in measured.targets()]
    assert verdicts == ["not measured", "met", "met", "met", "met", *["not measured"] * 3]
    assert measured.ratio(absent) is None


def test_targets_are_missed(result: Result) -> None:
    slow = replace(
        result,
        yout=subject(1_000, 600),
        streams=replace(result.streams, errors=1),
        memory=replace(result.memory, mib=[100, 100, 100, 200]),
        erasure=replace(result.erasure, seconds=61, beside=Spread(p50=11, p99=31)),
    )
    assert [target.verdict for target in slow.targets()] == ["missed"] * 8


def test_books_must_agree(result: Result) -> None:
    assert result.books.right
    assert not replace(result.books, usage_rows=9).right
    assert not replace(result.books, clean=False).right
    assert result.right
    assert not replace(result, books=replace(result.books, clean=False)).right
    assert not replace(result, erasure=replace(result.erasure, right=False)).right


def test_the_chart_is_whole_with_and_without_others(result: Result) -> None:
    for each in (result, replace(result, peers=[beside("LiteLLM", 35, None), result.peers[1]])):
        drawn = chart.draw(each)
        ET.fromstring(drawn)
        assert "a &lt;fast&gt; one" in drawn
        assert "prefers-color-scheme: dark" in drawn
        assert ("LiteLLM</text>" in drawn) is (each is result)
        assert "Portkey</text>" in drawn


def test_the_page_names_what_was_missed(result: Result) -> None:
    assert "None was missed" in document.write(result)
    assert "1,000,000 calls was erased in **50 s**" in document.write(result)
    absent = [beside(name, 2, None, "no network") for name in ("LiteLLM", "Portkey")]
    text = document.write(replace(result, yout=subject(1_000, 600), peers=absent))
    assert "Missed: CPU per call; CPU per streamed chunk." in text
    assert "- **LiteLLM**: not measured (no network)" in text
    assert "- **Portkey**: not measured (no network)" in text


def test_process_names_may_contain_anything() -> None:
    assert process.fields("12 (a) b) (c) S 1 2")[:2] == ["S", "1"]


def test_the_time_that_a_process_ran_is_read_finer_than_its_ticks() -> None:
    before = process.running_seconds(os.getpid())
    assert before > 0
    assert sum(range(300_000)) > 0
    assert 0 < process.running_seconds(os.getpid()) - before < 60


def test_metrics_without_labels() -> None:
    assert parse_metrics('# HELP a b\na_total 3.0\nb{x="1"} 2 3\n') == {"a_total": 3.0}


def test_the_upstream_reads_its_behaviour_from_the_name() -> None:
    paced = upstream.Behaviour.of("pace-20-200")
    assert (paced.cadence, paced.chunks) == (0.02, 200)
    assert upstream.Behaviour.of("plain").chunks == upstream.BURST
    assert upstream.Behaviour.of("cut-3").chunks == 3


def test_requests_say_how_long_they_are() -> None:
    for before, after in requests(Plan(port=1, token="t", model="m", connections=1)):
        head, _, body = (before + b"0" * 10 + after).partition(b"\r\n\r\n")
        assert upstream.content_length(head) == len(body)


def test_requests_carry_what_a_gateway_wants_to_be_told() -> None:
    plan = Plan(port=1, token="t", model="m", connections=1, headers={"x-portkey-provider": "openai"})
    assert all(b"\r\nx-portkey-provider: openai\r\n" in before for before, _ in requests(plan))


async def test_portkey_cannot_be_installed_without_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotStart, match="node and npm are not installed"):
        await portkey.install()


def test_what_is_installed_of_portkey_is_pinned_by_hash() -> None:
    packages = orjson.loads((portkey.PINNED / "package-lock.json").read_bytes())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed["node_modules/@portkey-ai/gateway"]["version"] == portkey.VERSION
    assert all(package["integrity"] and "resolved" not in package for package in installed.values())


def test_chaos_repeats_for_a_seed() -> None:
    assert script(3, 50) == script(3, 50)
    assert script(3, 50) != script(4, 50)


FINE = Totals(opening=100, available=90, held=0, usage_rows=1, charge_transactions=1)


def called(*attempts: Attempt, key: str | None = None) -> Call:
    return Call(0, "bench-plain", False, None, key, list(attempts))


def answered(charged: int | None = 10, status: int = 200, code: str | None = None) -> Attempt:
    return Attempt(status, "chatcmpl-a", charged, whole=status == 200, code=code)


def held(net: int = 10, state: str = "settled", chat_id: str = "chatcmpl-a", refunded: int = 0) -> Held:
    return Held(chat_id, 1000, state, net + refunded, refunded)


def test_a_right_ledger_has_no_violation() -> None:
    assert violations([called(answered())], [held()], FINE) == []


@pytest.mark.parametrize(
    ("call", "holds", "totals", "text"),
    [
        (called(answered(11)), [held()], FINE, "was told 11"),
        (called(answered(None)), [held()], FINE, "without what it cost"),
        (called(answered()), [], replace(FINE, opening=90, usage_rows=0, charge_transactions=0), "does not know"),
        (called(answered(None, 502)), [held()], FINE, "was answered 502"),
        (called(answered()), [held(refunded=5)], FINE, "refunded 5"),
        (called(answered()), [held()], replace(FINE, available=89), "the balance fell by 11"),
        (called(answered()), [held()], replace(FINE, usage_rows=0), "0 usage rows"),
        (called(answered(None, 502)), [held(0, "open")], replace(FINE, held=10), "still open"),
        (called(answered(), answered(), key="k"), [held(5), held(5, chat_id="chatcmpl-b")], FINE, "charged 2 times"),
    ],
)
def test_each_violation_is_named(call: Call, holds: list[Held], totals: Totals, text: str) -> None:
    assert any(text in fault for fault in violations([call], holds, totals))


def test_what_a_client_is_told_is_noted() -> None:
    attempt = Attempt(200)
    note(attempt, {"id": "chatcmpl-a", "error": {"code": "upstream_error"}, "yout": {"credits_charged": 3}})
    assert (attempt.chat_id, attempt.charged, attempt.refused, attempt.code) == (
        "chatcmpl-a",
        3,
        True,
        "upstream_error",
    )
