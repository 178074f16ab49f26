// Colours code, when its block is finished and the browser is idle. Takes the highlighter's tree, never its HTML.

import {element} from "./dom.js";

const NAMES = {
  bash: "sh shell zsh console", c: "h", cpp: "c++ cc hpp", csharp: "c# cs", diff: "patch", go: "golang", java: "", javascript: "js jsx mjs node",
  json: "jsonc", python: "py python3", rust: "rs", sql: "postgresql postgres mysql sqlite", typescript: "ts tsx", xml: "html svg", yaml: "yml",
};
/** The languages that are coloured, by the names that fences give them. */
const LANGUAGES = new Map(Object.entries(NAMES).flatMap(([name, others]) => [name, ...others.split(" ")].filter(Boolean).map((one) => [one, name])));
const MAX_CODE = 20_000;
const PLAIN = ".code:not([data-coloured])";
/** @type {[RegExp, string][]} */
const CLASSES = [
  [/^(comment|doctag|quote)/, "c-c"],
  [/^(keyword|operator|selector-tag|section)/, "c-k"],
  [/^(string|regexp|addition|link)/, "c-s"],
  [/^(number|literal|deletion)/, "c-n"],
  [/^(title|built_in|type|name|tag|attr|meta|symbol)/, "c-f"],
];

/** @typedef {{scope?: string, children: (Piece | string)[]}} Piece */

/** Colours the blocks of code in these elements, one after another, while the browser is idle. @param {Element[]} elements */
export async function colour(elements) {
  for (const block of elements.flatMap((one) => [...(one.matches(PLAIN) ? [one] : one.querySelectorAll(PLAIN))])) {
    if (block.hasAttribute("data-coloured")) continue;
    const language = LANGUAGES.get(block.querySelector("header .grow")?.textContent?.toLowerCase() ?? "");
    const inner = block.querySelector("pre > code");
    block.setAttribute("data-coloured", "");
    if (!language || !inner || (inner.textContent ?? "").length > MAX_CODE) continue;
    const highlighter = await loaded(language);
    await new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
    const result = highlighter.highlight(inner.textContent ?? "", {language, ignoreIllegals: true});
    inner.replaceChildren(...nodes(result._emitter.rootNode, ""));
  }
}

/** @param {string} language */
async function loaded(language) {
  const {default: highlighter} = await import("../vendor/highlight-core.min.js");
  if (!highlighter.getLanguage(language)) {
    highlighter.registerLanguage(language, (await import(`../vendor/highlight-${language}.min.js`)).default);
  }
  return highlighter;
}

/** @param {Piece} piece @param {string} outer the class around it @returns {(Node | string)[]} */
function nodes(piece, outer) {
  return piece.children.flatMap((child) => {
    if (typeof child === "string") return [child];
    const own = CLASSES.find(([names]) => names.test(child.scope ?? ""))?.[1] ?? "";
    const inside = nodes(child, own || outer);
    return own && own !== outer ? [element("span", {class: own}, ...inside)] : inside;
  });
}
