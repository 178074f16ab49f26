"""A provider that needs no key: it answers chats and makes images, videos and speech on this machine.

Its models, as routes name them: `chat`, `image`, `video`, `speech`; each also as `-fail` (accepted, then fails) and as
`-slow` (as long as the prompt says with `[seconds=8]`, at most 600); and `chat-broken`, whose streams break off.
"""
