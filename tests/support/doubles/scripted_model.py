"""A provider of OpenAI's chat completions that behaves like a small model, for clients that hold a conversation.

It calls the first tool that it is given, answers with the tool's result, writes the object that a schema requires, and
names the images that it reads. `Please count.` in the last message makes it count slowly until its reader leaves. A
tool that runs commands is called with one that mends a file, as a coding agent's model does.
"""

import asyncio
import base64
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles.threaded_app import ThreadedApp

ANSWER = "The answer is four."
ARGUMENTS = {"city": "Paris"}
PERSON = {"name": "Ada", "born": 1815}
COUNT = "Please count."
"""As programs of clients ask for it. A coding agent's own words have *count* and *account* in them."""
MEND = "sed -i s/teh/the/ notes.txt"
"""The command for a coding agent's shell."""
SHELLS: dict[str, dict[str, Any]] = {
    "Bash": {"command": MEND, "description": "Mend the file"},
    "exec_command": {"cmd": MEND},
    "shell": {"command": ["bash", "-lc", MEND]},
    "shell_command": {"command": MEND},
}
"""How each coding agent's tool for commands takes this one."""
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}

Message = dict[str, Any]


@dataclass(slots=True)
class ScriptedModel(ThreadedApp):
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """The requests as they arrived."""
    aborted: threading.Event = field(default_factory=threading.Event)
    """Set when a reader left while the model counted."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self._chat)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if body.get("stream"):
            return await self._stream(request, body)
        finish, message = answer(body)
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
        return web.json_response(
            {"id": "s", "object": "chat.completion", "created": 1, "choices": [choice], "usage": USAGE}
        )

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)

        async def write(delta: Message, finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await response.write(event({"choices": [choice]}))

        try:
            await write({"role": "assistant", "content": ""})
            if COUNT in text_of(body["messages"][-1]):
                for number in range(1000):
                    await write({"content": f"{number} "})
                    await asyncio.sleep(0.03)
        except (ConnectionResetError, asyncio.CancelledError):
            self.aborted.set()
            raise
        finish, message = answer(body)
        for delta in deltas(message):
            await write(delta)
        await write({}, finish)
        await response.write(event({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n")
        return response


def event(fields: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'id': 's', 'object': 'chat.completion.chunk', 'created': 1} | fields)}\n\n".encode()


def deltas(message: Message) -> list[Message]:
    """The message in pieces: the words of a text, or a call and then its arguments in two."""
    if calls := message.get("tool_calls"):
        call = calls[0]
        arguments = call["function"]["arguments"]
        head = {
            "index": 0,
            "id": call["id"],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": ""},
        }
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in (arguments[:5], arguments[5:])]
        return [{"tool_calls": [piece]} for piece in (head, *rest)]
    words = message["content"].split(" ")
    return [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]


def answer(body: dict[str, Any]) -> tuple[str, Message]:
    """The finish reason, and the message without its role."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return "stop", {"content": f"The tool says: {text_of(last)}"}
    images = images_of(last)
    if images:
        return "stop", {"content": f"I see {', '.join(images)}."}
    if tools := [tool["function"] for tool in body.get("tools", ())]:
        shell = next((tool for tool in tools if tool["name"] in SHELLS), tools[0])
        return "tool_calls", {"content": None, "tool_calls": [call_of(shell)]}
    if "response_format" in body and body["response_format"]["type"] != "text":
        return "stop", {"content": json.dumps(PERSON)}
    return "stop", {"content": ANSWER}


def call_of(function: dict[str, Any]) -> Message:
    """A call of the tool: the person where it wants a person, as tools that stand for a schema do."""
    wanted = function.get("parameters", {}).get("properties", {})
    arguments = SHELLS.get(function["name"], PERSON if "born" in wanted else ARGUMENTS)
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": function["name"], "arguments": json.dumps(arguments)},
    }


def text_of(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def images_of(message: Message) -> list[str]:
    """Each image as its type and size: `image/png of 70 bytes`."""
    parts = message["content"] if isinstance(message.get("content"), list) else []
    urls = [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]
    return [f"{url[5:].partition(';')[0]} of {len(base64.b64decode(url.partition(',')[2]))} bytes" for url in urls]
