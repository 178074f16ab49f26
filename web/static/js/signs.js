// What a page says of its chat: title, sums, and the sentence for screen readers.

import {button, credits} from "./dom.js";

const TITLE = 60;

/** @param {string} id @param {string} text */
export function say(id, text) {
  const shown = document.getElementById(id);
  if (shown) shown.textContent = text;
}

/** @param {{answers: number, charged: number}} memory @param {number} held */
export function count(memory, held) {
  say("answers", credits(memory.answers));
  say("charged", credits(memory.charged));
  say("held", credits(held));
  document.getElementById("held")?.classList.toggle("held", held > 0);
}

/** Shows the title, unless the chat has one of its own. @param {string} first the first question @param {boolean} named */
export function head(first, named) {
  const nothing = document.getElementById("nothing");
  const share = document.getElementById("share");
  if (nothing) nothing.hidden = Boolean(first);
  if (share) share.hidden = !first;
  document.getElementById("msg")?.setAttribute("placeholder", first ? "Reply" : "Ask anything");
  if (!named) say("chat-title", !first ? "Playground" : first.length > TITLE ? `${first.slice(0, TITLE).trimEnd()}…` : first);
}

/** A button under an answer. @param {string} label @param {string} icon @param {() => void} act */
export function act(label, icon, act) {
  return button(label, act, {icon, classes: "button plain icon-only small", iconOnly: true});
}

/** Shows the model that is chosen. @param {Element} chat @param {string} name */
export function named(chat, name) {
  const shown = chat.querySelector(".pick-name"), glyph = chat.querySelector(".model-pick .glyph");
  if (shown) shown.textContent = name;
  if (glyph) glyph.textContent = name.slice(0, 1);
}
