"""Scripts of the pages that know no document, run by Node; and what is vendored."""

import hashlib
import json
import subprocess
from pathlib import Path

from tests.support.client_environments import environment
from web import assets

SCRIPTS = Path(__file__).parent / "scripts"
VENDOR = assets.FOLDER / "vendor"


def test_the_pure_scripts() -> None:
    files = sorted(str(path) for path in SCRIPTS.glob("*.test.mjs"))
    ran = subprocess.run(
        [environment("node").node, "--test", *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stdout


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    packages = json.loads((VENDOR / "manifest.json").read_text("utf-8"))
    hashes = {name: file["sha256"] for package in packages for name, file in package["files"].items()}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    there.pop("manifest.json")
    assert there == hashes
    assert all(package["licence_file"] in package["files"] for package in packages)


def test_no_script_reads_html() -> None:
    for path in (assets.FOLDER / "js").glob("*.js"):
        script = path.read_text("utf-8")
        for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "localStorage", "eval("):
            assert name not in script, (path.name, name)
