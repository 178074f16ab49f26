// Opens the page of a link beside a list. Without a script, or where there is no room beside it, the link leads there.

const ROOM = "(min-width: 1081px)", OFF = /(?:^|; )yout-letters=off/;
const FIELDS = "input, select, textarea, [contenteditable], dialog";

/** Its links with `data-panel` lead to pages that have a `#receipt`. J and K walk through them, Esc closes. */
class Panel extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("keydown", (event) => this.pressed(event));
    this.dress();
  }

  get links() { return /** @type {HTMLAnchorElement[]} */ ([...this.querySelectorAll("a[data-panel]")]); }
  get shown() { return this.querySelector("#receipt"); }

  /** @param {MouseEvent} event */
  clicked(event) {
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("[data-close]")) return this.close();
    const row = getSelection()?.isCollapsed ? target?.closest("tr") : null;
    const link = target?.closest("a[data-panel]") ?? row?.querySelector("a[data-panel]");
    if (!(link instanceof HTMLAnchorElement) || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const room = matchMedia(ROOM).matches;
    if (!room && link.contains(target)) return;
    event.preventDefault();
    if (room) this.open(link); else location.assign(link.href);
  }

  /** @param {HTMLAnchorElement} link */
  async open(link) {
    this.wanted = link.href;
    this.setAttribute("aria-busy", "true");
    for (const each of this.links) each.closest("tr")?.toggleAttribute("aria-selected", false);
    link.closest("tr")?.setAttribute("aria-selected", "true");
    const page = await load(link.href);
    if (this.wanted !== link.href) return;
    this.removeAttribute("aria-busy");
    const panel = page?.querySelector("#receipt");
    if (!panel) return location.assign(link.href);
    const fresh = document.importNode(panel, true), before = this.shown;
    if (before) before.replaceWith(fresh);
    else this.append(fresh);
    this.classList.remove("alone");
    this.opener = this.walked = link;
    this.dress();
    fresh.focus({preventScroll: true});
  }

  close() {
    this.shown?.remove();
    this.classList.add("alone");
    for (const row of this.querySelectorAll("tr[aria-selected]")) row.removeAttribute("aria-selected");
    (this.opener ?? this.links[0])?.focus();
  }

  dress() {
    const button = this.shown?.querySelector("[data-close]");
    if (button instanceof HTMLElement) button.hidden = !matchMedia(ROOM).matches;
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(FIELDS)) return;
    if (event.key === "Escape" && this.shown && matchMedia(ROOM).matches) return this.close();
    const by = {j: 1, k: -1}[event.key.toLowerCase()];
    if (!by || OFF.test(document.cookie)) return;
    const links = this.links, at = links.findIndex((link) => link === document.activeElement || link === this.walked);
    this.walked = links[Math.max(0, Math.min(links.length - 1, at + by))];
    this.walked?.focus();
    event.preventDefault();
  }
}

/** Reads a page into a document of its own, in which nothing runs. Null: it could not be had. @param {string} address @returns {Promise<Document | null>} */
function load(address) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.setRequestHeader("accept", "text/html");
    request.onload = () => resolve(request.status < 300 ? request.responseXML : null);
    request.onerror = () => resolve(null);
    request.send();
  });
}

customElements.define("yout-panel", Panel);
