// This very request as code, in a dialog.

import {button, element} from "./dom.js";
import {code} from "./markup.js";
import {snippets} from "./snippets.js";
import {coloured} from "./turn.js";

/** @type {Record<string, string>} */
const LANGUAGES = {curl: "bash", Python: "python", Node: "javascript"};

/** A file in code that people read. @type {import("./messages.js").Written} */
export const named = ({name, data = ""}) => `${data.slice(0, data.indexOf(",") + 1)}<base64 of ${name}>`;

/** @param {import("./chat.js").Chat} chat */
export function showCode(chat) {
  const {save, messages: all, ...order} = /** @type {Record<string, any>} */ (chat.order(chat.draft, named, ""));
  const sent = all.slice(0, all.findLastIndex((/** @type {{role: string}} */ {role}) => role === "user") + 1);
  const messages = sent.length ? sent : [...all, {role: "user", content: "Hello!"}];
  const written = snippets({model: order.model, ...order, messages}, chat.dataset.server ?? "");
  const shown = element("div"), tabs = element("div", {class: "segments", role: "group", "aria-label": "Language"});
  for (const [name, text] of Object.entries(written)) {
    tabs.append(button(name, () => choose(name, text), {classes: "segment"}));
  }
  /** @param {string} name @param {string} text */
  const choose = (name, text) => {
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.textContent === name));
    shown.replaceChildren(code(text, LANGUAGES[name]));
    coloured([shown]);
  };
  const close = button("Close", () => dialog.close(), {icon: "x", classes: "button plain icon-only small", iconOnly: true});
  const hint = element("p", {class: "hint"}, "Put a key of yours into YOUT_KEY: ", element("a", {href: "/keys"}, "API keys"), ".");
  const dialog = element("dialog", {class: "code-sheet", "aria-label": "Code of this request"},
    element("header", {class: "label-row"}, tabs, close), shown, hint);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const [[first, text]] = Object.entries(written);
  choose(first, text);
  chat.append(dialog);
  dialog.showModal();
}
