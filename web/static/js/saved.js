// A chat of the account's history, as the tab shows it.

import {Failure, get} from "./stream.js";

/** Takes the messages, the model and the system prompt of a chat that was saved. @param {import("./chat.js").Chat} chat */
export async function open(chat) {
  const {picker, settings} = chat;
  chat.memory = {...chat.memory, ...(await readChat(chat.conversation, (id) => picker?.nameOf(id) ?? id))};
  if (chat.memory.model) picker?.take(chat.memory.model);
  settings?.show({system: chat.memory.system});
}

/** @param {string} id @param {(model: string) => string} nameOf what people call a model */
async function readChat(id, nameOf) {
  const messages = [];
  let model = "", charged = 0, answers = 0, next = "", system = "";
  do {
    const page = await get(`/api/chat/conversations/${id}/?limit=100${next}`);
    for (const message of page.messages) {
      const content = textOf(message.content);
      if (message.role === "user") messages.push({role: /** @type {const} */ ("user"), content, ...filesOf(message.content)});
      if (message.role === "system" || message.role === "developer") system = content.trim();
      if (message.role !== "assistant") continue;
      model = message.model ?? model;
      charged += message.credits_charged ?? 0;
      answers += 1;
      messages.push({...answerOf(message, content), name: nameOf(model) || "Answer"});
    }
    next = page.has_more ? `&cursor=${encodeURIComponent(page.next)}` : "";
  } while (next);
  return {messages, model, charged, answers, system};
}

/** The saved chat that has an answer. Empty: its server died before it was saved. @param {import("./thread.js").Answer} answer */
export async function placeOf({goes = "", id}) {
  const {messages} = await readChat(goes, () => "").catch(gone);
  return messages.some((message) => "id" in message && message.id === id) ? goes : "";
}

/** @param {unknown} error @returns {{messages: {id?: string}[]}} */
function gone(error) {
  if (error instanceof Failure && error.refused.status === 404) return {messages: []};
  throw error;
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
  return content.filter((part) => part.type === "text").map((part) => part.text).join("\n");
}

/** The pictures and files of a question: their names, and the picture if its bytes are there. @param {unknown} content */
function filesOf(content) {
  const parts = Array.isArray(content) ? content.filter((part) => part.type !== "text") : [];
  if (!parts.length) return {};
  return {files: parts.map(({image_url: image, file}) => {
    const data = image ? image.url : file?.file_data, there = data?.startsWith("data:");
    return {name: file?.filename ?? (image ? "picture" : "file"), kind: /** @type {const} */ (image ? "image" : "file"), size: there ? data.length * 3 / 4 : 0, ...(there ? {data} : {})};
  })};
}
