"""`yout --version`, as the package and the API have it."""

import json
import tomllib

from click.testing import CliRunner

from cli.command import yout
from tests.support.stack import ROOT


def test_version() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert CliRunner().invoke(yout, ["--version"]).stdout == f"yout {package}\n"
    assert json.loads((ROOT / "docs" / "openapi.json").read_text())["info"]["version"] == package
