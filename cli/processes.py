"""`yout dev`, `api`, `worker` and `migrate`: the programs that run here."""

import asyncio
import os
import sys

import click

from cli.database import with_url
from cli.terminal import as_json, fail, print_json, say


@click.command()
def dev() -> None:
    """Run everything here: API, worker, PostgreSQL, Temporal and its UI. `make dev` does this."""
    from dev import supervisor

    sys.exit(supervisor.main(os.environ))


@click.command()
def api() -> None:
    """Run one API process, until SIGTERM or Ctrl+C.

    Its settings are environment variables: docs/operating.md. SIGHUP reads the catalog again. Exit code 2: it cannot
    start, and says why.
    """
    from server import main

    sys.exit(main())


@click.command()
def worker() -> None:
    """Run one worker process, until SIGTERM or Ctrl+C.

    Its settings are environment variables, and YOUT_WORKER_QUEUES says what it serves: docs/workers.md. SIGHUP reads
    the catalog again. Exit code 2: it cannot start, and says why.
    """
    import settings as configuration
    from worker import main

    asyncio.run(main(configuration.load_worker()))


@click.command()
@as_json
def migrate(as_json: bool) -> None:
    """Bring the database to this version's schema. Safe to run twice, and from several machines at once.

    A schema of a later version stays as it is: this version serves from it.
    """
    import environment
    from db.connections import REVISIONS
    from db.migrate import SchemaNewer, upgrade
    from db.roles import SINGLE_ROLE, RoleUnfit

    owner = environment.migration_database_url()
    try:
        restricted = with_url(lambda app_url: upgrade(owner, app_url))
    except RoleUnfit as unfit:
        fail(str(unfit))
    except SchemaNewer as newer:
        if as_json:
            print_json({"schema": newer.revision, "role_owns_nothing": None})
        else:
            say(f"{newer}: nothing is changed, and this program may serve from it")
        return
    if as_json:
        print_json({"schema": max(REVISIONS), "role_owns_nothing": restricted})
    else:
        say(f"the schema is at {max(REVISIONS)}, as this program needs")
    if not restricted:
        click.echo(f"warning: {SINGLE_ROLE}", err=True)
