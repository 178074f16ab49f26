// The list of models to choose from, with search. Tells of a choice by the event `change`.

/** @typedef {{id: string, name: string, takes: string[], reads: string[], most: number}} Model `reads`: what it takes beside text. */

class Picker extends HTMLElement {
  connectedCallback() {
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
      const chosen = event.target instanceof Element && event.target.closest("button");
      if (chosen) this.#choose(chosen);
    });
    this.#search.addEventListener("input", () => this.#filter());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The model that is chosen. */
  get model() {
    return modelOf(this.#buttons.find((button) => button.value === this.dataset.model) ?? this.#buttons[0]);
  }

  /** The models that can be asked. */
  get models() {
    return this.#buttons.filter((one) => !one.disabled).map(modelOf);
  }

  /** What people call a model. @param {string} id */
  nameOf(id) {
    return this.#buttons.find((button) => button.value === id)?.dataset.name ?? id;
  }

  /** Chooses a model, if it is there. @param {string} id */
  take(id) {
    const button = this.#buttons.find((one) => one.value === id && !one.disabled);
    if (button) this.#choose(button);
  }

  open() {
    this.#search.value = "";
    this.#filter();
    this.#dialog.showModal();
    this.#search.focus();
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.querySelector("dialog"));
  }

  get #search() {
    return /** @type {HTMLInputElement} */ (this.querySelector("input"));
  }

  get #buttons() {
    return /** @type {HTMLButtonElement[]} */ ([...this.querySelectorAll("button")]);
  }

  /** @param {HTMLButtonElement} button */
  #choose(button) {
    for (const one of this.#buttons) one.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    this.dataset.model = button.value;
    if (this.#dialog.open) this.#dialog.close();
    this.dispatchEvent(new CustomEvent("change"));
  }

  #filter() {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const button of this.#buttons) {
      const text = `${button.value} ${button.dataset.name}`.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      if (button.parentElement) button.parentElement.hidden = !fits;
      shown += Number(fits);
    }
    const status = this.querySelector("[role=status]");
    if (status) status.textContent = words.length ? `${shown} of ${this.#buttons.length} models` : "Credits per 1,000 tokens, in / out";
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const shown = this.#buttons.filter((button) => !button.parentElement?.hidden && !button.disabled);
    const at = shown.findIndex((button) => button === document.activeElement);
    if (event.key === "Enter" && event.target === this.#search) {
      event.preventDefault();
      if (shown.length) this.#choose(shown[0]);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? this.#search : shown[Math.min(next, shown.length - 1)] ?? this.#search).focus();
    }
  }
}

/** @param {HTMLButtonElement} button @returns {Model} */
function modelOf(button) {
  const {name = "", takes = "", reads = "", most} = button.dataset;
  return {id: button.value, name, takes: takes.split(" "), reads: reads.split(" "), most: Number(most) || Infinity};
}

customElements.define("yout-picker", Picker);
export {Picker};
