"""A provider that quotes what it was asked in everything it says: answers, errors, headers, pages."""

import asyncio
import json
import os
from typing import Any

from aiohttp import web

from tests.doubles.openai_server import OpenAIServer, event

WORD = f"Qz{os.urandom(12).hex()}"
"""What it adds of its own."""
MODELS = ("echoes", "fails", "refuses", "page", "garbage", "inside", "cut", "hangs")


class Parrot(OpenAIServer):
