// Markdown to tokens, by the rules of `web/markdown.py`, and with its bounds. Knows no document.

import MarkdownIt from "../vendor/markdown-it.esm.min.mjs";
import {isLink} from "./links.js";

/** @typedef {import("./markup.js").Token} Token */
/** @typedef {{references?: object}} Environment */

const MAX_NESTING = 20;
/** What a table's empty cells and repeated references count too; and what may begin a link, which is looked for again and again. */
const MAX_TOKENS = 40_000, MAX_BRACKETS = 4_000;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;

class TooMuch extends Error {}

/** Tokens of one text, of which there is a bounded number. @extends {Array<Token>} */
class Tokens extends Array {
  /** @type {{left: number}} */
  bound = {left: MAX_TOKENS};

  /** @param {...Token} tokens */
  push(...tokens) {
    this.bound.left -= tokens.length;
    if (this.bound.left < 0) throw new TooMuch();
    return super.push(...tokens);
  }
}

const markdown = new /** @type {any} */ (MarkdownIt)("commonmark", {html: false, maxNesting: MAX_NESTING}).enable(["table", "strikethrough"]);
markdown.validateLink = isLink;
markdown.core.ruler.at("block", (/** @type {any} */ state) => {
  state.tokens = new Tokens();
  markdown.block.parse(state.src, markdown, state.env, state.tokens);
});
markdown.core.ruler.at("inline", (/** @type {any} */ state) => {
  let brackets = MAX_BRACKETS;
  for (const token of state.tokens) {
    if (token.type !== "inline") continue;
    brackets -= token.content.split("[").length - 1;
    if (brackets < 0) throw new TooMuch();
    const children = new Tokens();
    children.bound = state.tokens.bound;
    markdown.inline.parse(token.content, markdown, state.env, children);
    token.children = shallow(children);
  }
});

/** The text of a model, without what would turn the reading order around. @param {string} text */
export function readable(text) {
  return text.replace(/\r\n?/g, "\n").replace(BIDI, (character) => `[U+${character.charCodeAt(0).toString(16).toUpperCase()}]`);
}

/** Returns the tokens of a text. One that would take too much work is plain. @param {string} text @param {Environment} env @returns {Token[]} */
export function parse(text, env) {
  try {
    return markdown.parse(text, env);
  } catch (problem) {
    if (problem instanceof TooMuch) return plain(text);
    throw problem;
  }
}

/** A paragraph of nothing but text. @param {string} text @returns {Token[]} */
function plain(text) {
  const token = (/** @type {string} */ type, /** @type {number} */ nesting, more = {}) => ({
    type, tag: nesting ? "p" : "", nesting, content: "", info: "", hidden: false, level: 0, map: null, attrs: null, children: null, attrGet: () => null, ...more,
  });
  const words = /** @type {Token} */ (token("text", 0, {content: text}));
  return /** @type {Token[]} */ ([token("paragraph_open", 1, {map: [0, 1]}), token("inline", 0, {content: text, children: [words]}), token("paragraph_close", -1)]);
}

/** Leaves out marks that are nested too deeply. @param {Token[]} tokens */
function shallow(tokens) {
  /** @type {boolean[]} */
  const open = [];
  return [...tokens].filter(({nesting}) => {
    if (nesting === 1) open.push(open.length < MAX_NESTING);
    return nesting === -1 ? open.pop() : nesting === 0 || open[open.length - 1];
  });
}
