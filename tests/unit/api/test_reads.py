"""Requests without a body are answered in their account's turn: many slow ones leave connections to the others."""

import importlib
import pkgutil

from fastapi import APIRouter

import api
from api.body import StrictRoute

WITHOUT_TURNS = {"codec", "health", "metrics", "models", "payments", "stored_objects"}
"""Modules whose endpoints are of no account, or read nothing of it from a table."""


def test_every_endpoint_of_an_account_has_turns() -> None:
    names = {module.name for module in pkgutil.iter_modules(api.__path__)} - {"__main__"}
    modules = [importlib.import_module(f"api.{name}") for name in sorted(names - WITHOUT_TURNS)]
    routers = [value for module in modules for value in vars(module).values() if isinstance(value, APIRouter)]
    routes = [route for router in routers for route in router.routes]
    assert len(routes) > 50
    assert [route for route in routes if not isinstance(route, StrictRoute)] == []
