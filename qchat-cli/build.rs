//! Builds the program again when a migration is added: the macro that embeds them is not told of new files.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/client");
    println!("cargo:rerun-if-changed=../migrations/quantum");
}
