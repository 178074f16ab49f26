"""Any server that speaks OpenAI's chat completions: OpenAI itself, OpenRouter, vLLM, Ollama and many more."""
