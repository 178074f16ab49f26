"""What an operator writes into a catalog to add a model of a server of their own."""

INPUT, OUTPUT = 300, 1500
"""Credits per 1,000 tokens."""


def text_model(name: str, *routes: str, max_output: int = 4000, more: str = "") -> str:
    """`routes` are a provider and its model each, separated by a slash: the first one is tried first."""
    in_order = ", ".join(_route(route, place) for place, route in enumerate(routes))
    return f"""
[models."{name}"]
name = "{name}"
modality = "text"
context_window = 100000
max_output_tokens = {max_output}
credits_per_1k_input = {INPUT}
credits_per_1k_output = {OUTPUT}
{more}
routes = [ {in_order} ]
"""


def embedding_model(name: str, *routes: str, window: int = 8192) -> str:
    in_order = ", ".join(_route(route, place) for place, route in enumerate(routes))
    return f"""
[models."{name}"]
name = "{name}"
modality = "embedding"
context_window = {window}
credits_per_1k_input = {INPUT}
routes = [ {in_order} ]
"""


def _route(route: str, priority: int) -> str:
    provider, model = route.split("/")
    return f'{{ provider = "{provider}", model = "{model}", priority = {priority} }}'
