"""A session that keeps locked what calls need is a line in the log: the server answers, and calls end with 503."""

from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from db.engine import Database
from db.outage import LOCKED, Outage
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable
from domain.results import Reserved
from logs import OperatorFaults
from tests.integration.test_fair_parking import ACCOUNT, HOLDS, locked
from tests.integration.test_ledger import outcome
from tests.support.bank import open_account, reserve, settle

TABLE = "LOCK TABLE accounts"
PATIENCE = timedelta(seconds=1)


@pytest.mark.parametrize("lock", [ACCOUNT, TABLE, HOLDS])
async def test_a_lock_that_is_waited_for_in_vain_is_named_until_it_is_had(
    database: Database, ledger: LedgerWriter, app_url: str, database_url: str, lock: str
) -> None:
    customer = await open_account(database, ledger, 1000)
    held = await ledger.ask(reserve(customer, 100))
    assert isinstance(held, Reserved)
    faults = OperatorFaults(structlog.get_logger())
    outage = Outage(app_url, faults)
    async with LedgerWriter(app_url, timeout=PATIENCE, outage=outage) as impatient:
        with capture_logs() as lines:
            parameters = () if lock == TABLE else (customer.account_id,)
            async with locked(database_url, lock, *parameters):
                assert isinstance(await outcome(impatient, settle(customer, held.hold_id, 40)), ServiceUnavailable)
                (shown,) = faults.showing()
                assert (shown.what, shown.remedy) == LOCKED
                assert not outage.lasts
                assert impatient.available
            while isinstance(await outcome(impatient, reserve(customer, 10)), ServiceUnavailable):
                pass  # a busy machine
        assert [line["event"] for line in lines] == [LOCKED[0], f"{LOCKED[0]}: mended"]
        assert faults.showing() == []
