//! Integration tests live in `it/`; this package has no code of its own.
