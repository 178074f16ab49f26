// Splits a growing Markdown text into blocks that are finished, and the rest. Knows no document.

/** @typedef {import("./markup.js").Token} Token */
/** @typedef {{tokens: Token[], line: number}} Block */

/**
 * Returns the tokens of each top-level block.
 * @param {Token[]} tokens
 */
export function blocks(tokens) {
  /** @type {Block[]} */
  const parts = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0) parts.push({tokens: [], line: token.map?.[0] ?? 0});
    parts[parts.length - 1].tokens.push(token);
    depth += token.nesting;
  }
  return parts;
}

/** Whether two blocks are shown alike. @param {Token[]} one @param {Token[]} other */
export function alike(one, other) {
  return one.length === other.length && one.every((token, at) => same(token, other[at]) && token.content === other[at].content);
}

/** Whether two tokens become the same element. @param {Token} one @param {Token} other */
export function same(one, other) {
  return one.type === other.type && one.tag === other.tag && one.hidden === other.hidden && one.info === other.info
    && String(one.attrs ?? "") === String(other.attrs ?? "");
}

/** Returns where a line begins. @param {string} text @param {number} line */
export function lineStart(text, line) {
  let at = 0;
  for (let count = 0; count < line; count++) at = text.indexOf("\n", at) + 1;
  return at;
}

/**
 * Splits off what no later text can change: all blocks before the last one, as soon as a whole line of that is known.
 * Before that, "2" may still become the next item of a list.
 * @param {string} text
 * @param {(text: string) => Token[]} parse
 */
export function split(text, parse) {
  const parts = blocks(parse(text));
  const last = parts[parts.length - 1];
  if (parts.length < 2) return {finished: [], open: parts, rest: text};
  const at = lineStart(text, last.line);
  if (text.indexOf("\n", at) < 0) return {finished: [], open: parts, rest: text};
  return {finished: parts.slice(0, -1), open: [last], rest: text.slice(at)};
}
