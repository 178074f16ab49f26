// A chat of the account's history, as the tab shows it.

import {get} from "./stream.js";

/** @param {string} id @param {(model: string) => string} nameOf what people call a model */
export async function readKept(id, nameOf) {
  const messages = [];
  let model = "", charged = 0, answers = 0, next = "";
  do {
    const page = await get(`/api/chat/conversations/${id}/?limit=100${next}`);
    for (const message of page.messages) {
      const content = textOf(message.content);
      if (message.role === "user") messages.push({role: /** @type {const} */ ("user"), content});
      if (message.role !== "assistant") continue;
      model = message.model ?? model;
      charged += message.credits_charged ?? 0;
      answers += 1;
      messages.push({...answerOf(message, content), name: nameOf(model) || "Answer"});
    }
    next = page.has_more ? `&cursor=${encodeURIComponent(page.next)}` : "";
  } while (next);
  return {messages, model, charged, answers};
}

/** @param {Record<string, any>} message @param {string} content @returns {import("./thread.js").Answer} */
function answerOf(message, content) {
  return {
    role: "assistant",
    content,
    reasoning: message.reasoning ?? "",
    name: "",
    id: message.charge ?? "",
    held: 0,
    charged: message.credits_charged ?? null,
    input: message.usage?.prompt_tokens ?? 0,
    output: message.usage?.completion_tokens ?? 0,
    seconds: 0,
    first: 0,
    ended: message.partial ? "cut" : "",
    free: false,
  };
}

/** @param {unknown} content */
function textOf(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n");
}
