//! An S3 server for tests: moto, a faithful one written in Python, behind a gate (`server.py`)
//! that decides what each bucket can and when it fails.
//!
//! One server serves all tests of a machine, each with a [`Bucket`] of its own: the first starts
//! it, and it ends by itself when nobody has asked anything for a while. Its Python environment is
//! made once, below cargo's target directory.

#![allow(clippy::missing_panics_doc, reason = "a test that can't have its server fails")]

mod http;
mod server;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::ask;

/// The access key that the server accepts.
pub const ACCESS_KEY_ID: &str = "onitu-test";
/// The server takes every secret.
pub const SECRET_ACCESS_KEY: &str = "not-a-secret";

/// A bucket of its own, removed when dropped, and its user who needs no S3 to edit it.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    address: String,
}

/// Removes the bucket when dropped.
#[derive(Debug)]
pub struct Fresh(Bucket);

impl std::ops::Deref for Fresh {
    type Target = Bucket;

    fn deref(&self) -> &Bucket {
        &self.0
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Else its contents stay for as long as the server.
        let _ = self.0.control("DELETE", "bucket", "", b"");
    }
}

impl Bucket {
    /// A new bucket on the server, which is started if it doesn't run. `settings` as in
    /// `server.py`: `conditions`, `etags`, `versioned`, `queue`.
    pub fn fresh(settings: &Value) -> Fresh {
        let address = server::address();
        let name = format!("test-{:016x}", fastrand::u64(..));
        let bucket = Self { name, address };
        bucket.must("PUT", "bucket", "", settings.to_string().as_bytes());
        Fresh(bucket)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's address, as a driver takes it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The options of a driver for this bucket.
    pub fn options(&self, prefix: &str) -> Value {
        json!({
            "bucket": self.name,
            "prefix": prefix,
            "region": "us-east-1",
            "endpoint": self.endpoint(),
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        })
    }

    fn control(&self, method: &str, what: &str, query: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let target = format!("/_gate/{what}/{}?{query}", self.name);
        ask(&self.address, method, &target, body)
            .unwrap_or_else(|error| panic!("the test server doesn't answer: {error}"))
    }

    #[track_caller]
    fn must(&self, method: &str, what: &str, query: &str, body: &[u8]) -> Vec<u8> {
        let (status, answer) = self.control(method, what, query, body);
        let shown = String::from_utf8_lossy(&answer);
        assert_eq!(status, 200, "the test server refused {method} {what} {query}: {shown}");
        answer
    }

    fn door(&self, method: &str, key: &str, body: &[u8]) -> (u16, Vec<u8>) {
        self.control(method, "door", &format!("key={}", http::quote(key)), body)
    }

    /// Writes an object as its user.
    pub fn write(&self, key: &str, bytes: &[u8]) {
        assert_eq!(self.door("PUT", key, bytes).0, 200, "{key}");
    }

    /// Writes an object of a storage class.
    pub fn write_class(&self, key: &str, bytes: &[u8], class: &str) {
        self.must("PUT", "door", &format!("key={}&class={class}", http::quote(key)), bytes);
    }

    /// How an object is stored: `class`, `encryption`, `kms`.
    pub fn about(&self, key: &str) -> Value {
        let answer = self.must("GET", "about", &format!("key={}", http::quote(key)), b"");
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// What all versions of an object hold, the oldest first.
    pub fn versions(&self, key: &str) -> Vec<Vec<u8>> {
        let answer = self.must("GET", "versions", &format!("key={}", http::quote(key)), b"");
        let found: Vec<String> = serde_json::from_slice(&answer).unwrap_or_default();
        found.iter().map(|text| http::base64(text)).collect()
    }

    /// Adds to the end of an object.
    pub fn append(&self, key: &str, bytes: &[u8]) {
        assert_eq!(self.door("POST", key, bytes).0, 200, "{key}");
    }

    /// Removes an object; whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        self.door("DELETE", key, b"").0 == 200
    }

    /// What an object holds.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let (status, bytes) = self.door("GET", key, b"");
        (status == 200).then_some(bytes)
    }

    /// All objects whose keys begin so.
    pub fn below(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let answer = self.must("GET", "door", &format!("below={}", http::quote(prefix)), b"");
        let found: BTreeMap<String, String> = serde_json::from_slice(&answer).unwrap_or_default();
        found.into_iter().map(|(key, text)| (key, http::base64(&text))).collect()
    }

    /// Changes the bucket's settings: `conditions`, `away`, `space`, `faults`, `counts`.
    pub fn set(&self, settings: &Value) {
        self.must("POST", "set", "", settings.to_string().as_bytes());
    }

    /// Refuses the next `times` requests of a kind (`PUT`, `PART`, `COPY`, `LIST`…) whose key has
    /// `key` in it.
    pub fn refuse(&self, kind: &str, key: &str, times: u32, status: u16, code: &str) {
        self.set(&json!({ "faults": [
            { "kind": kind, "key": key, "times": times, "status": status, "code": code }
        ] }));
    }

    /// How many requests of each kind were made.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        serde_json::from_slice(&self.must("GET", "counts", "", b"")).unwrap_or_default()
    }

    /// How many bytes the requests of each kind have sent.
    pub fn bytes(&self) -> BTreeMap<String, u64> {
        serde_json::from_slice(&self.must("GET", "bytes", "", b"")).unwrap_or_default()
    }

    /// The URL of the queue that a bucket made with `queue` has.
    pub fn queue(&self) -> String {
        format!("http://{}/123456789012/{}", self.address, self.name)
    }

    /// Puts a message into the queue.
    pub fn send(&self, message: &str) {
        self.must("POST", "queue", "", message.as_bytes());
    }

    /// How many messages the queue has, those included that were heard and not removed.
    pub fn queued(&self) -> usize {
        let answer = self.must("GET", "queue", "", b"");
        String::from_utf8_lossy(&answer).parse().unwrap_or_default()
    }

    /// From now on the bucket's events go nowhere.
    pub fn unplug(&self) {
        self.must("POST", "unplug", "", b"");
    }

    /// The keys of all unfinished uploads.
    pub fn uploads(&self) -> Vec<String> {
        serde_json::from_slice(&self.must("GET", "uploads", "", b"")).unwrap_or_default()
    }
}
