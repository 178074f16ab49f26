"""Bodies of calls in the API's reference, where the smallest valid one says too little. Operations by their anchors."""

from collections.abc import Mapping
from typing import Any

_QUESTION = [{"role": "user", "content": "Hello!"}]
FORM = {"post-v1-images-edits", "post-v1-audio-transcriptions"}
"""These are shown as forms: they send a file."""
EXAMPLES: Mapping[str, Any] = {
    "post-api-auth-password": {"current_password": "a long sentence", "new_password": "another long sentence"},
    "post-api-billing-quote": {"model": "demo-chat", "max_tokens": 500, "messages": _QUESTION},
    "post-api-chat-conversations": {"title": "Mountains"},
    "patch-api-chat-keys-key-id": {"limits": {"credits_day": 20000}},
    "post-api-chat-keys-key-id-rotate": {"grace_seconds": 3600},
    "post-api-chat-share": {"title": "Mountains", "messages": _QUESTION},
    "post-api-chat-stream": {"model": "demo-chat", "message": "Hello!"},
    "post-api-media-image": {"model": "demo-image", "prompt": "A lake at dawn", "size": "512x512"},
    "post-api-media-speech": {"model": "demo-speech", "input": "Good evening.", "voice": "nova"},
    "post-api-media-transcription": {"model": "demo-transcription", "audio": "upload_…"},
    "post-api-media-video": {"model": "demo-video", "prompt": "A lake at dawn", "duration": 5},
    "patch-api-webhooks-settings": {"credits_low": 1000},
    "post-v1-audio-speech": {"model": "demo-speech", "input": "Good evening.", "voice": "nova"},
    "post-v1-audio-transcriptions": {"model": "demo-transcription", "file": "@speech.mp3"},
    "post-v1-chat-completions": {"model": "demo-chat", "messages": _QUESTION},
    "post-v1-completions": {"model": "demo-chat", "prompt": "Hello!", "max_tokens": 20},
    "post-v1-images-edits": {"model": "demo-image", "prompt": "At night", "image": ["@photo.png"]},
    "post-v1-images-generations": {"model": "demo-image", "prompt": "A lake at dawn", "size": "512x512"},
    "post-v1-messages": {"model": "demo-chat", "max_tokens": 100, "messages": _QUESTION},
    "post-v1-videos": {"model": "demo-video", "prompt": "A lake at dawn", "seconds": "5"},
}
