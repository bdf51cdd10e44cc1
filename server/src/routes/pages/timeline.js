// The checkpoints of one container, newest first: what each cost, and what two of them differ in.

import { get, query } from "./api.js";
import { h, plain, say } from "./dom.js";
import { count, share, size, things, time, times, utc } from "./format.js";
import { actions } from "./keep.js";
import { checkpointPage, comparePage, tagOf } from "./links.js";
import { empty, mark, paged, table } from "./parts.js";

const wanted = ({ searchParams }) => Object.fromEntries(["namespace", "name", "container"].map((name) => [name, searchParams.get(name) ?? ""]));

export const title = (address) => plain(wanted(address).name);

/** Pages that were written since what it was stored against; unknown of one that was stored whole. */
const written = ({ base, pages }) => (base && pages ? pages.changed + pages.new : undefined);
const all = (pages) => pages.zero + pages.same + pages.changed + pages.new + pages.shared;

export function show(main, address) {
  const { namespace, name, container } = wanted(address);
  const chosen = [];
  const list = paged(
    (cursor) => get(query("/checkpoints", { namespace, workload: name, container, cursor, limit: 50 })),
    (items) => history(items, chosen, () => list.reload()),
    () => empty("It has no checkpoints, or none any more. ", h("a", { href: "/workloads" }, "All workloads")),
  );
  main.append(
    h("p", { class: "crumbs" }, h("a", { href: "/workloads" }, "Workloads"), " / ",
      h("a", { href: query("/workloads", { namespace }) }, plain(namespace)), " /"),
    h("h1", null, plain(name), " ", h("span", { class: "soft" }, plain(container))),
    list,
  );
}

/** `chosen` are references of those to compare, which stay chosen when the list is loaded again. */
function history(items, chosen, changed) {
  const known = new Map(items.map((item) => [item.reference, item]));
  chosen.splice(0, 2, ...chosen.filter((reference) => known.has(reference)));
  const compare = h("a", { class: "button primary" }, "Compare the two");
  const hint = h("span", { class: "soft" });
  const boxes = new Map();
  const box = ({ reference }) => {
    const choose = ({ target }) => {
      if (target.checked) chosen.push(reference);
      else chosen.splice(chosen.indexOf(reference), 1);
      if (chosen.length > 2) boxes.get(chosen.shift()).checked = false;
      offer();
      if (chosen.length === 2) say("Two are chosen: Compare is below the picture");
    };
    const made = h("input", { type: "checkbox", checked: chosen.includes(reference), "aria-label": `Compare ${tagOf(reference)}`, "data-control": `choose ${reference}`, onchange: choose });
    boxes.set(reference, made);
    return made;
  };
  const offer = () => {
    hint.textContent = ["Choose two to compare.", "Choose one more.", ""][chosen.length];
    compare.hidden = chosen.length < 2;
    if (chosen.length < 2) return;
    // From the older to the newer, in whatever order they were chosen.
    const [from, to] = chosen.map((reference) => known.get(reference)).sort((a, b) => a.createdAt.localeCompare(b.createdAt));
    compare.href = comparePage(from.reference, to.reference);
  };
  offer();
  return [summary(items), picture(items), h("div", { class: "chosen" }, compare, hint), rows(items, box, changed)];
}

const changes = (item) => (written(item) === undefined ? h("span", { class: "soft" }, "stored whole") : `${count(written(item))} · ${share(written(item), all(item.pages))}`);

function summary(items) {
  const sum = (of) => items.reduce((total, item) => total + of(item), 0);
  const [logical, stored] = [sum((i) => i.logicalBytes), sum((i) => i.storedBytes)];
  return h("p", { class: "soft" }, `${things(items.length, "checkpoint")}: ${size(logical)}, stored in ${size(stored)} (${times(logical, stored)})`);
}

/**
 * A lane of bars for each measure, oldest first: their sizes are too far apart for one scale. Those that were stored
 * whole are too, so the others make the scale.
 */
function picture(items) {
  const oldestFirst = items.toReversed();
  const lanes = [
    lane("Size", "logical", oldestFirst, (item) => item.logicalBytes, size),
    lane("Stored", "stored", oldestFirst, (item) => item.storedBytes, size),
    lane("Changed pages", "changed", oldestFirst, written, count),
  ];
  const ends = [oldestFirst[0], oldestFirst.at(-1)].map((item) => h("span", null, utc(item.createdAt)));
  // The table below has the same numbers, and the links.
  const keys = [["whole", "stored whole, cut off", (item) => !item.base], ["pinned", "pinned", (item) => item.pinned]];
  const legend = keys.filter(([, , has]) => items.some(has)).map(([key, text]) => h("span", { class: `key ${key}` }, text));
  const whole = h("div", { class: "lanes", "aria-hidden": "true" }, lanes, h("div", { class: "dates" }, ends), h("div", { class: "legend" }, legend));
  whole.style.maxWidth = `${9 + Math.max(22, items.length * 3)}rem`;
  return whole;
}

function lane(name, kind, items, measure, words) {
  const known = items.filter((item) => measure(item) !== undefined);
  const deltas = known.filter((item) => item.base);
  const most = Math.max(...(deltas.length ? deltas : known).map(measure), 1);
  const bars = items.map((item) => {
    const value = measure(item);
    const bar = h("span", { class: `bar ${value > most || value === undefined ? "whole" : kind}` });
    bar.style.height = `${Math.min((value ?? most) / most, 1) * 100}%`;
    const told = `${utc(item.createdAt)}: ${value === undefined ? "stored whole" : words(value)}${item.pinned ? ", pinned" : ""}`;
    return h("a", { href: checkpointPage(item.reference), tabindex: "-1", title: told, class: item.pinned && "pinned" }, bar);
  });
  return h("div", { class: "lane" }, h("div", { class: "lane-name" }, name, h("span", { class: "soft" }, `up to ${words(most)}`)), h("div", { class: "bars" }, bars));
}

function rows(items, box, changed) {
  // Replicas share a history, but what differs between two of them is not what changed in one.
  const [before, latest] = [new Map(), new Map()];
  for (const item of items.toReversed()) {
    before.set(item, latest.get(item.pod));
    latest.set(item.pod, item);
  }
  const replicas = latest.size > 1;
  return table("Checkpoints, newest first", [
    { name: "Compare", cell: box },
    { name: "Checkpoint", head: true, cell: (item) => [h("a", { href: checkpointPage(item.reference), class: "mono" }, tagOf(item.reference)), item.pinned && [" ", mark("pinned", "pin")]] },
    replicas && { name: "Pod", cell: (item) => plain(item.pod) },
    { name: "Taken", cell: (item) => time(item.createdAt) },
    { name: "Size", number: true, cell: (item) => size(item.logicalBytes) },
    { name: "Stored", number: true, cell: (item) => `${size(item.storedBytes)} · ${share(item.storedBytes, item.logicalBytes)}` },
    { name: "Changed pages", number: true, cell: (item) => changes(item) },
    { name: replicas ? "Since its pod's last" : "Since the one before", cell: (item) => (before.get(item) ? h("a", { href: comparePage(before.get(item).reference, item.reference) }, "what changed") : "–") },
    { name: "Actions", cell: (item) => actions(item, changed, changed) },
  ].filter(Boolean), items, { row: (item) => ({ class: item.pinned && "pinned" }), all: true });
}
