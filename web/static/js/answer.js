// Writes a growing answer: blocks that are finished become nodes once, and are never touched again.

import MarkdownIt from "../vendor/markdown-it.esm.min.mjs";
import {split} from "./blocks.js";
import {element} from "./dom.js";
import {OPTIONS, build, isLink} from "./markup.js";

/** @typedef {{tokens: import("./markup.js").Token[], line: number}} Block */

const markdown = new /** @type {any} */ (MarkdownIt)(OPTIONS);
markdown.validateLink = isLink;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;
const SHARE_OF_TIME = 4;

/** The text of a model, without what would turn the reading order around. @param {string} text */
function readable(text) {
  return text.replace(/\r\n?/g, "\n").replace(BIDI, (found) => `[U+${found.charCodeAt(0).toString(16).toUpperCase()}]`);
}

/** Shows an answer that is complete. @param {Element} root @param {string} text */
export function show(root, text) {
  root.replaceChildren();
  build(markdown.parse(readable(text), {}), root);
}

/** One answer that is being written. Paints once a frame at most, and takes a fourth of the time at most. */
export class Writer {
  #root;
  #painted;
  #rest = "";
  #all = "";
  /** What of the rest is painted. */
  #shown = "";
  #info = "";
  /** @type {Element[]} */
  #open = [];
  /** @type {{references?: object}} */
  #env = {};
  #waits = false;
  #ended = false;
  #caret = element("span", {class: "caret", "aria-hidden": "true"});

  /** @param {Element} root @param {() => void} painted is called after each painting. */
  constructor(root, painted) {
    this.#root = root;
    this.#painted = painted;
  }

  /** @param {string} text */
  push(text) {
    const plain = readable(text);
    this.#all += plain;
    this.#rest += plain;
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => this.#frame());
  }

  /** Paints what is left. An answer with reference definitions is rendered once more: they count for all of it. */
  end() {
    this.#ended = true;
    if (Object.keys(this.#env.references ?? {}).length) show(this.#root, this.#all);
    else this.#paint();
    this.#caret.remove();
  }

  #frame() {
    if (this.#ended) return;
    const began = performance.now();
    this.#paint();
    this.#painted();
    const took = performance.now() - began;
    setTimeout(() => {
      this.#waits = false;
      if (this.#rest !== this.#shown) this.push("");
    }, took * SHARE_OF_TIME);
  }

  #paint() {
    const {finished, open, rest} = split(this.#rest, (text) => markdown.parse(text, this.#env));
    if (!finished.length && this.#grew(open)) return;
    this.#caret.remove();
    for (const node of this.#open) node.remove();
    for (const block of finished) build(block.tokens, this.#root);
    const kept = this.#root.children.length;
    for (const block of open) build(block.tokens, this.#root);
    this.#open = [...this.#root.children].slice(kept);
    this.#rest = this.#shown = rest;
    this.#info = info(open);
    const last = this.#root.lastElementChild;
    (last && !last.matches(".code, .scroll, hr") ? deepest(last) : this.#root).append(this.#caret);
  }

  /** Appends to the fence that is open. Returns false for anything else. @param {Block[]} open */
  #grew(open) {
    const token = open[0]?.tokens[0];
    const text = this.#open[0]?.querySelector(":scope > pre > code")?.firstChild;
    const same = open.length === 1 && token.type === "fence" && info(open) === this.#info;
    if (!same || !(text instanceof Text) || !token.content.startsWith(text.data)) return false;
    text.appendData(token.content.slice(text.data.length));
    this.#shown = this.#rest;
    return true;
  }
}

/** The language of a fence that stands alone. @param {Block[]} open */
function info(open) {
  return open.length === 1 ? open[0].tokens[0].info : "";
}

/** The element in which the last words stand. @param {Element} from */
function deepest(from) {
  let at = from;
  while (at.lastElementChild?.matches("ul, ol, li, p, blockquote") && at.lastChild === at.lastElementChild) at = at.lastElementChild;
  return at;
}
