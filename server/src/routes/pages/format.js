// Numbers and times as people read them.

import { h } from "./dom.js";

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes, with one digit after the point. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  let [value, unit] = [bytes / 1024, 0];
  while (value >= 1023.95 && unit + 1 < UNITS.length) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** A number with its thousands apart. */
export const count = (number) => number.toLocaleString("en-US");

/** A number of things. */
export const things = (number, thing, many = `${thing}s`) => `${count(number)} ${number === 1 ? thing : many}`;

/** A part of a whole, in percent. */
export function share(part, whole) {
  const percent = whole ? (part * 100) / whole : 0;
  if (percent > 0 && percent < 0.01) return "< 0.01 %";
  return `${percent.toFixed(percent === 0 || percent === 100 ? 0 : percent < 1 ? 2 : 1)} %`;
}

/** How often a whole holds a part. */
export const times = (whole, part) => (part ? `${(whole / part).toFixed(whole / part < 100 ? 1 : 0)}×` : "–");

const two = (number) => String(number).padStart(2, "0");

/** A time in UTC, to the second. */
export function utc(text) {
  const at = new Date(text);
  const day = `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
  return `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} UTC`;
}

const STEPS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds in their largest unit. */
export function period(seconds) {
  const [unit, length] = STEPS.find(([, length]) => seconds >= length) ?? STEPS.at(-1);
  return `${Math.floor(seconds / length)} ${unit}`;
}

/** How long ago something was. */
export function ago(text) {
  const seconds = (Date.now() - new Date(text)) / 1000;
  return seconds < 5 ? "now" : `${period(seconds)} ago`;
}

/** A time, and how long ago that is. */
export const time = (text) =>
  h("time", { datetime: text, title: text }, utc(text), " ", h("span", { class: "soft" }, ago(text)));

/** A time as lists show it: how long ago, and when. */
export const moment = (text) =>
  h("time", { datetime: text, title: text, class: "moment" }, utc(text).slice(0, 16), " ", h("span", { class: "soft" }, ago(text)));

/** A digest, short enough to read and long enough to tell apart. */
export const short = (digest) => digest.replace(/^sha256:/, "").slice(0, 12);
