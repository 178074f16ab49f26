// What is noted when an answer did not come, ended early, or came while nobody looked.

import {button, counted} from "./dom.js";
import {key} from "./memory.js";
import {came, cut, paid, sentence, unreached, usedUp} from "./sentences.js";
import {say, words} from "./thread.js";
import {ways} from "./ways.js";

/** @typedef {import("./chat.js").Chat} Chat */
/** @typedef {import("./thread.js").Answer} Answer */

const GO_ON = "Continue from where you stopped.";

/** @param {Chat} chat @param {import("./thread.js").AnswerView} view @param {string} once the key that the question was sent with */
export function nothingCame(chat, {answer, failure}, once) {
  if (answer.ended === "stopped") {
    chat.note({...cut("stopped"), text: "Nothing had come yet."}, [button("Ask again", () => chat.answer())]);
    return say("status", "Stopped");
  }
  const what = failure ? sentence(failure, about(chat)) : unreached(navigator.onLine, chat.account ?? false);
  const text = what.back ? chat.takeBack() : "";
  const shown = chat.note(what, ways(chat, what, {failure, once: failure ? key() : once, text}));
  chat.edits = Boolean(text && chat.memory.messages.at(-1)?.old);
  if (what.wait) chat.endWait = countdown(shown, what.wait, what.goes ?? "The question goes out again", () => chat.answer(failure?.status === 409 ? once : key()));
  say("status", what.title);
}

/** An answer that is not whole says what was paid. @param {Chat} chat @param {Answer} answer */
export function noteCut(chat, answer) {
  const what = cut(answer.ended);
  const money = answer.charged === null ? null : {charged: answer.charged, held: answer.held};
  const text = answer.ended === "length" ? "" : paid(answer.ended, words(answer.content), money);
  const acts = {continue: () => button("Continue from here", () => chat.ask(GO_ON)), again: () => button("Ask again", () => chat.again())};
  chat.note({...what, text}, what.ways.map((way) => acts[/** @type {"continue" | "again"} */ (way)]?.()));
}

/** A tab that returns says what was charged meanwhile. @param {Chat} chat @param {Answer} answer */
export function noteDone(chat, answer) {
  if (!chat.running) chat.note(came(words(answer.content), answer));
}

/** A visitor has no message left. @param {Chat} chat @param {{limit: number, remaining: number, resets_at: string}} left */
export function noteUsedUp(chat, left) {
  const what = usedUp(left, about(chat));
  chat.note(what, ways(chat, what, {}));
}

/** @param {Chat} chat */
function about({picker, account, dataset: {limit, offer = ""}}) {
  return {model: picker?.model.name ?? "", account: account ?? false, offer, limit};
}

/** Counts down in a note, and then acts. Returns what ends it. @param {HTMLElement} shown @param {number} seconds @param {string} title @param {() => void} act */
function countdown(shown, seconds, title, act) {
  const text = shown.querySelector("p > span");
  const until = Date.now() + seconds * 1000;
  const before = text?.textContent ?? "";
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (text) text.textContent = `${before} ${left > 0 ? `${title} in ${counted(left, "second")}.` : `${title}.`}`.trim();
    if (left > 0) return;
    clearInterval(timer);
    act();
  };
  const timer = setInterval(tick, 250);
  tick();
  return () => clearInterval(timer);
}
