//! Compiles the published `.proto` files with a compiler written in Rust, so that no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "proto/qchat/v1/wire.proto",
        "proto/qchat/v1/content.proto",
        "proto/qchat/v1/exercise.proto",
        "proto/qchat/v1/notes.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
