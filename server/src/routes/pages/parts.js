// Parts of pages: tables, facts, states, things to copy.

import { h, once, plain, say } from "./dom.js";
import { count } from "./format.js";

/** A section with a heading. */
export function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
}

/** Rows that a table draws at once. */
const ROWS = 500;

/**
 * A table in a box of its own that scrolls. Columns are `{ name, cell(item), number?, head?, wide? }`; that with `head`
 * names its row. `row(item)` gives a row's attributes. It draws the first rows, and more when it is asked for; `reach`
 * draws as many as there must be for one to be there, and with `all` it draws all.
 */
export function table(caption, columns, items, { row, all } = {}) {
  const body = h("tbody");
  const head = columns.map((c) => h("th", { scope: "col", class: c.number && "number" }, c.name));
  const whole = h("table", null, h("caption", { class: "said" }, caption), h("thead", null, h("tr", null, head)), body);
  const box = h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption, "data-control": caption }, whole);
  const draw = (until) => {
    body.append(...items.slice(body.children.length, until).map((item) => line(columns, item, row)));
    more.hidden = body.children.length >= items.length;
  };
  const further = () => {
    draw(body.children.length + ROWS);
    say(`${count(body.children.length)} of ${count(items.length)} are shown`);
    if (more.hidden) box.focus({ preventScroll: true });
  };
  const more = h("button", { type: "button", class: "more", onclick: further }, `Show more of ${count(items.length)}`);
  draw(all ? items.length : ROWS);
  if (!more.hidden) box.append(more);
  box.reach = (item) => draw(Math.max(items.indexOf(item) + 1, body.children.length));
  return box;
}

function line(columns, item, row) {
  const cells = columns.map((c) => {
    const kind = [c.number && "number", c.wide && "breaks"].filter(Boolean).join(" ");
    return h(c.head ? "th" : "td", { scope: c.head && "row", class: kind || false }, c.cell(item));
  });
  return h("tr", row?.(item), cells);
}

/** Names and values. Values of nothing are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", { class: "facts" }, known.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/** Text to copy, with a button that does. */
export function copyable(text, label) {
  const button = h("button", { type: "button", class: "copy", onclick: () => copy(button, text) }, "Copy");
  button.setAttribute("aria-label", `Copy ${label}`);
  return h("div", { class: "copyable" }, h("pre", { tabindex: "0", "aria-label": label }, h("code", null, text)), button);
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    say("Copied");
  } catch {
    // Browsers give the clipboard to pages of secure origins only: the text is selected instead.
    getSelection().selectAllChildren(button.previousSibling);
    button.textContent = "Selected";
    say("Selected: copy it with the keyboard");
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

/** What is there while an answer is awaited. */
export const loading = (what = "Loading") => h("p", { class: "loading", role: "status" }, `${what} …`);

/** What is there instead of a list of nothing. */
export const empty = (...text) => h("p", { class: "empty" }, text);

const HINTS = {
  0: "What is shown may be old by now.",
  404: "It may have been deleted, or never was here.",
  409: "Nothing was changed.",
  412: "Somebody else has changed it since it was loaded. Nothing was overwritten.",
  503: "It is ready in a moment: ask again.",
};

/** A failure: what it is, why, and a way to go on. In place of a whole page it has the page's `heading`, h1. */
export function failed(failure, retry, heading = "strong") {
  console.debug(failure);
  const known = failure.status !== undefined;
  return h(
    "div", { class: "failed", role: "alert" },
    h(heading, { class: "name" }, known ? plain(failure.title) : "This page has a fault"),
    h("p", null, plain(failure.message)),
    h("p", { class: "soft" }, HINTS[failure.status], failure.requestId && ` Request ${plain(failure.requestId)}.`),
    h("div", { class: "buttons" }, retry && h("button", { type: "button", onclick: retry }, "Try again"),
      failure.status === 404 && h("a", { class: "button", href: "/workloads" }, "All workloads")),
  );
}

/**
 * A place that shows what a promise gives: loading, then that, or why not. `load` is called again by "Try again" and by
 * `reload`; what is there stays until then. Of several loads that are under way only the last is shown. `what` is said
 * meanwhile; `heading` is for failures of what has the page's.
 */
export function pending(load, show, { what, heading } = {}) {
  const place = h("div", { class: "place", tabindex: "-1" });
  let shown = false;
  let last = 0;
  const begin = async () => {
    const mine = ++last;
    place.setAttribute("aria-busy", "true");
    if (!shown) fill(place, loading(what));
    try {
      const answer = await load();
      if (mine !== last) return;
      fill(place, show(answer));
      shown = true;
    } catch (failure) {
      if (mine !== last) return;
      fill(place, failed(failure, begin, heading));
      shown = false;
    }
    place.setAttribute("aria-busy", "false");
  };
  begin();
  place.reload = begin;
  return place;
}

/**
 * A list that is loaded page by page. `show` makes the whole of the items that are there so far. `reload` loads as many
 * again, `restart` a list that is another one by now. Of several loads that are under way only the last is shown.
 */
export function paged(load, show, none) {
  const place = h("div", { class: "place", tabindex: "-1" });
  let items = [];
  let last = 0;
  let long = false;
  const draw = (next) => {
    long ||= Boolean(next);
    fill(place, [items.length ? show(items) : none(), next ? more(next) : long && whole()]);
  };
  const more = (next) => {
    const button = h("button", { type: "button", class: "more", "data-control": "more" }, "Show more");
    button.addEventListener("click", () => once(button, () => add(items, next)));
    return button;
  };
  // In place of the button, and of its focus.
  const whole = () => h("p", { class: "soft more", tabindex: "-1", "data-control": "more" }, `These are all: ${count(items.length)}`);
  const add = async (known, cursor, wanted = 0) => {
    const mine = ++last;
    place.setAttribute("aria-busy", "true");
    const trouble = place.querySelector(":scope > .failed");
    if (trouble?.contains(document.activeElement)) place.focus({ preventScroll: true });
    trouble?.remove();
    if (!place.hasChildNodes()) fill(place, loading());
    try {
      do {
        const page = await load(cursor);
        if (mine !== last) return;
        [known, cursor] = [known.concat(page.items), page.next];
      } while (cursor && known.length < wanted);
      items = known;
      draw(cursor);
      if (mine > 1) say(items.length ? `${count(items.length)} are shown` : place.textContent);
    } catch (failure) {
      if (mine !== last) return;
      if (!items.length) fill(place, []);
      place.append(failed(failure, () => add(known, cursor, wanted)));
    }
    place.setAttribute("aria-busy", "false");
  };
  place.reload = () => add([], undefined, items.length);
  place.restart = () => {
    items = [];
    for (const box of boxes(place)) box.scrollTo(0, 0);
    return add(items);
  };
  place.restart();
  return place;
}

const controls = (place) => [...place.querySelectorAll("[data-control]")].filter((control) => control.checkVisibility());
const boxes = (place) => [...place.querySelectorAll(".wide")];

/**
 * Puts something else in a place. The focus stays on the control with the same `data-control`, or goes to that which is
 * now where it was; boxes stay scrolled, and details open.
 */
function fill(place, content) {
  const focused = place.contains(document.activeElement) && document.activeElement;
  const at = focused ? controls(place).indexOf(focused) : -1;
  const scrolled = boxes(place).map((box) => [box.scrollLeft, box.scrollTop]);
  const open = new Set([...place.querySelectorAll("details[open] > summary")].map((summary) => summary.dataset.control));
  place.replaceChildren(...[content].flat(Infinity).filter(Boolean));
  for (const summary of place.querySelectorAll("details > summary[data-control]")) summary.parentNode.open ||= open.has(summary.dataset.control);
  boxes(place).forEach((box, i) => box.scrollTo(...(scrolled[i] ?? [0, 0])));
  if (!focused) return;
  const now = controls(place);
  const same = now.find((control) => control.dataset.control === focused.dataset.control) ?? now[Math.min(at, now.length - 1)];
  (same ?? place).focus({ preventScroll: true });
}

/** A mark: a word in a frame. */
export const mark = (text, kind = "") => h("span", { class: `mark ${kind}` }, plain(text));
