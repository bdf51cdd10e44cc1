// Runs of collection and of retention: how they stand, and waiting for their end.

import { get, send } from "./api.js";
import { doing } from "./dialogs.js";
import { h, plain } from "./dom.js";
import { count, period, utc } from "./format.js";
import { mark } from "./parts.js";

const KINDS = { running: "warn", done: "good", failed: "bad", cancelled: "" };
const PAUSE = 500;

/** Asks for a run until it has ended; `seen` gets each answer. */
export async function follow(path, seen) {
  for (;;) {
    const run = await get(path);
    seen(run);
    if (run.state !== "running") return run;
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

/** How a run stands. */
export const state = (run) => [mark(run.state, KINDS[run.state]), run.dryRun && [" ", mark("dry run")]];

/** When it began, and how long it took. */
export const began = (run) => [utc(run.startedAt), " ", h("span", { class: "soft" }, took(run))];

function took(run) {
  const seconds = (new Date(run.finishedAt ?? Date.now()) - new Date(run.startedAt)) / 1000;
  return seconds < 1 ? `${Math.max(0, Math.round(seconds * 1000))} ms` : period(seconds);
}

/**
 * The card of a run, made once: while the run goes on only its state and its progress change, so that the focus stays.
 * `told(run)` is what it came to. `update` takes what is known by now.
 */
export function card(heading, path, told) {
  const states = h("span", { class: "marks" });
  const cancel = doing("Cancel", async () => {
    await send("POST", `${path}/cancel`);
    return "Asked to end";
  });
  const buttons = h("span", { class: "buttons", hidden: true }, cancel);
  const [bar, words] = [h("progress", { "aria-label": "Progress" }), h("span", null, "Running …")];
  const body = h("div", null, h("div", { class: "progress" }, bar, words));
  const whole = h("div", { class: "card", tabindex: "-1" }, h("div", { class: "title" }, heading, states, buttons), body);
  let shown;
  const update = (run) => {
    const runs = run.state === "running";
    if (shown !== run.state) states.replaceChildren(...state(run).flat().filter(Boolean));
    shown = run.state;
    if (!runs && buttons.contains(document.activeElement)) whole.focus();
    buttons.hidden = !runs;
    if (!runs) body.replaceChildren(...[run.result && told(run), trouble(run)].filter(Boolean));
    else if (run.progress) reach(bar, words, run.progress);
  };
  return { card: whole, update };
}

/** How far it is. */
function reach(bar, words, { phase, done, total }) {
  bar.max = total || 1;
  if (total) bar.value = done;
  else bar.removeAttribute("value");
  words.textContent = `${plain(phase)}: ${count(done)}${total ? ` of ${count(total)}` : ""}`;
}

const trouble = (run) => run.error && h("p", { class: "note" }, plain(run.error));
