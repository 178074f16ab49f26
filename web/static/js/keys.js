// Shortcuts of a single letter: never while somebody writes, and not at all when the account's page switched them off.

const FIELDS = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable], dialog";

/** Returns the letter that was pressed as a shortcut, in lower case, or null. @param {KeyboardEvent} event */
export function letter(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.key.length !== 1) return null;
  if (event.target instanceof Element && event.target.closest(FIELDS)) return null;
  return /(?:^|; )yout-letters=off/.test(document.cookie) ? null : event.key.toLowerCase();
}

/** Focuses the field, or follows the link or button, whose `aria-keyshortcuts` is the letter. @param {KeyboardEvent} event */
export function press(event) {
  const pressed = letter(event);
  if (pressed === null || document.querySelector("dialog[open]")) return;
  for (const element of document.querySelectorAll("[aria-keyshortcuts]")) {
    if (!(element instanceof HTMLElement) || element.getAttribute("aria-keyshortcuts")?.toLowerCase() !== pressed) continue;
    event.preventDefault();
    if (element.matches("input, textarea, select")) element.focus();
    else element.click();
    return;
  }
}
