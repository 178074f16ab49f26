"""Fields of a request that no provider is ever sent, whatever the catalog says."""

ABOUT_THE_CALLER = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id", "trace"}
    | {"end_user", "end_user_id", "user_id", "user_email", "email", "ip", "ip_address", "client_ip", "trace_id"}
    | {"conversation_id", "customer_identifier", "litellm_metadata", "headers"}
)
"""Fields about the caller. They are never sent, whatever the catalog says."""
OURS = frozenset(
    {"model", "store", "provider", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream"}
    | {"stream_options", "options", "api_base", "base_url", "api_key", "extra_headers", "extra_body", "extra_query"}
    | {"max_credits", "strict", "privacy"}
)
"""Fields that decide where a call goes, what it may use and what is stored. Only an adapter may set them."""
NEVER_SENT = ABOUT_THE_CALLER | OURS
