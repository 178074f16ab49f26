// What every page of the web app has: the menu of phones, shortcuts, copying, forms that are sent once.

const COPIED_MS = 1600, CHECKED_MS = 60_000;
const UNAUTHORIZED = 401, COMPOSED = 229;
const FIELDS = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable], dialog";

/** Copies the text of the element that `for` names. */
class Copy extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button"), label = this.querySelector("span");
    if (!button || !label) return;
    this.hidden = false;
    const before = label.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(this.getAttribute("for") ?? "");
      await navigator.clipboard.writeText(source?.textContent ?? "");
      label.textContent = "Copied";
      setTimeout(() => { label.textContent = before; }, COPIED_MS);
    });
  }
}

/** Opens what jumps to a page, a model, a key or a charge. */
class Jump extends HTMLElement {
  connectedCallback() {
    if (/Mac|iPhone|iPad/.test(navigator.platform)) this.querySelector("kbd")?.replaceChildren("⌘ K");
    this.hidden = false;
    this.querySelector("button")?.addEventListener("click", jump);
  }
}

/** What is typed until it is there goes into its field, and is no shortcut. */
async function jump() {
  let typed = "";
  const early = (/** @type {KeyboardEvent} */ event) => {
    if (event.key.length > 1) return;
    typed += event.key;
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("keydown", early, true);
  const opened = await import("./jump.js").finally(() => removeEventListener("keydown", early, true));
  opened.jump(typed);
}

/** Keys that compose a text, as of Chinese, are the input method's own, and have this code: no other script sees them. */
function composing() {
  addEventListener("keydown", (event) => { if (event.keyCode === COMPOSED) event.stopImmediatePropagation(); }, true);
}

/** Jumps by Ctrl K, lists the shortcuts by `?`, and follows those of the page. */
function shortcuts() {
  document.addEventListener("keydown", async (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && document.querySelector("yout-jump")) {
      event.preventDefault();
      await jump();
    } else if (letter(event) === "?") {
      (await import("./help.js")).help();
    } else {
      press(event);
    }
  });
}

/**
 * Returns the letter that was pressed as a shortcut, in lower case, or null: never while somebody writes, and not at all when
 * the account's page switched them off.
 * @param {KeyboardEvent} event
 */
export function letter(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return null;
  if (event.target instanceof Element && event.target.closest(FIELDS)) return null;
  return /(?:^|; )yout-letters=off/.test(document.cookie) ? null : event.key.toLowerCase();
}

/** Focuses the field, or follows the link or button, whose `aria-keyshortcuts` is the letter. @param {KeyboardEvent} event */
function press(event) {
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

/** On a phone the menu is a sheet that holds the focus; without a script, the link leads to it. */
function sheet() {
  const side = document.querySelector(".side"), button = document.querySelector(".menu-button");
  if (!side || !button) return;
  const dialog = document.createElement("dialog");
  dialog.className = "menu-sheet";
  dialog.setAttribute("aria-label", "Menu");
  const place = document.createComment("menu");
  button.addEventListener("click", (event) => {
    event.preventDefault();
    side.replaceWith(place);
    dialog.append(side);
    document.body.append(dialog);
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    place.replaceWith(side);
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => {
    const closes = event.target instanceof Element && event.target.closest(".menu-close");
    if (closes) event.preventDefault();
    if (closes || event.target === dialog) dialog.close();
  });
}

const isAccounts = () => document.querySelector('form[action="/sign-out"]');

/** Whether the session of this page has ended. Then the page says so. */
async function hasEnded() {
  const {call} = await import("./api.js");
  return call("/api/auth/me/").then(() => false, ({status}) => status === UNAUTHORIZED);
}

/** A form of a page that was open for a while is sent if the session goes on. Else what was written stays, and the page says so. */
function checkSession() {
  let checked = performance.now();
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || !(form instanceof HTMLFormElement) || form.method !== "post") return;
    if (!isAccounts() || performance.now() - checked < CHECKED_MS) return;
    event.preventDefault();
    if (await hasEnded()) return;
    checked = performance.now();
    form.requestSubmit(event.submitter);
  });
}

/** Says so when a script that comes on demand does not come. Asked for again, it is fetched again. */
function sayMissing() {
  addEventListener("unhandledrejection", (event) => {
    if (!/module/.test(event.reason?.message)) return;
    event.preventDefault();
    const shown = document.createElement("p");
    shown.className = "note bad";
    shown.role = "alert";
    shown.popover = "auto";
    shown.textContent = navigator.onLine ? "The server did not answer. Try again." : "You are offline. Try again when you are back.";
    shown.addEventListener("toggle", () => { if (!shown.matches(":popover-open")) shown.remove(); });
    document.body.append(shown);
    shown.showPopover();
  });
}

/** A form is sent once, however often its button is pressed. On the way back a page is new, unless something was written there and not sent. */
function sentOnce() {
  const sent = new Set();
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !(event.target instanceof HTMLFormElement)) return;
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
  });
  const written = () => [...document.querySelectorAll("input:not([type=hidden]), textarea")].some((one) => one.value !== one.defaultValue);
  addEventListener("pageshow", async ({persisted}) => { if (persisted && (sent.size || !written() || isAccounts() && await hasEnded())) location.reload(); });
}

composing();
customElements.define("yout-copy", Copy);
customElements.define("yout-jump", Jump);
sheet();
shortcuts();
sayMissing();
checkSession();
sentOnce();
if (document.querySelector("yout-time")) import("./time.js");
