"""A headless Chromium, driven over WebDriver (and Chromium's own commands, where that has no word for it)."""

import base64
import json
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

from parts.report import wait_until
from parts.server import die_with_parent, free_port

CHROMIUM, DRIVER = "chromium", "chromedriver"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
TAB, ENTER = "\ue004", "\ue007"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# Everything that was awaited is there.
SETTLED = """return document.readyState === "complete" && !!document.querySelector("main :is(h1, .failed)")
             && !document.querySelector("[aria-busy=true], p.loading")"""


class WebDriverError(Exception):
    """The driver or the page said no."""


class Browser:
    """One window of a new profile. Messages of its console are kept until they are asked for."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        port = free_port()
        self.at = f"http://127.0.0.1:{port}"
        with (folder / "chromedriver.log").open("ab") as log:
            self.driver = subprocess.Popen([DRIVER, f"--port={port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True, preexec_fn=die_with_parent)
        wait_until("chromedriver answers", self._ready)
        options = {"binary": shutil.which(CHROMIUM), "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{session['sessionId']}"

    def close(self):
        """Ends the browser, then the driver."""
        try:
            self._ask("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(10)

    def open(self, url, settled=True):
        self._command("POST", "/url", {"url": url})
        if settled:
            self.settle()

    def settle(self):
        """Waits until nothing is loading any more."""
        wait_until("the page has loaded", lambda: self.run(SETTLED), 15)

    def run(self, script, *arguments):
        """What a script returns; it sees its arguments as `arguments`."""
        return self._command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector):
        """The text of each element that the selector finds, in one line each."""
        found = self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector)
        return [" ".join(text.split()) for text in found]

    def text(self, selector="main"):
        return " ".join(self.texts(selector))

    def find(self, selector, text=None):
        """The element that the selector finds first, of those with this text if there is one."""
        script = """return [...document.querySelectorAll(arguments[0])]
                        .find((e) => arguments[1] === null || e.textContent.trim() === arguments[1]) ?? null"""
        return wait_until(f"{selector} {text or ''}", lambda: self.run(script, selector, text), 10)

    def click(self, selector, text=None):
        """Clicks as a mouse does: what is covered by something else cannot be clicked."""
        element = self.find(selector, text)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        self._command("POST", f"/element/{element[ELEMENT]}/click", {})

    def follow(self, selector, text=None):
        """Clicks a link, and waits for the page behind it."""
        self.run("window.before = true")
        self.click(selector, text)
        wait_until("another page is there", lambda: not self.run("return window.before"), 10)
        self.settle()

    def type(self, selector, text):
        """Types in place of what is there."""
        element = self.find(selector)[ELEMENT]
        self._command("POST", f"/element/{element}/clear", {})
        self._command("POST", f"/element/{element}/value", {"text": text})

    def press(self, key):
        """Presses a key, wherever the focus is."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._command("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def back(self):
        self._command("POST", "/back", {})
        self.settle()

    def forward(self):
        self._command("POST", "/forward", {})
        self.settle()

    def reload(self):
        self._command("POST", "/refresh", {})
        self.settle()

    def size(self, width, height=900):
        self.chromium("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, dark):
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.chromium("Emulation.setEmulatedMedia", features=[feature])

    def chromium(self, command, **parameters):
        return self._command("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self, path, width=1280):
        """All of the page."""
        self.size(width)
        height = self.run("return document.documentElement.scrollHeight")
        self.size(width, max(900, min(height, 6000)))
        path.write_bytes(base64.b64decode(self._command("GET", "/screenshot")))
        self.size(width)

    def messages(self):
        """Warnings and errors of the console since it was asked last; broken rules of the policy are among them."""
        log = self._command("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]

    def _command(self, method, path, body=None):
        return self._ask(method, self.session + path, body)

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.at + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise WebDriverError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def _ready(self):
        try:
            return self._ask("GET", "/status")["ready"]
        except OSError:
            return False
