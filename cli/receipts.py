"""`yout receipts`: receipts of purges, and the keys that sign them."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from cli.database import open_database, run, settings
from cli.groups import Group
from cli.terminal import as_json, print_json, print_table, say
from exits import Failure

if TYPE_CHECKING:
    from gateway.purge_receipts import ReceiptKeys

Value = TypeVar("Value")
INVALID = 1


@click.group(cls=Group)
def receipts() -> None:
    """Receipts of purges, and the keys that sign them."""


@receipts.command("list")
@as_json
def receipts_list(as_json: bool) -> None:
    """All receipts of this server, in order."""
    rows = run(_with_keys(lambda keys: keys.receipts()))
    if as_json:
        print_json(rows)
        return
    names = ("number", "purge_id", "completed_at", "kid")
    print_table(names, [tuple(str(row[name]) for name in names) for row in rows], numbers=("number",))


@receipts.command("verify")
@click.argument("receipt")
@click.option("--chain", is_flag=True, help="Also that it is one of this server's, and that none of those is missing.")
@as_json
def receipts_verify(receipt: str, chain: bool, as_json: bool) -> None:
    """Verify a receipt: a file, or the id of a purge. Exit code 0: it is as it was signed, 1: it is not."""
    from domain.purge_receipts import ReceiptInvalid

    async def verify(keys: "ReceiptKeys") -> str | None:
        document = await keys.receipt(UUID(receipt)) if _is_id(receipt) else _read(Path(receipt))
        try:
            await keys.verify(document, chain=chain)
        except ReceiptInvalid as invalid:
            return str(invalid)
        return None

    fault = run(_with_keys(verify))
    if as_json:
        print_json({"valid": fault is None, "fault": fault})
        sys.exit(INVALID if fault else 0)
    if fault:
        raise Failure(f"the receipt is not valid: {fault}", INVALID)
    say("the receipt is as it was signed" + (", and in its place" if chain else ""))


@receipts.command("rotate-key")
@as_json
def receipts_rotate_key(as_json: bool) -> None:
    """Make a new key that signs from now on. The older ones stay published, and verify what they signed."""
    kid = run(_with_keys(lambda keys: keys.rotate()))
    print_json({"kid": kid}) if as_json else say(kid)


def _is_id(named: str) -> bool:
    try:
        UUID(named)
    except ValueError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Failure(f"{path} is no readable receipt", INVALID) from None
    receipt = read.get("receipt", read) if isinstance(read, dict) else None
    if not isinstance(receipt, dict):
        raise Failure(f"{path} is no receipt", INVALID)
    return receipt


async def _with_keys(work: "Callable[[ReceiptKeys], Awaitable[Value]]") -> Value:
    from gateway.purge_receipts import ReceiptKeys

    database = open_database()
    try:
        return await work(ReceiptKeys(database, settings().wrapping))
    finally:
        await database.close()
