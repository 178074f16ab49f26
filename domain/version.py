"""The version of this program: `pyproject.toml` has the same."""

VERSION = "0.1.0"
