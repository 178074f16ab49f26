"""ElevenLabs' text to speech."""
