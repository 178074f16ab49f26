// The models whose ids are most like one that is not there.

import {button} from "./dom.js";

const NEAREST = 3;

/** Buttons that choose them. @param {import("./chat.js").Chat} chat */
export function near({memory: {model}, picker}) {
  const pairs = (/** @type {string} */ name) => new Set([...name].map((letter, at) => letter + (name[at + 1] ?? "")));
  const like = (/** @type {string} */ name) => [...pairs(name)].filter((pair) => pairs(model).has(pair)).length / (name.length + model.length);
  const others = (picker?.models ?? []).filter(({id}) => id !== model).sort((a, b) => like(b.id) - like(a.id));
  return others.slice(0, NEAREST).map(({id, name}) => button(name, () => picker?.take(id)));
}
