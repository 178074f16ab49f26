"""LiteLLM's proxy beside ours, without a database: installed by us into an environment of its own, versions pinned."""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peer import Peer, Running, environment, launch
from bench.stack import ROOT, STATE
from dev import ports
from dev.child import Program, finish
from dev.errors import CannotStart

VERSION = "1.106.2"
PINNED = Path(__file__).parent / "litellm.txt"
"""The whole environment that VERSION was resolved to."""
VENV = STATE / "litellm-venv"
INSTALLED = VENV / "yout-installed"
"""Holds what was installed, once it was installed whole."""
TIMEOUT = 180.0
OFFLINE = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "NO_DOCS": "True",
}


def config(upstream: int, models: Sequence[str], token: str) -> str:
    """Its configuration file; JSON is YAML too."""
    entries = "".join(
        f"""
  - model_name: bench-{model}
    litellm_params: {{model: openai/{model}, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-bench}}"""
        for model in models
    )
    return f"""model_list:{entries}
general_settings: {{master_key: {token}}}
litellm_settings: {{telemetry: false, num_retries: 0, set_verbose: false}}
"""


async def install() -> None:
    """Into its own environment, by the means of ours: uv when it is there, else pip. Once."""
    wanted = PINNED.read_text()
    if INSTALLED.exists() and INSTALLED.read_text() == wanted:
        return
    uv = Path(sys.executable).parent / "uv"
    target = str(VENV / "bin" / "python")
    make: tuple[str, ...]
    fill: tuple[str, ...]
    if uv.exists():
        make = (str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV))
        fill = (str(uv), "pip", "install", "--quiet", "--python", target, "--requirement", str(PINNED))
    else:
        make = (sys.executable, "-m", "venv", "--clear", str(VENV))
        fill = (target, "-m", "pip", "install", "--quiet", "--requirement", str(PINNED))
    for command in (make, fill):
        done = await finish(Program(name="installer", command=command, environment=os.environ, folder=ROOT))
        if done.code != 0:
            raise CannotStart(f"LiteLLM {VERSION} cannot be installed: {done.errors[-500:]}")
    INSTALLED.write_text(wanted)


async def start(folder: Path, upstream: int, models: Sequence[str]) -> Running:
    port, token = ports.free(), f"sk-{secrets.token_hex(16)}"
    (folder / "litellm.yaml").write_text(config(upstream, models, token))
    words = ("--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    program = Program(
        name="LiteLLM",
        command=(str(VENV / "bin" / "litellm"), *words),
        environment=environment(**OFFLINE),
        folder=folder,
    )
    child = await launch(program, f"http://127.0.0.1:{port}/health/liveliness", TIMEOUT)
    return Running(port, token, child, prefix="bench-")


PEER = Peer(
    name="LiteLLM",
    version=VERSION,
    about="its proxy, one process, its own defaults for production, a master key, and no database: it authenticates "
    "and forwards, and bills nothing. What it brings is pinned, in `bench/litellm.txt`.",
    ratio=35.0,
    streams=4,  # fewer: it needs a multiple of a core for as many
    install=install,
    start=start,
)
