"""Checks: each prints one line, a failed one also the end of every log that may say why."""

import contextlib
import pathlib
import subprocess
import time
import traceback

TAIL_LINES = 30


class Failed(Exception):
    """A check failed and the rest of its scenario has no sense; it has been reported already."""


class CommandFailed(Exception):
    """A command ended badly; holds the end of what it printed."""

    def __init__(self, command, code, output):
        super().__init__(f"{' '.join(map(str, command))}: exit code {code}")
        self.output = output

    def __str__(self):
        return f"{super().__str__()}\n{self.output}" if self.output else super().__str__()


def run(command, *, text=True, timeout=120, **options):
    """Runs a command and returns what it printed; raises `CommandFailed` with the rest."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, **options)
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"") + (late.stderr or b"")
        raise CommandFailed(command, f"none in {timeout} s", said.decode(errors="replace")) from None
    if done.returncode:
        raise CommandFailed(command, done.returncode, (done.stdout + done.stderr).decode(errors="replace"))
    return done.stdout.decode(errors="replace").strip() if text else done.stdout


def wait_until(what, condition, seconds=30):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


class Report:
    """Counts checks and knows which logs to show."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.logs = {}

    @contextlib.contextmanager
    def watching(self, name, path):
        """In here, a failed check shows the end of this log: what was written since the check began."""
        self.logs[name] = pathlib.Path(path)
        try:
            yield
        finally:
            del self.logs[name]

    def skip(self, name, why):
        self.skipped += 1
        print(f"skip {name}: {why}", flush=True)

    @contextlib.contextmanager
    def check(self, name, fatal=False):
        """One check. A fatal one ends its scenario when it fails; others let it go on."""
        start = time.monotonic()
        marks = {log: size_of(path) for log, path in self.logs.items()}
        try:
            yield
        except Exception as error:  # whatever went wrong, it is this check that did not pass
            self._fail(name, error, marks)
            if fatal:
                raise Failed(name) from error
        else:
            self.passed += 1
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)

    @contextlib.contextmanager
    def scenario(self, title):
        """A group of checks; what breaks one does not stop the next."""
        print(f"# {title}", flush=True)
        try:
            yield
        except Failed:
            print(f"# {title}: the rest is left out", flush=True)
        except Exception as error:
            self._fail(title, error)

    def interrupted(self):
        """Says that the rest did not run, which is a failure."""
        self.failed += 1
        print("FAIL interrupted", flush=True)

    def close(self):
        """Prints the closing line and returns the exit code."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0

    def _fail(self, name, error, marks=()):
        self.failed += 1
        print(f"FAIL {name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        if isinstance(error, CommandFailed):
            show("its output", error.output)
        else:
            show("where", "".join(traceback.format_exception(error)))
        for log, path in self.logs.items():
            with contextlib.suppress(OSError), path.open("rb") as f:
                f.seek(dict(marks).get(log, 0))
                show(log, f.read().decode(errors="replace"))
        print(end="", flush=True)


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def show(title, text):
    """Prints the end of a text, indented, so that it is never taken for a result."""
    lines = text.splitlines()[-TAIL_LINES:]
    print(f"  --- {title}, last {len(lines)} lines")
    for line in lines:
        print(f"  | {line}")
