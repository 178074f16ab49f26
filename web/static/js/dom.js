// Makes nodes. Nothing here, or anywhere, reads HTML from a string.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. An attribute that is false or null is left out.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null | undefined | false)} content
 */
export function element(name, attributes = {}, ...content) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const one of content) if (one) node.append(one);
  return node;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {...Node} content */
function drawn(name, attributes, ...content) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...content);
  return node;
}

/** An icon of the page's sprite. @param {string} name */
export function icon(name) {
  return drawn("svg", {class: "icon", "aria-hidden": "true"}, drawn("use", {href: `#i-${name}`}));
}

/**
 * The bar of money: parts are pairs of a class and an amount, from the left.
 * @param {[string, number][]} parts
 * @param {number} whole
 */
export function bar(parts, whole) {
  const node = drawn("svg", {class: "bar thin", "aria-hidden": "true"});
  fill(node, parts, whole);
  return node;
}

/** Draws other parts into a bar. @param {Element} node @param {[string, number][]} parts @param {number} whole */
export function fill(node, parts, whole) {
  let left = 0;
  const rects = [];
  for (const [kind, amount] of parts) {
    if (amount > 0) rects.push(drawn("rect", {class: kind, x: percent(left, whole), width: percent(amount, whole), height: "100%"}));
    left += Math.max(amount, 0);
  }
  if (whole <= 0) rects.push(drawn("rect", {class: "free", width: "100%", height: "100%"}));
  node.replaceChildren(...rects);
}

/** @param {number} part @param {number} whole */
function percent(part, whole) {
  return `${(whole > 0 ? 100 * Math.min(Math.max(part / whole, 0), 1) : 0).toFixed(2)}%`;
}

/**
 * A button that does something.
 * @param {string} label
 * @param {() => void} act
 * @param {{icon?: string, classes?: string, iconOnly?: boolean}} [look]
 */
export function button(label, act, look = {}) {
  const node = element(
    "button",
    {type: "button", class: look.classes ?? "button second small", "aria-label": look.iconOnly && label, title: look.iconOnly && label},
    look.icon && icon(look.icon),
    !look.iconOnly && element("span", {}, label),
  );
  node.addEventListener("click", act);
  return node;
}

/** Copies, and says so for a moment. @param {() => string} text @param {string} label @param {boolean} [iconOnly] */
export function copier(text, label, iconOnly = false) {
  const node = button(label, async () => {
    await navigator.clipboard.writeText(text());
    const shown = node.querySelector("span"), mark = node.querySelector("use");
    if (shown) shown.textContent = "Copied";
    mark?.setAttribute("href", "#i-check");
    setTimeout(() => {
      if (shown) shown.textContent = label;
      mark?.setAttribute("href", "#i-copy");
    }, 1600);
  }, {icon: "copy", classes: `button plain small${iconOnly ? " icon-only" : ""}`, iconOnly});
  return node;
}

/** @param {number} amount */
export function credits(amount) {
  return amount.toLocaleString("en-US").replace("-", "−");
}

/** @param {number} count @param {string} unit */
export function counted(count, unit) {
  return `${credits(count)} ${unit}${count === 1 ? "" : "s"}`;
}
