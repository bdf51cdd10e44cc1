"""What `bench/run` measures; `cargo xtask bench` runs it."""
