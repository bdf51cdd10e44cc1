// Questions before something is changed.

import { h, once, plain, say } from "./dom.js";
import { failed } from "./parts.js";

/**
 * Asks, and does what was asked for: `act(text)` while the dialog is open, so that a failure is shown where it can be
 * tried again. `field` makes it ask for a text. Gives what `act` gave, or nothing if it was called off.
 */
export function ask({ title, about, field, confirm, danger, act }) {
  return new Promise((done) => {
    const input = field && h("input", { name: "text", required: true, maxlength: "253", autocomplete: "off", value: field.value });
    const button = h("button", { class: danger ? "danger" : "primary" }, confirm);
    const trouble = h("div");
    const form = h(
      "form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      about && h("p", null, about),
      input && h("label", null, field.label, input),
      trouble,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), button),
    );
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    let outcome;
    const go = async () => {
      trouble.replaceChildren();
      try {
        outcome = (await act(input?.value.trim())) ?? true;
        dialog.close();
      } catch (failure) {
        trouble.replaceChildren(failed(failure));
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, go);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(outcome);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button that does something at once, and shows by itself if that fails. `act` says what was done. */
export function doing(text, act, kind = "") {
  const trouble = h("span", { class: "trouble", role: "alert" });
  const button = h("button", { type: "button", class: kind }, text);
  const go = async () => {
    trouble.textContent = "";
    try {
      const said = await act();
      if (said) say(said);
    } catch (failure) {
      trouble.textContent = plain(failure.message);
    }
  };
  button.addEventListener("click", () => once(button, go));
  return [button, trouble];
}
