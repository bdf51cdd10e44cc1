// Memory maps: areas drawn to scale, coloured by how much of them was written since the checkpoint before.

import { code, h, plain } from "./dom.js";
import { count, share, short, size, things } from "./format.js";
import { empty, table } from "./parts.js";

const PAGE = 4096;
/** Rows of a picture at most. */
const ROWS = 6;
/** Share of a row from which an area has room for its name. */
const NAMED = 0.06;
/** Areas of a row that have room for gaps and a least width on any window. */
const DENSE = 64;
/** Shares from which the next colour holds. */
const HEATS = [[0.5, 4], [0.1, 3], [0.01, 2], [Number.MIN_VALUE, 1]];
const LEGEND = ["unchanged", "below 1 %", "1 to 10 %", "10 to 50 %", "50 % and more"];

const written = (changes) => changes.changed + changes.added;
const heat = ({ pages, changes }) => (changes ? (HEATS.find(([from]) => written(changes) / pages >= from)?.[1] ?? 0) : "none");
const extent = (area) => Number(BigInt(area.end) - BigInt(area.start));
const name = (area) => (area.file ? area.file.split("/").at(-1) : area.kind);
const anchor = (pid, area) => `area-${pid}-${area.start}`;

/** The memory of all processes. */
export function memory({ against, pages, processes }) {
  if (!processes.length) return empty("It holds no memory.");
  return [h("p", null, told(against, pages)), pages && legend(), processes.map(ofProcess)];
}

function told(against, pages) {
  if (!against) return "No earlier checkpoint of this container and image.";
  if (!pages) return "Its pages, or those of the checkpoint before, are not known one by one, so they are not compared.";
  const total = pages.same + pages.changed + pages.added;
  return [`Of ${count(total)} pages ${count(pages.changed)} changed (${share(pages.changed, total)}) and ${count(pages.added)} are new since `, code(short(against)), `; ${count(pages.removed)} went.`];
}

const legend = () => h("p", { class: "legend" }, "Written since: ", LEGEND.map((text, i) => [h("span", { class: `swatch heat-${i}` }), h("span", null, text)]));

function ofProcess({ pid, command, areas }) {
  const held = areas.filter((area) => area.pages);
  const others = areas.filter((area) => !area.pages);
  const total = held.reduce((sum, area) => sum + area.pages, 0);
  const title = `Process ${pid} ${plain(command ?? "")}`;
  const list = table(`Memory areas of process ${pid}`, COLUMNS, held, { row: (area) => ({ id: anchor(pid, area) }) });
  return [
    h("h3", null, title, " ", h("span", { class: "soft" }, `${size(total * PAGE)} in ${things(held.length, "area")}`)),
    total > 0 && picture(title, pid, held, total, list.reach),
    list,
    others.length > 0 && h("details", null, h("summary", null, `${things(others.length, "area")} without pages in the checkpoint`),
      table(`Memory areas of process ${pid} without pages`, COLUMNS.slice(0, 3), others)),
  ];
}

/** Rows of the same number of pages; an area that does not fit its row goes on in the next. */
function picture(title, pid, areas, total, reach) {
  const rows = Math.min(ROWS, Math.max(1, Math.ceil(total / 256)));
  const width = Math.ceil(total / rows);
  const out = [h("div", { class: "row" })];
  let room = width;
  for (const area of areas) {
    for (let left = area.pages; left > 0; ) {
      if (room === 0) {
        out.push(h("div", { class: "row" }));
        room = width;
      }
      const here = Math.min(left, room);
      out.at(-1).append(block(pid, area, here, here > width * NAMED, reach));
      [left, room] = [left - here, room - here];
    }
  }
  for (const row of out) row.classList.toggle("dense", row.children.length > DENSE);
  if (room) out.at(-1).append(stretch(h("span", { class: "rest" }), room));
  const about = `${title}: ${things(areas.length, "memory area")} drawn to scale, a row is ${size(width * PAGE)}. The table has the numbers.`;
  return h("div", { class: "map", role: "img", "aria-label": about }, out);
}

function block(pid, area, pages, named, reach) {
  const changes = area.changes ? `, ${share(written(area.changes), area.pages)} written since` : "";
  const about = `${area.start} ${name(area)} ${area.rights}: ${size(area.pages * PAGE)}${changes}`;
  return stretch(h("a", { class: `area heat-${heat(area)}`, href: `#${anchor(pid, area)}`, tabindex: "-1", title: plain(about), onclick: () => reach(area) }, named && plain(name(area))), pages);
}

function stretch(element, pages) {
  element.style.flexGrow = pages;
  return element;
}

const COLUMNS = [
  { name: "Address", head: true, cell: (area) => [h("span", { class: `swatch heat-${area.pages ? heat(area) : "none"}` }), code(area.start)] },
  { name: "What", cell: (area) => [plain(area.kind), " ", h("span", { class: "soft mono" }, plain(area.rights)), area.file && [" ", code(area.file)]] },
  { name: "Mapped", number: true, cell: (area) => size(extent(area)) },
  { name: "In the checkpoint", number: true, cell: (area) => size(area.pages * PAGE) },
  { name: "Pages", number: true, cell: (area) => count(area.pages) },
  { name: "Changed", number: true, cell: ({ changes }) => (changes ? count(changes.changed) : "–") },
  { name: "New", number: true, cell: ({ changes }) => (changes ? count(changes.added) : "–") },
  { name: "Written", number: true, cell: ({ changes, pages }) => (changes ? share(written(changes), pages) : "–") },
];
