use super::*;

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn found(name: &str, bytes: &[u8]) -> Option<&'static str> {
    let mut head = Head::of(&path(name), Kind::File);
    // However the bytes come, the type is the same.
    for piece in bytes.chunks(7) {
        head.update(piece);
    }
    let mut at_once = Head::of(&path(name), Kind::File);
    at_once.update(bytes);
    assert_eq!(head.media(), at_once.media(), "in pieces and at once");
    head.media().map(|media| media.name().unwrap())
}

#[test]
fn a_file_whose_name_tells_nothing_is_known_by_its_first_bytes() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    let cases: [(&[u8], &str); 16] = [
        (png, "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
        (b"GIF89a\x01\0\x01\0\0\0", "image/gif"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b"%PDF-1.4\n1 0 obj\n", "application/pdf"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "application/zip"),
        (b"#!/bin/sh\nexit 0\n", "application/x-sh"),
        (b"<!DOCTYPE html>\n<p>x</p>", "text/html"),
        (b"BMW and other cars\n", "text/plain"),
        (b"\x42\x4d\x46\0\0\0\0\0\0\0\x36\0\0\0", "image/bmp"),
        ("Grüße\n".as_bytes(), "text/plain"),
        ("é".as_bytes(), "text/plain"),
        (b"\0\x01\x02\x03\xfe\xfe\xfe\xfe", ""),
        (b"", ""),
    ];
    for (bytes, expected) in cases {
        let said = String::from_utf8_lossy(bytes);
        assert_eq!(found("photo", bytes), Some(expected), "{said:?}");
        assert_eq!(found("a/photo.2026", bytes), Some(expected), "{said:?}: no such extension");
        assert_eq!(found("photo.jpg", bytes), None, "the name tells");
    }
}

#[test]
fn a_letter_that_the_head_cuts_is_still_text() {
    let text = format!("x{}", "é".repeat(HEAD_BYTES));
    assert_eq!(found("README", text.as_bytes()), Some("text/plain"));
    let mut head = Head::of(&path("README"), Kind::File);
    head.update(text.as_bytes());
    assert!(!head.is_wanted());
}

#[test]
fn what_is_no_file_and_what_nobody_saw_has_no_type() {
    assert_eq!(Head::of(&path("photo"), Kind::Symlink).media(), None);
    assert_eq!(Head::of(&path("photo"), Kind::Directory).media(), None);
    assert_eq!(Head::unseen().media(), None);
}

#[test]
fn the_table_has_a_line_for_whatever_the_library_may_find() {
    let mut number = 1;
    while let Some(name) = Media::of_number(number).name() {
        let usual = ["text/plain", "font/woff2"].contains(&name) || infer::is_mime_supported(name);
        let aliased = [
            "application/x-java-applet",
            "application/x-rar-compressed",
            "application/x-sh",
            "audio/mid",
            "audio/aiff",
            "audio/flac",
            "audio/wav",
            "image/x-icon",
        ];
        assert!(usual || aliased.contains(&name), "`{name}` is never found");
        number += 1;
    }
}

#[test]
fn whatever_the_bytes_are_nobody_panics() {
    let starts: [&[u8]; 6] = [
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"RIFF",
        b"\x7fELF",
        b"\0\0\0\x18ftyp",
        b"",
    ];
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..3_000 {
        let mut bytes = starts[round % starts.len()].to_vec();
        let length = random.usize(..600);
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
        if round % 2 == 0 && bytes.len() > 60 {
            bytes.splice(30..49, *b"[Content_Types].xml");
        }
        let mut head = Head::of(&path("x"), Kind::File);
        head.update(&bytes);
        assert!(head.media().is_some());
    }
}
