//! How the linker lays out the binary: what a short command pays before its first line runs.

use std::env;

/// The functions that `weir build` runs, in a list that `make first-symbols` writes.
const FIRST: &str = "link/first.symbols";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FIRST}");
    let told = |name: &str| env::var(name).unwrap_or_default();
    if told("CARGO_CFG_TARGET_OS") != "linux" || told("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    // A program that may lie at any address holds 60,000 that the loader writes at every start: that is half the time
    // and a quarter of the memory of a small build. Stack, heap and libraries lie at random all the same.
    link("-no-pie");
    if told("PROFILE") == "release" && told("CARGO_CFG_TARGET_ARCH") == "x86_64" {
        let (here, out) = (told("CARGO_MANIFEST_DIR"), told("OUT_DIR"));
        // Scattered over the whole text, these functions would bring most of it into memory with them. The options are
        // those of lld, the linker here since Rust 1.90.
        link(&format!("-Wl,--symbol-ordering-file={here}/{FIRST}"));
        link("-Wl,--no-warn-symbol-ordering");
        link(&format!("-Wl,-Map={out}/weir.map"));
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=weir={argument}");
}
