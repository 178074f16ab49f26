"""`yout providers`: how the routes to providers fare in running API processes, and what each provider has billed."""

import http.client
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cli.database import reading, settings, snapshot
from cli.terminal import as_json, fail, print_json, print_table
from domain.counts import counted
from exits import CANNOT_RUN, Failure

SECONDS = 10
DAYS = 30
BREAKER = ("closed", "half-open", "open")
PREFIX = "yout_route_"
SUMS = ("requests", "output_tokens", "credits", "cost_credits", "resting_accounts")
AVERAGES = {
    "first_output_seconds": "first_output",
    "duration_seconds": "duration",
    "tokens_per_second": "tokens_per_second",
}
OF_PROVIDERS = {"yout_provider_keys_resting": "keys_resting", "yout_provider_retaining": "retaining"}
NAME_ONE = "see that an API process runs there, or name one with --url, such as --url http://127.0.0.1:8080"
REMEDIES = {
    401: "set YOUT_METRICS_TOKEN to what the API process has",
    404: "a proxy keeps it from the outside. Name the processes behind it, each with --url, or run this where one is, "
    "as `docker compose exec api yout providers`",
}
WORST_FIRST = ("down", "poor", "good", "unused")
Routes = dict[tuple[str, str], dict[str, Any]]


@click.command()
@click.option("--url", "urls", multiple=True, help="An API process, once for each. Default: YOUT_PUBLIC_URL.")
@as_json
def providers(urls: tuple[str, ...], as_json: bool) -> None:
    """Health, breaker, speed and spend of each route, as running API processes have seen it since they started.

    Workers ask the routes of media: their requests are the jobs of the last day, from the database. `billed` is what
    each provider has billed for calls of the last 30 days, in credits.
    """
    from cli.catalog import load

    routes: Routes = {}
    notes: dict[str, dict[str, int]] = {}
    ours = settings()
    here = f"http://127.0.0.1:{ours.port}"  # of a container, behind a proxy that keeps /metrics from the outside
    for text in [_metrics(ours.metrics_secret, url) for url in urls] or [
        _metrics(ours.metrics_secret, ours.public_url, here)
    ]:
        _add(routes, text)
        _add_notes(notes, text)
    keys: dict[tuple[str, str], tuple[str, str]] = {}
    for model in load().active_models():
        for route in model.routes:
            routes.setdefault(route.key, _empty())["models"].append(model.id)
            keys[route.provider.name, model.id] = route.key
    for place, jobs in _jobs().items():
        _add_jobs(routes.setdefault(keys.get(place, place), _empty()), jobs)
    billed = _billed()
    rows = [_row(provider, model, state) for (provider, model), state in sorted(routes.items())]
    if as_json:
        print_json({"routes": rows, "billed": billed, "providers": notes})
        return
    rows.sort(key=lambda row: WORST_FIRST.index(row["health"]))
    heads = ("provider", "model", "health", "breaker", "requests", "errors", "first output", "tokens/s", "credits")
    print_table(heads, [_line(row) for row in rows], numbers=heads[4:])
    names = sorted(billed.keys() | notes.keys())
    columns = ("provider", "billed", "keys resting", "keeps strict calls")
    print_table(columns, [_noted(name, billed, notes.get(name, {})) for name in names], numbers=columns[1:3])


def _metrics(token: str | None, *urls: str) -> str:
    """Return the figures of the first address that answers. Raises `Failure` with what the first one lacks."""
    failures = []
    for url in urls:
        try:
            return _read(url, token)
        except Failure as failure:
            failures.append(failure)
    raise failures[0]


def _read(url: str, token: str | None) -> str:
    place = url.rpartition("@")[2]
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/metrics", headers=headers)  # noqa: S310  # an operator's
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as refused:
        refused.close()
        fail(f"GET /metrics at {place} answers {refused.code}: {REMEDIES.get(refused.code, NAME_ONE)}", CANNOT_RUN)
    except (OSError, ValueError, http.client.HTTPException):
        fail(f"no API process answers GET /metrics at {place}: {NAME_ONE}", CANNOT_RUN)


def _empty() -> dict[str, Any]:
    return {**dict.fromkeys(SUMS, 0), "models": [], "errors": defaultdict(int), "breaker": 0, "averages": {}}


def _add(routes: Routes, text: str) -> None:
    """Add the figures of one process."""
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        if family.name.startswith(PREFIX) and family.name != f"{PREFIX}faults":
            for sample in family.samples:
                key = sample.labels["provider"], sample.labels["model"]
                _count(routes.setdefault(key, _empty()), family.name.removeprefix(PREFIX), sample)


def _add_notes(notes: dict[str, dict[str, int]], text: str) -> None:
    """Add what one process knows of whole providers."""
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        if (name := OF_PROVIDERS.get(family.name)) is not None:
            for sample in family.samples:
                known = notes.setdefault(sample.labels["provider"], dict.fromkeys(OF_PROVIDERS.values(), 0))
                known[name] = max(known[name], int(sample.value))


def _add_jobs(state: dict[str, Any], jobs: Mapping[str | None, int]) -> None:
    for code, number in jobs.items():
        state["requests"] += number
        if code is not None:
            state["errors"][code] += number


def _count(state: dict[str, Any], name: str, sample: Any) -> None:
    if name == "errors":
        state["errors"][sample.labels["kind"]] += int(sample.value)
    elif name == "breaker":
        state["breaker"] = max(state["breaker"], int(sample.value))
    elif name in AVERAGES:
        state["averages"].setdefault(AVERAGES[name], []).append(sample.value)
    elif name in SUMS:
        state[name] += sample.value


def _row(provider: str, model: str, state: dict[str, Any]) -> dict[str, Any]:
    errors = dict(sorted(state["errors"].items()))
    averages = {name: _mean(state["averages"].get(name, ())) for name in AVERAGES.values()}
    return {
        "provider": provider,
        "model": model,
        "models": state["models"],
        "health": _health(state, sum(errors.values())),
        "breaker": BREAKER[state["breaker"]],
        "resting_accounts": int(state["resting_accounts"]),
        "requests": int(state["requests"]),
        "errors": errors,
        **averages,
        "output_tokens": int(state["output_tokens"]),
        "credits": int(state["credits"]),
        "cost": round(state["cost_credits"], 3),
    }


def _health(state: dict[str, Any], errors: int) -> str:
    if not state["requests"]:
        return "unused"
    if state["breaker"] == BREAKER.index("open"):
        return "down"
    poor = state["resting_accounts"] or state["breaker"] or 2 * errors > state["requests"]
    return "poor" if poor else "good"


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(sum(known) / len(known), 3) if known else None


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    first = "-" if row["first_output"] is None else f"{row['first_output']:.2f} s"
    speed = "-" if row["tokens_per_second"] is None else f"{row['tokens_per_second']:.0f}"
    errors = ", ".join(f"{count} {kind}" for kind, count in row["errors"].items()) or "0"
    resting = f" ({counted(row['resting_accounts'], 'account')} resting)" if row["resting_accounts"] else ""
    names = (row["provider"], row["model"], row["health"], row["breaker"] + resting)
    return (*names, f"{row['requests']:,}", errors, first, speed, f"{row['credits']:,}")


def _noted(name: str, billed: dict[str, str], known: dict[str, int]) -> tuple[str, ...]:
    retaining = "yes: off for them" if known.get("retaining") else "-"
    return name, billed.get(name, "-"), str(known.get("keys_resting", 0)), retaining


def _jobs() -> dict[tuple[str, str], dict[str | None, int]]:
    """Media jobs of the last day: which routes they had, and what they failed of."""
    from db import operator_figures

    return reading(operator_figures.jobs_at_routes)


def _billed() -> dict[str, str]:
    """What each provider has billed in the last days, as far as it is known."""
    from db import margins
    from domain.margins import By, Span

    end = (datetime.now(UTC) + timedelta(days=1)).date()
    span = Span(end - timedelta(days=DAYS), end, None)
    groups = snapshot(lambda session: margins.margins(session, By.PROVIDER, span))
    return {str(margin.group or "-"): f"{margin.cost:.3f}" if margin.costed else "unknown" for margin in groups}
