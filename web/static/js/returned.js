// A page that is loaded again while a question had no answer yet, or half of one.

import {key} from "./memory.js";
import {AnswerView, button} from "./thread.js";
import {coloured, writing} from "./turn.js";

/** @typedef {import("./thread.js").Answer} Answer */

/**
 * Shows what became of the last question, and what that cost.
 * @param {import("./chat.js").Chat} chat
 * @param {Answer | import("./memory.js").Question} last
 */
export async function takeUp(chat, last) {
  const {messages, once} = chat.memory;
  const note = (/** @type {string} */ title, /** @type {string} */ text, /** @type {string} */ again) =>
    chat.note({kind: "", icon: "clock", title, text}, [button("Ask again", () => chat.answer(again))]);
  if (last.role === "user") return note("This question has no answer yet.", "", key());
  last.ended = "left";
  if (!last.id) {
    messages.pop();
    await chat.showAll();
    return note("This page was left before the answer began.", chat.account ? "If it was received, asking again does not charge it twice." : "", once || key());
  }
  const view = new AnswerView(last, {explains: "explains" in chat.dataset});
  [...chat.thread.querySelectorAll(".answer")].pop()?.replaceWith(view.node);
  (await writing()).show(view.prose, last.content);
  coloured([view.prose]);
  await chat.ended(view, once);
}
