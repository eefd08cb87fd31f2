//! The migrations are part of the program: it is built anew when one is added or, before it is published, changed.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/sqlite");
    println!("cargo:rerun-if-changed=../migrations/postgres");
}
