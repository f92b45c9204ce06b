//! The whole of Onitu with real processes: build them first (`cargo build --workspace --bins`).

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

mod brake;
mod commands;
mod configuration;
mod conflicts;
mod crashes;
mod credentials;
mod directories;
mod driver_test;
mod dropbox;
mod editors;
mod faults;
mod files;
mod first_contact;
mod folders;
mod ignoring;
mod instances;
mod kills;
mod limit;
mod links;
mod lost_elsewhere;
mod mix;
mod mounted;
mod moves;
mod names;
mod opendal;
mod operations;
mod paths;
mod python;
mod quota;
mod renames;
mod resolve;
mod resume;
mod rules;
mod running;
mod s3;
mod sftp;
mod stopped;
mod store;
mod trash;
mod types;
mod unable;
mod verify;
mod watching;

#[test]
fn every_file_of_this_directory_is_part_of_the_test() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let main = std::fs::read_to_string(directory.join("main.rs")).unwrap();
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs").to_owned();
        if module != "main" && !main.contains(&format!("\nmod {module};\n")) {
            missing.push(module);
        }
    }
    assert!(missing.is_empty(), "not listed in main.rs: {missing:?}");
}
