// Secrets on a page: passwords that are shown, mailed links, and tokens that are shown once.

/** Shows and hides a password. */
class Reveal extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button"), input = document.getElementById(this.getAttribute("for") ?? "");
    if (!button || !(input instanceof HTMLInputElement)) return;
    this.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(shown));
    });
  }
}

/** Sends the secret of a mailed link, which is behind the `#`, when its reader asks for it. */
class Link extends HTMLElement {
  connectedCallback() {
    const form = this.querySelector("form"), status = this.querySelector("output");
    if (!form || !status) return;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = {token: location.hash.slice(1), ...Object.fromEntries(new FormData(form))};
      const headers = {"content-type": "application/json"};
      try {
        const answer = await fetch(this.getAttribute("endpoint") ?? "", {method: "POST", headers, body: JSON.stringify(body)});
        const read = answer.status === 204 ? {} : await answer.json(), without = read.free_credits === 0 && this.getAttribute("without");
        status.textContent = answer.ok ? without || this.getAttribute("done") : read.error.message;
        const button = form.querySelector("button:not([type=button])");
        if (button instanceof HTMLButtonElement) button.disabled = answer.ok;
      } catch {
        status.textContent = "The server did not answer. Try again.";
      }
    });
  }
}

/** Warns once when a page with a token is left before it was copied. */
class Once extends HTMLElement {
  connectedCallback() {
    const warn = (/** @type {BeforeUnloadEvent} */ event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    this.addEventListener("click", () => removeEventListener("beforeunload", warn));
    document.addEventListener("copy", () => removeEventListener("beforeunload", warn));
  }
}

customElements.define("yout-reveal", Reveal);
customElements.define("yout-link", Link);
customElements.define("yout-once", Once);
