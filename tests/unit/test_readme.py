"""The documents say what is so: every name in them exists, every snippet compiles, every catalog file loads."""

import importlib
import json
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import SecretStr
from starlette.routing import Route

from api.error_codes import CODES
from catalog import files
from cli.command import yout
from domain.catalog import Capability, Catalog, Modality
from domain.operations import Operation
from environment import DEV_FILE, RENAMED, SECRET_FILE
from providers.registry import KINDS
from server import create_app
from settings import Settings
from tests.support.stack import SECRET
from web import docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
API, OPERATING, LEDGER = ROOT / "docs/api.md", ROOT / "docs/operating.md", ROOT / "docs/ledger.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
KNOWN_FILE = re.compile(r"\.(?:py|md|toml|json|ya?ml|lock|ini|cfg|txt)$")
ENDPOINT = re.compile(
    r"(?:\b(GET|POST|PATCH|PUT|DELETE) )?"
    r"(?<![\w.:/~>*-])(/(?:v1|api|media|healthz|readyz|metrics|docs|openapi)[^\s\"'`?…,)]*)"
)
AT_RUN_TIME = (".yout/", ".venv/", "~/", "/")
"""Paths of the reader's own: nothing in the repository."""


@dataclass(frozen=True, slots=True)
class Block:
    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.text.strip().splitlines()[0][:40]}"


@cache
def every_block() -> list[Block]:
    return [Block(page, *match.groups()) for page in PAGES for match in FENCE.finditer(page.read_text())]


def blocks(*languages: str) -> list[Block]:
    return [block for block in every_block() if not languages or block.language in languages]


def spans(page: Path) -> list[str]:
    return SPAN.findall(FENCE.sub("", page.read_text()))


def snippets(page: Path) -> str:
    return "".join(block.text for block in blocks() if block.page == page)


def commands(page: Path) -> str:
    """What one types: shell blocks and the spans of a page."""
    typed = [block.text for block in blocks("sh", "bash") if block.page == page]
    return "\n".join([*typed, *spans(page)])


def code(page: Path) -> str:
    written = [block.text for block in blocks("sh", "python", "js", "json") if block.page == page]
    return "\n".join([*written, *spans(page)])


def cells(page: Path, heading: str) -> Iterator[list[str]]:
    """The rows of the tables below a heading and its own headings, without their heads."""
    above, _, below = page.read_text().partition(f"## {heading}\n")
    level = 2 + len(above) - len(above.rstrip("#"))
    section = re.split(rf"^#{{1,{level}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]
    for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
        for row in table.splitlines()[2:]:
            yield [cell.strip() for cell in row.strip("|").split("|")]


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("key") for name in names}


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return files.load(None, all_keys, KINDS)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """Entries of the catalog files in the documents, by name."""
    parsed = [tomllib.loads(block.text) for block in blocks("toml")]
    tables = [document.get(part, {}) for document in parsed for part in ("providers", "models")]
    return {name: entry for table in tables for name, entry in table.items()}


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks(*languages), ids=str)


@every_page
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|[\s;&|(])make ([a-z]+)", commands(page), re.MULTILINE)) <= targets


@every_page
def test_every_command_of_the_command_line_exists(page: Path) -> None:
    for line in re.findall(r"(?:^|[\s/])yout ([a-z][^\n#|;&`]*)", commands(page), re.MULTILINE):
        command: click.Command = yout
        words = line.split()
        context = click.Context(command)
        while isinstance(command, click.Group) and (words or not command.invoke_without_command):
            assert words, f"`yout {line}` is not a whole command"
            subcommand = command.get_command(context, words[0])
            assert subcommand, f"there is no `yout {line}`"
            command = subcommand
            words.pop(0)
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, line


@every_page
def test_every_file_exists(page: Path) -> None:
    """Here, or the page has a snippet that makes it."""
    top, created = {path.name for path in ROOT.iterdir()}, snippets(page)
    for span in spans(page):
        if not re.fullmatch(r"[\w.*-]+(?:/[\w.*-]*)+", span) or span.startswith(AT_RUN_TIME):
            continue
        if span.endswith("/") or KNOWN_FILE.search(span) or span.partition("/")[0] in top:
            assert any(ROOT.glob(re.sub(r"NNNN\w*", "*", span))) or span in created, f"there is no {span}"


@every_page
def test_every_file_name_is_known(page: Path) -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "node_modules"))]
    known = {path.name for folder in folders for path in folder.rglob("*")} | {path.name for path in ROOT.iterdir()}
    names = {span for span in spans(page) if re.fullmatch(r"[\w.-]+", span) and KNOWN_FILE.search(span)}
    assert not {name for name in names - known - {DEV_FILE, SECRET_FILE} if name not in snippets(page)}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in slugs(target), link


def slugs(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_variable_is_a_setting(page: Path) -> None:
    fields = {f"YOUT_{name.upper()}" for name in Settings.model_fields}
    exported = set(re.findall(r"^export (YOUT_\w+)=", commands(page), re.MULTILINE))
    named = set(re.findall(r"\bYOUT_[A-Z_]*[A-Z]\b", page.read_text()))
    renamed = set(RENAMED) if page.name == "CHANGELOG.md" else set()
    assert named <= fields | exported | renamed


@every_page
def test_every_provider_key_is_one_that_a_catalog_names(page: Path, described: dict[str, Any]) -> None:
    entries = [*tomllib.loads(files.SHIPPED.read_text())["providers"].values(), *described.values()]
    variables = [entry.get("api_key_env") for entry in entries]
    named = {name for each in variables for name in (each if isinstance(each, list) else [each])}
    mentioned = set(re.findall(r"\b(?!YOUT_|AWS_)[A-Z][A-Z0-9]*_(?:API_)?(?:KEY|TOKEN)\b", page.read_text()))
    assert mentioned <= named


@cache
def routes() -> dict[str, set[str]]:
    """Methods by path, as the server says."""
    app = create_app(Settings(database_url=SecretStr("postgresql://nowhere"), secret_key=SecretStr(SECRET)))
    served = {path: {method.upper() for method in item} for path, item in app.openapi()["paths"].items()}
    undocumented = {route.path: route.methods or set() for route in app.routes if isinstance(route, Route)}
    guide = {page.path: set(page.methods) for page in docs.PAGES}
    return undocumented | guide | served


@every_page
def test_every_endpoint_is_served(page: Path) -> None:
    served = routes()
    written = code(page).replace("$YOUT_URL", "").replace("${dev.api_url}", "")
    for method, path in ENDPOINT.findall(written):
        if path == "/v1":  # what SDKs call the base URL
            continue
        endpoint = re.sub(r"\$\w+|<\w+>|\{\w+\}", "{}", path).rstrip("/")
        matches = [known for known in served if re.sub(r"\{[^}]+\}", "{}", known).rstrip("/") == endpoint]
        begun = path.endswith("/") and any(known.startswith(path) for known in served)  # a snippet adds the rest
        assert matches or begun, f"nothing is served at {path}"
        assert not method or not matches or any(method in served[known] for known in matches), f"{method} {path}"


NO_MODELS = {"anthropic-version", "anthropic-beta", "openai-poll-after-ms", "openai-agents"}
"""What looks like a model of a vendor and is a header or a package."""


@every_page
def test_every_model_is_in_a_catalog(page: Path, shipped: Catalog, described: dict[str, Any]) -> None:
    known = {*shipped.models, *shipped.providers, *described}
    vendors = "|".join({model.vendor for model in shipped.models.values()} - {"meta"})
    named = set(re.findall(rf"(?<![\w/.-])(?:{vendors})-[a-z0-9]+(?:-[a-z0-9]+)*(?![\w/.=-])", code(page)))
    models = set(re.findall(r"\bmodel\"?[:=] ?\"([^\"]+)\"", code(page)))
    assert (named - NO_MODELS | models) - known == set()


@each("python")
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")
    suite = re.search(r"^[ \t]+[^\n]*\n(?=[^\s)\]}]|\Z)(?!else|elif|except|finally)", block.text, re.MULTILINE)
    assert suite is None, "a paste into Python's prompt needs an empty line there"


@each("json")
def test_json_parses(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict | list)


@each("sh")
def test_shell_parses(block: Block) -> None:
    parsed = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert (parsed.returncode, parsed.stderr) == (0, "")


@each("toml")
def test_a_catalog_file_loads_and_its_models_are_active(block: Block, tmp_path: Path) -> None:
    """On top of the other files of its page: one may use a provider that another one describes."""
    earlier = [
        other.text for other in blocks("toml") if other.page == block.page and "[providers.demo]" not in other.text
    ]
    document = tomllib.loads(block.text)
    merged = "\n".join(dict.fromkeys([*earlier, block.text])) if "routes" in block.text else block.text
    (tmp_path / "my-catalog.toml").write_text(merged)
    catalog = files.load(tmp_path / "my-catalog.toml", all_keys, KINDS)
    for model_id, entry in document.get("models", {}).items():
        assert model_id in catalog.models
        assert len(catalog.models[model_id].routes) == len(entry.get("routes", catalog.models[model_id].routes))


def test_the_kinds_of_provider_are_those_with_an_adapter() -> None:
    table = {row[0]: set(SPAN.findall(row[1])) for row in cells(ROOT / "docs/catalog.md", "A provider's key")}
    assert table == {str(output): {name for name, kind in KINDS.items() if output in kind.makes} for output in Modality}


def test_every_capability_is_described() -> None:
    described = {row[0] for row in cells(ROOT / "docs/catalog.md", "Any OpenAI-compatible server")}
    assert {f"`{capability}`" for capability in Capability} - described == set(), "write it into docs/catalog.md"


def test_the_defaults_of_the_settings_are_those() -> None:
    fields = Settings.model_fields
    for names, defaults, _ in cells(OPERATING, "Settings"):
        for name, default in zip(SPAN.findall(names), re.split(r", ", defaults.replace("`", "")), strict=False):
            field = fields[name.removeprefix("YOUT_").lower()]
            unit = timedelta(days=1) if name.endswith("_RETENTION") else timedelta(seconds=1)
            assert default == ("required" if field.is_required() else plain(field.default, unit)), name


def test_every_setting_of_an_operator_is_in_the_table() -> None:
    documented = {name for names, *_ in cells(OPERATING, "Settings") for name in SPAN.findall(names)}
    settings = {f"YOUT_{name.upper()}" for name in Settings.model_fields} - {"YOUT_FAILPOINT"}
    assert documented == settings, "write it into docs/operating.md#settings"


def test_every_metric_is_in_the_table() -> None:
    modules = [path.read_text() for path in (ROOT / "api").glob("*.py")]
    source = "".join(text for text in modules if "prometheus_client" in text)
    documented = {name.removesuffix("_total") for row in cells(OPERATING, "Metrics") for name in SPAN.findall(row[0])}
    assert documented == set(re.findall(r'"(yout_\w+)"', source)), "write it into docs/operating.md#metrics"


def test_every_endpoint_is_in_the_table() -> None:
    table = "\n".join(row[0] for row in cells(API, "Endpoints"))
    documented = {re.sub(r"\{\w+\}", "{}", path).rstrip("/") for path in re.findall(r"(/[^\s`,]*)", table)}
    served = {re.sub(r"\{[^}]+\}", "{}", path).rstrip("/") for path in routes()}
    start_page = ""  # it is in no document
    assert documented == served | {start_page}, "write it into docs/api.md#endpoints"


def plain(value: object, unit: timedelta = timedelta(seconds=1)) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value / unit:.15g}" if isinstance(value, timedelta) else str(value)


def test_the_error_codes_are_in_the_closed_list() -> None:
    documented = {span for row in cells(API, "Errors") for span in SPAN.findall(row[1])} - {"retry-after"}
    assert documented
    assert documented <= CODES


def test_the_ledgers_operations_are_those() -> None:
    names = set(re.findall(r"`([A-Z]\w+)`", LEDGER.read_text().partition("**Operations.**")[2].partition("\n\n")[0]))
    assert names
    assert names <= {operation.__name__ for operation in get_args(Operation)}


@pytest.mark.parametrize("row", list(cells(LEDGER, "Numbers")), ids=lambda row: row[2].strip("`"))
def test_a_number_is_the_programs(row: list[str]) -> None:
    module, _, name = row[2].strip("`").rpartition(".")
    value = getattr(importlib.import_module(module), name)
    numbers = re.findall(r"\d+", row[1])
    assert numbers == [plain(value) if isinstance(value, timedelta) else f"{value:g}"]


def test_every_room_is_in_the_tree() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    documented = {row[0].strip("`").rstrip("/") for row in cells(ARCHITECTURE, "Packages")}
    assert {package for package in packages if "." not in package} <= documented


def test_every_package_is_installed() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    outside = {"bench", "scripts", "tests", "node_modules"}
    existing = {path.parent.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/__init__.py")}
    named = {".".join(path.parts) for path in existing if path.parts[0] not in outside}
    assert named <= set(packages)


@every_page
def test_every_test_exists(page: Path) -> None:
    defined = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert {span for span in spans(page) if re.fullmatch(r"test_\w+", span)} <= defined


def test_decisions_are_numbered_and_listed_and_have_four_parts() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    listed = LINK.findall((ROOT / "docs/decisions/README.md").read_text())
    assert listed == [path.name for path in DECISIONS]
    for path in DECISIONS:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Enforced by"], path.name
        assert path.read_text().startswith(f"# {path.name[:4]} ")
