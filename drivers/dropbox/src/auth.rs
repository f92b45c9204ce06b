//! `onitu auth dropbox`: gets tokens for a person who has a browser somewhere.
//!
//! OAuth 2 with PKCE: the page is opened on any machine and shows a code, which is typed in here;
//! no secret of the app is needed, and nothing has to listen. What is written is a refresh token,
//! readable by nobody else.

use std::io::{BufRead, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use onitu_plug::{Fault, FaultKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::fault::Refusal;
use crate::options::Options;

/// Holds the service's options as JSON; `onitu auth` sets it.
const OPTIONS_VARIABLE: &str = "ONITU_OPTIONS";
/// Random bytes of a verifier: 64 letters.
const VERIFIER_BYTES: usize = 48;

/// Asks the person on the terminal. Exit codes: 0 the tokens are written, 1 not, and why.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]
pub fn auth() -> ExitCode {
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(format!("can't begin: {error}")))
        .and_then(|runtime| runtime.block_on(run()));
    match told {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn failed(text: String) -> Fault {
    Fault::new(FaultKind::Unavailable, text)
}

#[expect(clippy::print_stdout, reason = "it talks to a person")]
async fn run() -> Result<String, Fault> {
    let options = std::env::var(OPTIONS_VARIABLE)
        .map_err(|_| failed("start this by `onitu auth dropbox`".to_owned()))?;
    let options: Options = serde_json::from_str(&options)
        .map_err(|error| failed(format!("the options can't be read: {error}")))?;
    let client = Client::new(&options)?;
    let verifier = verifier().map_err(|error| failed(format!("no random numbers: {error}")))?;
    let page = page(&options, &verifier);
    println!(
        "1. Open this page in a browser, on any machine, and allow the app:\n\n   {page}\n\n\
         2. Paste the code that it shows here, and press Enter:"
    );
    let mut code = String::new();
    let read = std::io::stdin().lock().read_line(&mut code);
    read.map_err(|error| failed(format!("the code can't be read: {error}")))?;
    let code = code.trim();
    if code.is_empty() {
        return Err(failed("no code was given: nothing is written".to_owned()));
    }
    let granted = client
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &options.app_key),
            ("code_verifier", &verifier),
        ])
        .await
        .map_err(unsettled)?;
    let Some(refresh_token) = granted["refresh_token"].as_str() else {
        return Err(failed("Dropbox gave no token that lasts".to_owned()));
    };
    let file = &options.token_file;
    let text = json!({ "refresh_token": refresh_token, "account_id": granted["account_id"] });
    write(file, &text.to_string())
        .map_err(|error| failed(format!("can't write `{}`: {error}", file.display())))?;
    let account = client.ask("users/get_current_account", &Value::Null).await;
    let account = account.map_err(|refusal| refusal.fault("call", "Dropbox"))?;
    let name = account["name"]["display_name"].as_str().unwrap_or("somebody");
    let email = account["email"].as_str().unwrap_or("no address");
    Ok(format!(
        "Onitu may work in the Dropbox of {name} ({email}); the token is in `{}`",
        file.display()
    ))
}

/// Why there is no token. A code that is refused is of no use any more; one that didn't arrive is.
fn unsettled(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Token => failed(
            "Dropbox refuses the code: begin again, and paste the new one soon. If it is refused \
             again: is `app_key` that of the page?"
                .to_owned(),
        ),
        other => other.fault("call", "Dropbox"),
    }
}

fn page(options: &Options, verifier: &str) -> String {
    let site = options.api_base.as_deref().unwrap_or("https://www.dropbox.com");
    format!(
        "{}/oauth2/authorize?client_id={}&response_type=code&token_access_type=offline\
         &code_challenge={}&code_challenge_method=S256",
        site.trim_end_matches('/'),
        options.app_key,
        base64url(&Sha256::digest(verifier)),
    )
}

/// What only this process knows, from the system's source of random numbers.
fn verifier() -> std::io::Result<String> {
    let mut bytes = [0; VERIFIER_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64url(&bytes))
}

/// Without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(char::from(letter));
        }
    }
    text
}

/// Replaces the file in one step by one that only its owner may read.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    if let Some(directory) = file.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    // One that is left from an earlier attempt may have other permissions.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(part, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_the_standard() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = base64url(&Sha256::digest(verifier));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_verifier_is_another_one_each_time() {
        let (one, other) = (verifier().expect("random"), verifier().expect("random"));
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }

    #[test]
    fn tokens_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("new/token.json");
        for text in ["one", "other"] {
            write(&file, text).expect("it is written");
            assert_eq!(std::fs::read_to_string(&file).expect("it is there"), text);
        }
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
