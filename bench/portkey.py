"""Portkey's gateway beside ours: its package for Node, installed by us into a folder of its own, versions pinned.

`npm/package-lock.json` pins all of them, by their hashes. It takes an older `@hono/node-server` than npm would
choose: with the newest, this version of Portkey answers every stream with 500.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench.peer import Peer, Running, environment, launch
from bench.stack import STATE
from dev import ports
from dev.child import Program, finish
from dev.errors import CannotStart

PINNED = Path(__file__).parent / "npm"
FILES = ("package.json", "package-lock.json")
VERSION: str = orjson.loads((PINNED / FILES[0]).read_bytes())["dependencies"]["@portkey-ai/gateway"]
FOLDER = STATE / "portkey"
INSTALLED = FOLDER / "yout-installed"
"""Holds what was installed, once it was installed whole."""
SERVER = FOLDER / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
TIMEOUT = 60.0


async def install() -> None:
    """Without the packages' own scripts: none of them is needed to run it. Once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotStart("node and npm are not installed")
    wanted = "".join((PINNED / name).read_text() for name in FILES)
    if INSTALLED.exists() and INSTALLED.read_text() == wanted:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(PINNED / name, FOLDER / name)
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = await finish(Program(name="npm", command=command, environment=os.environ, folder=FOLDER))
    if done.code != 0:
        raise CannotStart(f"Portkey {VERSION} cannot be installed: {done.errors[-500:]}")
    INSTALLED.write_text(wanted)


async def start(folder: Path, upstream: int, models: Sequence[str]) -> Running:
    """It needs no list of models: each request says in headers where it goes."""
    port = ports.free()
    program = Program(
        name="Portkey",
        command=("node", "--require", str(PINNED / "loopback.cjs"), str(SERVER), "--headless", f"--port={port}"),
        environment=environment(NODE_ENV="production"),
        folder=folder,
    )
    child = await launch(program, f"http://127.0.0.1:{port}/", TIMEOUT)
    where = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}
    return Running(port, "sk-bench", child, headers=where)


PEER = Peer(
    name="Portkey",
    version=VERSION,
    about="its gateway for Node, one process: it forwards, and neither knows its callers nor bills them. What it "
    "brings is pinned, in `bench/npm`.",
    ratio=2.0,
    streams=32,
    install=install,
    start=start,
)
