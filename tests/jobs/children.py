"""What the child-process tests run in the child; importable there by path."""

import os
import signal
import time

from edgekit.core.errors import BadInput


class Counter:
    def __init__(self, start):
        self.value = start

    def add(self, number, progress=None):
        for _ in progress.track(range(number), "adding"):
            self.value += 1
        progress.note(f"now {self.value}")
        return self.value

    def refuse(self):
        raise BadInput("No.", hint="Never.")

    def bug(self):
        return {}["missing"]

    def without_memory(self):
        raise MemoryError

    def hang(self):
        while True:
            time.sleep(1)

    def noise(self):
        print("library noise on stdout", flush=True)
        return "quiet"

    def die(self):
        os.write(2, b"last words\n")
        os.kill(os.getpid(), signal.SIGSEGV)
