"""`yout usage export --format parquet`: the rows of the CSV file with their types, compressed, by DuckDB."""

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cli.terminal import fail

COST_DECIMALS = 9
"""`provider_cost` is in credits, exact to a billionth of one."""
_COUNT = "BIGINT"
TYPES: Mapping[str, str] = {
    "day": "DATE",
    "account_id": "UUID",
    "key_id": "UUID",
    "model": "VARCHAR",
    "kind": "VARCHAR",
    **dict.fromkeys(("calls", "input_tokens", "output_tokens", "credits"), _COUNT),
    "provider_cost": f"DECIMAL(38, {COST_DECIMALS})",
    "costed_calls": _COUNT,
}
_SETTINGS = {
    "autoinstall_known_extensions": False,  # it asks nobody for anything
    "autoload_known_extensions": False,
    "memory_limit": "512MB",
    "threads": 1,
}


@contextmanager
def converted(output: Path | None) -> Iterator[Path]:
    """Give the path at which the CSV file is to be written, and make of it the Parquet file: whole, or not at all."""
    if output is None:
        fail("--format parquet writes a file: name it with --output")
    duckdb = _library()
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        rows, table = Path(folder) / "rows.csv", Path(folder) / "table.parquet"
        yield rows
        with duckdb.connect(":memory:", config={**_SETTINGS, "temp_directory": folder}) as connection:
            read = connection.read_csv(glob.escape(str(rows)), header=True, columns=dict(TYPES))
            read.write_parquet(str(table), compression="zstd")
        table.replace(output)


def _library() -> Any:
    try:
        import duckdb
    except ImportError:
        fail("--format parquet needs DuckDB: pip install duckdb; or export CSV, which DuckDB and others read")
    return duckdb
