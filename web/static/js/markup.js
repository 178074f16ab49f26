// Tokens of Markdown become nodes. Raw HTML is text, links lead to http, https and mail alone, images become links.

import {alike, blocks, same} from "./blocks.js";
import {copier, element} from "./dom.js";
import {isLink} from "./links.js";

/** @typedef {{type: string, tag: string, nesting: number, content: string, info: string, hidden: boolean, level: number, map: [number, number] | null, attrs: [string, string][] | null, attrGet(name: string): string | null, children: Token[] | null}} Token */

/** @type {Record<string, "h3" | "h4" | "h5" | "h6">} */
const HEADINGS = {h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6", h6: "h6"};
/** @typedef {"p" | "blockquote" | "ul" | "li" | "thead" | "tbody" | "tr" | "em" | "strong" | "s"} Plain */
const PLAIN = new Set(["p", "blockquote", "ul", "li", "thead", "tbody", "tr", "em", "strong", "s"]);
/** @type {Record<string, string>} */
const ALIGNED = {"text-align:right": "end", "text-align:center": "center"};
const LANGUAGE = /^[A-Za-z0-9][A-Za-z0-9+#._-]{0,29}/;
const REL = "nofollow noopener noreferrer";

/**
 * Appends what tokens mean to a parent.
 * @param {Token[]} tokens
 * @param {Element} parent
 */
export function build(tokens, parent) {
  /** @type {Element[]} */
  const open = [parent];
  for (const token of tokens) {
    const here = open[open.length - 1];
    if (token.nesting === -1) open.pop();
    else if (token.nesting === 1) open.push(opened(token, here));
    else if (token.type === "inline") build(token.children ?? [], here);
    else here.append(...single(token));
  }
}

/**
 * Lets the element of a block grow into what the block is now: what is alike within it is not touched. Returns false if it cannot.
 * @param {Element | undefined} shown
 * @param {Token[]} before
 * @param {Token[]} after
 */
export function grow(shown, before, after) {
  const [old] = before, [now] = after;
  if (!shown || !same(old, now)) return false;
  if (now.type === "fence") return append(shown.querySelector(":scope > pre > code")?.firstChild, old.content, now.content);
  if (now.nesting !== 1) return false;
  const had = blocks(before.slice(1, -1)), has = blocks(after.slice(1, -1));
  if ([...had, ...has].some(({tokens: [first]}) => first.hidden || first.type === "inline")) return false;
  const box = shown.matches(".scroll") ? shown.children[0] : shown;
  let at = 0;
  while (at < Math.min(had.length, has.length)) {
    if (!alike(had[at].tokens, has[at].tokens) && !grow(box.children[at], had[at].tokens, has[at].tokens)) break;
    at++;
  }
  for (const child of [...box.children].slice(at)) child.remove();
  for (const {tokens} of has.slice(at)) build(tokens, box);
  return true;
}

/** @param {Node | null | undefined} text @param {string} before @param {string} after */
function append(text, before, after) {
  if (!(text instanceof Text) || !after.startsWith(before)) return false;
  text.appendData(after.slice(before.length));
  return true;
}

/** The element into which the content of a token goes. @param {Token} token @param {Element} here */
function opened(token, here) {
  if (token.hidden) return here;
  if (token.type === "table_open") {
    const table = element("table");
    here.append(element("div", {class: "scroll", tabindex: "0"}, table));
    return table;
  }
  const node = shell(token);
  here.append(node);
  return node;
}

/** @param {Token} token */
function shell(token) {
  const {tag} = token;
  if (tag in HEADINGS) return element(HEADINGS[tag], {dir: "auto"});
  if (tag === "a") return anchor(token.attrGet("href") ?? "");
  if (tag === "ol") return element("ol", {start: token.attrGet("start")});
  if (tag === "th" || tag === "td") return element(tag, {class: ALIGNED[token.attrGet("style") ?? ""], dir: "auto"});
  return element(PLAIN.has(tag) ? /** @type {Plain} */ (tag) : "span", {dir: tag === "p" || tag === "li" ? "auto" : null});
}

/** @param {string} address @param {...string} text */
function anchor(address, ...text) {
  return isLink(address) ? element("a", {href: address, rel: REL, target: "_blank"}, ...text) : element("span", {}, ...text);
}

/** @param {Token} token @returns {(Node | string)[]} */
function single(token) {
  switch (token.type) {
    case "text": case "html_inline": case "html_block": return [token.content];
    case "softbreak":
    case "hardbreak": return [element("br")];
    case "hr": return [element("hr")];
    case "code_inline": return [element("code", {}, token.content)];
    case "image": return [anchor(token.attrGet("src") ?? "", `Image: ${token.content || "without a description"}`)];
    case "fence": return [code(token.content, LANGUAGE.exec(token.info.trim())?.[0] ?? "")];
    case "code_block": return [code(token.content, "")];
    default: return [token.content];
  }
}

/** A block of code with its language and a button to copy it. @param {string} text @param {string} language */
export function code(text, language) {
  const inner = element("code", {}, document.createTextNode(text));
  const label = language ? `Code, ${language}` : "Code";
  return element(
    "div",
    {class: "code", dir: "ltr"},
    element("header", {}, element("span", {class: "grow"}, language || "code"), copier(() => inner.textContent ?? "", "Copy")),
    element("pre", {tabindex: "0", role: "region", "aria-label": label}, inner),
  );
}
