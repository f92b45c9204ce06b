//! Hearing of changes from a queue: the bucket's event notifications, taken as hints.
//!
//! A message is removed from the queue only after its hints are told; should all of them be lost
//! then, the next start scans. What the queue loses, the listings find, which go on beside it, more
//! rarely (`ear`). Whatever is wrong with the queue is shown, and listings are as frequent again.

mod event;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use onitu_plug::{Fault, Hint, Hints, Path};

use crate::connection::to_queue;
use crate::fault::{Refusal, unavailable};
use crate::key::is_own_text;
use crate::object::{Bucket, directory, tag};
use crate::watch::Watch;
use event::{Event, Said};

/// For how long the server waits for messages before it answers that there are none.
const WAIT_S: i32 = 20;
/// Messages of one answer: as many as there may be.
const MESSAGES: i32 = 10;
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_mins(1);
/// Most directories that are known to have been told of.
const DIRECTORIES_MAX: usize = 16_384;

/// A queue of this service's own.
pub(crate) struct Queue {
    client: Client,
    url: String,
}

/// What was learned from the messages so far.
#[derive(Default)]
struct Memory {
    /// Directories that were told of when something appeared in them.
    directories: BTreeSet<Path>,
    /// The queue has brought news of this bucket: it is the right one.
    is_ours: bool,
    /// A message that is no news of this bucket was told of.
    has_told: bool,
}

impl Queue {
    /// The queue with this URL.
    pub(crate) fn new(found: &SdkConfig, url: &str) -> Result<Self, Fault> {
        let client = to_queue(found, url).ok_or_else(|| {
            let form = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME";
            unavailable(format!("`{url}` is no queue's URL: write `queue = \"{form}\"`"))
        })?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// Hears messages, and hints at what they tell, for ever.
    pub(crate) async fn run(&self, bucket: &Bucket, watch: &Watch, hints: &Hints) -> Infallible {
        let (mut memory, mut pause) = (Memory::default(), PAUSE_FIRST);
        loop {
            match self.hear(bucket, hints, &mut memory).await {
                Ok((count, told)) => {
                    watch.queue_heard(count, told, hints);
                    pause = PAUSE_FIRST;
                }
                Err(fault) => {
                    watch.queue_failed(&fault, hints);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_LAST);
                }
            }
        }
    }

    /// Waits for some messages and hints at what they say; of how many changes they were, and of
    /// which paths.
    async fn hear(
        &self,
        bucket: &Bucket,
        hints: &Hints,
        memory: &mut Memory,
    ) -> Result<(usize, Vec<Path>), Fault> {
        let heard = self.client.receive_message().queue_url(&self.url);
        let heard = heard.max_number_of_messages(MESSAGES).wait_time_seconds(WAIT_S).send().await;
        let heard = heard.map_err(|error| self.failed("sqs:ReceiveMessage", &error.into()))?;
        let (mut told, mut count, mut done) = (Vec::new(), 0, Vec::new());
        for message in heard.messages() {
            let events = match event::read(message.body().unwrap_or_default()) {
                Said::Events(events) => events,
                Said::Broken => {
                    self.tell_broken("isn't one of S3's", memory);
                    done.extend(entry(message, done.len()).filter(|_| memory.is_ours));
                    continue;
                }
            };
            let is_other = |event: &Event| event.bucket != bucket.requests.bucket();
            if events.iter().any(is_other) && !memory.is_ours {
                self.tell_broken("is about another bucket", memory);
                continue;
            }
            memory.is_ours |= !events.is_empty();
            for event in events.into_iter().filter(|event| !is_other(event)) {
                count += 1;
                memory.tell(bucket, &event, &mut told);
            }
            done.extend(entry(message, done.len()));
        }
        hints.tell_all(told.iter().map(|path| (path.clone(), Hint::Changed)));
        if !done.is_empty() {
            let delete = self.client.delete_message_batch().queue_url(&self.url);
            let deleted = delete.set_entries(Some(done)).send().await;
            deleted.map_err(|error| self.failed("sqs:DeleteMessage", &error.into()))?;
        }
        if memory.has_told && !memory.is_ours {
            let url = &self.url;
            return Err(unavailable(format!(
                "the queue `{url}` holds messages that aren't news of the bucket `{}`, which are \
                 left there: give the service a queue of its own",
                bucket.requests.bucket()
            )));
        }
        Ok((count, told))
    }

    /// Others' messages are told of once, and stay in a queue that hasn't turned out to be ours.
    fn tell_broken(&self, what: &str, memory: &mut Memory) {
        if !std::mem::replace(&mut memory.has_told, true) {
            tracing::warn!(
                "a message in the queue `{}` {what}; more of them aren't told",
                self.url
            );
        }
    }

    fn failed(&self, right: &str, refusal: &Refusal) -> Fault {
        let fault = refusal.unavailable("use the queue", &self.url);
        let message = match refusal.status {
            Some(403) => format!("{fault}: they must allow `{right}`"),
            _ => fault.message,
        };
        Fault { message, ..unavailable("") }
    }
}

fn entry(message: &Message, number: usize) -> Option<DeleteMessageBatchRequestEntry> {
    let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
    entry.set_receipt_handle(message.receipt_handle().map(str::to_owned)).build().ok()
}

impl Memory {
    /// What may have changed by this event, unless we ourselves did it: the path, and directories
    /// that came or went with it.
    fn tell(&mut self, bucket: &Bucket, event: &Event, told: &mut Vec<Path>) {
        let Some(name) = bucket.keys.name(&event.key).filter(|name| !is_own_text(name)) else {
            return;
        };
        let Ok(path) = Path::new(name.trim_end_matches('/')) else { return };
        let left = match &event.now {
            _ if event.is_gone => Some(None),
            _ if name.ends_with('/') => Some(Some(directory().tag)),
            Some((etag, size)) => Some(Some(tag(etag, *size))),
            None => None,
        };
        if left.is_some_and(|left| bucket.recent.is_own(&event.key, left)) {
            return;
        }
        bucket.recent.disown(&event.key);
        bucket.forget(&path);
        if self.directories.len() >= DIRECTORIES_MAX {
            self.directories.clear();
        }
        for above in std::iter::successors(path.parent(), Path::parent) {
            let is_news = if event.is_gone {
                self.directories.remove(&above);
                true
            } else {
                !bucket.recent.is_directory(&above) && self.directories.insert(above.clone())
            };
            if is_news && !above.is_root() {
                told.push(above);
            }
        }
        told.push(path);
    }
}
