//! Tries out whether the server keeps its word, since what protects a user's file is the server.
//!
//! A server that fails is refused as a whole, with what is wrong: better no service than one that
//! loses an edit now and then.

use std::time::Duration;

use onitu_plug::Fault;

use crate::client::Client;
use crate::fault::{Refusal, fault, unavailable};
use crate::folder::new_name;
use crate::state::{There, Thing};

/// Two writes so far apart are two changes to every clock in use.
const APART: Duration = Duration::from_millis(25);
/// Two writes that fall into two seconds prove nothing, and are tried again.
const TRIES: u32 = 8;

/// Letters that some server has lost or taken for something else in the name that a thing is moved
/// to, where it stands in a header as a whole address.
const ODD: &str = "\n\r\t\u{1b}\u{7f}?#;%\\\"'<>|:*&+=,@!$()[]{}^`~";

/// Refuses a server that can't be relied on. Tells the letters that it can't have in a name.
pub(crate) async fn probe(client: &Client, shown: &str) -> Result<String, Fault> {
    let failed = |refusal: Refusal| unavailable(fault("try out", shown, &refusal).message);
    let first = new_name("Probe-é");
    let second = new_name("probe");
    let tried = try_out(client, &first, &second).await;
    for path in [&first, &second] {
        // What can't be removed now is removed as a leftover later.
        let _ = client.delete(path).await;
    }
    if let Some(why) = tried.map_err(failed)? {
        return Err(unavailable(format!("`{shown}` can't be used safely: {why}")));
    }
    let room = format!("{}/", new_name("probe"));
    let refused = find_odd(client, &room).await;
    // With what has lost its name.
    let _ = client.delete(&room).await;
    refused.map_err(failed)
}

/// The letters that the server can't have, found in a directory of their own. Halved until one letter
/// is left: most servers can have all of them.
async fn find_odd(client: &Client, room: &str) -> Result<String, Refusal> {
    client.make_directory(room).await?;
    let mut refused = String::new();
    let mut waiting: Vec<Vec<char>> = vec![ODD.chars().collect()];
    while let Some(mut letters) = waiting.pop() {
        if can_have(client, room, &letters).await? {
            continue;
        }
        if let [letter] = letters.as_slice() {
            refused.push(*letter);
        } else {
            let rest = letters.split_off(letters.len() / 2);
            waiting.extend([letters, rest]);
        }
    }
    Ok(refused)
}

/// Whether a file that is moved to a name with these letters is then there, and listed so.
async fn can_have(client: &Client, room: &str, letters: &[char]) -> Result<bool, Refusal> {
    let plain = format!("{room}{:08x}", fastrand::u32(..));
    let odd = format!("{plain}{}.", String::from_iter(letters));
    client.write(&plain, b"odd".to_vec()).await?;
    match client.rename(&plain, &odd).await {
        Ok(()) => {}
        Err(lost @ (Refusal::Login | Refusal::Busy(_))) => return Err(lost),
        Err(_) => return Ok(false),
    }
    if client.stat(&odd).await? == There::Nothing {
        return Ok(false);
    }
    let mut entries = client.list(room).await?;
    while let Some((name, _)) = entries.next().await? {
        if odd.strip_prefix(room) == Some(name.as_str()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why the server can't be relied on, if it can't.
async fn try_out(
    client: &Client,
    first: &str,
    second: &str,
) -> Result<Option<&'static str>, Refusal> {
    if !tells_writes_apart(client, first).await? {
        return Ok(Some(
            "its `ETag`s don't tell two writes within one second apart, so an edit could be missed",
        ));
    }
    for folded in [first.to_lowercase(), first.replace('é', "e\u{301}"), format!("{first}.")] {
        if client.stat(&folded).await? != There::Nothing {
            return Ok(Some(
                "it can't tell all names from each other (`a` from `A`, from `a.`, or letters \
                 composed in two ways), which this driver doesn't make up for",
            ));
        }
    }
    let written = there(client, first).await?;
    client.write(second, b"stays".to_vec()).await?;
    match client.rename(first, second).await {
        Err(Refusal::Taken) => {}
        Err(other) => return Err(other),
        Ok(()) => {
            return Ok(Some(
                "it moves one file over another although told not to (`Overwrite: F`)",
            ));
        }
    }
    client.delete(second).await?;
    client.rename(first, second).await?;
    if !there(client, second).await?.is_still(&written) {
        return Ok(Some(
            "what it moves gets another time and another `ETag`, so what is moved can't be known \
             again",
        ));
    }
    Ok(None)
}

async fn tells_writes_apart(client: &Client, path: &str) -> Result<bool, Refusal> {
    for _ in 0..TRIES {
        client.write(path, b"one".to_vec()).await?;
        let one = there(client, path).await?;
        tokio::time::sleep(APART).await;
        client.write(path, b"two".to_vec()).await?;
        let two = there(client, path).await?;
        if one.state().tag == two.state().tag {
            return Ok(false);
        }
        if two.is_told_from(&one) {
            return Ok(true);
        }
    }
    Err(Refusal::Lost("it is too slow to be tried out now".to_owned()))
}

async fn there(client: &Client, path: &str) -> Result<Thing, Refusal> {
    client.stat(path).await?.thing().ok_or(Refusal::Missing)
}
