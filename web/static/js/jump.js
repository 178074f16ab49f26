// Jump to: pages, models, keys, the last charges and places in the docs by a few letters. It lists and leads there, and never acts.

import {call} from "./api.js";
import {counted, element} from "./dom.js";

const MOST = 50, LAST = 10;

/** @typedef {{kind: string, name: string, note: string, href: string}} Goal */

/** Opens it. Focus returns to where it was when it closes. @param {string} [typed] what its field begins with */
export function jump(typed = "") {
  if (document.querySelector("dialog.jump-to")) return;
  const field = /** @type {HTMLInputElement} */ (element("input", {class: "input", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "jump-list", "aria-autocomplete": "list", "aria-label": "Jump to a page, a model, a key, a charge or a place in the docs", placeholder: "Jump to…", autocomplete: "off", spellcheck: "false"}));
  const list = element("div", {id: "jump-list", role: "listbox", "aria-label": "Where to"});
  const status = element("p", {class: "hint", role: "status"});
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", {class: "jump-to", "aria-label": "Jump to"}, field, list, status));
  /** @type {Goal[]} */
  let goals = pages(), at = 0;

  const options = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=option]")]);
  const choose = (/** @type {number} */ index) => {
    const all = options();
    at = all.length ? (index + all.length) % all.length : 0;
    all.forEach((option, number) => option.setAttribute("aria-selected", String(number === at)));
    field.setAttribute("aria-activedescendant", all[at]?.id ?? "");
    all[at]?.scrollIntoView({block: "nearest"});
  };
  /** Rows that are there stay as they are: one may be pressed just now. @param {Goal[]} more */
  const add = (more) => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean), there = options().length;
    const fits = more.filter(({kind, name, note}) => words.every((word) => `${kind} ${name} ${note}`.toLowerCase().includes(word)));
    list.append(...fits.slice(0, MOST - there).map((goal, index) => row(goal, there + index)));
    status.textContent = options().length ? "" : "Nothing here has these words.";
    if (!there) choose(0);
  };
  const show = () => {
    list.replaceChildren();
    add(goals);
  };

  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) choose(at + step);
    else if (event.key === "Enter") options()[at]?.click();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    const option = event.target instanceof Element ? event.target.closest("[data-href]") : null;
    if (option) location.assign(option.getAttribute("data-href") ?? "");
    if (option || event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  field.value = typed;
  show();
  more((added) => {
    goals = [...goals, ...added];
    add(added);
  });
}

/** @param {Goal} goal @param {number} index */
function row({kind, name, note, href}, index) {
  return element("div", {id: `jump-${index}`, role: "option", "aria-selected": "false", "data-href": href}, element("b", {dir: "auto"}, name), " ", element("span", {class: "faint"}, note || kind));
}

/** Returns the pages that the menu leads to. @returns {Goal[]} */
function pages() {
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(".nav a, .side-foot > a, .who a"));
  return [...links].map((link) => {
    const href = link.getAttribute("href") ?? "/";
    const names = /** @type {Record<string, string>} */ ({"/account": "Account", "/plan": "Plan and credits"});
    return {kind: "Page", name: names[href] ?? link.innerText.replace(/\s*\d+\+?\s*$/, "").trim(), note: "", href};
  }).filter(({href}, index, all) => all.findIndex((other) => other.href === href) === index);
}

/** Adds what the server lists, in this order. What cannot be had is left out. @param {(goals: Goal[]) => void} add */
async function more(add) {
  const lists = [
    call("/api/chat/models/").then(({data}) => data.map((/** @type {any} */ model) => ({kind: "Model", name: model.name, note: model.id, href: `/models/${encodeURIComponent(model.id)}`}))),
  ];
  if (document.querySelector('form[action="/sign-out"]')) {
    lists.push(call("/api/chat/keys/").then(({data}) => data.map((/** @type {any} */ key) => ({kind: "Key", name: key.name, note: `Key ${key.masked}`, href: `/keys/${key.id}`}))));
    lists.push(call(`/api/billing/charges/?limit=${LAST}`).then(({data}) => data.map((/** @type {any} */ charge) => ({
      kind: "Charge", name: counted(charge.credits.charged, "credit"), note: `Charge, ${charge.model_name ?? charge.model}, ${charge.created_at.slice(0, 16).replace("T", " ")} UTC`, href: `/activity/charges/${encodeURIComponent(charge.id)}`,
    }))));
  }
  lists.push(call("/docs/places.json").then(({data}) => data));
  for (const list of lists.map((one) => one.catch(() => []))) add(await list);
}
