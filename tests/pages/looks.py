"""How pages look and sound, and that nothing in them is markup of a stranger."""

import json
import urllib.parse

import checkpoints
from browser import ENTER, TAB
from page import TIMELINE, Page
from parts.report import wait_until

# A tree of 700 levels, and 3000 memory areas.
ENORMOUS = """const real = window.fetch;
const process = (pid) => ({pid, parent: pid - 1, command: "sh", session: 1, threads: [], memoryBytes: 0, areaCount: 0, fileCount: 0});
const area = (n) => ({start: `0x${(n * 8192).toString(16)}`, end: `0x${(n * 8192 + 4096).toString(16)}`, kind: "anonymous", rights: "rw-p", pages: 1});
const answers = {
  "/processes": {items: Array.from({length: 700}, (_, i) => process(i + 1))},
  "/memory-areas": {processes: [{pid: 1, command: "sh", areas: Array.from({length: 3000}, (_, i) => area(i + 1))}]},
};
window.fetch = (path, options) => {
  const fake = answers[path.slice(path.lastIndexOf("/"))];
  return fake ? Promise.resolve(new Response(JSON.stringify(fake), {headers: {"content-type": "application/json"}})) : real(path, options);
};"""


class Looks(Page):
    """What must hold on every page."""

    def hostile(self):
        """What would like to be markup is text, and what turns text around is written out."""
        self.open(f"/checkpoints/{self.bad}")
        self.sees(checkpoints.MARKUP, "section:has(#environment) tbody")
        self.sees("\\u{202e}gnp.exe\\u{202c}\\u{1b}[2J", "section:has(#environment) tbody")
        self.sees("kept back", "section:has(#environment) tbody")
        self.sees(checkpoints.MARKUP.replace("/", ""), "section:has(#rootfs) tbody")
        self.sees(f"note={checkpoints.MARKUP}", ".labels")
        self.browser.click(".title button", "Pin")
        self.browser.type("dialog input", checkpoints.MARKUP)
        self.browser.click("dialog button", "Pin")
        self.sees(checkpoints.MARKUP, ".note")
        self._harmless()
        self.browser.follow(".crumbs a:nth-of-type(3)")
        self.sees("\\u{202e}gnp.exe", "h1")
        self._harmless()
        for path in ["/", "/workloads"]:
            self.open(path)
            self.sees("\\u{202e}gnp.exe" if path != "/" else "<img src=x")
            self._harmless()

    def _harmless(self):
        assert self.browser.run("return window.owned ?? null") is None, "a script of a stranger ran"
        assert self.browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert "\u202e" not in self.browser.run("return document.body.textContent")

    def enormous(self):
        """However deep its process tree is, and however many areas it has, a checkpoint can be looked at."""
        with self._with_script(ENORMOUS):
            self.open(f"/checkpoints/{self.cart[2]}")
        self._fits(375)
        self._fits(1280)
        processes = "section:has(#processes) tbody tr"
        assert len(self.browser.texts(processes)) == 500
        self.browser.click("section:has(#processes) button", "Show more of 700")
        assert len(self.browser.texts(processes)) == 700
        wide = self.browser.run("return Math.max(...[...document.querySelectorAll('.branch')].map((e) => e.getBoundingClientRect().width))")
        assert 100 < wide < 400, wide
        assert self.browser.run("return document.querySelector('section:has(#processes) tr:last-child .said').textContent") == "level 700 "
        # A place in the map leads to its row, drawn or not.
        assert len(self.browser.texts("section:has(#memory) tbody tr")) == 500
        self.browser.run("[...document.querySelectorAll('.map .area')].at(-1).click()")
        assert self.browser.run("return document.querySelector('tr:target').rowIndex") == 3000

    def keyboard(self):
        """From the overview to a pinned checkpoint with Tab and Enter, and the focus is seen on the way."""
        self.open("/")
        self.browser.press(TAB)
        assert self._focused()["text"] == "Skip to the content"
        self._tab_to("Workloads")
        self._enter()
        self._tab_to("cart")
        self._enter()
        self._tab_to(self.cart[1].split(":")[1])
        self._enter()
        self.sees("Pinned: incident 4711", ".note")

    def _tab_to(self, text):
        for _ in range(60):
            self.browser.press(TAB)
            focused = self._focused()
            assert focused["outlined"], focused
            if focused["text"] == text:
                return
        raise AssertionError(f"60 tabs do not lead to {text}")

    def _focused(self):
        return self.browser.run("""const e = document.activeElement; const s = getComputedStyle(e);
            return {text: e.textContent.trim().slice(0, 80), outlined: s.outlineStyle !== "none" && s.outlineWidth !== "0px"}""")

    def _enter(self):
        self.browser.run("window.before = true")
        self.browser.press(ENTER)
        wait_until("another page is there", lambda: not self.browser.run("return window.before"), 10)
        self.browser.settle()

    def pictures(self, folder):
        """Every page in light and dark and on a telephone, where nothing but boxes of their own is wider than it."""
        compare = urllib.parse.urlencode({"from": self.cart[1], "to": self.cart[2]})
        paths = {"overview": "/", "workloads": "/workloads", "timeline": TIMELINE, "checkpoint": f"/checkpoints/{self.cart[2]}",
                 "compare": f"/compare?{compare}", "retention": "/retention", "collections": "/collections",
                 "hostile": f"/checkpoints/{self.bad}", "not-found": "/checkpoints/a/b:c"}
        for name, path in paths.items():
            self.open(path)
            for kind, width in [("light", 1280), ("dark", 1280), ("narrow", 375)]:
                self.browser.dark(kind == "dark")
                self._fits(width)
                self.browser.picture(folder / f"{name}-{kind}.png", width)
        self.browser.dark(False)
        self.browser.size(1280)

    def accessible(self):
        """Tables have captions and headers with a scope, headings do not skip a level, every control has a name."""
        for path in ["/", "/workloads", TIMELINE, f"/checkpoints/{self.cart[2]}", "/retention", "/collections"]:
            self.open(path)
            wrong = self.browser.run("""
                const all = (selector) => [...document.querySelectorAll(selector)];
                const levels = all("h1, h2, h3").map((e) => Number(e.localName[1]));
                return [
                  ...all("table").filter((e) => !e.caption), ...all("th").filter((e) => !e.scope),
                  ...all("button, a").filter((e) => !(e.ariaLabel ?? e.textContent).trim() && !e.title),
                  ...all("input, select, textarea").filter((e) => !e.ariaLabel && !e.labels.length),
                  ...all("[id]").filter((e, i, list) => list.findIndex((o) => o.id === e.id) !== i),
                ].map((e) => e.outerHTML.slice(0, 200)).concat(levels.some((l, i) => l > (levels[i - 1] ?? 0) + 1) ? [`levels ${levels}`] : [])""")
            assert not wrong, json.dumps(wrong, indent=1)
