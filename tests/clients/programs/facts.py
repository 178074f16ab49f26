"""What every program of this folder needs: where the server is, what it asks, and how it reports what it got.

A program prints one JSON object: for each thing that it tried, what it received. The test judges it.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

BASE_URL = os.environ["BASE_URL"]
KEY = os.environ["KEY"]
MODEL = os.environ["MODEL"]
QUESTION = "What is 2+2?"
WEATHER = "What is the weather in Paris?"
COUNT = "Please count."
PNG = os.environ["PNG"]
"""An image, as base64."""
IMAGE_URL = f"data:image/png;base64,{PNG}"
PERSON_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "born": {"type": "integer"}},
    "required": ["name", "born"],
    "additionalProperties": False,
}
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"21 degrees in {city}"


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """The class and the public fields of what the call raises."""
    try:
        call()
    except Exception as error:
        names = ("status_code", "code", "param", "request_id")
        return {"class": type(error).__name__} | {name: getattr(error, name, None) for name in names}
    return {"class": None}


def report(**tried: Callable[[], Any]) -> None:
    """Run each and print what it returned."""
    received = {name: attempt() for name, attempt in tried.items()}
    json.dump(received, sys.stdout, default=str)
