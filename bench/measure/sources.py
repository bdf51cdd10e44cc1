"""The series of checkpoints that are measured: made once by real runtimes, kept in a folder of the user's cache."""

import shutil

from parts.report import run
from parts.series import ROOT, unpack

SERIES_SECONDS_MAX = 3600


class Sources:
    """Series by name and length, `redis5` or `redis100`; a short one holds tars, a long one patches."""

    def __init__(self, folder, binary):
        self.folder, self.binary = folder, binary

    def tars(self, program, count=5):
        folder = self._made(program, count, [])
        return sorted(folder.glob("*.tar"))[:count]

    def packed(self, program, count):
        return sorted(self._made(program, count, ["--packed"]).glob("*.tar.zst"))[:count]

    def unpacked(self, machine, patches, out):
        """The tars of a packed series one after another, each gone when the next one comes."""
        return unpack(machine, patches, out, f"/e2e/share/{out.relative_to(self.folder)}")

    def _made(self, program, count, options):
        folder = self.folder / f"{program}{count}"
        if len(list(folder.glob("*.tar*"))) >= count:
            return folder
        print(f"# making {count} checkpoints of {program} in {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        half = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(half, ignore_errors=True)
        run([ROOT / f"tests/e2e/{program}-series", half, "--count", str(count), "--binary", self.binary, *options],
            timeout=SERIES_SECONDS_MAX)
        half.rename(folder)
        return folder
