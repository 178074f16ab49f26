// The form of Studio: its price before the run, files that are sent as soon as they are chosen, the same call as code.
// Without it the form works too: the server reads it, and prices it when the page is loaded.

import {withBody} from "./jobs.js";
import {call, Fault, faultOf} from "./api.js";
import {fillNext, starting, takeFill} from "./remembered.js";

const QUOTE_MS = 400;
const numbers = new Intl.NumberFormat("en-US");
const cents = new Intl.NumberFormat("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 2});
const CREDITS_PER_CENT = 1000;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field */

/** `kind`: what is made. `example`: a text for the code of a form that has none. */
class Order extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ timer;
  /** @type {AbortController | undefined} */ asking;
  sending = 0;

  connectedCallback() {
    const form = this.querySelector("form");
    if (!form) return;
    this.form = form;
    this.choose();
    for (const place of form.querySelectorAll("[data-files]")) if (place instanceof HTMLElement) this.files(place);
    // A file that is dropped beside its place would be shown instead of this page.
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => { if (/** @type {DragEvent} */ (event).dataTransfer?.types.includes("Files")) event.preventDefault(); });
    form.addEventListener("input", (event) => this.changed(event.target));
    form.addEventListener("submit", () => starting({...this.settings(), body: this.body()}));
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !this.sending) form.requestSubmit();
    });
    document.addEventListener("funds", () => this.quote());
    const fill = takeFill(this.kind);
    if (fill) this.fill(fill.fields);
    this.counts();
    this.code();
    // On the way back the browser fills the form again, without an event.
    addEventListener("pageshow", () => {
      if (!this.text?.value) return;
      this.changed(this.text);
      this.quote();
    });
  }

  get kind() {
    return this.getAttribute("kind") ?? "";
  }

  /** @returns {Field[]} */
  get fields() {
    const all = /** @type {Field[]} */ ([...(this.form?.elements ?? [])]);
    return all.filter((field) => field.dataset.type && !(field instanceof HTMLInputElement && field.type === "radio" && !field.checked));
  }

  /** Another model is another form. What was written goes along. */
  choose() {
    const choice = document.querySelector("form.choose"), button = choice?.querySelector("button");
    if (!(choice instanceof HTMLFormElement) || !button) return;
    button.hidden = true;
    choice.addEventListener("change", () => {
      fillNext(this.settings());
      choice.requestSubmit();
    });
  }

  /** @returns {import("./remembered.js").Settings} */
  settings() {
    const fields = this.fields.map((field) => [field.name, field instanceof HTMLInputElement && field.type === "checkbox" ? field.checked : field.value]);
    const model = this.form?.elements.namedItem("model");
    return {kind: this.kind, model: model instanceof HTMLInputElement ? model.value : "", fields: Object.fromEntries(fields)};
  }

  /** @param {Record<string, string | boolean>} values */
  fill(values) {
    for (const field of /** @type {Field[]} */ ([...(this.form?.elements ?? [])])) {
      const value = values[field.name];
      if (value === undefined || !field.dataset.type) continue;
      if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = Boolean(value);
      else if (field instanceof HTMLInputElement && field.type === "radio") field.checked ||= field.value === value;
      else if (!(field instanceof HTMLSelectElement) || [...field.options].some((option) => option.value === value)) field.value = String(value);
    }
    this.quote();
  }

  /** @param {EventTarget | null} target */
  changed(target) {
    const field = target instanceof HTMLElement ? target : null;
    this.counts();
    this.code();
    if (!field?.dataset.type) return;
    field.removeAttribute("aria-invalid");
    const isText = field instanceof HTMLTextAreaElement;
    if (!isText || "priced" in field.dataset) this.quote();
  }

  /** How long each text is, of how much. */
  counts() {
    for (const shown of this.querySelectorAll("[data-count]")) {
      const field = document.getElementById(shown.getAttribute("data-count") ?? ""), most = Number(shown.getAttribute("data-most"));
      if (!(field instanceof HTMLTextAreaElement)) continue;
      const length = [...field.value].length;
      shown.textContent = `${length ? `${numbers.format(length)} of` : "up to"} ${numbers.format(most)} characters`;
      shown.classList.toggle("over", length > most);
    }
  }

  /** The body of the call, as the server reads it out of the form. @returns {Record<string, unknown>} */
  body() {
    const model = this.settings().model;
    /** @type {Record<string, unknown>} */ const body = {model};
    for (const field of this.fields) {
      const checked = field instanceof HTMLInputElement && field.checked, type = field.dataset.type;
      if (type === "boolean") body[field.name] = checked;
      else if (type === "strict") { if (checked) body[field.name] = "strict"; }
      else if (field.value !== "") body[field.name] = type === "string" || Number.isNaN(Number(field.value)) ? field.value : Number(field.value);
    }
    for (const place of this.querySelectorAll("[data-files]")) {
      const ids = [...place.querySelectorAll(".sent input")].filter((one) => one.getAttribute("name") === place.getAttribute("data-files")).map((one) => one.getAttribute("value"));
      if (ids.length) body[place.getAttribute("data-files") ?? ""] = place.getAttribute("data-most") === "1" ? ids[0] : ids;
    }
    return body;
  }

  get text() {
    const field = this.querySelector("textarea.main-text");
    return field instanceof HTMLTextAreaElement ? field : null;
  }

  quote() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.timer = setTimeout(() => this.ask(), QUOTE_MS);
  }

  async ask() {
    const shown = this.querySelector("yout-quote"), text = this.text;
    if (!(shown instanceof Quote) || !text) return;
    const empty = text.value === "";
    const wrong = this.fields.find((field) => field !== text && !field.validity.valid);
    const hint = wrong?.validity.patternMismatch && document.getElementById(`${wrong.id}-hint`)?.textContent;
    if (wrong) return shown.refuse(hint || wrong.validationMessage);
    this.asking = new AbortController();
    try {
      const body = {...this.body(), [text.name]: text.value || "-", webhook_url: undefined};
      shown.show(await call("/api/billing/quote/", {body, signal: this.asking.signal}), empty);
    } catch (fault) {
      if (fault instanceof Fault) shown.refuse(fault.message);
    }
  }

  /** The call that does the same. */
  code() {
    const code = document.getElementById("call");
    if (!code || !this.text) return;
    const body = {...this.body(), [this.text.name]: this.text.value || this.getAttribute("example")};
    code.textContent = withBody(code.textContent ?? "", body);
  }

  /** Send files as soon as they are chosen: then a fault elsewhere loses none. @param {HTMLElement} place */
  files(place) {
    const input = place.querySelector("input[type=file]"), list = place.querySelector(".sent"), drop = place.querySelector(".drop");
    if (!(input instanceof HTMLInputElement) || !list) return;
    for (const item of list.children) this.removable(item, input);
    const take = async (/** @type {File[]} */ chosen) => {
      const most = Number(place.dataset.most);
      for (const file of chosen) {
        if (most === 1) list.replaceChildren();
        if (list.children.length >= most) return this.fault(place, `At most ${most}.`);
        if (!(await this.send(file, place, list, input))) return;
      }
    };
    for (const name of ["dragover", "dragleave", "drop"]) drop?.addEventListener(name, () => drop.classList.toggle("is-over", name === "dragover"));
    drop?.addEventListener("drop", (event) => take([.../** @type {DragEvent} */ (event).dataTransfer?.files ?? []]));
    input.addEventListener("change", () => {
      const chosen = [...(input.files ?? [])];
      input.value = "";
      take(chosen);
    });
  }

  /** @param {File} file @param {HTMLElement} place @param {Element} list @param {HTMLInputElement} input */
  async send(file, place, list, input) {
    this.busy(1);
    this.fault(place, "");
    try {
      const answer = await fetch("/api/media/uploads/", {method: "POST", headers: {"content-type": "application/octet-stream"}, body: file});
      if (!answer.ok) return this.fault(place, (await faultOf(answer)).message);
      const upload = await answer.json();
      const item = document.createElement("li"), name = document.createElement("span");
      name.dir = "auto";
      name.textContent = file.name;
      item.append(hidden(input.name, upload.id), hidden(`${input.name}-name`, file.name), name);
      list.append(item);
      this.removable(item, input);
      input.required = false;
      this.changed(input);
      this.quote();
      return true;
    } catch {
      return this.fault(place, "The server does not answer. The file was not sent.");
    } finally {
      this.busy(-1);
    }
  }

  /** @param {Element} item @param {HTMLInputElement} input */
  removable(item, input) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button plain small";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove ${item.querySelector("span")?.textContent ?? ""}`);
    button.addEventListener("click", () => {
      const id = item.querySelector("input")?.value;
      item.remove();
      if (id) fetch(`/api/media/uploads/${encodeURIComponent(id)}/`, {method: "DELETE"}).catch(() => {});
      input.focus();
      this.code();
      this.quote();
    });
    item.append(button);
  }

  /** @param {HTMLElement} place @param {string} text @returns {false} */
  fault(place, text) {
    let line = place.querySelector(".fault");
    if (!line) {
      line = document.createElement("span");
      line.className = "fault";
      line.setAttribute("role", "alert");
      place.append(line);
    }
    line.textContent = text;
    if (!text) line.remove();
    return false;
  }

  /** Nothing starts while a file is being sent. @param {number} more */
  busy(more) {
    this.sending += more;
    const button = this.form?.querySelector("button.large");
    if (button instanceof HTMLButtonElement) button.disabled = this.sending > 0;
  }
}

/** `noun`: what is made. `text`: the price depends on the text. `per-characters`: on nothing else, and 1,000 cost this. */
class Quote extends HTMLElement {
  connectedCallback() {
    this.price = this.querySelector("[data-price]");
    this.after = this.querySelector("[data-after]");
  }

  /** @param {{credits: {held: number}, balance: number, affordable: boolean}} quote @param {boolean} empty there is no text yet */
  show({credits: {held}, balance, affordable}, empty) {
    const open = empty && this.hasAttribute("text"), rate = open && this.getAttribute("per-characters"), small = document.createElement("small");
    small.className = "faint";
    small.textContent = rate ? "per 1,000 characters" : `$${cents.format(Math.ceil(held / CREDITS_PER_CENT) / 100)}`;
    this.price?.replaceChildren(rate || (open ? "from " : "") + numbers.format(held), held === 1 && !rate ? " credit " : " credits ", small);
    const has = `You have ${numbers.format(balance)}`, then = open ? "" : `, and ${numbers.format(balance - held)} after it`;
    for (const other of document.querySelectorAll("[data-have]")) other.textContent = numbers.format(balance);
    if (this.after) this.after.textContent = affordable ? `Held when you start, charged only when the ${this.getAttribute("noun")} is there. ${has}${then}.` : `${has}: that is not enough.`;
  }

  /** @param {string} why */
  refuse(why) {
    this.price?.replaceChildren("No price yet");
    if (this.after) this.after.textContent = why;
  }
}

/** @param {string} name @param {string} value */
function hidden(name, value) {
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = name;
  input.value = value;
  input.setAttribute("value", value);
  return input;
}

customElements.define("yout-quote", Quote);
customElements.define("yout-order", Order);
