"""`yout openapi`: the API's OpenAPI document."""

import os

import click

from cli.terminal import say


@click.command()
@click.option("--scopes", is_flag=True, help="Print who may call what instead: docs/scopes.md is this.")
@click.option("--errors", is_flag=True, help="Print every error instead: docs/errors.md is this.")
def openapi(scopes: bool, errors: bool) -> None:
    """Print the API's OpenAPI document: `docs/openapi.json` is this."""
    import orjson
    from pydantic import SecretStr

    from server import create_app
    from settings import Settings

    nowhere = Settings(database_url=SecretStr("postgresql://nowhere"), secret_key=SecretStr(os.urandom(32).hex()))
    app = create_app(nowhere)
    if errors:
        say(app.error_page())
        return
    if scopes:
        say(app.scope_table().rstrip())
        return
    document = app.openapi()
    say(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
