// Runs of collection and of retention: how they stand, and waiting for their end.

import { get } from "./api.js";
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

/** How far it is. */
export function progress({ progress }) {
  if (!progress) return h("p", { class: "loading" }, "Running …");
  const { phase, done, total } = progress;
  const words = `${plain(phase)}: ${count(done)}${total ? ` of ${count(total)}` : ""}`;
  return h("div", { class: "progress" }, h("progress", { max: total ?? null, value: total ? done : null, "aria-label": "Progress" }), h("span", null, words));
}

/** Why it failed. */
export const trouble = (run) => run.error && h("p", { class: "note" }, plain(run.error));
