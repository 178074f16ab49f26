"""Slips that a person makes in a catalog file or a variable: mended where that is safe, else named."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog import files
from domain.catalog import CatalogInvalid, Modality, ProviderKind
from providers.registry import KINDS
from tests.unit.catalog.test_files import OLLAMA, TODAY, all_keys, load, no_keys, problems


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_other_editors_are_read(tmp_path: Path, mark: str, newline: str) -> None:
    (tmp_path / "my.toml").write_bytes((mark + OLLAMA).replace("\n", newline).encode())
    assert files.load(tmp_path / "my.toml", no_keys, KINDS, at=TODAY).find("llama3.2:3b").active
    (tmp_path / "my.toml").write_bytes((mark + OLLAMA + "colour = 1\n").replace("\n", newline).encode())
    with pytest.raises(CatalogInvalid, match=rf"my\.toml:{OLLAMA.count(chr(10)) + 1}: models.*colour: is not a known"):
        files.load(tmp_path / "my.toml", no_keys, KINDS, at=TODAY)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_bytes(OLLAMA.encode("utf-16"))
    with pytest.raises(CatalogInvalid, match=r"/my\.toml: cannot be read: it is not UTF-8$"):
        files.load(tmp_path / "my.toml", no_keys, KINDS)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://h/v1/chat/completions", "must end before /chat/completions: the endpoint's own path follows it"),
        ("http://h/v1/chat/completions/", "must end before /chat/completions"),
        ("http://h/v1/Chat/Completions ", "must end before /chat/completions"),
        ("http://h/v1/chat", "must end before /chat"),
        ("http://h:0/v1", "is not well-formed"),
        ("http://h:99999/v1", "is not well-formed"),
        ("http://h:x/v1", "is not well-formed"),
        ("http://[::1/v1", "is not well-formed"),
        ("https://h/v1/responses", "must end before /responses"),
        ("https://h/v1/messages", "must end before /messages"),
        ("https://h/v1/embeddings", "must end before /embeddings"),
        ("https://h/v1?key=secret", "must not have a query or a fragment"),
        ("https://h/v1?", "must not have a query or a fragment"),
        ("https://h/v1#x", "must not have a query or a fragment"),
        ("https://user:secret@h/v1", "must not have a user name or password"),
        ("https:///v1", "is not well-formed"),
        ("h/v1", "is not well-formed"),
        ("http://a b/v1", "is not well-formed"),
        ("http://h\\u0000/v1", "is not well-formed"),
        ("", "is not well-formed"),
    ],
)
def test_an_address_that_cannot_work_is_refused(tmp_path: Path, address: str, why: str) -> None:
    (problem,) = problems(tmp_path, f'[providers.x]\nkind = "openai"\nbase_url = "{address}"\n')
    assert problem.startswith(f"my.toml:3: providers.x.base_url: {why}")
    assert "secret" not in problem


@pytest.mark.parametrize(
    "address", ["http://h/v1", "http://h/v1/", " http://h/v1 ", "http://h/v1//\\n", "\\thttp://h/v1"]
)
def test_an_address_is_taken_without_what_is_around_it(tmp_path: Path, address: str) -> None:
    catalog = load(tmp_path, f'[providers.x]\nkind = "openai"\nbase_url = "{address}"\n')
    assert catalog.providers["x"].base_url == "http://h/v1"


@pytest.mark.parametrize("value", ["sk-abc\n", " sk-abc", "sk-abc\r\n", "\tsk-abc \n"])
def test_a_key_is_taken_without_what_is_around_it(tmp_path: Path, value: str) -> None:
    catalog = load(tmp_path, "", lambda names: {"OPENAI_API_KEY": SecretStr(value)})
    assert catalog.providers["openai"].api_key == SecretStr("sk-abc")
    assert catalog.providers["openai"].active
    written = value.encode("unicode_escape").decode()
    text = f'[providers.openai]\napi_key = "{written}"\nheaders = {{ X-Key = "{written}" }}'
    written_down = load(tmp_path, text).providers["openai"]
    assert (written_down.api_key, written_down.headers["X-Key"]) == (SecretStr("sk-abc"), SecretStr("sk-abc"))


@pytest.mark.parametrize("value", ["sk-a\nbc", "sk-a\x00", "sk-a\x7fb", "sk-\u00e4", "sk-\u200b", "sk-a\tb"])
def test_a_key_that_no_header_can_carry_is_refused_by_the_name_of_its_variable(tmp_path: Path, value: str) -> None:
    (tmp_path / "my.toml").write_text("")
    with pytest.raises(CatalogInvalid) as invalid:
        files.load(tmp_path / "my.toml", lambda names: {"OPENAI_API_KEY": SecretStr(value)}, KINDS, at=TODAY)
    problem, *_ = invalid.value.problems  # each provider of the variable has one
    assert "providers.openai.api_key_env: the value of OPENAI_API_KEY has a line end, a control character" in problem
    assert "sk-" not in problem
    written = value.encode("unicode_escape").decode().replace("\\x", "\\u00")
    (problem,) = problems(tmp_path, f'[providers.openai]\nheaders = {{ X-Key = "{written}" }}')
    assert problem.startswith("my.toml:2: providers.openai.headers.X-Key: has a line end, a control character")


@pytest.mark.parametrize(
    ("headers", "name", "why"),
    [
        ('{ Content-Length = "5" }', "Content-Length", "is not a header that a provider can be given"),
        ('{ host = "elsewhere" }', "host", "is not a header that a provider can be given"),
        ('{ Transfer-Encoding = "chunked" }', "Transfer-Encoding", "is not a header that a provider can be given"),
        ('{ X-Team = "a", x-team = "b" }', "x-team", "would be sent twice"),
        ('{ authorization = "Basic eA==" }', "authorization", "would be sent twice"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(tmp_path: Path, headers: str, name: str, why: str) -> None:
    (problem,) = problems(tmp_path, f'[providers.openai]\napi_key = "sk-x"\nheaders = {headers}')
    assert problem.startswith(f"my.toml:3: providers.openai.headers.{name}: {why}")


def test_a_header_may_be_the_key(tmp_path: Path) -> None:
    text = '[providers.x]\nkind = "openai"\nbase_url = "http://h/v1"\nheaders = { authorization = "Basic eA==" }'
    assert load(tmp_path, text).providers["x"].headers == {"authorization": SecretStr("Basic eA==")}


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_a_key_that_is_empty_is_not_set(tmp_path: Path, value: str) -> None:
    catalog = load(tmp_path, "", lambda names: {"OPENAI_API_KEY": SecretStr(value)})
    assert not catalog.providers["openai"].active


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    text = OLLAMA + OLLAMA.partition("[models")[1] + OLLAMA.partition("[models")[2].replace("llama3.2", "LLama3.2")
    (problem,) = problems(tmp_path, text)
    assert problem.endswith("differs from 'llama3.2:3b' in upper and lower case only")


def test_what_is_passed_upstream_is_that_of_the_provider_and_of_the_model(tmp_path: Path) -> None:
    text = OLLAMA.replace('kind = "openai"', 'kind = "openai"\npasses = ["top_k", "min_p"]')
    (route,) = load(tmp_path, text + 'passes = ["keep_alive"]').find("llama3.2:3b").routes
    assert route.passes == {"top_k", "min_p", "keep_alive"}
    (route,) = load(tmp_path, text.replace('"min_p"', '"*"')).find("llama3.2:3b").routes
    assert route.passes == {"top_k", "*"}
    assert load(tmp_path, "", all_keys).find("openai-gpt-6-sol").routes[0].passes == frozenset()
    assert problems(tmp_path, text.replace('"min_p"', '"a b"'))[0].endswith("is not well-formed")


PLACED = ProviderKind(
    frozenset({Modality.TEXT}), needs=frozenset({"project"}), options=frozenset({"project", "region"})
)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{}", "providers.x.options.project: is missing: a provider of kind placed needs it"),
        ('{ project = "p", regoin = "r" }', "providers.x.options.regoin: is not a known key; did you mean region?"),
        ('{ project = "" }', "providers.x.options.project: must not be empty"),
        ("{ project = 1 }", "providers.x.options.project: must be text"),
    ],
)
def test_each_kind_says_what_settings_it_takes(tmp_path: Path, options: str, problem: str) -> None:
    kinds = {**KINDS, "placed": PLACED}
    (tmp_path / "my.toml").write_text(f'[providers.x]\nkind = "placed"\noptions = {options}\n')
    with pytest.raises(CatalogInvalid) as invalid:
        files.load(tmp_path / "my.toml", no_keys, kinds, at=TODAY)
    assert [line.split(": ", 1)[1] for line in invalid.value.problems] == [problem]


def test_options_reach_the_provider(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[providers.x]\nkind = "placed"\noptions = { project = "p" }\n')
    provider = files.load(tmp_path / "my.toml", no_keys, {**KINDS, "placed": PLACED}, at=TODAY).providers["x"]
    assert (provider.active, provider.options) == (True, {"project": "p"})


@pytest.mark.parametrize("names", [["ip"], ["top_k", "user_email"], ["user"], ["model", "*"], ["max_credits"]])
def test_a_field_that_is_never_sent_is_not_passed(tmp_path: Path, names: list[str]) -> None:
    (problem,) = problems(tmp_path, f'[providers.x]\nkind = "openai"\nbase_url = "http://h/v1"\npasses = {names}\n')
    (never,) = set(names) - {"top_k", "*"}
    assert problem == f"my.toml:4: providers.x.passes: must not name {never}: no provider is ever sent that"
    (problem,) = problems(tmp_path, OLLAMA.rstrip() + f"\npasses = {names}\n")
    assert f"passes: must not name {never}: no provider is ever sent that" in problem


@pytest.mark.parametrize("names", [["*"], ["top_k", "my_field"], []])
def test_any_other_field_is_passed(tmp_path: Path, names: list[str]) -> None:
    catalog = load(tmp_path, f'[providers.x]\nkind = "openai"\nbase_url = "http://h/v1"\npasses = {names}\n')
    assert catalog.providers["x"].passes == frozenset(names)
