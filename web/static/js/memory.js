// What the tab remembers: the chat of a tab lives in it alone, and ends with it. A reload keeps it. One of an account waits
// for that account: whoever else signs in in this tab does not see it. A visitor's goes along.

/** @typedef {import("./thread.js").Answer} Answer */
/** @typedef {{role: "user", content: string, files?: import("./messages.js").Attached[], old?: boolean}} Question `old`: a new one takes its place. */
/**
 * `once`: the key of a question that is on its way, with which it is answered and charged once. `system`: the system prompt
 * that is saved with a kept chat.
 * @typedef {{messages: (Question | Answer)[], settings: import("./settings.js").Chosen, model: string, answers: number, charged: number, once: string, system: string}} Memory
 */

const CHAT = "yout-chat";
const QUESTION = "yout-question", DRAFT = "yout-draft";

/** The tab's storage. A browser in which it is switched off throws, and then nothing is remembered. */
function tab() {
  try {
    return sessionStorage;
  } catch {}
}

/** @returns {Memory} */
export function fresh() {
  return {messages: [], settings: {}, model: "", answers: 0, charged: 0, once: "", system: ""};
}

/** The account of this page. Empty: a visitor. */
const reader = () => document.querySelector("yout-chat")?.getAttribute("data-account") ?? "";

/** @param {{owner?: string} | null} stored */
const isOurs = (stored) => !stored?.owner || stored.owner === reader();

/** @returns {Memory} */
export function recall() {
  const {owner, ...memory} = read(CHAT) ?? {};
  return isOurs({owner}) ? {...fresh(), ...memory} : fresh();
}

/** A chat that is too long for the tab's storage is kept over a reload without its files, or not at all. @param {Memory} memory */
export function remember(memory) {
  const owned = {...memory, owner: reader()};
  const light = (/** @type {string} */ name, /** @type {unknown} */ value) => (name === "data" ? undefined : value);
  if (!store(CHAT, JSON.stringify(owned)) && !store(CHAT, JSON.stringify(owned, light))) forget();
}

/** @param {string} name @param {string} text */
function store(name, text) {
  try {
    tab()?.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

export function forget() {
  tab()?.removeItem(CHAT);
}

/** What is written and not sent stays over a reload, and while its writer signs in. @param {string} text */
export function rememberDraft(text) {
  if (text ? !store(DRAFT, JSON.stringify({text, owner: reader()})) : isOurs(read(DRAFT))) tab()?.removeItem(DRAFT);
}

/** @returns {string} */
export function takeDraft() {
  const draft = read(DRAFT);
  if (!isOurs(draft)) return "";
  tab()?.removeItem(DRAFT);
  return draft?.text ?? "";
}

/** Takes the question that was asked on the first page. @returns {{text: string, model: string} | null} */
export function takeQuestion() {
  const question = read(QUESTION);
  tab()?.removeItem(QUESTION);
  return question;
}

/** A key that no other question has. Browsers have `randomUUID` on https and on this machine only. */
export function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} name */
function read(name) {
  try {
    return JSON.parse(tab()?.getItem(name) ?? "null");
  } catch {
    return null;
  }
}
