// What is sent: messages of the API, made of what the tab remembers. Knows no document.

/**
 * A picture or a file of a question. `data`: a data URL; without it, its bytes are gone.
 * @typedef {{name: string, kind: "image" | "file", size: number, data?: string}} Attached
 */
/** @typedef {import("./memory.js").Question | import("./thread.js").Answer} Message */
/** @typedef {(file: Attached) => string} Written what stands for the bytes of a file */

/** A picture of one point: the most that a picture can cost does not depend on what is in it. */
const PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

/** @type {Written} */
const whole = ({data = ""}) => data;

/** For a price: the bytes of pictures are not sent. @type {Written} */
export const priced = (file) => (file.kind === "image" ? PIXEL : whole(file));

/** @param {Message[]} messages */
export function files(messages) {
  return messages.flatMap((message) => ("files" in message && message.files) || []).filter(({data}) => data);
}

/** Returns the messages of a chat as the API takes them. @param {Message[]} messages @param {Written} [written] */
export function turns(messages, written = whole) {
  return messages.filter(({content}, at) => content || files([messages[at]]).length).map((message) => {
    const attached = files([message]).map((file) => part(file, written(file)));
    if (!attached.length) return {role: message.role, content: message.content};
    return {role: message.role, content: [...(message.content ? [{type: "text", text: message.content}] : []), ...attached]};
  });
}

/** @param {Attached} file @param {string} data */
function part({name, kind}, data) {
  return kind === "image" ? {type: "image_url", image_url: {url: data}} : {type: "file", file: {filename: name, file_data: data}};
}

/**
 * Returns the body of a request. Of a kept chat, the server has all but the last message, and `saved`, its system prompt:
 * an empty one ends that.
 * @param {{model: string, conversation: string, messages: Message[], chosen: import("./settings.js").Chosen, save: object, saved: string}} chat
 * @param {Written} [written]
 */
export function body({model, conversation, messages, chosen: {system = "", ...settings}, save, saved}, written) {
  const prompt = system === saved ? [] : [{role: "system", content: system}];
  if (conversation) return {model, conversation_id: conversation, messages: [...prompt, ...turns(messages.slice(-1), written)], ...settings, save: true};
  return {model, messages: [...prompt, ...turns(messages, written)], ...settings, ...save};
}
