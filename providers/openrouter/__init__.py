"""OpenRouter: images, and videos that are polled. Its chat is an OpenAI adapter with more fields."""
