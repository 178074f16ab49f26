// Jobs that run, on the page: each is followed, and what has changed is taken from the job's own page, so that the server
// alone says how a job looks. Pages are read as documents: no text is parsed as HTML by a script.

import {call} from "./api.js";
import {released} from "./press.js";
import {fillNext, settingsOf, started, textOf} from "./remembered.js";

const MAX_STREAMS = 4;
const POLL_MS = 5000;
const SECOND_MS = 1000;
const ROOM = "(min-width: 821px)";
let streams = 0;

/** `data-job`: its id. `data-key`: what the card shows. `data-ended`: nothing more happens. */
class Job extends HTMLElement {
  /** @type {EventSource | null} */ source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */ clock;
  refreshing = false;
  stale = false;

  connectedCallback() {
    caption(this);
    if (this.hasAttribute("data-ended")) return;
    this.clock = setInterval(() => this.tick(), SECOND_MS);
    this.follow();
  }

  disconnectedCallback() {
    this.end();
  }

  follow() {
    if (streams >= MAX_STREAMS) {
      this.timer = setTimeout(() => this.poll(), POLL_MS);
      return;
    }
    streams += 1;
    const source = this.source = new EventSource(`/api/media/jobs/${this.dataset.job}/events/`);
    const read = (/** @type {MessageEvent} */ event) => this.show({status: "running", ...JSON.parse(event.data)});
    for (const name of ["status", "progress", "done"]) source.addEventListener(name, read);
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.close();
      this.timer = setTimeout(() => this.poll(), POLL_MS);
    });
  }

  /** Ask once. A page that nobody looks at asks for nothing. */
  async poll() {
    if (!document.hidden) {
      const job = await call(`/api/media/jobs/${this.dataset.job}/`).catch(() => null);
      if (job) this.show(job);
    }
    if (!this.hasAttribute("data-ended") && this.isConnected) this.follow();
  }

  /** @param {{status: string, phase: string | null, progress: number | null}} job */
  show(job) {
    const key = `${job.status}-${job.phase ?? ""}-${job.progress === null ? "" : "percent"}`;
    if (key !== this.dataset.key) {
      this.refresh();
    } else if (job.progress !== null) {
      const text = this.querySelector("[data-percent]"), bar = this.querySelector(".progress");
      if (text) text.textContent = `${job.progress}%`;
      bar?.setAttribute("aria-valuenow", String(job.progress));
      for (const part of this.querySelectorAll(".vessel rect, .progress .done")) part.setAttribute("width", `${job.progress}%`);
    }
  }

  async refresh() {
    this.stale = this.refreshing;
    if (this.refreshing) return;
    this.refreshing = true;
    const narrow = this.querySelector(".job.wide") ? "" : "?narrow";
    const page = await pageAt(`/studio/jobs/${this.dataset.job}${narrow}`).catch(() => null);
    await released();
    this.refreshing = false;
    const fresh = page?.getElementById(this.id);
    if (!page || !fresh) return;
    const focused = this.contains(document.activeElement);
    swap(this, fresh);
    this.dataset.key = fresh.dataset.key;
    if (focused) this.querySelector("header")?.querySelector("a, button")?.focus();
    caption(this);
    around(page);
    if (!fresh.hasAttribute("data-ended")) return this.stale ? this.refresh() : undefined;
    this.setAttribute("data-ended", "");
    this.end();
    const count = document.querySelector(`[data-running="${this.getAttribute("kind")}"]`), left = Number(count?.textContent) - 1;
    if (count) count.textContent = String(left);
    if (left <= 0) count?.classList.add("spent-count");
    const announced = document.getElementById("live");
    if (announced) announced.textContent = fresh.dataset.words ?? "";
  }

  tick() {
    const shown = this.querySelector("[data-since]");
    if (!(shown instanceof HTMLElement)) return;
    shown.textContent = lasting(Math.max(0, Math.floor((Date.now() - Date.parse(shown.dataset.since ?? "")) / SECOND_MS)));
  }

  close() {
    if (!this.source) return;
    this.source.close();
    this.source = null;
    streams -= 1;
  }

  end() {
    this.close();
    clearTimeout(this.timer);
    clearInterval(this.clock);
  }
}

/** Put the content of an element of another page into this one. @param {Element} here @param {Element} there */
function swap(here, there) {
  here.replaceChildren(...[...there.childNodes].map((node) => document.importNode(node, true)));
}

/** Renew what else has changed with a job: the credits (then `funds` happens), the number of running jobs, the rest of the job's page. @param {Document} page */
function around(page) {
  const live = [...document.querySelectorAll("[data-live]")].map((one) => `[data-live="${one.getAttribute("data-live")}"]`);
  for (const place of [".funds", '.nav a[href="/studio"]', ...live]) {
    const here = document.querySelector(place), there = page.querySelector(place);
    if (!here || !there) continue;
    const changed = here.textContent !== there.textContent;
    swap(here, there);
    if (changed && here.matches(".funds")) document.dispatchEvent(new Event("funds"));
  }
}

/** @param {string} address @returns {Promise<Document>} */
export function pageAt(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", address);
    request.addEventListener("load", () => request.status === 200 && request.responseXML ? resolve(request.responseXML) : reject(new Error()));
    request.addEventListener("error", reject);
    request.send();
  });
}

/** @param {number} seconds */
function lasting(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** Name a job by its prompt, while this tab remembers it. @param {HTMLElement} job */
function caption(job) {
  const settings = settingsOf(job.dataset.job ?? ""), text = settings && textOf(settings);
  if (!text) return;
  for (const place of job.querySelectorAll("[data-caption]")) {
    place.setAttribute("title", `${text.slice(0, 1000)}\n${place.textContent}`);
    place.textContent = text.slice(0, 300);
  }
  for (const picture of job.querySelectorAll("[data-alt]")) picture.setAttribute("alt", text.slice(0, 300));
}

/** Put what this tab remembers of jobs into a page: their prompts, and the calls that make the same again. @param {ParentNode} root */
export function recalled(root) {
  for (const work of root.querySelectorAll("[data-job]")) if (work instanceof HTMLElement) caption(work);
  for (const place of root.querySelectorAll("[data-code-of]")) {
    const body = settingsOf(place.getAttribute("data-code-of") ?? "")?.body;
    if (body) place.textContent = withBody(place.textContent ?? "", body);
  }
}

/** The call in curl, with another body. @param {string} curl @param {unknown} body */
export function withBody(curl, body) {
  const [head] = curl.split("  -d '");
  return `${head}  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
}

/** Arrows walk from work to work. Enter opens one large; where there is no room for it, on its own page, as any link. */
class Gallery extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", async (event) => {
      const link = event.target instanceof Element ? event.target.closest("a[href^='/studio/jobs/']") : null;
      const work = link?.closest("li");
      if (!work || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !matchMedia(ROOM).matches) return;
      event.preventDefault();
      const links = /** @type {HTMLAnchorElement[]} */ ([...this.querySelectorAll("a.picture")]);
      const {view} = await import("./viewer.js");
      view(links, [...this.querySelectorAll("li")].indexOf(work));
    });
    this.addEventListener("keydown", (event) => {
      const from = event.target instanceof HTMLAnchorElement ? event.target.closest("li") : null;
      const works = [...this.querySelectorAll("li")], place = from ? works.indexOf(from) : -1;
      const across = works.findIndex((work) => work.offsetTop > works[0].offsetTop);
      const row = across > 0 ? across : works.length;
      const way = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row}[event.key];
      const next = way && place >= 0 ? works[place + way] : undefined;
      if (!next) return;
      event.preventDefault();
      next.querySelector("a")?.focus();
    });
  }
}

started(/^#job-([0-9a-f-]{36})$/.exec(location.hash)?.[1] ?? null);
recalled(document);
if (document.querySelector("yout-wave")) import("./wave.js");
document.addEventListener("click", (event) => {
  const again = event.target instanceof Element ? event.target.closest("[data-again]") : null;
  const settings = again && settingsOf(again.getAttribute("data-again") ?? "");
  if (settings) fillNext(settings);
});
document.addEventListener("keydown", (event) => {
  const way = document.querySelector("a[data-escape]");
  const busy = document.fullscreenElement || document.querySelector("dialog[open]");
  if (event.key === "Escape" && way instanceof HTMLAnchorElement && !busy) way.click();
});
customElements.define("yout-job", Job);
customElements.define("yout-gallery", Gallery);
