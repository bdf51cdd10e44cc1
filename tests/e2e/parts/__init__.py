"""The parts of the end-to-end test. Only Python's own library, so that a bare machine can run it."""
