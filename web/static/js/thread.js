// What stands in the thread: questions, answers with their cost, and notes on what went wrong. And what the page says of it:
// title, sums, and the sentence for screen readers.

import {bar, button, copier, counted, credits, element, icon} from "./dom.js";

/**
 * An answer, as the tab keeps it. `ended`: how it was cut, or "writing". `charged`: null until it is known.
 * @typedef {{role: "assistant", content: string, reasoning: string, name: string, id: string, held: number, charged: number | null,
 *   input: number, output: number, seconds: number, first: number, thought?: number, ended: string, free: boolean,
 *   goes?: string, place?: string, system?: string, old?: boolean}} Answer `thought`: seconds. `old`: a new one takes its place. `goes`: the saved chat that it is for. `place`: the one
 *   that has it, empty for none, with the system prompt `system`.
 */

const SLOW_SECONDS = 2;
const TITLE = 60;

/** @param {string} text */
export function question(text) {
  return element("p", {class: "user", dir: "auto", role: "article", "aria-label": "Your question"}, text);
}

/** @param {string} text */
export function words(text) {
  return text.split(/\s+/).filter(Boolean).length;
}

/** An answer that is asked for. @param {string} name of its model @param {boolean} free @returns {Answer} */
export function begun(name, free) {
  return {role: "assistant", content: "", reasoning: "", name, id: "", held: 0, charged: null, input: 0, output: 0, seconds: 0, first: 0, ended: "writing", free};
}

/** One answer on the page. */
export class AnswerView {
  #about = element("span", {class: "num"});
  #reasoning = element("div", {class: "thought", dir: "auto"});
  #summary = element("summary", {}, "Thinking");
  #thought = element("details", {class: "reasoning", hidden: true}, this.#summary, this.#reasoning);
  #cost = element("footer", {class: "cost num"});
  #began = performance.now();
  #timer = 0;
  #words = 0;
  #inWord = false;
  prose = element("div", {class: "prose"});
  /** @type {HTMLElement} */
  node;
  /** Why it did not begin. @type {import("./stream.js").Refused | undefined} */
  failure;

  /** @param {Answer} answer @param {{explains: boolean}} options */
  constructor(answer, options) {
    this.answer = answer;
    this.explains = options.explains;
    const glyph = element("span", {class: "glyph", "aria-hidden": "true"}, answer.name.slice(0, 1));
    this.node = element("article", {class: "answer", "aria-label": `Answer of ${answer.name}`},
      element("header", {}, glyph, element("b", {}, answer.name), this.#about), this.#thought, this.prose, this.#cost);
  }

  /** Shows that the first word is awaited. */
  waits() {
    this.node.setAttribute("aria-busy", "true");
    if (!this.answer.free) this.#cost.replaceChildren(bar([["wait", 1]], 1), element("span", {class: "held"}, "held while it runs"));
    this.#timer = setInterval(() => {
      const seconds = (performance.now() - this.#began) / 1000;
      if (!this.answer.first && seconds >= SLOW_SECONDS) this.#about.textContent = `waiting for the first word, ${Math.floor(seconds)} s`;
      if (this.answer.first && seconds - this.answer.first > 1) {
        this.#about.textContent = `writing, ${counted(Math.round(this.#words / (seconds - this.answer.first)), "word")} a second`;
      }
    }, 1000);
  }

  /** The first word is there. */
  begins() {
    if (this.answer.first) return;
    this.answer.first = (performance.now() - this.#began) / 1000;
    this.#about.textContent = "writing";
  }

  /** Takes a piece of the answer. @param {string} text */
  writes(text) {
    this.begins();
    this.answer.content += text;
    this.#words += words(text) - Number(this.#inWord && /^\S/.test(text));
    if (text) this.#inWord = /\S$/.test(text);
  }

  /** Takes a piece of its reasoning. @param {string} text */
  thinks(text) {
    const {answer} = this, last = this.#reasoning.lastChild;
    answer.reasoning += text;
    answer.thought = (performance.now() - this.#began) / 1000;
    if (last instanceof Text) last.appendData(text);
    else this.#reasoning.append(text);
    this.#thought.hidden = false;
    const title = `Thinking, ${Math.round(answer.thought)} s`;
    if (this.#summary.textContent !== title) this.#summary.textContent = title;
  }

  /** What is held while it is written. */
  held() {
    const {held, free} = this.answer;
    if (free || !held) return;
    this.#cost.replaceChildren(bar([["wait", held]], held), element("span", {class: "held"}, `${credits(held)} held while it runs`));
  }

  /** It is written no more. */
  ends() {
    clearInterval(this.#timer);
    this.answer.seconds ||= (performance.now() - this.#began) / 1000;
    this.node.removeAttribute("aria-busy");
  }

  /** Shows what it did cost. @param {Node[]} [acts] */
  costs(acts = []) {
    const {answer} = this;
    this.#about.textContent = answer.first ? `first word ${answer.first < 0.05 ? "at once" : `after ${answer.first.toFixed(1)} s`}` : "";
    if (answer.reasoning && !this.#reasoning.textContent) this.#reasoning.textContent = answer.reasoning;
    this.#thought.hidden = !answer.reasoning;
    this.#summary.textContent = answer.thought ? `Thought for ${Math.max(1, Math.round(answer.thought))} s` : "What it thought";
    const used = answer.input + answer.output;
    this.#cost.replaceChildren(
      ...money(answer),
      used ? element("span", {class: "wide-only"}, `${credits(answer.input)} in, ${credits(answer.output)} out`) : "",
      answer.seconds ? element("span", {class: "wide-only"}, `${answer.seconds.toFixed(1)} s`) : "",
      this.explains && answer.id && !answer.free ? element("a", {href: `/activity/charges/${encodeURIComponent(answer.id)}`}, "Explain") : "",
      element("span", {class: "grow"}),
      element("span", {class: "acts"}, copier(() => answer.content, "Copy answer", true), ...acts),
    );
  }
}

/** @param {Answer} answer */
function money({id, free, charged, held}) {
  if (free) return [element("span", {}, "Free")];
  if (charged === null && !id) return [];
  if (charged === null) return [bar([["wait", 1]], 1), element("span", {class: "held"}, "what it cost is not known yet")];
  const whole = Math.max(held, charged);
  const text = element("span", {}, element("b", {}, credits(charged)), held ? ` credits of ${credits(held)} held` : " credits");
  return [bar([["spent", charged], ["back", whole - charged]], whole), text];
}

/**
 * A note under a question or an answer.
 * @param {{kind: string, icon: string, title: string, text: string}} what
 * @param {(Node | false | null | undefined)[]} ways
 */
export function note(what, ways) {
  const shown = ways.filter(Boolean);
  return element("div", {class: `note ${what.kind}`, role: what.kind === "bad" ? "alert" : "status"},
    icon(what.icon),
    element("div", {class: "stack"},
      element("p", {}, element("strong", {}, what.title), " ", element("span", {}, what.text)),
      shown.length ? element("div", {class: "tags"}, ...shown) : null));
}

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

export {button};
