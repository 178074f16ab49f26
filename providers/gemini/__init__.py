"""Google's Gemini, at AI Studio and at Vertex AI: `generateContent` and `streamGenerateContent`."""
