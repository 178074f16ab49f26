// Where an answer may link to: http, https and mail alone.

const LINK = /^(?:https?:\/\/[^\s/]|mailto:[^\s<>"])/i;

/** @param {string} address */
export function isLink(address) {
  return LINK.test(address);
}
