"""Fields of a request that no provider is ever sent, whatever the catalog says, and those that it may not lose."""

ABOUT_THE_CALLER = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id", "trace"}
    | {"end_user", "end_user_id", "user_id", "user_email", "email", "ip", "ip_address", "client_ip", "trace_id"}
    | {"conversation_id", "customer_identifier", "litellm_metadata", "headers", "client_metadata"}
)
"""Fields about the caller. They are never sent, whatever the catalog says."""
OURS = frozenset(
    {"model", "store", "provider", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream"}
    | {"stream_options", "options", "api_base", "base_url", "api_key", "extra_headers", "extra_body", "extra_query"}
    | {"max_credits", "strict", "privacy"}
)
"""Fields that decide where a call goes, what it may use and what is stored. Only an adapter may set them."""
NEVER_SENT = ABOUT_THE_CALLER | OURS
OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
"""The names that servers know the output limit by."""
DEVELOPER_ROLE = "developer_role"
"""Stands among dropped names for the role `developer`: its messages are sent as `system`."""
SET_HERE = frozenset({"stream_options", "encoding_format", DEVELOPER_ROLE, *OUTPUT_LIMITS})
"""What a provider may lack without any loss for the caller: it is asked in another way."""
HARMLESS: dict[str, tuple[object, ...]] = {
    "tools": ([],),
    "tool_choice": ("auto", "none"),
    "functions": ([],),
    "function_call": ("auto", "none"),
    "response_format": ({"type": "text"},),
    "n": (1,),
    "stop": ([], ""),
    "audio": (),
    "modalities": (["text"],),
    "web_search_options": (),
    "service_tier": ("auto", "default"),
    "dimensions": (),
}
"""Fields whose loss changes what an answer means or costs, and their values that can be lost. Others are refused."""
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
}
"""The least and the most of numbers, as OpenAI defines them."""
