// Makes a public page of this chat, after its reader has read what that means.

import {button, copier, element} from "./dom.js";
import {key} from "./memory.js";
import {turns} from "./messages.js";
import {Failure, send} from "./stream.js";

const TITLE = 200;

/** A shared page has no pictures: it says how many parts were left out. @type {import("./messages.js").Written} */
export const omitted = () => "data:,";

/** @param {import("./chat.js").Chat} chat @param {import("./thread.js").Answer} [last] what comes after it is left out */
export function share(chat, last) {
  const once = key();
  const status = element("p", {role: "status", class: "hint"});
  const {shareLasts} = chat.dataset, ends = shareLasts ? `It ends after ${shareLasts}, and search` : "It stays until you take it back. Search";
  const make = button("Make the page", async () => {
    make.disabled = true;
    try {
      const page = await (await send("/api/chat/share/", order(chat, last), {once})).json();
      done(dialog, page.url);
    } catch (error) {
      make.disabled = false;
      status.textContent = error instanceof Failure ? error.refused.message : "The server did not answer. Try again.";
    }
  }, {classes: "button"});
  const dialog = element("dialog", {class: "dialog share-sheet", "aria-labelledby": "share-title"},
    element("h3", {id: "share-title"}, "Share this chat"),
    element("p", {class: "quiet"}, `Everybody who has the address can read the questions and answers so far. The page is a copy: what you ask later is not in it. ${ends} engines are told to leave it out.`),
    status,
    element("div", {class: "tags"}, button("Keep it here", () => dialog.close(), {classes: "button second"}), make));
  dialog.addEventListener("close", () => dialog.remove());
  chat.append(dialog);
  dialog.showModal();
}

/** @param {import("./chat.js").Chat} chat @param {import("./thread.js").Answer} [last] */
function order(chat, last) {
  const title = (document.getElementById("chat-title")?.textContent ?? "").replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, TITLE);
  const {messages, model} = chat.memory, end = last ? messages.indexOf(last) + 1 : messages.length;
  if (chat.conversation && end === messages.length) return {conversation_id: chat.conversation, title};
  const turned = messages.slice(0, end).flatMap((one) => turns([one], omitted).map((turn) => (one.role === "assistant" ? {...turn, model: one.name} : turn)));
  return {title, model, messages: turned};
}

/** @param {HTMLDialogElement} dialog @param {string} url */
function done(dialog, url) {
  dialog.replaceChildren(
    element("h3", {id: "share-title"}, "The page is there"),
    element("p", {class: "mono share-link"}, element("a", {href: url, target: "_blank", rel: "noopener"}, url)),
    element("div", {class: "tags"}, button("Close", () => dialog.close(), {classes: "button second"}), Object.assign(copier(() => url, "Copy the address"), {className: "button"})),
  );
}
