// The Playground: asks, shows the answer while it is written, and then what it cost.

import "./composer.js";
import "./picker.js";
import {counted, element} from "./dom.js";
import {follower} from "./follow.js";
import {forget, fresh, key, recall, remember, rememberDraft, takeDraft, takeQuestion} from "./memory.js";
import {body, files, priced} from "./messages.js";
import {refresh} from "./funds.js";
import {Quote} from "./quote.js";
import {Settings, closePanel, openPanel} from "./settings.js";
import {AnswerView, act, begun, button, count, head, named, note, question, say, words} from "./thread.js";
import {coloured, run, settle, writing} from "./turn.js";

/** @typedef {import("./thread.js").Answer} Answer */
/** @typedef {import("./memory.js").Question} Question */

/** What to say when something went wrong. It is read while the browser is idle, so that it is there without a network. */
const troubles = () => import("./troubles.js");
const attachments = () => import("./attachments.js");

export class Chat extends HTMLElement {
  memory = fresh();
  /** @type {AbortController | null} */
  #abort = null;
  /** @type {HTMLElement | null} */
  #note = null;
  #left = false;
  /** What is written takes the place of the last question. A note says so for as long. */
  edits = false;
  /** A question waits until all of the chat is shown. */
  #shown = Promise.resolve();
  /** Ends what a note does by itself. */
  endWait = () => {};
  conversation = "";
  thread = this.#part(".thread");
  panel = this.#part(".panel");
  composer = /** @type {import("./composer.js").Composer} */ (this.querySelector("yout-composer"));

  connectedCallback() {
    this.picker = /** @type {import("./picker.js").Picker | null} */ (this.querySelector("yout-picker"));
    this.account = "account" in this.dataset;
    this.conversation = this.dataset.conversation ?? "";
    this.follow = follower(this.#part(".talk-main"), this.#part(".to-end"));
    this.quote = this.account ? new Quote(this.#part("#bound")) : null;
    const carried = takeQuestion();
    if (!this.conversation && !carried) this.memory = recall();
    this.settings = new Settings(this.panel, this.memory.settings, () => {
      this.save();
      this.price();
    });
    if (this.picker) this.#start(carried);
  }

  /** @param {{text: string, model: string} | null} carried */
  async #start(carried) {
    if (!("named" in this.dataset)) this.picker?.take(carried?.model || this.memory.model);
    this.#listen();
    this.#picked();
    (window.requestIdleCallback ?? setTimeout)(() => troubles().catch(() => {}));
    await (this.#shown = this.#show());
    count(this.memory, 0);
    if (!this.composer.text) this.composer.text = takeDraft();
    if (carried) return this.ask(carried.text);
    this.price();
    const last = this.memory.messages.at(-1);
    if (last && (last.role === "user" || last.ended === "writing")) await (await import("./returned.js")).takeUp(this, last);
  }

  async #show() {
    if (this.conversation) await (await import("./saved.js")).open(this);
    await this.showAll();
  }

  #listen() {
    const {composer, picker} = this;
    composer.addEventListener("ask", (event) => this.ask(/** @type {CustomEvent} */ (event).detail, composer.files));
    composer.addEventListener("attach", async (event) => (await attachments()).attach(this, /** @type {CustomEvent} */ (event).detail));
    composer.addEventListener("stop", () => this.stop());
    composer.addEventListener("edit", async () => this.#abort || (await import("./edit.js")).edit(this));
    composer.area.addEventListener("input", () => this.price());
    document.addEventListener("funds", () => this.price());
    picker?.addEventListener("change", () => this.#picked());
    this.querySelector(".model-pick")?.addEventListener("click", () => picker?.open());
    this.querySelector(".settings-button")?.addEventListener("click", () => openPanel(this.panel));
    this.querySelector(".panel-close")?.addEventListener("click", () => closePanel(this.panel));
    this.querySelector("#get-code")?.addEventListener("click", async () => (await import("./code.js")).showCode(this));
    document.getElementById("share")?.addEventListener("click", () => this.#share());
    for (const link of document.querySelectorAll("[data-new]")) link.addEventListener("click", () => this.#leave());
    addEventListener("pagehide", () => this.save());
    document.addEventListener("keydown", ({key}) => { if (key === "Escape" && !document.querySelector("dialog[open]")) this.stop(); });
  }

  /** Asks, and shows the answer. @param {string} text @param {import("./messages.js").Attached[]} [attached] */
  async ask(text, attached = []) {
    await this.#shown.catch(() => {});
    if (this.#abort || !this.picker || this.#mends()) return;
    const {edits} = this, past = this.#past(), needed = [...attached, ...files(past)];
    if (needed.length && !(await attachments()).fits(this, needed)) return void (this.edits = edits);
    for (const one of this.memory.messages) one.old = !past.includes(one);
    this.fill("");
    this.#say(text.trim(), attached);
    await this.answer();
  }

  /** Answers the question that comes last. @param {string} [once] */
  async answer(once = key()) {
    if (this.#abort || !this.picker) return;
    this.note(null);
    this.quote?.clear();
    const {id, name} = this.picker.model;
    this.memory.once = once;
    const view = this.view({...begun(name, !this.account), system: this.settings?.chosen.system});
    const order = this.order();
    this.memory.messages.push(view.answer);
    this.memory.model = id;
    view.waits();
    const abort = new AbortController();
    this.#running(abort);
    this.follow?.toEnd();
    this.save();
    const aloud = "aloud" in this.dataset ? await import("./aloud.js").then(({Aloud}) => new Aloud((text) => say("aloud", text)), () => null) : null;
    await run(view, order, {
      signal: abort.signal,
      once: this.account ? once : undefined,
      painted: () => this.follow?.keep(),
      text: (text) => {
        if (text) this.#replace();
        aloud?.push(text);
      },
      held: (credits) => this.#holds(credits),
      allowance: (left) => this.#allowance(left),
    });
    aloud?.end();
    await this.ended(view, once);
  }

  /** The question that is being written. @returns {Question | undefined} */
  get draft() {
    const content = this.composer.text.trim(), attached = this.composer.files;
    return content || attached.length ? {role: "user", content, files: attached} : undefined;
  }

  /**
   * What is sent.
   * @param {Question} [draft] a question that is not asked yet
   * @param {import("./messages.js").Written} [written]
   * @param {string} [conversation] Empty: all of the chat.
   */
  order(draft, written, conversation = this.conversation) {
    const {memory: {system}, settings} = this, save = this.account ? {save: "keeps" in this.dataset} : {};
    const messages = draft ? [...this.#past(), draft] : this.#live();
    return body({model: this.picker?.model.id ?? "", conversation, messages, chosen: settings?.chosen ?? {}, save, saved: conversation && system}, written);
  }

  /** What comes before the next question. */
  #past() {
    const live = this.#live();
    return this.edits ? live.slice(0, live.findLastIndex(({role}) => role === "user")) : this.memory.messages;
  }

  #live() {
    return this.memory.messages.filter(({old}) => !old);
  }

  /** The new answer begins: what it takes the place of was paid, and goes only now. */
  #replace() {
    const shown = this.thread.querySelectorAll(".user, .answer");
    this.memory.messages = this.memory.messages.filter(({old}, at) => {
      if (old) shown[at]?.remove();
      return !old;
    });
  }

  /** Shows how an answer ended, and what it cost. @param {AnswerView} view @param {string} once */
  async ended(view, once) {
    const {answer} = view;
    this.#running(null);
    this.memory.once = "";
    await (answer.id ? this.#came(view) : this.#nothingCame(view, once));
    const allowance = await refresh();
    if (allowance && answer.id) this.#allowance(allowance);
  }

  /** @param {AnswerView} view */
  async #came(view) {
    const {answer} = view;
    this.#settled(answer);
    if (answer.charged === null && this.account) {
      await settle(view);
      this.#settled(answer);
    }
    this.memory.answers += 1;
    this.memory.charged += answer.charged ?? 0;
    this.#showCost(view);
    this.follow?.keep();
    count(this.memory, 0);
    this.save();
    say("status", `Answer ${answer.ended ? "ended early" : "complete"}, ${counted(words(answer.content), "word")}${answer.free || answer.charged === null ? "" : `, ${counted(answer.charged, "credit")}`}`);
    if (answer.ended && !this.#abort) (await troubles()).noteCut(this, answer);
    else if (document.hidden) document.addEventListener("visibilitychange", async () => (await troubles()).noteDone(this, answer), {once: true});
  }

  /** The question has no answer, and costs nothing. @param {AnswerView} view @param {string} once */
  async #nothingCame(view, once) {
    this.memory.messages.pop();
    view.node.remove();
    count(this.memory, 0);
    const {nothingCame} = await troubles().catch((error) => {
      this.takeBack();
      this.save();
      throw error;
    });
    nothingCame(this, view, once);
    this.save();
  }

  /** Shows a note at the end of the thread, in place of the one before. @param {any} what @param {any[]} [acts] */
  note(what, acts = []) {
    this.edits = false;
    this.endWait();
    this.endWait = () => {};
    this.#note?.remove();
    this.#note = what && note(what, acts);
    if (this.#note) this.thread.append(this.#note);
    this.follow?.keep();
    return /** @type {HTMLElement} */ (this.#note);
  }

  /** Asks the question of an answer again. One that is not the last, or saved, stays, and the new one comes at the end. @param {Answer} [of] */
  again(of) {
    const {messages} = this.memory, at = of ? messages.indexOf(of) : messages.length;
    if (this.#abort || this.#mends()) return;
    const message = /** @type {Question | undefined} */ (messages.slice(0, at).findLast(({role}) => role === "user"));
    if (this.conversation || at < messages.length - 1) return message && this.ask(message.content, message.files);
    const last = messages.at(-1);
    if (last?.role === "assistant") last.old = true;
    this.answer();
  }

  /** Shows a setting that cannot be read, if there is one. With it nothing is asked. */
  #mends() {
    const wrong = this.settings?.wrong;
    if (!wrong) return false;
    openPanel(this.panel);
    wrong.focus();
    return true;
  }

  get running() {
    return Boolean(this.#abort);
  }

  stop() {
    this.#abort?.abort();
  }

  /** Takes the last question out of the thread, unless it has an answer. */
  takeBack() {
    const {messages} = this.memory, last = messages.at(-1);
    if (last?.role !== "user") return "";
    messages.pop();
    [...this.thread.querySelectorAll(".user")].pop()?.remove();
    this.#head();
    this.fill(last.content, last.files);
    return last.content;
  }

  /** Puts a question into the composer. @param {string} text @param {import("./messages.js").Attached[]} [attached] */
  async fill(text, attached = []) {
    const {composer} = this, shown = composer.files.length || attached.length;
    composer.files = attached.filter(({data}) => data);
    composer.text = text;
    if (shown) (await attachments()).show(this);
  }

  /** @param {string} content @param {import("./messages.js").Attached[]} attached */
  #say(content, attached) {
    const message = {role: /** @type {const} */ ("user"), content, ...(attached.length ? {files: attached} : {})};
    this.memory.messages.push(message);
    this.#question(message);
    this.#head();
  }

  /** @param {Question} message */
  #question({content, files: attached}) {
    const node = question(content);
    this.thread.append(node);
    if (attached?.length) attachments().then(({under}) => under(node, attached));
  }

  /** @param {Answer} answer */
  view(answer) {
    const view = new AnswerView(answer, {explains: "explains" in this.dataset});
    this.thread.append(view.node);
    return view;
  }

  /** @param {AnswerView} view */
  #showCost(view) {
    const {answer} = view, again = act("Ask again", "redo", () => this.again(answer));
    view.costs([again, ...(this.account ? [act("Share this chat", "share", () => this.#share(answer))] : [])]);
  }

  /** @param {Answer} [last] */
  async #share(last) {
    (await import("./share.js")).share(this, last);
  }

  async showAll() {
    const {messages} = this.memory;
    for (const node of [...this.thread.querySelectorAll(".user, .answer")]) node.remove();
    this.note(null);
    this.#head();
    const {show} = messages.some(({role}) => role === "assistant") ? await writing() : {show: () => {}};
    for (const message of messages) {
      if (message.role === "user") this.#question(message);
      else {
        const view = this.view(message);
        show(view.prose, message.content);
        coloured([view.prose]);
        this.#showCost(view);
      }
    }
    this.follow?.toEnd();
  }

  /** @param {number} credits */
  #holds(credits) {
    count(this.memory, credits);
    if (credits) refresh();
  }

  /** A chat that is saved has an address. One that is not is in this tab alone, and is sent whole again. @param {Answer} answer */
  #settled(answer) {
    const {place = this.conversation, system = ""} = answer;
    if (place) this.memory.system = system;
    if (this.conversation === place || this.memory.messages.at(-1) !== answer) return;
    this.conversation = place;
    history.replaceState(null, "", place ? `/chat/${place}` : "/chat");
  }

  save() {
    rememberDraft(this.#left ? "" : this.composer.text);
    if (this.conversation || this.#left) return forget();
    const settings = this.settings?.chosen ?? {};
    if (this.memory.messages.length || Object.keys(settings).length) remember({...this.memory, settings});
  }

  #leave() {
    this.#left = true;
    this.#abort?.abort();
    forget();
  }

  #picked() {
    const model = this.picker?.model;
    if (!model) return;
    named(this, model.name);
    this.memory.model = model.id;
    this.settings?.of(model);
    const unanswered = this.#live().at(-1)?.role === "user";
    const tags = unanswered && this.#note?.querySelector(".tags");
    if (tags) tags.querySelector(".ask-other")?.remove();
    if (tags) tags.append(button(`Ask ${model.name}`, () => this.answer(), {classes: "button small ask-other"}));
    this.price();
  }

  price() {
    this.quote?.soon(() => (this.#abort || !this.draft ? null : this.order(this.draft, priced)));
  }

  /** @param {AbortController | null} abort */
  #running(abort) {
    this.#abort = abort;
    this.composer.running = Boolean(abort);
    say("status", abort ? "Writing" : "");
  }

  #head() {
    const first = /** @type {Question | undefined} */ (this.memory.messages.find(({role}) => role === "user"));
    head(first?.content || first?.files?.[0].name || "", Boolean(this.dataset.conversation));
  }

  /** @param {{limit: number, remaining: number, resets_at: string}} left */
  async #allowance(left) {
    const text = `${left.remaining} of ${left.limit}`;
    say("bound", `${text} free today`);
    say("left", text);
    if (left.remaining === 0) (await troubles()).noteUsedUp(this, left);
  }

  /** @param {string} selector */
  #part(selector) {
    return /** @type {HTMLElement} */ (this.querySelector(selector) ?? element("div"));
  }
}

customElements.define("yout-chat", Chat);
