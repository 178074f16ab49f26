// Filters the rows of a table while its reader types. Without a script, the form does it.

/** `for`: the field, `count`: where "9 of 80" stands, `rows`: of how many. */
class Filter extends HTMLElement {
  connectedCallback() {
    const field = document.getElementById(this.getAttribute("for") ?? "");
    const count = document.getElementById(this.getAttribute("count") ?? "");
    if (!(field instanceof HTMLInputElement)) return;
    const rows = [...this.querySelectorAll("tr[data-text]")].map((row) => ({row, text: (row.getAttribute("data-text") ?? "").toLowerCase()}));
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const {row, text} of rows) {
        const fits = words.every((word) => text.includes(word));
        if (row instanceof HTMLElement) row.hidden = !fits;
        shown += Number(fits);
      }
      if (count) count.textContent = `${shown} of ${this.getAttribute("rows")}`;
    });
  }
}

customElements.define("yout-filter", Filter);
