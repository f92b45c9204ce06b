//! The same search for many more states: one layer of events after the other, with eight bytes for
//! each state and no memory of the ways.
//!
//! - A state is known by the hash of its text alone. That of `n` states any two share one has a
//!   probability of about `n`² / 2⁶⁵ (two in a thousand for 300 million); then one of them isn't looked at.
//! - The texts of a layer, which the next event begins from, are written to a file (below `TMPDIR`)
//!   once they are many. The last layer's, by far the most, aren't kept at all.
//! - What can't matter any more is forgotten ([`crate::forget`]) if that is wanted.
//! - A state is noted when it is gone on from, and its first way to rest is walked to the end at once:
//!   so whatever is noted comes to rest, and only a walk that meets itself doesn't.
//!
//! What is found wrong is told by [`crate::search`], which remembers ways, from the layer before.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use tokio::time::Instant;

use crate::canon::{key, short_text, state, text};
use crate::decisions::Decisions;
use crate::machine::steps;
use crate::search::{Found, begins, check_rest, check_state, search, search_from};
use crate::state::{Scope, State};
use crate::user::events;

/// Bytes of a layer that are kept in memory.
const INSIDE_MAX: usize = 64 << 20;
/// How often it is told how far it is, in states.
const TOLD_EVERY: usize = 10_000_000;

/// The hashes of all known states, in tables small enough that one can grow without doubling it all.
struct Keys {
    tables: Vec<Vec<u64>>,
    counts: Vec<usize>,
}

impl Keys {
    fn new() -> Self {
        Self { tables: vec![vec![0; 16]; 256], counts: vec![0; 256] }
    }

    /// Where `key` is or would be; 0 marks a free place.
    fn place(table: &[u64], key: u64) -> usize {
        let mut at = ((u128::from(key << 8) * table.len() as u128) >> 64) as usize;
        while table[at] != 0 && table[at] != key {
            at = if at + 1 == table.len() { 0 } else { at + 1 };
        }
        at
    }

    fn has(&self, key: u64) -> bool {
        let table = &self.tables[(key >> 56) as usize];
        table[Self::place(table, key.max(1))] != 0
    }

    /// Whether it is new.
    fn add(&mut self, key: u64) -> bool {
        let (shard, key) = ((key >> 56) as usize, key.max(1));
        let table = &mut self.tables[shard];
        let at = Self::place(table, key);
        if table[at] != 0 {
            return false;
        }
        table[at] = key;
        self.counts[shard] += 1;
        if self.counts[shard] * 20 > table.len() * 17 {
            let mut grown = vec![0; table.len() * 3 / 2];
            for key in table.iter().copied().filter(|key| *key != 0) {
                let at = Self::place(&grown, key);
                grown[at] = key;
            }
            *table = grown;
        }
        true
    }

    fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.len() * 8).sum()
    }
}

/// The texts of a layer.
#[derive(Default)]
struct Pile {
    inside: Vec<u8>,
    file: Option<File>,
}

impl Pile {
    fn push(&mut self, text: &[u8]) {
        let length = u16::try_from(text.len()).expect("a short text");
        self.inside.extend(length.to_le_bytes());
        self.inside.extend_from_slice(text);
        if self.inside.len() >= INSIDE_MAX {
            let file = self.file.get_or_insert_with(|| tempfile::tempfile().expect("a file"));
            file.write_all(&self.inside).expect("room for a layer");
            self.inside.clear();
        }
    }

    fn read(&mut self) -> impl Read {
        let file = self.file.as_mut().map(|file| {
            file.seek(SeekFrom::Start(0)).expect("the layer's beginning");
            file.take(u64::MAX)
        });
        let file: Box<dyn Read> = match file {
            Some(file) => Box::new(file),
            None => Box::new(std::io::empty()),
        };
        BufReader::with_capacity(1 << 20, file.chain(&self.inside[..]))
    }
}

fn next_text(reader: &mut impl Read, text: &mut Vec<u8>) -> bool {
    let mut length = [0; 2];
    if reader.read_exact(&mut length).is_err() {
        return false;
    }
    text.resize(usize::from(u16::from_le_bytes(length)), 0);
    reader.read_exact(text).expect("a whole text");
    true
}

struct Layers<'a, A> {
    scope: &'a Scope,
    allows: A,
    forgets: bool,
    decisions: Decisions,
    known: Keys,
    /// Reached and not yet gone on from.
    waiting: Vec<Box<[u8]>>,
    /// What the next event begins from.
    pile: Pile,
    events: usize,
    found: Found,
    begun: Instant,
}

/// Goes through all states that `scope` allows, as [`search`] does; where `forgets`, those that
/// differ only in what can't matter any more are one.
pub(crate) fn layers(scope: &Scope, forgets: bool, allows: impl Fn(&State) -> bool) -> Found {
    let mut all = Layers {
        scope,
        allows: &allows,
        forgets,
        decisions: Decisions::new(scope),
        known: Keys::new(),
        waiting: Vec::new(),
        pile: Pile::default(),
        events: 0,
        found: Found::default(),
        begun: Instant::now(),
    };
    for begin in begins(scope, &mut all.decisions) {
        let begin = all.text(&begin);
        if let Err(wrong) = all.close(begin) {
            let way = search(scope, &allows).wrong;
            all.found.wrong = Some(way.unwrap_or(wrong));
            return all.found;
        }
    }
    for events in 1..=scope.events {
        all.events = events;
        let pile = std::mem::take(&mut all.pile);
        if let Err((wrong, from)) = all.layer(pile) {
            all.found.wrong = Some(story(scope, events, &allows, &wrong, &from));
            break;
        }
        all.tell();
    }
    all.found.decisions = all.decisions.count();
    all.found
}

/// The way to the last state before the last event, and from there.
fn story(
    scope: &Scope,
    events: usize,
    allows: impl Fn(&State) -> bool,
    wrong: &str,
    from: &[u8],
) -> String {
    let before = Scope { events: events - 1, ..*scope };
    let is_from = |now: &State| short_text(scope, now, false) == from || text(scope, now) == from;
    let there = search(&before, |now| !is_from(now)).wrong.unwrap_or_default();
    let last = search_from(&Scope { events: 1, ..*scope }, &[state(scope, from)], allows);
    let last = last.wrong.unwrap_or_else(|| wrong.to_owned());
    format!("{last}after:\n{there}")
}

impl<A: Fn(&State) -> bool> Layers<'_, A> {
    fn text(&self, state: &State) -> Vec<u8> {
        if self.forgets {
            short_text(self.scope, state, self.events == self.scope.events)
        } else {
            text(self.scope, state)
        }
    }

    /// One more event from everywhere.
    fn layer(&mut self, mut before: Pile) -> Result<(), (String, Vec<u8>)> {
        let mut reader = before.read();
        let mut from = Vec::new();
        while next_text(&mut reader, &mut from) {
            let now = state(self.scope, &from);
            let events = events(self.scope, &now);
            self.found.transitions += events.len();
            for (_, after) in events {
                let text = self.text(&after);
                if !self.known.has(key(&text)) {
                    self.close(text).map_err(|wrong| (wrong, from.clone()))?;
                }
            }
        }
        Ok(())
    }

    /// Everything that follows from a state by itself.
    fn close(&mut self, text: Vec<u8>) -> Result<(), String> {
        self.waiting.push(text.into());
        while let Some(text) = self.waiting.pop() {
            let own = key(&text);
            if !self.known.has(own) {
                self.walk(text.into(), own)?;
            }
        }
        Ok(())
    }

    /// From a new state to where it comes to rest, leaving all other ways in `waiting`.
    fn walk(&mut self, mut text: Vec<u8>, mut own: u64) -> Result<(), String> {
        let mut way = VecDeque::new();
        loop {
            self.note(&text, own);
            way.push_back(own);
            let now = state(self.scope, &text);
            check_state(self.scope, &now)?;
            if !(self.allows)(&now) {
                return Err("a state that this search forbids".to_owned());
            }
            let steps = steps(self.scope, &mut self.decisions, &now);
            self.found.transitions += steps.len();
            let mut following = steps.into_iter().map(|(_, after)| after);
            let Some(first) = following.next() else {
                return check_rest(self.scope, &mut self.decisions, &now, &mut self.found);
            };
            for after in following {
                let text = self.text(&after);
                if !self.known.has(key(&text)) {
                    self.waiting.push(text.into());
                }
            }
            text = self.text(&first);
            own = key(&text);
            if self.known.has(own) {
                let meets_itself = way.contains(&own);
                let wrong = || "from here it never comes to rest".to_owned();
                return if meets_itself { Err(wrong()) } else { Ok(()) };
            }
        }
    }

    fn note(&mut self, text: &[u8], own: u64) {
        self.known.add(own);
        self.found.states += 1;
        if self.events < self.scope.events {
            self.pile.push(text);
        }
        if self.found.states.is_multiple_of(TOLD_EVERY) {
            self.tell();
        }
    }

    #[allow(clippy::print_stderr, reason = "how far it is, for who waits")]
    fn tell(&self) {
        let Found { states, transitions, .. } = self.found;
        if states >= TOLD_EVERY {
            let seconds = self.begun.elapsed().as_secs();
            let (events, memory) = (self.events, self.known.bytes() >> 20);
            eprintln!(
                "event {events}: states {states}, transitions {transitions}, {seconds} s, {memory} MiB"
            );
        }
    }
}
