// A work opened large, over the gallery: the page of its job, with its download, its receipt and the same call as code.
// Arrows go to the works beside it, Esc closes, and the focus goes back to the work that was shown last.

import {pageAt, recalled} from "./jobs.js";

/** @param {HTMLAnchorElement[]} links Each leads to the page of a work. @param {number} first */
export function view(links, first) {
  const dialog = document.createElement("dialog"), head = document.createElement("header"), place = document.createElement("div");
  const title = document.createElement("h2"), count = document.createElement("span");
  let at = first;
  dialog.className = "viewer";
  place.className = "viewed";
  title.id = "viewer-title";
  title.tabIndex = -1;
  count.className = "faint num";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.autofocus = true;
  const back = button("Work before", "caret", () => go(at - 1)), on = button("Next work", "caret", () => go(at + 1));
  back.classList.add("to-left");
  on.classList.add("to-right");
  back.hidden = on.hidden = links.length < 2;
  head.append(title, count, back, on, button("Close", "x", () => dialog.close()));
  dialog.append(head, place);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const way = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!way || event.target instanceof Element && event.target.closest("audio, video, pre")) return;
    event.preventDefault();
    go(at + way);
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    links[at].focus();
  });

  /** @param {number} to */
  async function go(to) {
    if (to < 0 || to >= links.length) return;
    at = to;
    dialog.setAttribute("aria-busy", "true");
    const page = await pageAt(`${links[at].href}`).catch(() => null), work = page?.querySelector(".job-page");
    if (at !== to || !dialog.isConnected) return;
    if (!page || !work) return location.assign(links[to].href);
    dialog.removeAttribute("aria-busy");
    const fresh = document.importNode(work, true);
    for (const one of fresh.querySelectorAll("yout-job, #live")) one.removeAttribute("id");
    title.textContent = page.querySelector(".head h1")?.textContent ?? "";
    count.textContent = links.length > 1 ? `${to + 1} of ${links.length}` : "";
    back.disabled = to === 0;
    on.disabled = to === links.length - 1;
    place.replaceChildren(fresh);
    recalled(fresh);
    const focused = document.activeElement; // what is gone, or cannot be pressed any more, would swallow the next key
    if (!dialog.contains(focused) || focused?.matches(":disabled")) title.focus();
  }

  document.body.append(dialog);
  dialog.showModal();
  go(first);
}

/** @param {string} label @param {string} icon @param {() => void} act */
function button(label, icon, act) {
  const node = document.createElement("button"), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${icon}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  node.type = "button";
  node.className = "button plain icon-only";
  node.setAttribute("aria-label", label);
  node.append(svg);
  node.addEventListener("click", act);
  return node;
}
