#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| qchat_proto_fuzz::directory(input));
