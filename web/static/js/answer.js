// Writes a growing answer: blocks that are finished become nodes once, and are never touched again.

import {alike, split} from "./blocks.js";
import {element} from "./dom.js";
import {parse, readable} from "./markdown.js";
import {build, grow} from "./markup.js";

/** @typedef {import("./blocks.js").Block} Block */

const SHARE_OF_TIME = 4;

/** Shows an answer that is complete. @param {Element} root @param {string} text */
export function show(root, text) {
  root.replaceChildren();
  build(parse(readable(text), {}), root);
}

/** One answer that is being written. Paints once a frame at most, and takes a fourth of the time at most. */
export class Writer {
  #root;
  #painted;
  #finished;
  #rest = "";
  #all = "";
  /** What of the rest is painted. */
  #shown = "";
  /** The blocks of the rest, and their elements. @type {Block[]} */
  #blocks = [];
  /** @type {Element[]} */
  #open = [];
  /** @type {{references?: object}} */
  #env = {};
  #waits = false;
  #ended = false;
  #caret = element("span", {class: "caret", "aria-hidden": "true"});

  /**
   * @param {Element} root
   * @param {() => void} painted is called after each painting
   * @param {(elements: Element[]) => void} [finished] gets blocks that will not change any more
   */
  constructor(root, painted, finished) {
    this.#root = root;
    this.#painted = painted;
    this.#finished = finished ?? (() => {});
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
    this.#finished([...this.#root.children]);
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
    const {finished, open, rest} = split(this.#rest, (text) => parse(text, this.#env));
    this.#caret.remove();
    const shown = this.#update([...finished, ...open]);
    this.#blocks = open;
    this.#open = shown.slice(finished.length);
    this.#rest = this.#shown = rest;
    if (finished.length) this.#finished(shown.slice(0, finished.length));
    const last = this.#root.lastElementChild;
    (last && !last.matches(".code, .scroll, hr") ? deepest(last) : this.#root).append(this.#caret);
  }

  /** Brings the elements of the rest up to date, and returns them: what is alike stays, and what has grown grows. @param {Block[]} blocks */
  #update(blocks) {
    let at = 0;
    while (at < Math.min(blocks.length, this.#blocks.length)) {
      const before = this.#blocks[at].tokens, after = blocks[at].tokens;
      if (!alike(before, after) && !grow(this.#open[at], before, after)) break;
      at++;
    }
    for (const node of this.#open.slice(at)) node.remove();
    const count = this.#root.children.length;
    for (const block of blocks.slice(at)) build(block.tokens, this.#root);
    return [...this.#open.slice(0, at), ...[...this.#root.children].slice(count)];
  }
}

/** The element in which the last words stand. @param {Element} from */
function deepest(from) {
  let at = from;
  while (at.lastElementChild?.matches("ul, ol, li, p, blockquote") && at.lastChild === at.lastElementChild) at = at.lastElementChild;
  return at;
}
