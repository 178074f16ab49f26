// The shortcuts of this page. Its elements say theirs in `aria-keyshortcuts`.

import {make} from "./dom.js";

const EVERYWHERE = [["Ctrl K", "Jump to a page, a model or a key"], ["?", "These shortcuts"], ["Esc", "Close what is open"]];

/** Opens the list. Focus returns to where it was when it closes. */
export function help() {
  if (document.querySelector("dialog[open]")) return;
  const own = [...document.querySelectorAll("[aria-keyshortcuts]")].map((element) => [element.getAttribute("aria-keyshortcuts") ?? "", named(element)]);
  const rows = [...own, ...EVERYWHERE].map(([keys, text]) => [make("dt", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))), make("dd", {}, text)]);
  const close = make("button", {type: "button", class: "button"}, "Close");
  const dialog = /** @type {HTMLDialogElement} */ (make("dialog", {class: "help", "aria-labelledby": "help-title"},
    make("h2", {id: "help-title"}, "Shortcuts"), make("dl", {class: "defs"}, ...rows.flat()),
    make("p", {class: "hint"}, "Single letters work outside of fields. ", make("a", {href: "/account#letters"}, "Switch them off")),
    make("p", {class: "ends"}, close)));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {Element} element */
function named(element) {
  const label = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : null;
  return element.getAttribute("aria-label") ?? label ?? element.textContent?.trim() ?? "";
}
