// The growth of what is stored, drawn. Words stand beside the picture, so that they keep their size.

import { h, s } from "./dom.js";
import { size, things, times, utc } from "./format.js";

const [WIDTH, HEIGHT] = [1000, 200];

/** Sizes with and without deduplication over time, of points with sums up to then. */
export function growth(points) {
  const [first, last] = [points[0], points.at(-1)];
  const [begin, end] = [new Date(first.at), new Date(last.at)];
  const top = round(last.logicalBytes);
  const x = (point) => (end > begin ? ((new Date(point.at) - begin) / (end - begin)) * WIDTH : WIDTH);
  const y = (bytes) => HEIGHT - (bytes / top) * HEIGHT;
  const area = (bytes) => {
    const steps = points.flatMap((point, i) => [`${x(point)},${y(i ? bytes(points[i - 1]) : 0)}`, `${x(point)},${y(bytes(point))}`]);
    return [`0,${HEIGHT}`, ...steps, `${WIDTH},${y(bytes(last))}`, `${WIDTH},${HEIGHT}`].join(" ");
  };
  const logical = (point) => point.logicalBytes;
  const stored = (point) => Math.min(point.storedBytes, top);
  const grid = [0, 0.5, 1].map((part) => s("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }));
  const said = `${things(last.checkpoints, "checkpoint")} from ${utc(first.at)} to ${utc(last.at)}: ` +
    `${size(last.logicalBytes)} without deduplication, ${size(last.storedBytes)} added by pushes, ${times(last.logicalBytes, last.storedBytes)} less.`;
  const picture = s(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": said },
    grid, s("polygon", { class: "logical", points: area(logical) }), s("polygon", { class: "stored", points: area(stored) }),
  );
  return h(
    "figure", { class: "growth" },
    h("figcaption", null, h("span", { class: "key logical" }, "without deduplication"), h("span", { class: "key stored" }, "added by pushes"),
      h("span", { class: "soft" }, "of the checkpoints that are here, by the time when they were taken")),
    h("div", { class: "plot" }, h("div", { class: "ticks" }, h("span", null, size(top)), h("span", null, size(top / 2)), h("span", null, "0")), picture),
    h("div", { class: "dates" }, h("span", null, utc(first.at).slice(0, 16)), h("span", null, utc(last.at).slice(0, 16), " UTC")),
  );
}

/** The next size that is easy to read. */
function round(bytes) {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(bytes || 1) / Math.log(1024)));
  const value = bytes / unit;
  const steps = [1, 2, 4, 5, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 500, 600, 800, 1024];
  return (steps.find((step) => step >= value) ?? value) * unit;
}
