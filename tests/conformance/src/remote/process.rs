//! The driver's process: frames to it, frames from it, and its end.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path as File;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as pipes};
use std::time::Duration;

use onitu_plug::exercise::{Answer, Ask, Call, Told, from_frame, read_frame, to_frame};
use onitu_plug::{Fault, FaultKind, Found, Hints, Path};
use tokio::sync::mpsc;

use super::Frames;

/// Most frames of one call that nobody has looked at; a driver that sends more doesn't wait.
const FRAMES_MAX: usize = 4;
/// How much of its last words are kept.
const WORDS_BYTES_MAX: usize = 4096;
/// How long they are waited for when it has ended.
const WORDS_LIMIT: Duration = Duration::from_millis(500);
/// How much is kept of writes that were not placed, to know them again.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A driver's program that serves calls; killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Mutex<Child>,
    /// The queue to the thread that writes; calls wait for their answers, so it stays short.
    frames: pipes::Sender<Vec<u8>>,
    told: Arc<Heard>,
    last_id: AtomicU64,
    kept: Mutex<BTreeMap<(Path, u64), Vec<u8>>>,
}

/// Who waits for what, shared with the threads that read.
#[derive(Debug, Default)]
struct Heard {
    calls: Mutex<BTreeMap<u64, Waiting>>,
    words: Mutex<String>,
    /// Why nothing will be heard any more.
    end: Mutex<Option<String>>,
}

struct Waiting {
    frames: mpsc::Sender<Told>,
    hints: Option<Hints>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        // One that has ended by itself can't be killed, which is fine.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Process {
    /// Starts `PROGRAM exercise`.
    pub(super) fn start(program: &File) -> Result<Arc<Self>, Fault> {
        let shown = program.display();
        let failed = |error: std::io::Error| {
            Fault::new(FaultKind::Bug, format!("`{shown}` can't be started: {error}"))
        };
        let mut child = Command::new(program)
            .arg("exercise")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let told = Arc::new(Heard::default());
        let (frames, waiting) = pipes::channel();
        if let (Some(to), Some(from), Some(words)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        {
            let (heard, listened) = (told.clone(), told.clone());
            std::thread::spawn(move || speak(to, &waiting));
            let (silent, silence) = pipes::channel();
            std::thread::spawn(move || heard.listen(from, &silence));
            std::thread::spawn(move || {
                listened.overhear(words);
                // Nobody waits for it while the driver lives.
                let _ = silent.send(());
            });
        }
        let kept = Mutex::default();
        Ok(Arc::new(Self {
            child: Mutex::new(child),
            frames,
            told,
            last_id: AtomicU64::new(0),
            kept,
        }))
    }

    /// Asks; the answer comes to whoever holds what is returned.
    pub(super) fn begin(self: &Arc<Self>, on: u64, call: Call) -> Underway {
        self.ask(on, call, None)
    }

    /// Begins a watch that leaves its hints there, before any later answer.
    pub(super) fn begin_watch(self: &Arc<Self>, on: u64, hints: Hints) -> Underway {
        self.ask(on, Call::Watch, Some(hints))
    }

    fn ask(self: &Arc<Self>, on: u64, call: Call, hints: Option<Hints>) -> Underway {
        let (frames, told) = mpsc::channel(FRAMES_MAX);
        let id = self.next_id();
        lock(&self.told.calls).insert(id, Waiting { frames, hints });
        self.send(&Ask { id, on, call });
        // Whoever has ended before the call was noted has told nobody of it.
        if lock(&self.told.end).is_some() {
            lock(&self.told.calls).clear();
        }
        Underway { process: self.clone(), id, told, has_ended: false }
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn send(&self, ask: &Ask) {
        match to_frame(ask) {
            // Who doesn't read any more has ended, which the answer's absence tells.
            Ok(frame) => drop(self.frames.send(frame)),
            Err(error) => unreachable!("the suite asks for too much: {error}"),
        }
    }

    /// Closes what a request has opened, or ends it.
    pub(super) fn close(&self, on: u64) {
        self.send(&Ask { id: self.next_id(), on, call: Call::Drop });
    }

    /// Remembers what was written and not placed.
    pub(super) fn keep(&self, key: (Path, u64), written: Vec<u8>) {
        let mut kept = lock(&self.kept);
        if kept.values().map(Vec::len).sum::<usize>() + written.len() > KEPT_BYTES_MAX {
            kept.clear();
        }
        kept.insert(key, written);
    }

    pub(super) fn kept(&self, key: &(Path, u64)) -> Vec<u8> {
        lock(&self.kept).get(key).cloned().unwrap_or_default()
    }

    /// Why there is no answer.
    fn end(&self) -> Fault {
        let end = lock(&self.told.end).clone();
        let end = end.unwrap_or_else(|| "it says nothing any more".to_owned());
        let words = lock(&self.told.words);
        let last = words.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| format!("; its last words: {}", line.trim()));
        let text = format!("the driver's process is gone: {end}{}", last.unwrap_or_default());
        Fault::new(FaultKind::Bug, text)
    }
}

impl Heard {
    /// Reads what the driver tells until it ends, and then waits a moment for its last words.
    fn listen(&self, mut pipe: ChildStdout, silence: &pipes::Receiver<()>) {
        let end = loop {
            match read_frame(&mut pipe)
                .and_then(|frame| frame.map(|it| from_frame(&it)).transpose())
            {
                Ok(None) => break "its stdout has ended".to_owned(),
                Err(error) => break format!("what it says can't be read: {error}"),
                Ok(Some(told)) => {
                    if let Err(wrong) = self.pass_on(told) {
                        break wrong;
                    }
                }
            }
        };
        let _ = silence.recv_timeout(WORDS_LIMIT);
        *lock(&self.end) = Some(end);
        lock(&self.calls).clear();
    }

    /// Gives a frame to whoever waits for it.
    fn pass_on(&self, told: Told) -> Result<(), String> {
        let mut calls = lock(&self.calls);
        // A call that was dropped meanwhile isn't there.
        let Some(waiting) = calls.get(&told.id) else { return Ok(()) };
        let id = told.id;
        let is_last = told.answer.is_some() || told.fault.is_some();
        if let (Some(hinted), Some(hints)) = (&told.hints, &waiting.hints) {
            hinted.clone().tell(hints);
            return Ok(());
        }
        if !is_last && told.page.is_none() {
            return Err(format!("a frame to request {id} says nothing"));
        }
        // The one that waits may be gone, but not be slower than what it wanted.
        if let Err(mpsc::error::TrySendError::Full(_)) = waiting.frames.try_send(told) {
            return Err(format!("it sends pages of request {id} that nobody wants yet"));
        }
        if is_last {
            calls.remove(&id);
        }
        Ok(())
    }

    /// Keeps the end of what it says to a person.
    fn overhear(&self, mut pipe: ChildStderr) {
        let mut part = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut part) {
            let mut words = lock(&self.words);
            words.push_str(&String::from_utf8_lossy(&part[..count]));
            if words.len() > 2 * WORDS_BYTES_MAX {
                let from = words.len() - WORDS_BYTES_MAX;
                let from = (from..words.len()).find(|at| words.is_char_boundary(*at));
                *words = words.split_off(from.unwrap_or(0));
            }
        }
    }
}

/// Writes frames until there are no more; the driver's stdin ends then.
fn speak(mut pipe: ChildStdin, frames: &pipes::Receiver<Vec<u8>>) {
    while let Ok(frame) = frames.recv() {
        if pipe.write_all(&frame).and_then(|()| pipe.flush()).is_err() {
            return;
        }
    }
}

/// A call whose answer is awaited; dropped before, it is dropped at the driver's.
pub(super) struct Underway {
    process: Arc<Process>,
    id: u64,
    told: Frames,
    has_ended: bool,
}

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.has_ended {
            lock(&self.process.told.calls).remove(&self.id);
            self.process.close(self.id);
        }
    }
}

impl Underway {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The next page of a listing; [`None`] when all were read, and [`Self::end`] tells how it ended.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<Found>>, Fault> {
        match self.told.recv().await {
            Some(Told { page: Some(page), .. }) => Ok(Some(page)),
            Some(Told { fault: Some(fault), .. }) => {
                self.has_ended = true;
                Err(fault)
            }
            Some(_) => {
                self.has_ended = true;
                Ok(None)
            }
            None => Err(self.process.end()),
        }
    }

    /// Says of the last page whether there is still a reader.
    pub(super) fn wanted(&self, more: bool) {
        let id = self.process.next_id();
        self.process.send(&Ask { id, on: self.id, call: Call::Wanted { more } });
    }

    /// How it ended.
    pub(super) async fn end(mut self) -> Result<Answer, Fault> {
        if self.has_ended {
            return Ok(Answer::Done);
        }
        match self.told.recv().await {
            Some(Told { answer: Some(answer), .. }) => {
                self.has_ended = true;
                Ok(answer)
            }
            Some(Told { fault: Some(fault), .. }) => {
                self.has_ended = true;
                Err(fault)
            }
            Some(_) => Err(Fault::new(FaultKind::Bug, "a page is told where none was asked for")),
            None => Err(self.process.end()),
        }
    }
}
