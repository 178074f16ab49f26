// The field in which a message is written: it grows, Enter sends, Escape stops, the arrow up edits the last message.

/** Tells of what its writer does by the events `ask` (with the text), `stop` and `edit`. */
class Composer extends HTMLElement {
  connectedCallback() {
    const form = this.querySelector("form");
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.querySelector(".stop")?.addEventListener("click", () => this.#tell("stop"));
    this.area.addEventListener("input", () => this.#grow());
    this.area.addEventListener("keydown", (event) => this.#key(event));
    this.#grow();
  }

  get area() {
    return /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.#grow();
    this.area.dispatchEvent(new Event("input", {bubbles: true}));
  }

  /** Shows whether an answer is being written. @param {boolean} running */
  set running(running) {
    this.#button(".send.stop").hidden = !running;
    this.#button(".send:not(.stop)").hidden = running;
    this.area.placeholder = "Reply";
  }

  /** @param {string} selector */
  #button(selector) {
    return /** @type {HTMLButtonElement} */ (this.querySelector(selector));
  }

  #ask() {
    if (this.text.trim() && this.#button(".send.stop").hidden) this.#tell("ask", this.text);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.#ask();
    } else if (event.key === "ArrowUp" && !this.text) {
      event.preventDefault();
      this.#tell("edit");
    }
  }

  /** Browsers without `field-sizing` keep the height that rows give. */
  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.area.rows = Math.min(12, Math.max(1, this.text.split("\n").length));
  }

  /** @param {string} name @param {string} [text] */
  #tell(name, text) {
    this.dispatchEvent(new CustomEvent(name, {detail: text}));
  }
}

customElements.define("yout-composer", Composer);
export {Composer};
