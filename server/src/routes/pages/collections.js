// Collections: what was freed, and one that is under way.

import { checkpoint, get, query, send } from "./api.js";
import { code, h, plain, say } from "./dom.js";
import { count, size, things } from "./format.js";
import { ask, doing } from "./dialogs.js";
import { empty, facts, mark, pending, section, table } from "./parts.js";
import { began, card, follow, state } from "./runs.js";

export const title = () => "Collections";

export function show(main) {
  const current = h("div", { class: "place" });
  const list = pending(() => get("/gc"), ({ items }) => {
    if (items[0]?.state === "running") watch(items[0].id);
    return items.length ? runs(items) : empty("None yet. One begins by itself within the hour.");
  });
  let watched;
  const watch = async (id) => {
    if (watched === id) return;
    watched = id;
    const seen = card(h("h2", null, `Collection ${count(id)}`), `/gc/${id}`, ({ result, dryRun }) => outcome(result, dryRun));
    current.replaceChildren(seen.card);
    try {
      const run = await follow(`/gc/${id}`, seen.update);
      say(`The collection is ${run.state}`);
      list.reload();
    } catch (failure) {
      current.replaceChildren(h("p", { class: "note" }, plain(failure.message)));
    }
    watched = undefined;
  };
  // Whoever began it does not wait for its end.
  const start = async (dryRun) => void watch((await send("POST", "/gc", { dryRun })).id);
  main.append(
    h("div", { class: "title" }, h("h1", null, "Collections"), h("span", { class: "buttons" }, doing("Dry run", () => start(true)), begin(start))),
    h("p", { class: "soft" }, "A collection frees what nothing needs any more. It runs by itself, while pushes and pulls go on. ", live(list)),
    current,
    section("runs", "Since the server started", list),
    section("explain", "Why is something kept?", explain()),
  );
}

const begin = (start) => h("button", { type: "button", class: "primary", onclick: () => ask({
  title: "Collect now",
  about: "What no checkpoint, image, push or promise needs is removed.",
  confirm: "Collect",
  act: () => start(false),
}) }, "Collect");

/** Says whether the server tells what happens, and loads the list again when a collection begins or ends. */
function live(list) {
  const words = h("span", { class: "live" });
  const events = new EventSource("/api/v1/events");
  events.onopen = () => words.replaceChildren(mark("live", "good"));
  events.onerror = () => words.replaceChildren(mark("not connected", "bad"));
  for (const name of ["gc-started", "gc-finished", "lost"]) events.addEventListener(name, () => list.reload());
  addEventListener("pagehide", () => events.close());
  return words;
}

function outcome(result, dryRun) {
  const kinds = [["manifests", "manifest"], ["blobs", "blob"], ["promises", "promise"], ["recipes", "recipe"], ["dataObjects", "data object"]];
  const of = (counts) => kinds.filter(([key]) => counts[key]).map(([key, word]) => things(counts[key], word)).join(", ") || "nothing";
  const rewritten = ({ number, writtenBytes, freesBytes }) => number > 0 && `${things(number, "layer")}: ${size(writtenBytes)} written, the next collection frees ${size(freesBytes)}`;
  const { kept } = result;
  return facts([
    [dryRun ? "Would free" : "Freed", `${size(result.freedBytes)}: ${of(result.freed)}`],
    ["Looked at", of(result.examined)],
    ["Kept for later ones", kept.buried > 0 && `${things(kept.buried, "layer")} of deleted checkpoints, ${size(kept.buriedBytes)}`],
    ["Kept for pushes", kept.unfinished > 0 && things(kept.unfinished, "layer")],
    ["Stored anew", rewritten(result.rebased) || null],
    ["Repacked", rewritten(result.repacked) || null],
  ].filter(([, value]) => value));
}

function runs(items) {
  return table("Collections, newest first", [
    { name: "Number", head: true, number: true, cell: (run) => count(run.id) },
    { name: "State", cell: state },
    { name: "Began", cell: began },
    { name: "By", cell: (run) => (run.trigger === "schedule" ? "schedule" : "request") },
    { name: "Freed", number: true, cell: (run) => (run.result ? `${size(run.result.freedBytes)}${run.dryRun ? " would go" : ""}` : "–") },
    { name: "Details", wide: true, cell: (run) => (run.error ? plain(run.error) : run.result ? h("details", null, h("summary", { "data-control": `run ${run.id}` }, "What it did"), outcome(run.result, run.dryRun)) : "–") },
  ], items);
}

function explain() {
  const answer = h("div", { "aria-live": "polite" });
  const input = h("input", { name: "digest", required: true, class: "mono", placeholder: "sha256:… or repository:tag", autocomplete: "off" });
  const go = (event) => {
    event.preventDefault();
    answer.replaceChildren(pending(() => reasons(input.value.trim()), told));
  };
  return [h("form", { class: "filter", onsubmit: go }, h("label", null, "Digest, or reference of a checkpoint", input), h("button", null, "Explain")), answer];
}

async function reasons(subject) {
  const isDigest = /^\w+:[0-9a-f]{32,}$/.test(subject);
  const digest = isDigest || !subject.includes("/") ? subject : (await get(checkpoint(subject))).digest;
  return get(query("/gc/explain", { digest }));
}

function told({ subject, items }) {
  if (!items.length) return empty("Nothing is stored of ", code(subject), ".");
  return table("Why it is kept", [
    { name: "What", cell: (item) => (item.kind === "dataObject" ? "data object" : plain(item.kind)) },
    { name: "Name", head: true, wide: true, cell: (item) => code(item.name) },
    { name: "Size", number: true, cell: (item) => (item.bytes === undefined ? "–" : size(item.bytes)) },
    { name: "Decision", cell: (item) => (item.kept ? mark("stays", "good") : mark("goes", "bad")) },
    { name: "Because", wide: true, cell: (item) => item.because.map((text) => h("div", null, plain(text))) },
  ], items);
}
