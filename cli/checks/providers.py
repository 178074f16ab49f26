"""Checks of the catalog and of the way to its providers. A connection is opened and closed; nothing is sent."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fault, ok
from domain.catalog import Catalog, CatalogInvalid
from domain.counts import counted
from settings.fields import split_url
from wiring import load_catalog

if TYPE_CHECKING:
    from settings import Settings

CONNECT_SECONDS = 5.0
CONNECTIONS_AT_ONCE = 64
NAMED = 5
"""Problems of a catalog that are named; more are counted."""
_PORTS = {"http": 80, "https": 443}
Place = tuple[str, str, int]
"""Scheme, host and port."""


async def check(settings: "Settings") -> list[Finding]:
    try:
        catalog = await asyncio.to_thread(load_catalog, settings.catalog)
    except CatalogInvalid as invalid:
        more = f"; and {len(invalid.problems) - NAMED} more" if len(invalid.problems) > NAMED else ""
        what = "; ".join(invalid.problems[:NAMED]) + more
        return [fault("catalog", what, "mend the file of YOUT_CATALOG; `yout catalog check` tries it")]
    active = catalog.active_models()
    if not active:
        remedy = "set the key of a provider (docs/providers.md), and restart API and workers"
        return [fault("catalog", "no model has a provider with a key", remedy)]
    names = sorted({route.provider.name for model in active for route in model.routes})
    return [
        ok("catalog", f"{len(active)} of {counted(len(catalog.models), 'model')} active"),
        ok("provider keys", f"there for {', '.join(names)}"),
        *await _reached(catalog, names),
    ]


async def _reached(catalog: Catalog, names: Iterable[str]) -> list[Finding]:
    places = defaultdict[Place, list[str]](list)
    for name in names:
        if (place := _place(catalog.providers[name].base_url)) is not None:
            places[place].append(name)
    if not places:
        return [ok("providers", "none is reached over the network")]
    gate = asyncio.Semaphore(CONNECTIONS_AT_ONCE)

    async def tried(place: Place) -> tuple[str, str] | None:
        async with gate:
            return await connected(place)

    problems = await asyncio.gather(*(tried(place) for place in places))
    findings = [
        fault("providers", f"{', '.join(places[place])}: {problem[0]} at {place[1]}:{place[2]}", problem[1])
        for place, problem in zip(places, problems, strict=True)
        if problem is not None
    ]
    return findings or [ok("providers", f"connections open to {', '.join(sorted(place[1] for place in places))}")]


def _place(url: str) -> Place | None:
    parts = split_url(url)
    if parts is None or not parts.hostname or parts.scheme not in _PORTS:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


async def connected(place: Place) -> tuple[str, str] | None:
    """Open a connection and close it. None: it opened; else what is wrong, and what to do."""
    scheme, host, port = place
    secure = ssl.create_default_context() if scheme == "https" else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=secure)
    except ssl.SSLCertVerificationError:
        return "the certificate is not valid", "see this machine's clock and certificates, and what is in between"
    except ssl.SSLError:
        return "no TLS", "see what is between this machine and there, and the scheme of base_url"
    except UnicodeError:
        return "no such host", "mend base_url in the catalog"
    except TimeoutError:
        return "no answer", "see the firewall of this machine and of its network"
    except OSError:
        return "no connection", "see the name of the host, DNS, and the firewall of this machine"
    writer.close()
    return None
