// Makes nodes. Nothing here, or anywhere, reads HTML from a string.

/**
 * Makes an element. An attribute that is false or null is left out.
 * @param {string} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null | undefined | false)} content
 */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...content.filter((one) => one != null && one !== false && one !== ""));
  return made;
}
