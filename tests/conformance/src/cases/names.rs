//! Names: byte for byte, or refused.
//!
//! A path is the same on all services or it is not there: a driver may refuse a name as
//! `InvalidName`, which the admin sees, but it must not change one. The list holds names that
//! broke other programs: blanks at the ends, control characters, what shells and URLs give a
//! meaning to, devices of another system, and letters with two spellings.

use onitu_plug::{Fault, FaultKind};

use crate::promise::{Broken, Promise, Verdict, needs, require, same};
use crate::scene::Scene;
use crate::subject::Subject;

/// Names that break programs: each is a legal component of a path, and somewhere somebody has a
/// file of that name.
const HOSTILE: [&str; 30] = [
    " ",
    " leading",
    "trailing ",
    "trailing.",
    "...",
    "a\nb",
    "a\tb",
    "a\rb",
    "\u{1b}[31m",
    "\u{7f}",
    "-rf",
    "*",
    "?",
    "a\\b",
    "a:b",
    "a|b",
    "<a>",
    "\"",
    "'",
    "$HOME",
    "%41",
    "%2F",
    "#",
    "&amp;",
    "CON",
    "nul.txt",
    "é",
    "e\u{301}",
    "\u{202e}txt.exe",
    "🦀",
];

/// Writes a file of this name and finds it again, or is refused cleanly.
async fn arrives<S: Subject>(scene: &Scene<S>, path: &str) -> Result<bool, Broken> {
    let bytes = format!("the bytes of {path}");
    match scene.place(path, bytes.as_bytes()).await {
        Ok(_) => {
            scene.holds(path, bytes.as_bytes()).await?;
            Ok(true)
        }
        Err(Fault { kind: FaultKind::InvalidName, .. }) => {
            scene.absent(path).await?;
            Ok(false)
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Hostile names arrive byte for byte, or are refused as `InvalidName`.
///
/// A name that comes back changed is a deletion of one file and a new one, on every service, at
/// every scan.
pub async fn hostile_names_arrive_byte_for_byte_or_are_refused<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let mut arrived = Vec::new();
    for name in HOSTILE.iter().filter(|name| scene.abilities().exact_names || name.is_ascii()) {
        if arrives(&scene, name).await? {
            arrived.push((*name).to_owned());
        }
    }
    let listed = scene.names("").await?;
    same("the listing", &listed, &arrived.into_iter().collect())?;
    Ok(Verdict::Kept)
}

/// They are as good as directories.
///
/// The same for the path's other components.
pub async fn hostile_names_are_as_good_as_directories<S: Subject>(scene: Scene<S>) -> Promise {
    for name in HOSTILE.iter().filter(|name| scene.abilities().exact_names || name.is_ascii()) {
        let path = format!("{name}/file");
        if arrives(&scene, &path).await? {
            same(name, &scene.names(name).await?, &["file".to_owned()].into())?;
        }
    }
    Ok(Verdict::Kept)
}

/// A name of 255 bytes arrives or is refused; its temporary file must not be longer.
///
/// Drivers that write `NAME.tmp` beside the file fail exactly here.
pub async fn a_name_of_255_bytes_arrives_or_is_refused<S: Subject>(scene: Scene<S>) -> Promise {
    arrives(&scene, &"n".repeat(255)).await?;
    arrives(&scene, &format!("directory/{}", "é".repeat(127))).await?;
    let long = "o".repeat(255);
    if let Ok(first) = scene.place(&long, b"bytes").await {
        scene.place_over(&long, b"other", Some(first.tag)).await?;
        scene.holds(&long, b"other").await?;
    }
    Ok(Verdict::Kept)
}

/// A path of 4,000 bytes arrives or is refused.
///
/// Root and path together may be more than the system takes in one call.
pub async fn a_very_long_path_arrives_or_is_refused<S: Subject>(scene: Scene<S>) -> Promise {
    let path = vec!["d".repeat(199); 19].join("/") + "/file";
    arrives(&scene, &path).await?;
    Ok(Verdict::Kept)
}

/// Fifty directories deep is not too deep.
///
/// Source trees of some languages are as deep.
pub async fn a_deep_path_arrives<S: Subject>(scene: Scene<S>) -> Promise {
    let path = vec!["d"; 50].join("/") + "/file";
    require!(arrives(&scene, &path).await?, "a path of fifty directories was refused");
    Ok(Verdict::Kept)
}

/// Names that differ only in case are two files.
///
/// Folding them in the driver would merge two files that are different elsewhere.
pub async fn names_that_differ_in_case_are_two_files<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; exact_names);
    scene.place("name", b"small").await?;
    scene.absent("NAME").await?;
    scene.place("NAME", b"large").await?;
    scene.holds("name", b"small").await?;
    scene.holds("NAME", b"large").await?;
    Ok(Verdict::Kept)
}

/// A composed and a decomposed letter are two files.
///
/// Two systems spell `é` differently; merged, one of the two directories was deleted
/// (owncloud/client#12104).
pub async fn composed_and_decomposed_letters_are_two_files<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; exact_names);
    scene.place("\u{e9}", b"composed").await?;
    scene.absent("e\u{301}").await?;
    scene.place("e\u{301}", b"decomposed").await?;
    scene.holds("\u{e9}", b"composed").await?;
    same("the number of files", &scene.names("").await?.len(), &2)?;
    Ok(Verdict::Kept)
}
