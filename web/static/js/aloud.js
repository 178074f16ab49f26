// Whole sentences of an answer for screen readers, while it is written. Only where the reader has asked for it.

const END = /[.!?:;][)"”’]?\s|\n/g;
const MARKS = /^[ \t]*(?:[#>]+|[-*+]|\d+\.)[ \t]+|^[ \t]*(?:```.*|[|:-]+)$|[*_`|]/gm;

/** Reads out what is complete of a text that grows. */
export class Aloud {
  #rest = "";
  #say;

  /** @param {(text: string) => void} say */
  constructor(say) {
    this.#say = say;
  }

  /** @param {string} text */
  push(text) {
    this.#rest += text;
    const end = [...this.#rest.matchAll(END)].pop();
    if (!end) return;
    const at = end.index + end[0].length;
    this.#read(this.#rest.slice(0, at));
    this.#rest = this.#rest.slice(at);
  }

  end() {
    this.#read(this.#rest);
    this.#rest = "";
  }

  /** @param {string} text */
  #read(text) {
    const plain = text.replace(MARKS, "").replace(/\s+/g, " ").trim();
    if (plain) this.#say(plain);
  }
}
