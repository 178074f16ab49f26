// The shortcuts of this page. Its elements say theirs in `aria-keyshortcuts`.

import {element} from "./dom.js";

const EVERYWHERE = [["Ctrl K", "Jump to a page, a model, a key, a charge or a place in the docs"], ["?", "These shortcuts"], ["Esc", "Close what is open"]];

/** Opens the list. Focus returns to where it was when it closes. */
export function help() {
  if (document.querySelector("dialog[open]")) return;
  const own = [...document.querySelectorAll("[aria-keyshortcuts]")].map((one) => [one.getAttribute("aria-keyshortcuts") ?? "", named(one)]);
  const rows = [...own, ...EVERYWHERE].map(([keys, text]) => [element("dt", {}, ...keys.replace("Escape", "Esc").split(" ").map((key) => element("kbd", {}, key))), element("dd", {}, text)]);
  const close = element("button", {type: "button", class: "button", autofocus: true}, "Close");
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", {class: "help", "aria-labelledby": "help-title"},
    element("h2", {id: "help-title"}, "Shortcuts"), element("dl", {class: "defs"}, ...rows.flat()),
    element("p", {class: "hint"}, "Single letters work outside of fields. ", element("a", {href: "/account#letters"}, "Switch them off")),
    element("p", {class: "ends"}, close)));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {Element} one */
function named(one) {
  const label = one instanceof HTMLInputElement || one instanceof HTMLTextAreaElement ? one.labels?.[0]?.textContent : null;
  return one.getAttribute("aria-label") ?? label ?? [...one.childNodes].filter(({nodeName}) => nodeName !== "KBD").map((node) => node.textContent).join("").trim();
}
