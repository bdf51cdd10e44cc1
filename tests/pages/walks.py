"""What a person does on the pages, step by step, and what must be seen."""

import time
import urllib.parse

import checkpoints
from browser import ENTER
from page import TIMELINE, Page
from parts.report import wait_until

POLICIES = """policies:
- scope: {}
  keepLast: 2
quotas:
- namespace: shop
  maxCount: 100
"""


class Walks(Page):
    """What is done on each page."""

    def empty(self):
        self.open("/")
        self.sees("Nothing is stored yet")
        self.sees(f"pagevault push /var/lib/kubelet/checkpoints/CHECKPOINT.tar --server {self.server.url}")
        for path, text in [("/workloads", "Nothing is stored yet"), (TIMELINE, "It has no checkpoints"),
                           ("/retention", "There are none"), ("/collections", "None yet"),
                           ("/compare", "Give two references")]:
            self.open(path)
            self.sees(text)

    def overview(self):
        self.open("/")
        stats = checkpoints.ask(self.server, "GET", "/stats")
        ratio = f"{stats['logicalBytes'] / stats['storedBytes']:.1f}×"
        figures = self.browser.text(".figures")
        assert ratio in figures and f"Checkpoints {stats['checkpoints']}" in figures, figures
        chart = self.browser.run("return document.querySelector('.growth svg').getAttribute('aria-label')")
        assert f"{stats['checkpoints']} checkpoints from" in chart, chart
        newest = self.browser.texts("section:has(#newest) tbody tr")
        assert len(newest) == stats["checkpoints"] and self.cart[-1] in " ".join(newest), newest
        self.browser.follow("section:has(#namespaces) a", "shop")
        assert self.browser.texts("tbody th") == ["cart"]

    def slow_sums(self):
        """Sums that are not there yet keep nothing else back."""
        script = """const real = window.fetch;
            window.fetch = (path, options) => path === "/api/v1/stats" ? new Promise((done) => { window.answer = () => done(real(path, options)); }) : real(path, options);"""
        with self._with_script(script):
            self.browser.open(self.server.url, settled=False)
        self.sees(self.cart[-1], "section:has(#newest) tbody")
        self.sees("shop", "section:has(#namespaces) tbody")
        wait_until("growth is drawn", lambda: self.browser.run("return document.querySelector('.growth svg') !== null"), 10)
        assert not self.browser.texts(".figures")
        at = "return document.getElementById('growth').getBoundingClientRect().top"
        before = self.browser.run(at)
        self.browser.run("window.answer()")
        self.sees("Without deduplication", ".figures")
        assert self.browser.run(at) == before, "the page jumps"

    def workloads(self):
        self.open("/")
        self.browser.follow("nav a", "Workloads")
        self.browser.type("input[name=search]", "CAR")
        wait_until("one workload", lambda: self.browser.texts("tbody th") == ["cart"], 5)
        assert self.browser.run("return location.search") == "?search=CAR"
        self.browser.reload()
        assert self.browser.texts("tbody th") == ["cart"]
        self.browser.follow("tbody th a")
        assert self.browser.texts("h1") == ["cart redis"]
        self.browser.back()
        assert self.browser.texts("tbody th") == ["cart"]
        self.browser.forward()
        assert self.browser.texts("h1") == ["cart redis"]
        self.open("/workloads?search=no-such-name")
        self.sees("Nothing has such a name")

    def pages_of_a_list(self):
        self.open("/workloads/timeline?namespace=default&name=many&container=counter")
        assert len(self.browser.texts("tbody tr")) == 50
        for row in (50, 48):
            self.browser.click(f"tr:nth-child({row}) input")
        compared = self.browser.run("return document.querySelector('.chosen a').href")
        scrolled = self.browser.run("return document.querySelector('.wide').scrollTop")
        assert scrolled > 0
        # Pressed again before the answer is there.
        self.browser.run("const more = document.querySelector('.more'); more.focus(); more.click(); more.click()")
        wait_until("the second page", lambda: len(self.browser.texts("tbody tr")) > 50, 10)
        self.browser.settle()
        assert len(self.browser.texts("tbody tr")) == 83
        assert "Show more" not in self.browser.text()
        assert self.browser.run("return document.activeElement.textContent") == "These are all: 83"
        assert self.browser.run("return document.querySelector('.wide').scrollTop") == scrolled
        assert self.browser.run("return document.querySelector('.chosen a').href") == compared
        assert self.browser.run("return document.querySelectorAll('tbody input:checked').length") == 2
        # Something is done to one of the later ones: the list is as long as it was.
        self.browser.click("tr:nth-child(60) button", "Pin")
        self.browser.type("dialog input", "one of many")
        self.browser.click("dialog button", "Pin")
        wait_until("it is pinned", lambda: "pinned" in self.browser.text("tbody tr:nth-child(60)"), 10)
        assert len(self.browser.texts("tbody tr")) == 83
        assert self._focus().startswith("Unpin many/"), self._focus()
        self._fits(375)
        self._fits(1280)

    def late_answers(self):
        """What was asked first and is answered last is not shown."""
        script = """const real = window.fetch; window.late = 0;
            window.fetch = async (path, options) => {
              const answer = await real(path, options);
              if (/search=ca$/.test(path)) { await new Promise((done) => setTimeout(done, 1200)); window.late += 1; }
              return answer;
            };"""
        with self._with_script(script):
            self.open("/workloads")
        self.browser.type("input[name=search]", "ca")
        time.sleep(0.4)
        self.browser.press("r")
        wait_until("both are answered", lambda: self.browser.run("return window.late") == 1, 10)
        self.browser.settle()
        assert self.browser.texts("tbody th") == ["cart"]
        assert self.browser.run("return location.search") == "?search=car"

    def replicas(self):
        """They are found by their pods, told apart, and compared each with its own last."""
        for tar, ref in [("cri-o-counter", "tally/a:1"), ("cri-o-counter", "tally/a-again:1"), ("cri-containerd-counter", "tally/b:1")]:
            checkpoints.push(self.server, checkpoints.unpacked(tar), ref=ref, workload="tally")
        self.open("/workloads?search=DEMO6")
        assert "tally" in self.browser.texts("tbody th"), self.browser.text()
        self.browser.follow("tbody a", "tally")
        pods = self.browser.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.cells[2].textContent)")
        assert sorted(pods) == ["cdemo6", "cdemo6", "demo"], pods
        compared = [urllib.parse.parse_qs(urllib.parse.urlsplit(at).query) for at in
                    self.browser.run("return [...document.querySelectorAll('tbody a[href^=\"/compare\"]')].map((e) => e.href)")]
        assert [sorted(sum(pair.values(), [])) for pair in compared] == [["tally/a-again:1", "tally/a:1"]], compared

    def timeline(self):
        self.open(TIMELINE)
        rows = self.browser.texts("tbody tr")
        assert len(rows) == 4 and all("changed" in row for row in rows[:3]) and "stored whole" in rows[3], rows
        assert len(self.browser.run("return [...document.querySelectorAll('.lane .bar')]")) == 12
        # Newest first: the second and the last, chosen against the order of time.
        self.browser.click("tr:nth-child(2) input")
        assert self.browser.text(".chosen") == "Choose one more."
        self.browser.click("tr:nth-child(4) input")
        self.browser.follow("a", "Compare the two")
        asked = urllib.parse.parse_qs(self.browser.run("return location.search.slice(1)"))
        assert asked == {"from": [self.cart[0]], "to": [self.cart[2]]}, asked

    def pin(self):
        self.open(TIMELINE)
        self.browser.click("tr:nth-child(3) button", "Pin")
        self.browser.type("dialog input", "incident 4711")
        self.browser.click("dialog button", "Pin")
        wait_until("it is pinned", lambda: "pinned" in self.browser.text("tbody tr:nth-child(3)"), 10)
        assert self.browser.text("#said") == "Pinned"
        assert self._focus() == f"Unpin {self.cart[1]}", self._focus()
        assert self.browser.run("return document.querySelector('tr:nth-child(3) .danger').disabled")
        item = checkpoints.ask(self.server, "GET", f"/checkpoints/{urllib.parse.quote(self.cart[1], safe='')}")
        assert item["pin"]["reason"] == "incident 4711", item["pin"]

    def checkpoint(self):
        self.open(f"/checkpoints/{self.cart[2]}")
        self.sees("Stored against")
        digest = checkpoints.ask(self.server, "GET", f"/checkpoints/{urllib.parse.quote(self.cart[2], safe='')}")["digest"]
        yaml = self.browser.text("pre[aria-label^='Pod for Kubernetes']")
        assert "kind: Pod" in yaml and f"@{digest}" in yaml, yaml
        self._memory_map()
        assert "redis-server" in self.browser.text("section:has(#processes) tbody")
        assert "0.0.0.0:16379" in self.browser.text("section:has(#files) tbody")
        assert "KUBERNETES_PORT" in self.browser.text("section:has(#environment) tbody")
        assert "/etc/hostname" in self.browser.text("section:has(#rootfs) tbody")
        self.browser.click("section:has(#archive) summary")
        assert "checkpoint/pages-1.img" in self.browser.text("section:has(#archive) tbody")
        self.browser.click("button[aria-label^='Copy Pod']")
        wait_until("it is copied", lambda: self.browser.text("#said") in ("Copied", "Selected: copy it with the keyboard"), 5)

    def stored_against(self):
        """It leads to what is there, and is a name where nothing is."""
        checkpoint = checkpoints.ask(self.server, "GET", f"/checkpoints/{urllib.parse.quote(self.cart[2], safe='')}")
        base = "const [dt] = [...document.querySelectorAll('.facts dt')].filter((e) => e.textContent === 'Stored against');"
        self.open(f"/checkpoints/{self.cart[2]}")
        short = checkpoint["base"].removeprefix("sha256:")[:12]
        assert self.browser.run(base + "return dt.nextSibling.textContent") == short
        assert self.browser.run(base + "return dt.nextSibling.querySelector('a').pathname") == f"/checkpoints/{self.cart[1]}"
        gone = """const real = window.fetch;
            window.fetch = (path, options) => path.includes("until=")
              ? Promise.resolve(new Response('{"items":[]}', {headers: {"content-type": "application/json"}})) : real(path, options);"""
        with self._with_script(gone):
            self.open(f"/checkpoints/{self.cart[2]}")
        assert self.browser.run(base + "return dt.nextSibling.innerHTML") == f"<code>{short}</code>"
        self.open(f"/checkpoints/{self.cart[0]}")
        self.sees("No earlier checkpoint of this container and image.", "section:has(#memory)")

    def _memory_map(self):
        """Drawn to scale: an area of twice the pages is twice as wide, and what was written is coloured."""
        areas = self.browser.run("""return [...document.querySelectorAll('.map .area')]
            .map((e) => ({wide: e.getBoundingClientRect().width, pages: Number(e.style.flexGrow), heat: e.className}))""")
        large = sorted(areas, key=lambda area: area["pages"])[-2:]
        scale = [area["wide"] / area["pages"] for area in large]
        assert abs(scale[0] / scale[1] - 1) < 0.2, large
        assert {"area heat-0", "area heat-2"} <= {area["heat"] for area in areas}, areas
        written = self.browser.run("""return [...document.querySelectorAll('section:has(#memory) .place > .wide tbody tr')]
            .map((row) => Number(row.cells[5].textContent)).reduce((sum, changed) => sum + changed, 0)""")
        assert f" {written} changed" in self.browser.text("section:has(#memory) p"), written

    def labels(self):
        self.open(f"/checkpoints/{self.cart[2]}")
        self.browser.click("button", "Add label")
        self.browser.type("dialog input", "nonsense")
        self.browser.click("dialog button", "Add")
        self.sees("A label is written key=value", "dialog")
        self.browser.type("dialog input", "reviewed=yes")
        self.browser.click("dialog button", "Add")
        self.sees("reviewed=yes", ".labels")
        self.browser.click("button[aria-label='Remove label team']")
        wait_until("it is gone", lambda: "team=shop" not in self.browser.text(".labels"), 5)

    def delete(self):
        """The dialog can be called off; then it goes, and so does the page."""
        gone = checkpoints.push(self.server, checkpoints.unpacked("podman-counter"), ref="gone/soon:1", workload="gone")
        self.open(f"/checkpoints/{gone['reference']}")
        self.browser.click(".title button", "Delete")
        self.browser.click("dialog button", "Cancel")
        self.browser.click(".title button", "Delete")
        self.browser.run("window.before = true")
        self.browser.click("dialog button", "Delete")
        wait_until("the timeline is there", lambda: not self.browser.run("return window.before"), 10)
        self.sees("It has no checkpoints")

    def nothing_there(self):
        self.open("/checkpoints/shop/no/such:thing")
        self.sees("Not found", ".failed h1")
        self.open("/compare?from=a/b:c&to=Not+A+Reference")
        self.sees("Try again", ".failed")

    def compare(self):
        self.open(f"/compare?{urllib.parse.urlencode({'from': self.cart[0], 'to': self.cart[1]})}")
        diff = checkpoints.ask(self.server, "GET", f"/diff?{urllib.parse.urlencode({'from': self.cart[0], 'to': self.cart[1]})}")
        assert f"{diff['memory']['pages']['changed']} pages changed" in self.browser.text(".legend")
        assert len(self.browser.texts("section:has(#memory) tbody tr")) == len(diff["memory"]["areas"])
        self.browser.follow("a", "Swap")
        assert self.browser.run("return document.forms[0].elements.from.value") == self.cart[1]
        self.browser.type("input[name=to]", self.bad)
        self.browser.follow("form button", "Compare")
        self.sees("redis-server", "section:has(#processes)")
        self.sees("gone", "section:has(#sockets)")
        assert "API_TOKEN" in self.browser.text("section:has(#environment)")
        assert "hunter2" not in self.browser.text()

    def retention(self):
        self.open("/retention")
        self.browser.type("textarea", POLICIES)
        self.browser.click("button", "Save")
        self.sees("everything", "section:has(#policies) tbody")
        self.sees("last 2", "section:has(#policies) tbody")
        self.browser.click("button", "Dry run")
        self.sees("Would go", ".card")
        self.sees("goes", "section:has(#plan) tbody")
        self.browser.run("const s = document.querySelector('select'); s.value = 'keep'; s.dispatchEvent(new Event('change'))")
        wait_until("only what stays", lambda: "goes" not in self.browser.text("section:has(#plan) tbody"), 5)
        self.sees("pinned", "section:has(#plan) tbody")
        # Somebody else was quicker, so nothing is overwritten.
        checkpoints.ask(self.server, "PUT", "/retention/policies", {"policies": [{"keepLast": 50}]})
        self.browser.click("button", "Save")
        self.sees("Nothing was overwritten", ".failed")
        assert checkpoints.ask(self.server, "GET", "/retention/policies")["policies"][0]["keepLast"] == 50
        self.browser.click("button", "Load the new ones; yours are lost")
        self.sees("last 50", "section:has(#policies) tbody")
        self.browser.click("button", "Apply")
        self.browser.click("dialog button", "Apply")
        self.sees("Deleted", ".card")

    def collections(self):
        self.open("/collections")
        self.sees("live", ".live")
        self.browser.click("button", "Dry run")
        self.sees("Would free", ".card")
        self.browser.click(".title button", "Collect")
        self.browser.click("dialog button", "Collect")
        wait_until("both are listed", lambda: len(self.browser.texts("section:has(#runs) > .place > .wide > table > tbody > tr")) == 2, 20)
        # One that somebody else begins is told by the server.
        wait_until("a third may begin", lambda: self._idle(), 20)
        checkpoints.ask(self.server, "POST", "/gc", {"dryRun": True})
        wait_until("it is listed too", lambda: len(self.browser.texts("section:has(#runs) > .place > .wide > table > tbody > tr")) == 3, 20)
        self.browser.type("input[name=digest]", self.cart[0])
        self.browser.click("button", "Explain")
        self.sees("stays", "section:has(#explain) tbody")

    def under_way(self):
        """A collection that takes its time, as a large store's does, is watched and cancelled."""
        script = """const real = window.fetch; let state = "running";
            window.fetch = (path, options) => {
              if (!path.startsWith("/api/v1/gc")) return real(path, options);
              if (path === "/api/v1/gc/7/cancel" && options.method === "POST") state = "cancelled";
              const progress = state === "running" ? {phase: "recipes", done: 3, total: 12} : undefined;
              const run = {id: 7, dryRun: false, trigger: "schedule", state, startedAt: new Date(), progress};
              const body = JSON.stringify(path === "/api/v1/gc" ? {items: [run]} : run);
              return Promise.resolve(new Response(body, {headers: {"content-type": "application/json"}}));
            };"""
        with self._with_script(script):
            self.open("/collections")
        self.sees("recipes: 3 of 12", ".card")
        assert self.browser.run("const p = document.querySelector('progress'); return p.value / p.max") == 0.25
        # The focus stays on the button while the progress is told anew.
        self.browser.run("document.querySelector('.card button').focus(); window.told = 0;"
                         "new MutationObserver(() => window.told += 1).observe(document.querySelector('.card'), {subtree: true, childList: true})")
        wait_until("it is told twice more", lambda: self.browser.run("return window.told") >= 2, 10)
        assert self._focus() == "Cancel", self._focus()
        self.browser.press(ENTER)
        self.sees("cancelled", ".card")
        assert self.browser.run("return document.activeElement.className") == "card"
        self.sees("cancelled", "section:has(#runs) tbody")

    def _focus(self):
        """The name of what has the focus."""
        return self.browser.run("return document.activeElement.ariaLabel ?? document.activeElement.textContent")

    def _idle(self):
        return checkpoints.ask(self.server, "GET", "/gc")["items"][0]["state"] != "running"

    def asked_too_early(self):
        """What is being read when it is asked for is asked for again."""
        script = """const real = window.fetch; let once = true;
            window.fetch = (path, options) => {
              if (!once || !path.endsWith("/processes")) return real(path, options);
              once = false;
              const said = {title: "unavailable", detail: "it is being read from its layer; ask again", status: 503};
              return Promise.resolve(new Response(JSON.stringify(said), {status: 503}));
            };"""
        with self._with_script(script):
            self.open(f"/checkpoints/{self.cart[2]}")
        self.sees("being read from its layer", "section:has(#processes) .failed")
        self.browser.click("section:has(#processes) button", "Try again")
        self.sees("redis-server", "section:has(#processes) tbody")

    def server_gone(self):
        self.open("/collections")
        self.sees("live", ".live")
        self.server.stop()
        self.sees("not connected", ".live")
        self.browser.click("button", "Dry run")
        self.sees("It may be restarting", ".trouble")
        self.server.start()
        self.sees("live", ".live .good")
        self.browser.click("button", "Dry run")
        self.sees("Would free", ".card")

    def no_answer(self):
        """What a page asks is not answered, and then is."""
        script = """const real = window.fetch; window.gone = true;
            window.fetch = (...all) => window.gone ? Promise.reject(new TypeError("no network")) : real(...all);"""
        with self._with_script(script):
            self.open("/")
        self.sees("The server does not answer", ".failed")
        self.browser.run("window.gone = false")
        self.browser.click("button", "Try again")
        self.sees("Without deduplication")
