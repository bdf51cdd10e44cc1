"""How pages look and sound, and that nothing in them is markup of a stranger."""

import json
import urllib.parse

import checkpoints
from browser import ENTER, TAB
from page import TIMELINE, Page
from parts.report import wait_until


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
                self.browser.size(width)
                wide = self.browser.run("return document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} px wide on {width}"
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
