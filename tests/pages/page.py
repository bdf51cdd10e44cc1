"""What all walks share: the browser, the server, and what is stored there."""

import contextlib
import urllib.parse

from parts.report import wait_until

TIMELINE = "/workloads/timeline?" + urllib.parse.urlencode({"namespace": "shop", "name": "cart", "container": "redis"})


class Page:
    """A window on the pages of a server."""

    def __init__(self, browser, server):
        self.browser, self.server = browser, server
        self.cart = self.bad = None

    def open(self, path):
        self.browser.open(self.server.url + path)

    def sees(self, text, selector="main"):
        wait_until(f"{text!r} in {selector}", lambda: text in self.browser.text(selector), 10)

    def _fits(self, width):
        """The page does not scroll sideways in a window of this width."""
        self.browser.size(width)
        wide = self.browser.run("return document.documentElement.scrollWidth")
        assert wide <= width, f"it is {wide} px wide on {width}"

    @contextlib.contextmanager
    def _with_script(self, script):
        """In here, pages run a script before their own."""
        added = self.browser.chromium("Page.addScriptToEvaluateOnNewDocument", source=script)
        try:
            yield
        finally:
            self.browser.chromium("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
