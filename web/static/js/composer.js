// The field in which a message is written: it grows, Enter sends, the arrow up edits the last message, files are taken.

const DOUBLE_CLICK_MS = 500;

/** Tells of what its writer does by the events `ask` (with the text), `attach` (with files), `stop` and `edit`. */
class Composer extends HTMLElement {
  /** @type {import("./messages.js").Attached[]} */
  files = [];
  /** When Stop took the place of Send: a second click there was meant for that. */
  #began = 0;

  connectedCallback() {
    const form = this.querySelector("form");
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.querySelector(".stop")?.addEventListener("click", ({timeStamp, detail}) => {
      if (timeStamp - this.#began > DOUBLE_CLICK_MS && detail < 2) this.#tell("stop");
    });
    this.area.addEventListener("input", () => this.#grow());
    this.area.addEventListener("keydown", (event) => this.#key(event));
    this.#takeFiles();
    this.#grow();
  }

  /** By the button, by dropping them anywhere, and by pasting. Text of an office program, which comes with a picture of it, stays text. */
  #takeFiles() {
    const input = /** @type {HTMLInputElement | null} */ (this.querySelector("input[type=file]"));
    this.querySelector(".clip")?.addEventListener("click", () => input?.click());
    input?.addEventListener("change", () => {
      this.#tell("attach", [...(input.files ?? [])]);
      input.value = "";
    });
    const take = (/** @type {Event} */ event, /** @type {DataTransfer | null} */ data) => {
      if (!data?.files.length || (event.type === "paste" && data.getData("text/plain") && data.getData("text/html"))) return;
      event.preventDefault();
      this.#tell("attach", [...data.files]);
    };
    document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
    document.addEventListener("drop", (event) => take(event, event.dataTransfer));
    this.area.addEventListener("paste", (event) => take(event, event.clipboardData));
  }

  /** Where its files are shown. */
  get place() {
    return /** @type {HTMLElement} */ (this.querySelector(".files"));
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
    this.#began = performance.now();
    this.#button(".send.stop").hidden = !running;
    this.#button(".send:not(.stop)").hidden = running;
  }

  /** @param {string} selector */
  #button(selector) {
    return /** @type {HTMLButtonElement} */ (this.querySelector(selector));
  }

  #ask() {
    if ((this.text.trim() || this.files.length) && this.#button(".send.stop").hidden) this.#tell("ask", this.text);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Enter" && event.shiftKey === ("enterBreaks" in this.dataset) && !event.altKey) {
      event.preventDefault();
      this.#ask();
    } else if (event.key === "ArrowUp" && !this.text && !this.files.length) {
      event.preventDefault();
      this.#tell("edit");
    }
  }

  /** Browsers without `field-sizing` keep the height that rows give. */
  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.area.rows = Math.min(12, Math.max(1, this.text.split("\n").length));
  }

  /** @param {string} name @param {string | File[]} [detail] */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, {detail}));
  }
}

customElements.define("yout-composer", Composer);
export {Composer};
