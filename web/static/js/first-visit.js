// The first question: it goes to the Playground within this tab, and never into an address.

const QUESTION = "yout-question";
const form = document.querySelector(".hero .composer"), area = document.querySelector(".hero textarea");

/** @param {string} text @param {string} model */
function ask(text, model) {
  sessionStorage.removeItem("yout-chat");
  sessionStorage.setItem(QUESTION, JSON.stringify({text, model}));
  location.replace("/chat");
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
