//! The examples in `docs/protocol.md` are what the types say, field for field and byte for byte.

use serde_json::Value;

use crate::manifest::Manifest;
use crate::message::{
    Action, Answer, Ask, Batch, Event, Heartbeat, Reply, Request, decode, encode,
};
use crate::status::Report;
use crate::{Content, Fault, Record, Service, State};

const PROTOCOL: &str = include_str!("../../../../docs/protocol.md");

/// A fenced block that says of which type it is: ```` ```json Reply ````.
struct Example<'a> {
    language: &'a str,
    type_name: &'a str,
    text: String,
}

fn examples() -> Vec<Example<'static>> {
    let mut examples = Vec::new();
    let mut lines = PROTOCOL.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((language, type_name)) = fence.split_once(' ') {
            examples.push(Example { language, type_name, text: text.join("\n") });
        }
    }
    examples
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.trim().as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What the example is once it was read as its type and written again.
fn again<T: serde::Serialize + serde::de::DeserializeOwned>(example: &Example<'_>) -> String {
    let shown = |error: &dyn std::fmt::Display| format!("{error}, in {}", example.text);
    if example.language == "json" {
        let read: T =
            serde_json::from_str(&example.text).unwrap_or_else(|it| panic!("{}", shown(&it)));
        return serde_json::to_value(&read).unwrap().to_string();
    }
    let read: T = decode(&bytes(&example.text)).unwrap_or_else(|it| panic!("{}", shown(&it)));
    hexadecimal(&encode(&read))
}

#[test]
fn every_example_of_the_protocol_is_read_and_written_as_it_stands_there() {
    let all = examples();
    for example in &all {
        let again = match (example.language, example.type_name) {
            ("hex", "Record") => {
                let record = Record::unpack(&bytes(&example.text)).unwrap();
                hexadecimal(&record.pack())
            }
            ("json" | "hex", "Action") => again::<Action>(example),
            ("json" | "hex", "Answer") => again::<Answer>(example),
            ("json" | "hex", "Ask") => again::<Ask>(example),
            ("json" | "hex", "Batch") => again::<Batch>(example),
            ("json", "Content") => again::<Content>(example),
            ("json", "Event") => again::<Event>(example),
            ("json", "Fault") => again::<Fault>(example),
            ("json" | "hex", "Heartbeat") => again::<Heartbeat>(example),
            ("json", "Manifest") => again::<Manifest>(example),
            ("json", "Record") => again::<Record>(example),
            ("json" | "hex", "Reply") => again::<Reply>(example),
            ("json", "Report") => again::<Report>(example),
            ("json" | "hex", "Request") => again::<Request>(example),
            ("json", "Service") => again::<Service>(example),
            ("json", "State") => again::<State>(example),
            other => panic!("an example of {other:?}: say here what that is"),
        };
        let expected = match example.language {
            "json" => serde_json::from_str::<Value>(&example.text).unwrap().to_string(),
            _ => example.text.trim().to_owned(),
        };
        assert_eq!(again, expected, "an example of `{}`", example.type_name);
    }
    assert!(all.len() >= 25, "only {} examples were found", all.len());
}

#[test]
fn the_packed_record_of_the_protocol_is_the_one_that_stands_below_it() {
    let examples = examples();
    let of = |language| {
        let is_it = |it: &&Example<'_>| it.language == language && it.type_name == "Record";
        examples.iter().find(is_it).unwrap()
    };
    let packed = Record::unpack(&bytes(&of("hex").text)).unwrap();
    assert_eq!(packed, serde_json::from_str::<Record>(&of("json").text).unwrap());
}

#[test]
fn the_shards_and_the_conflict_name_of_the_protocol_are_right() {
    use crate::{Checksum, Path, Shard, conflict};
    let shards = ["", "d", "a/b"].map(|directory| Shard::of_directory(directory).index());
    assert_eq!(shards, [2, 10, 4]);
    for part in ["the shards 2, 10 and 4", "`d/report (conflict nas a9993e3).txt`"] {
        assert!(PROTOCOL.contains(part), "{part}");
    }
    let path = Path::new("d/report.txt").unwrap();
    let kept = conflict::conflict_path(&path, "nas", Checksum::of(b"abc"), 7);
    assert_eq!(kept.as_str(), "d/report (conflict nas a9993e3).txt");
}
