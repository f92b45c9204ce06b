//! Tokens, and how a client comes by them: OAuth 2 with PKCE and refresh tokens.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::errors::Refusal;

/// The access token that every account begins with.
pub const ACCESS: &str = "sl.fake-access-token";
/// The refresh token that every account begins with.
pub const REFRESH: &str = "fake-refresh-token";
/// The app that every account knows.
pub const APP_KEY: &str = "fakeappkey";
/// Seconds for which a new access token is good.
const LIFE_S: u64 = 14_400;

/// Who may call.
#[derive(Debug)]
pub struct Tokens {
    /// By access token: whether it has expired.
    access: BTreeMap<String, bool>,
    refresh: BTreeMap<String, String>,
    /// By code: the app and the challenge that it was given for.
    codes: BTreeMap<String, (String, Option<String>)>,
    made: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access: BTreeMap::from([(ACCESS.to_owned(), false)]),
            refresh: BTreeMap::from([(REFRESH.to_owned(), APP_KEY.to_owned())]),
            codes: BTreeMap::new(),
            made: 0,
        }
    }
}

impl Tokens {
    /// Every access token has expired.
    pub fn expire(&mut self) {
        self.access.values_mut().for_each(|expired| *expired = true);
    }

    /// The user takes back what was allowed.
    pub fn revoke(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// Refuses a call without a token that is good.
    pub fn check(&self, route: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(header) = headers.get("authorization") else {
            return Err(Refusal::BadInput(format!(
                "Error in call to API function \"{route}\": Must provide HTTP header \
                 \"Authorization\" or URL parameter \"authorization\"."
            )));
        };
        let token = header.to_str().ok().and_then(|it| it.strip_prefix("Bearer "));
        let Some(token) = token.filter(|token| !token.trim().is_empty()) else {
            return Err(Refusal::BadInput(format!(
                "Error in call to API function \"{route}\": Invalid authorization value in HTTP \
                 header \"Authorization\"."
            )));
        };
        match self.access.get(token) {
            Some(false) => Ok(()),
            Some(true) => Err(Refusal::Auth("expired_access_token")),
            None => Err(Refusal::Auth("invalid_access_token")),
        }
    }

    /// The user allows an app what it asks for: the code to show.
    pub fn allow(&mut self, query: &BTreeMap<String, String>) -> Result<String, Refusal> {
        let is = |name: &str, value: &str| query.get(name).is_some_and(|it| it == value);
        let Some(app) = query.get("client_id").filter(|_| is("response_type", "code")) else {
            return Err(Refusal::BadInput("Missing client_id or response_type".to_owned()));
        };
        if query.contains_key("code_challenge") && !is("code_challenge_method", "S256") {
            return Err(Refusal::BadInput("Invalid code_challenge_method".to_owned()));
        }
        self.made += 1;
        let code = format!("fake-code-{}", self.made);
        let challenge = query.get("code_challenge").cloned();
        self.codes.insert(code.clone(), (app.clone(), challenge));
        Ok(code)
    }

    /// The answer of the token route.
    pub fn grant(&mut self, form: &BTreeMap<String, String>) -> Result<Value, Refusal> {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match field("grant_type") {
            "refresh_token" => {
                let app = self.refresh.get(field("refresh_token"));
                if app.is_none_or(|app| app != field("client_id")) {
                    return Err(Refusal::OAuth(
                        "invalid_grant",
                        "refresh token is invalid or revoked",
                    ));
                }
                Ok(json!({
                    "access_token": self.new_access(), "token_type": "bearer",
                    "expires_in": LIFE_S,
                }))
            }
            "authorization_code" => {
                let invalid =
                    || Refusal::OAuth("invalid_grant", "code doesn't exist or has expired");
                let (app, challenge) = self.codes.remove(field("code")).ok_or_else(invalid)?;
                let proof = challenge.is_none_or(|it| it == challenge_of(field("code_verifier")));
                if app != field("client_id") || !proof {
                    return Err(Refusal::OAuth("invalid_grant", "invalid code verifier"));
                }
                self.made += 1;
                let refresh = format!("fake-refresh-token-{}", self.made);
                self.refresh.insert(refresh.clone(), app);
                Ok(json!({
                    "access_token": self.new_access(), "token_type": "bearer",
                    "expires_in": LIFE_S, "refresh_token": refresh, "uid": "12345",
                    "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc",
                    "scope": "account_info.read files.content.read files.content.write \
                              files.metadata.read",
                }))
            }
            _ => Err(Refusal::OAuth("unsupported_grant_type", "grant type isn't known")),
        }
    }

    fn new_access(&mut self) -> String {
        self.made += 1;
        let token = format!("{ACCESS}-{}", self.made);
        self.access.insert(token.clone(), false);
        token
    }
}

/// What a client shows of its verifier beforehand: base64url of its SHA-256, without padding.
pub fn challenge_of(verifier: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in Sha256::digest(verifier).chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(char::from(DIGITS[digit as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_the_standard() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
