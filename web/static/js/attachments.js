// Pictures and files of a question: read, checked, and shown. Loaded with the first of them.

import {button, element} from "./dom.js";
import {files as sent} from "./messages.js";
import {ways} from "./ways.js";

/** @typedef {import("./chat.js").Chat} Chat */
/** @typedef {import("./messages.js").Attached} Attached */

const IMAGES = /^image\/(png|jpeg|gif|webp)$/;
/** Files that are text, whatever type the system gives them. */
const TEXTS = /\.(txt|md|csv|tsv|json|jsonl|xml|ya?ml|toml|ini|log|html?|css|m?js|ts|tsx|jsx|py|rb|go|rs|java|kt|c|h|cc|cpp|hpp|cs|php|sh|sql|tex)$/i;
const MAX_FILES = 8, MAX_NAME = 100;
/** What is left for text in the body of a request. */
const ROOM_FOR_TEXT = 256 * 1024;
const MAX_BODY = 20 * 1024 * 1024, MAX_KEPT = 4 * 1024 * 1024;
const MIB = 1024 * 1024, KIB = 1024;
/** @type {HTMLElement | null} */
let shown = null;
const READS = {image: "sees no pictures", file: "reads no files"};

/** Takes files into the question that is being written, or says why not. @param {Chat} chat @param {File[]} chosen */
export async function attach(chat, chosen) {
  const {composer} = chat;
  if (!chat.account) return refuse(chat, "Files need an account.", "Nothing was sent.", ["sign-up", "sign-in"]);
  for (const file of chosen) {
    const kind = kindOf(file);
    if (!kind) return refuse(chat, `“${short(file.name)}” is no picture, PDF or text.`, "Pictures are PNG, JPEG, GIF or WebP.");
    if (!fits(chat, [{kind}])) return;
    if (composer.files.length >= MAX_FILES) return refuse(chat, `A question has ${MAX_FILES} files at most.`);
    const left = room(chat);
    if (file.size * 4 / 3 > left) return refuse(chat, `“${short(file.name)}” is too large.`, `There is room for ${size(left * 3 / 4)} more in this chat.`);
    composer.files = [...composer.files, {name: short(file.name), kind, size: file.size, data: await read(file, kind)}];
    show(chat);
  }
  shown?.remove();
}

/** Whether the model takes all of these files. If not, that is said. @param {Chat} chat @param {{kind: "image" | "file"}[]} files */
export function fits(chat, files) {
  const model = chat.picker?.model;
  const other = files.find(({kind}) => !model?.reads.includes(kind));
  if (other) refuse(chat, `${model?.name} ${READS[other.kind]}.`, "Nothing was sent, and nothing was charged.", ["choose"]);
  return !other;
}

/** Shows what the question has, with a way to take it out again. @param {Chat} chat */
export function show(chat) {
  const {composer} = chat, {place} = composer;
  place.replaceChildren(...composer.files.map((file) => chip(file, () => {
    composer.files = composer.files.filter((one) => one !== file);
    show(chat);
    composer.area.focus();
  })));
  place.hidden = !composer.files.length;
  composer.area.dispatchEvent(new Event("input", {bubbles: true}));
}

/** The files of a question in the thread. @param {Element} node @param {Attached[]} files */
export function under(node, files) {
  node.append(element("span", {class: "files"}, ...files.map((file) => chip(file))));
}

/** @param {Attached} file @param {() => void} [remove] */
function chip(file, remove) {
  const about = file.data ? size(file.size) : "no longer here";
  return element("span", {class: "file"},
    file.kind === "image" && file.data ? picture(file.data) : null,
    element("span", {class: "file-name", dir: "auto"}, file.name),
    element("small", {class: "num"}, about),
    remove && button(`Remove ${file.name}`, remove, {icon: "x", classes: "button plain icon-only small", iconOnly: true}));
}

/** A small picture, from the bytes that are here: no address is asked for them. @param {string} data */
function picture(data) {
  const [head, base64] = data.split(","), image = element("img", {alt: ""});
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  image.src = URL.createObjectURL(new Blob([bytes], {type: head.slice(5, head.indexOf(";"))}));
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  return image;
}

/** @param {File} file @returns {"image" | "file" | null} */
function kindOf({type, name}) {
  if (IMAGES.test(type)) return "image";
  return type === "application/pdf" || type.startsWith("text/") || TEXTS.test(name) ? "file" : null;
}

/** Bytes of base64 that the next request has room for. @param {Chat} chat */
function room({dataset, conversation, memory, composer}) {
  const max = Math.min(Number(dataset.maxBody) || MAX_BODY, conversation || "keeps" in dataset ? MAX_KEPT : Infinity);
  const used = [...sent(conversation ? [] : memory.messages), ...composer.files].reduce((sum, {data = ""}) => sum + data.length, 0);
  return Math.max(0, max - ROOM_FOR_TEXT - used);
}

/** @param {File} file @param {"image" | "file"} kind @returns {Promise<string>} */
async function read(file, kind) {
  const type = kind === "image" || file.type === "application/pdf" ? file.type : "text/plain";
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = reject;
    reader.readAsDataURL(new Blob([file], {type}));
  });
  return String(reader.result);
}

/** @param {Chat} chat @param {string} title @param {string} [text] @param {import("./sentences.js").Way[]} [on] */
function refuse(chat, title, text = "", on = []) {
  const what = {kind: "wait", icon: "alert", title, text, ways: on};
  shown = chat.note(what, ways(chat, what, {}));
}

/** @param {string} name */
function short(name) {
  return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 9)}…${name.slice(-8)}` : name;
}

/** @param {number} bytes */
function size(bytes) {
  return bytes < MIB ? `${Math.max(1, Math.round(bytes / KIB))} KB` : `${(bytes / MIB).toFixed(1)} MB`;
}
