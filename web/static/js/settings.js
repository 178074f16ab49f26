// The settings of a chat: only what its model takes. Below 1,120 pixels they are a sheet.

/** @typedef {{system?: string, temperature?: number, max_tokens?: number, max_credits?: number}} Chosen */
/** @typedef {import("./picker.js").Model} Model */

export class Settings {
  /** @type {Model | null} */
  #model = null;
  #changed;
  #panel;
  #warm = false;

  /** @param {HTMLElement} panel @param {Chosen} chosen @param {() => void} changed */
  constructor(panel, chosen, changed) {
    this.#panel = panel;
    this.#changed = changed;
    this.show(chosen);
    panel.addEventListener("input", (event) => {
      if (event.target instanceof HTMLElement && event.target.id === "temperature") this.#warm = true;
      this.#words();
      this.#check();
      changed();
    });
  }

  /** @param {Model} model */
  of(model) {
    this.#model = model;
    for (const field of this.#panel.querySelectorAll("[data-needs]")) {
      const names = (field.getAttribute("data-needs") ?? "").split(" ");
      if (field instanceof HTMLElement) field.hidden = !names.some((name) => model.takes.includes(name));
    }
    this.#check();
  }

  /** What the reader has set, for as far as the model takes it. @returns {Chosen} */
  get chosen() {
    /** @type {Chosen} */
    const set = {};
    const system = this.#field("system")?.value.trim();
    if (system) set.system = system;
    if (this.#warm && this.#takes("temperature")) set.temperature = Number(this.#field("temperature")?.value);
    const limit = this.#count("max_tokens"), cap = this.#count("max_credits");
    if (limit && this.#takes("max_tokens")) set.max_tokens = limit;
    if (cap) set.max_credits = cap;
    return set;
  }

  /** The first field that cannot be read. Nothing is asked with it: a limit of costs would be none. */
  get wrong() {
    return /** @type {HTMLElement | null} */ (this.#panel.querySelector(".field:not([hidden]) > [aria-invalid]"));
  }

  /** @param {"max_tokens" | "max_credits"} name @param {number} value */
  set(name, value) {
    const field = this.#field(name);
    if (field) field.value = value.toLocaleString("en-US");
    this.#check();
    this.#changed();
  }

  /** @param {string} name */
  #takes(name) {
    return !this.#panel.querySelector(`#${name}`)?.closest("[hidden]");
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement | HTMLTextAreaElement | null} */ (this.#panel.querySelector(`#${name}`));
  }

  /** A whole number that is written with or without commas. Null: nothing, or no number. @param {string} name */
  #count(name) {
    const written = this.#field(name)?.value.replace(/[\s,]/g, "") ?? "";
    return /^[1-9]\d{0,11}$/.test(written) ? Number(written) : null;
  }

  #check() {
    for (const name of ["max_tokens", "max_credits"]) {
      const field = this.#field(name), fault = this.#panel.querySelector(`#${name}-fault`);
      if (!field || !(fault instanceof HTMLElement)) continue;
      const count = this.#count(name), most = name === "max_tokens" ? this.#model?.most ?? Infinity : Infinity;
      const wrong = field.value.trim() && !count ? "A whole number above 0." : (count ?? 0) > most ? `${this.#model?.name} writes ${most.toLocaleString("en-US")} at most.` : "";
      fault.textContent = wrong;
      fault.hidden = !wrong;
      field.ariaInvalid = wrong ? "true" : null;
    }
  }

  #words() {
    const shown = this.#panel.querySelector("#temperature-shown");
    const field = this.#field("temperature"), words = this.#warm ? Number(field?.value).toFixed(1) : "as the model has it";
    if (shown) shown.textContent = words;
    field?.setAttribute("aria-valuetext", words);
  }

  /** @param {Chosen} chosen */
  show(chosen) {
    this.#warm = chosen.temperature !== undefined;
    for (const [name, value] of Object.entries(chosen)) {
      const field = this.#field(name);
      if (field) field.value = typeof value === "number" && name !== "temperature" ? value.toLocaleString("en-US") : String(value);
    }
    this.#words();
  }
}

/** Opens the panel: beside the chat where there is room, else as a sheet. @param {HTMLElement} panel */
export function openPanel(panel) {
  const talk = panel.closest(".talk");
  talk?.classList.remove("no-panel");
  if (matchMedia("(min-width: 1121px)").matches) return;
  const dialog = document.createElement("dialog"), place = document.createComment("panel");
  dialog.className = "panel-sheet";
  dialog.setAttribute("aria-label", "Settings of this chat");
  panel.replaceWith(place);
  dialog.append(panel);
  place.parentElement?.append(dialog);
  dialog.showModal();
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    place.replaceWith(panel);
    dialog.remove();
  });
}

/** @param {HTMLElement} panel */
export function closePanel(panel) {
  const dialog = panel.closest("dialog");
  if (dialog) dialog.close();
  else panel.closest(".talk")?.classList.add("no-panel");
}
