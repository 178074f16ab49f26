// The last question, put into the composer again.

/** @typedef {import("./memory.js").Question} Question */

/** Of a saved chat nothing is taken out: what is sent comes at its end. @param {import("./chat.js").Chat} chat */
export function edit(chat) {
  const last = /** @type {Question | undefined} */ (chat.memory.messages.findLast(({role}) => role === "user"));
  if (!last || chat.draft) return;
  chat.fill(last.content, last.files);
  if (chat.conversation) return;
  chat.note({kind: "", icon: "redo", title: "You change your last question.", text: "Sent, it takes the place of that one and its answer."});
  chat.edits = true;
  const {area} = chat.composer;
  const changed = () => {
    if (chat.edits && chat.draft) return;
    area.removeEventListener("input", changed);
    if (chat.edits) chat.note(null);
    chat.price();
  };
  area.addEventListener("input", changed);
}
