"""xAI: images, and videos that are polled. Its chat is of kind `openai`."""
