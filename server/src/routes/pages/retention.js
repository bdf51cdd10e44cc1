// Retention: the policies that hold, what they would let go of and why, and doing it.

import { get, getText, putText, query, send } from "./api.js";
import { h, plain, say } from "./dom.js";
import { count, size, things, time, utc } from "./format.js";
import { ask, doing } from "./dialogs.js";
import { checkpointPage } from "./links.js";
import { empty, facts, failed, mark, paged, pending, section, table } from "./parts.js";
import { began, card, follow } from "./runs.js";

export const title = () => "Retention";

const POLICIES = "/retention/policies";
const YAML = "application/yaml";

export function show(main) {
  const policies = pending(() => Promise.all([get(POLICIES), getText(POLICIES, YAML)]), ([config, { text, etag }]) => [
    inForce(config), quotas(config.quotas), etag === '"file"' ? fromFile() : editor(text, etag, () => policies.reload()),
  ]);
  const runs = runner();
  main.append(
    h("h1", null, "Retention"),
    h("p", { class: "soft" }, "The narrowest policy that fits a checkpoint governs it. Pinned checkpoints never go, and what no policy governs stays."),
    section("policies", "Policies", policies),
    section("plan", "What would go", runs),
  );
}

const scope = ({ namespace, pod, container }) => (namespace ? plain([namespace, pod ?? (container && "*"), container].filter(Boolean).join("/")) : "everything");

const KEEPS = { keepLast: "last", keepWithin: "within", keepHourly: "hourly", keepDaily: "daily", keepWeekly: "weekly", minKeep: "at least" };
const LIMITS = { maxAge: "age", maxCount: "count", maxCheckpointSize: "each", maxLogicalSize: "size", maxStoredSize: "stored" };

const rules = (words, of) => Object.entries(words).filter(([key]) => of[key] !== undefined).map(([key, word]) => mark(`${word} ${key.endsWith("Size") ? size(of[key]) : of[key]}`));

function limits(policy) {
  const parts = [["namespace", policy.perNamespace], ["pod", policy.perPod], ["container", policy.perContainer]];
  const each = parts.flatMap(([word, of]) => (of ? [` each ${word}: `, rules(LIMITS, of)] : []));
  return [rules(LIMITS, policy), each, policy.retainOrphan === false && mark("orphans go")];
}

function inForce({ policies }) {
  if (!policies.length) return empty("There are none: everything stays until somebody deletes it.");
  return table("Policies", [
    { name: "Governs", head: true, cell: (policy) => scope(policy.scope) },
    { name: "Keeps", cell: (policy) => spaced(rules(KEEPS, policy), "everything that no limit takes") },
    { name: "Limits", wide: true, cell: (policy) => spaced(limits(policy), "none") },
  ], policies);
}

const spaced = (items, none) => {
  const there = items.flat(Infinity).filter(Boolean);
  return there.length ? h("span", { class: "marks" }, there) : h("span", { class: "soft" }, none);
};

const quotas = (items) => items.length > 0 && table("Quotas", [
  { name: "Quota of namespace", head: true, cell: (quota) => plain(quota.namespace) },
  { name: "A push is refused past", cell: (quota) => spaced(rules(LIMITS, quota), "nothing") },
], items);

const fromFile = () => h("p", { class: "note" }, "They come from the file that the server was started with: change them there.");

function editor(text, etag, changed) {
  const lines = Math.max(8, text.split("\n").length + 1);
  const area = h("textarea", { name: "policies", rows: lines, spellcheck: "false", class: "mono", "aria-label": "Policies and quotas, in YAML" });
  area.value = text;
  const trouble = h("div", { "aria-live": "assertive" });
  const save = async (event) => {
    event.preventDefault();
    trouble.replaceChildren();
    try {
      await putText(POLICIES, YAML, etag, area.value);
      await changed();
      say("The policies are saved");
    } catch (failure) {
      const again = failure.status === 412 && h("button", { type: "button", onclick: changed }, "Load the new ones; yours are lost");
      trouble.replaceChildren(failed(failure), again || "");
    }
  };
  return h("details", { class: "editor", open: !text.includes("scope") }, h("summary", { "data-control": "edit" }, "Edit"), h("form", { onsubmit: save }, area, trouble,
    h("div", { class: "buttons" }, h("button", { class: "primary", "data-control": "save" }, "Save"), h("button", { type: "button", "data-control": "undo", onclick: changed }, "Undo"))));
}

function runner() {
  const place = h("div", { class: "place" });
  const watch = async (id) => {
    const seen = card(h("h3", null, `Run ${count(id)}`), `/retention/runs/${id}`, told);
    place.replaceChildren(seen.card);
    try {
      const run = await follow(`/retention/runs/${id}`, seen.update);
      if (run.state === "done") seen.card.after(plan(run));
      say(`The run is ${run.state}`);
    } catch (failure) {
      place.replaceChildren(failed(failure, () => watch(id)));
    }
  };
  // Whoever began it does not wait for its end.
  const start = async (dryRun) => void watch((await send("POST", "/retention/run", { dryRun })).id);
  const now = h("button", { type: "button", class: "danger", onclick: () => ask({
    title: "Apply the policies now",
    about: "Checkpoints that the policies let go of are deleted for good. A dry run shows which.",
    confirm: "Apply",
    danger: true,
    act: async () => { await start(false); last.remove(); },
  }) }, "Apply");
  const last = pending(() => get("/retention/runs"), ({ items }) => {
    if (!items.length) return empty("No run yet. Policies are applied before each collection.");
    watch(items[0].id);
    return [];
  });
  return [h("div", { class: "buttons" }, doing("Dry run", async () => { await start(true); last.remove(); }), now), last, place];
}

function told(run) {
  const { result, dryRun } = run;
  return facts([
    ["Began", began(run)],
    ["Looked at", things(result.examined, "checkpoint")],
    ["Stay", things(result.kept, "checkpoint")],
    [dryRun ? "Would go" : "Deleted", things(result.deleted, "checkpoint")],
    ["Spared", result.spared > 0 && things(result.spared, "checkpoint")],
    [dryRun ? "That would free" : "The next collection frees", size(result.freeableBytes)],
  ].filter(([, value]) => value));
}

function plan(run) {
  let action = "";
  const choice = h("select", { onchange: () => { action = choice.value; list.restart(); } },
    [["", "all"], ["delete", "what goes"], ["keep", "what stays"]].map(([value, text]) => h("option", { value }, text)));
  const list = paged((cursor) => get(query(`/retention/runs/${run.id}/plan`, { action, cursor, limit: 100 })), decisions, () => empty("There are none."));
  return h("div", null, h("form", { class: "filter" }, h("label", null, "Show", choice)), list);
}

function decisions(items) {
  return table("What is decided of each checkpoint", [
    { name: "Decision", cell: (d) => (d.action === "keep" ? mark("stays", "good") : mark("goes", "bad")) },
    { name: "Checkpoint", head: true, cell: (d) => [h("a", { href: checkpointPage(d.reference) }, plain(`${d.namespace}/${d.pod}/${d.container}`)), " ", h("span", { class: "soft" }, utc(d.createdAt))] },
    { name: "Size", number: true, cell: (d) => size(d.logicalBytes) },
    { name: "Alone would free", number: true, cell: (d) => size(d.freeableBytes) },
    { name: "Why", wide: true, cell: (d) => d.reasons.map((reason) => h("div", null, plain(reason.text))) },
  ], items, { all: true });
}
