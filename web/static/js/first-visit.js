// The first question: it goes to the Playground within this tab, and never into an address.

const QUESTION = "yout-question";
const form = document.querySelector(".hero .composer"), area = document.querySelector(".hero textarea");

/** @param {string} text @param {string} model */
function ask(text, model) {
  try {
    sessionStorage.removeItem("yout-chat");
    sessionStorage.setItem(QUESTION, JSON.stringify({text, model}));
    location.replace("/chat");
  } catch {
    stays();
  }
}

/** The tab's storage is switched off, or has no room for the question. */
function stays() {
  const note = document.createElement("p"), link = document.createElement("a");
  note.className = "note wait";
  note.setAttribute("role", "alert");
  Object.assign(link, {href: "/chat", target: "_blank", textContent: "the Playground"});
  note.append("This browser could not keep your question for the next page. Copy it into ", link, ".");
  form?.parentElement?.querySelector(".note")?.remove();
  form?.after(note);
}

if (form instanceof HTMLFormElement && area instanceof HTMLTextAreaElement) {
  const send = () => {
    const model = form.querySelector("select");
    if (area.value.trim()) ask(area.value, model?.value ?? "");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey !== ("enterBreaks" in form.dataset)) return;
    event.preventDefault();
    send();
  });
  for (const idea of document.querySelectorAll(".ideas button")) {
    idea.addEventListener("click", () => {
      area.value = idea.getAttribute("value") ?? "";
      area.focus();
      area.setSelectionRange(area.value.length, area.value.length);
    });
  }
}
