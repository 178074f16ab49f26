"""OpenAI's Responses, which some of its models are called through."""
