// Filters the rows of a table while its reader types, walks them with the arrows, and copies ids. Without a script, the
// form filters, and links lead on. Words are in the address when they are written: links and the way back keep them.

import {letter} from "./frame.js";

const COPIED_MS = 1600;

/** `for`: the field, `count`: where "9 of 80" stands, `rows`: of how many. */
class Filter extends HTMLElement {
  connectedCallback() {
    const field = document.getElementById(this.getAttribute("for") ?? "");
    const count = document.getElementById(this.getAttribute("count") ?? "");
    if (!(field instanceof HTMLInputElement)) return;
    const rows = this.rows.map((row) => ({row, text: (row.dataset.text ?? "").toLowerCase()}));
    for (const {row} of rows) copyable(row);
    document.addEventListener("keydown", (event) => this.pressed(event, field));
    field.addEventListener("change", () => keep(field));
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const {row, text} of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += Number(!row.hidden);
      }
      this.querySelector(".empty")?.toggleAttribute("hidden", shown > 0);
      if (count) count.textContent = `${shown} of ${this.getAttribute("rows")}`;
    });
  }

  get rows() { return /** @type {HTMLTableRowElement[]} */ ([...this.querySelectorAll("tr[data-text]")]); }

  /** Arrows go from row to row, T follows what tries its model. @param {KeyboardEvent} event @param {HTMLInputElement} field */
  pressed(event, field) {
    const row = event.target instanceof Element ? event.target.closest("tr[data-text]") : null;
    if (row && letter(event) === "t") {
      event.preventDefault();
      const link = row.querySelector("a[data-try]");
      if (link instanceof HTMLElement) link.click();
    }
    const way = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!way || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !row && event.target !== field && event.target !== document.body) return;
    const rows = this.rows.filter((one) => !one.hidden), at = rows.findIndex((one) => one === row);
    const next = at + way < 0 ? field : rows[row ? at + way : 0]?.querySelector("a.name");
    if (!(next instanceof HTMLElement) || !row && way < 0) return;
    event.preventDefault();
    next.focus();
  }
}

/** Puts the words into the address of this page, and into the links to it with other filters. @param {HTMLInputElement} field */
function keep({name, value}) {
  for (const way of [location, ...document.links]) {
    if (way !== location && (way.pathname !== location.pathname || !way.search)) continue;
    const query = new URLSearchParams(way.search);
    query.delete(name);
    if (value) query.set(name, value);
    if (way === location) history.replaceState(null, "", `?${query}`);
    else way.search = `${query}`;
  }
}

/** Adds a button that copies the id. @param {HTMLTableRowElement} row */
function copyable(row) {
  const id = row.querySelector(".id"), name = id?.textContent ?? "", button = document.createElement("button");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  const show = (/** @type {string} */ icon, /** @type {string} */ label) => {
    use.setAttribute("href", `#i-${icon}`);
    button.setAttribute("aria-label", label);
  };
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  button.type = "button";
  button.className = "theme";
  button.append(svg);
  show("copy", `Copy ${name}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(name);
    show("check", "Copied");
    setTimeout(() => show("copy", `Copy ${name}`), COPIED_MS);
  });
  id?.append(button);
}

customElements.define("yout-filter", Filter);
